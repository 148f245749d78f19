"""Maps the top-level folders to the package `augmill`; everything else stands in pyproject.toml.

The folders are named for what they hold, the package for what it is: a bare `pipeline` or `transforms` would collide in
the training projects that import augmill.
"""

from setuptools import setup

PACKAGE_DIR = {
    "augmill.pipeline": "pipeline",
    "augmill.transforms": "transforms",
    "augmill.scripts": "scripts",
}

setup(
    packages=list(PACKAGE_DIR),
    package_dir=PACKAGE_DIR,
    package_data={package: ["py.typed"] for package in PACKAGE_DIR},
)
