"""A TFDS builder prepared as such builders are: `download_and_prepare`, by Beam's direct runner."""

from __future__ import annotations

import tensorflow_datasets as tfds
from apache_beam.options.pipeline_options import PipelineOptions

from benchmarks.contenders.task import Part, Task, main, now
from benchmarks.contenders.tfds_builder import Augmented, when_begun


def prepare(task: Task) -> Part:
    """Prepare the dataset; TFDS writes the shards once the last record has been augmented.

    With the option `processes` Beam works in as many processes as there are workers, else in one, as it does by itself.
    """
    builder = Augmented(task=task, data_dir=str(task.output))
    config = tfds.download.DownloadConfig(beam_options=PipelineOptions(_beam_options(task)))
    builder.download_and_prepare(download_config=config)
    return Part(builder.info.splits["train"].num_examples, when_begun(task), now())


def _beam_options(task: Task) -> list[str]:
    if "processes" not in task.options:
        return []
    return [f"--direct_num_workers={task.workers}", "--direct_running_mode=multi_processing"]


if __name__ == "__main__":
    main(prepare)
