"""Where the time of one block goes, stage by stage: python -m benchmarks.profile"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.run import DOCS, WORK

_KERNELS = ("fast", "reference")
_IMAGES = {"fast": 600, "reference": 80}  # of a block
_QUICK = 16
_BLOCKS = 10  # planned, of which the first is to warm up and the second is watched


def main() -> None:
    """Profile, print the table and put it into the document."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("--recipe", default="photo")
    parser.add_argument("--kernels", choices=_KERNELS, default="fast")
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--docs", type=Path, help="for the results; docs/ unless --quick, then WORK/docs")
    parser.add_argument("--quick", action="store_true", help="a few images, to see that it works")
    given = parser.parse_args()
    images = _QUICK if given.quick else _IMAGES[given.kernels]

    from benchmarks.report import profile_table, write_report

    measured = profile(given.recipe, given.kernels, images, given.work)
    docs = given.docs or (given.work / "docs" if given.quick else DOCS)
    results.merge(docs, "profile", f"{given.recipe}, {given.kernels}", measured)
    write_report(docs, template=DOCS)
    print(profile_table({"": measured}))


def profile(recipe_name: str, kernels: str, images: int, work: Path) -> dict[str, Any]:
    """Write two blocks of `images` each in this process as a worker does, and watch the second."""
    os.environ.update({"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"})
    from augmill.pipeline.listing import list_source
    from augmill.pipeline.materialize import Materializer
    from augmill.pipeline.plan import make_plan
    from augmill.pipeline.spec import Spec
    from augmill.pipeline.workspace import Workspace
    from benchmarks import dataset
    from benchmarks.recipes import RECIPES
    from benchmarks.stages import watched

    recipe = RECIPES[recipe_name]
    source = dataset.source(recipe, _BLOCKS * images, work)
    spec = Spec(**recipe.spec(source.resolve(), kernels=kernels), block_examples=images)
    workspace = Workspace(work / "profile.building")
    shutil.rmtree(workspace.path, ignore_errors=True)
    try:
        workspace.prepare(spec, make_plan(spec, list_source(spec)), {})
        materialize = Materializer(workspace)
        materialize(0)
        with watched() as spent:
            row = materialize(1)
    finally:
        shutil.rmtree(workspace.path, ignore_errors=True)
    stages = {stage: seconds for stage, seconds in spent.items() if seconds}
    return {"recipe": recipe_name, "kernels": kernels, "records": row["images"], "stages": stages}


if __name__ == "__main__":
    main()
