"""A `tf.data` pipeline that augments in a parallel map and writes TFRecord shards, as TensorFlow's guides have it."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from benchmarks.contenders.task import Part, Photo, Task, main, now, photos
from benchmarks.contenders.tensorflow_ops import AUGMENT, decode, encode, opened_boxes


def pipeline(task: Task, sources: list[Photo]) -> tf.data.Dataset:
    """Read and decode each photo once, then augment and encode each copy of it."""
    recipe, augment = task.recipe, AUGMENT[task.name]
    parts = {
        "path": tf.constant([photo.path for photo in sources]),
        "key": tf.constant([photo.key for photo in sources]),
        "label": tf.constant([photo.label for photo in sources], tf.int64),
        "boxes": tf.ragged.constant([photo.boxes.tolist() for photo in sources], tf.float32, ragged_rank=1),
        "labels": tf.ragged.constant([photo.box_labels.tolist() for photo in sources], tf.float32, ragged_rank=1),
    }

    def opened(given: dict[str, Any]) -> dict[str, Any]:
        pixels = decode(tf.io.read_file(given["path"]), recipe)
        return {"pixels": pixels, **{name: given[name] for name in ("key", "label", "boxes", "labels")}}

    def copies(given: dict[str, Any]) -> tf.data.Dataset:
        return tf.data.Dataset.range(1, recipe.copies + 1).map(lambda copy: {**given, "copy": copy})

    def rendered(given: dict[str, Any]) -> dict[str, Any]:
        pixels, boxes = augment(given["pixels"], opened_boxes(given["boxes"], given["labels"], recipe))
        image = encode(pixels, recipe)
        return {"image": image, **{name: given[name] for name in ("key", "label", "copy")}, **boxes}

    dataset = tf.data.Dataset.from_tensor_slices(parts).map(opened, num_parallel_calls=tf.data.AUTOTUNE)
    dataset = dataset.flat_map(copies).map(rendered, num_parallel_calls=tf.data.AUTOTUNE)
    options = tf.data.Options()
    options.deterministic = False
    options.threading.private_threadpool_size = task.workers
    return dataset.with_options(options).prefetch(tf.data.AUTOTUNE)


def example(record: dict[str, Any]) -> bytes:
    """Serialise a record of the pipeline."""
    feature, whole = tf.train.Feature, lambda value: tf.train.Int64List(value=value)
    features = {
        "image": feature(bytes_list=tf.train.BytesList(value=[record["image"]])),
        "key": feature(bytes_list=tf.train.BytesList(value=[record["key"]])),
        "label": feature(int64_list=whole([record["label"]])),
        "copy": feature(int64_list=whole([record["copy"]])),
    }
    if "boxes" in record:
        features["boxes"] = feature(float_list=tf.train.FloatList(value=record["boxes"].ravel()))
        features["box_labels"] = feature(int64_list=whole(record["labels"].astype("int64")))
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def write(task: Task) -> Part:
    """Run the pipeline and write its records in turn to a shard a worker."""
    dataset = pipeline(task, photos(task))
    names = [f"train.tfrecord-{k:05d}-of-{task.workers:05d}" for k in range(task.workers)]
    writers = [tf.io.TFRecordWriter(str(task.output / name)) for name in names]
    records, iterator, started = 0, iter(dataset.as_numpy_iterator()), now()
    for record in iterator:
        writers[records % task.workers].write(example(record))
        records += 1
    for writer in writers:
        writer.close()
    return Part(records, started, now())


if __name__ == "__main__":
    main(write)
