"""augmill's transforms: randomised image operations that draw first and apply second."""

from augmill.transforms.base import Sample, Transform, TransformError
from augmill.transforms.grammar import parse_policy
from augmill.transforms.policy import Policy, Step
from augmill.transforms.randomness import Draws

__all__ = ["Draws", "Policy", "Sample", "Step", "Transform", "TransformError", "parse_policy"]
