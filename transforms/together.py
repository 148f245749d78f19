"""Carries out the pixel work of many small renditions at once, where it is of the same kinds.

On an image of a few thousand bytes a call takes longer than its work. Renditions with the same kinds of kernel before
them, each with its own parameters, go through these side by side in one array.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Union

import cv2
import numpy as np

from augmill.transforms.base import Sample
from augmill.transforms.copying import Fill, Mirror, Window
from augmill.transforms.fusion import Fused, run_one
from augmill.transforms.kernels import AnyKernel
from augmill.transforms.rendering import FAILURES, FusedRendering, Rendering

_AT_ONCE = 1 << 16  # bytes of images: with what is made of them they stay in the processor's cache

# Those of single renditions, or all of them in an array [images, height, width, channels] that is nobody else's.
Images = Union[Sequence[np.ndarray], np.ndarray]
PutOff = tuple[FusedRendering, list[Fused], Sample]


def carry_out_together(renderings: Iterable[Rendering]) -> None:
    """Do what is put off in renderings, alike ones at once.

    What fails, or is too large to gain by it, is left to be done by the rendering's own `sample`, which gives the same
    pixels and tells of the failure.
    """
    alike = defaultdict[object, list[PutOff]](list)
    for by in renderings:
        if isinstance(by, FusedRendering):
            row, sample = by.put_off
            image = sample.image
            if row and 2 * image.nbytes <= _AT_ONCE:
                alike[(image.shape, *[_kind(kernel) for kernel, _ in row])].append((by, row, sample))
    for group in alike.values():
        count = _AT_ONCE // group[0][2].image.nbytes
        for start in range(0, len(group), count):
            _carry_out(group[start : start + count])


def _kind(kernel: AnyKernel) -> object:
    """What kernels must share to be carried out at once."""
    if isinstance(kernel, Mirror):
        return kernel
    return (Window, kernel.frame[2:], kernel.size) if isinstance(kernel, Window) else type(kernel)


def _carry_out(group: Sequence[PutOff]) -> None:
    renderings, rows, samples = zip(*group, strict=True)
    images: Images = [sample.image for sample in samples]
    try:
        for fused in zip(*rows, strict=True):
            kernels = [kernel for kernel, _ in fused]
            at_once = _BY_KIND.get(type(kernels[0]))
            if at_once is None or (isinstance(kernels[0], Window) and kernels[0].resizes):
                images = [run_one(*one) for one in zip(kernels, images, samples, strict=True)]
            else:
                images = at_once(kernels, images)
    except FAILURES:
        return
    for by, image in zip(renderings, images, strict=True):
        by.carried_out(image)


def _windows(kernels: Sequence[Window], images: Images) -> np.ndarray:
    shown = np.zeros((len(images), *kernels[0].frame[2:], images[0].shape[2]), np.uint8)
    for kernel, image, its in zip(kernels, images, shown, strict=True):
        kernel.show(image, its)
    return shown


def _mirrors(kernels: Sequence[Mirror], images: Images) -> np.ndarray:
    together, mirror = _stacked(images), kernels[0]
    if mirror.across:  # above each other they are one image
        together = cv2.flip(together.reshape(-1, *together.shape[2:]), 1).reshape(together.shape)
    return np.ascontiguousarray(together[:, ::-1]) if mirror.down else together


def _fills(kernels: Sequence[Fill], images: Images) -> np.ndarray:
    filled = _stacked(images)
    for kernel, image in zip(kernels, filled, strict=True):
        kernel.fill(image)
    return filled


def _stacked(images: Images) -> np.ndarray:
    return images if isinstance(images, np.ndarray) else np.stack(images)


_BY_KIND: Mapping[type, Callable[[Any, Images], np.ndarray]] = {Window: _windows, Mirror: _mirrors, Fill: _fills}
