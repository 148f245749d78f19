"""MixUp and CutMix of a batch with itself, in the input pipeline or on the device; drawn anew at every step.

`mix_up` and `cut_mix` of a spec mix offline, and an epoch sees the same mixes again. Here each step draws its own, as a
pure function of (seed, epoch, rank, step): a training that is taken up again at a step meets the mixes that it would
have met. All of it compiles under XLA, which has no Gamma; so the weight's Beta is drawn by its quantile function.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import Any, NamedTuple

KEEP, BLEND, PASTE = range(3)  # what is done to a batch: nothing, MixUp, CutMix
_ROUNDS, _CELLS = 4, 64  # 64 ** -4 is the last bit of a float32


class Mix(NamedTuple):
    """What was drawn for one batch.

    Attributes:
      partner: int32 [batch], with which record of the batch each is mixed; itself where it is not valid.
      kind: int32 [], KEEP, BLEND or PASTE.
      weight: float32 [], the share of the record itself in its label.
      box: int32 [4], the (top, left, bottom, right) in pixels that is pasted; zeros unless kind is PASTE.
    """

    partner: Any
    kind: Any
    weight: Any
    box: Any


@dataclass(frozen=True)
class BatchMix:
    """Mix the images of a batch with each other, and their labels by the same weights.

    A batch is mixed by one weight, as in the papers and by default in timm: by MixUp, which blends whole images with
    the weight Beta(mixup_alpha, mixup_alpha), or by CutMix, which pastes a window of the area 1 - Beta(cutmix_alpha,
    cutmix_alpha) and the image's proportions, its centre uniform over the image and what lies outside cut off; labels
    are then weighed by the area that is pasted. Partners are a permutation of the batch's valid records. Sources: Zhang
    et al., "mixup: beyond empirical risk minimization", ICLR 2018; Yun et al., "CutMix: regularization strategy to
    train strong classifiers with localizable features", ICCV 2019; `timm.data.Mixup`.

    Attributes:
      classes: number of classes.
      seed: names the draws; from 0.
      mixup_alpha, cutmix_alpha: of either Beta distribution; 0 leaves that kind out.
      p: share of the batches that are mixed.
      switch_p: share of these for CutMix, where both kinds are wanted.
      rank: of this process among those that train together; each draws its own mixes.

    Raises:
      ValueError: an argument is out of its range.
    """

    classes: int
    seed: int = 0
    mixup_alpha: float = 0.2
    cutmix_alpha: float = 1.0
    p: float = 1.0
    switch_p: float = 0.5
    rank: int = 0

    def __post_init__(self) -> None:
        for name, least in (("classes", 1), ("seed", 0), ("rank", 0)):
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
        for name, most in (("mixup_alpha", 1e3), ("cutmix_alpha", 1e3), ("p", 1.0), ("switch_p", 1.0)):
            if not 0 <= getattr(self, name) <= most:
                raise ValueError(f"{name} must lie in 0 to {most:g}, got {getattr(self, name)!r}")
        if not (self.mixup_alpha or self.cutmix_alpha):
            raise ValueError("mixup_alpha and cutmix_alpha are both 0, so that nothing would be mixed")

    def __call__(self, images: Any, labels: Any, step: Any, *, epoch: int = 0, valid: Any = None) -> tuple[Any, Any]:
        """Mix one batch.

        Args:
          images: [batch, height, width, channels], of any number type.
          labels: whole numbers [batch], or float weights [batch, classes].
          step: the batch's number in the epoch, a whole number or an integer tensor []. In a model that is
            `optimizer.iterations`, which goes on over epochs.
          epoch: the epoch's number, a Python int; leave it at 0 where `step` goes on over epochs.
          valid: bool [batch]; records that are not are mixed with none and stay as they are. All by default.

        Returns:
          (images in the type that they came in, whole numbers being rounded; labels float32 [batch, classes]).

        Raises:
          ValueError: labels are of another shape or type.
        """
        import tensorflow as tf

        images = tf.convert_to_tensor(images)
        shape = tf.shape(images)
        mix = self.draw(step, shape[0], shape[1], shape[2], epoch=epoch, valid=valid)
        return mix_images(images, mix), mix_labels(labels, mix, self.classes)

    def batches(self, dataset: Any, *, epoch: int = 0, start_step: int = 0) -> Any:
        """Mix every batch of a dataset.

        Args:
          dataset: a `tf.data.Dataset` of (image, label), of (image, label, weight), or of dicts with image, label or
            soft_label, and maybe valid; records with the weight 0, or not valid, are mixed with none.
          epoch: the epoch's number.
          start_step: the number of the dataset's first batch, where an epoch is taken up again.

        Returns:
          A `tf.data.Dataset` of the same, where label is float32 [batch, classes]; in a dict it is soft_label, and
          label stays that of the image before.
        """
        import tensorflow as tf

        def mixed(step: Any, *batch: Any) -> Any:
            if isinstance(batch[0], dict):
                (parts,) = batch
                labels = parts["soft_label"] if "soft_label" in parts else parts["label"]
                images, soft = self(parts["image"], labels, step, epoch=epoch, valid=parts.get("valid"))
                return {**parts, "image": images, "soft_label": soft}
            image, label, *weight = batch
            valid = weight[0] > 0 if weight else None
            return *self(image, label, step, epoch=epoch, valid=valid), *weight

        numbered = dataset.enumerate(start_step)
        return numbered.map(
            lambda step, batch: mixed(step, *(batch if isinstance(batch, tuple) else (batch,))),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )

    def draw(self, step: Any, batch: Any, height: Any, width: Any, *, epoch: int = 0, valid: Any = None) -> Mix:
        """Draw what is done to one batch of so many records, of images of height and width in pixels."""
        import tensorflow as tf

        step = tf.cast(step, tf.int64)
        for_scalars, for_partners = (tf.stack([key, step]) for key in self._keys(epoch))
        # The low 24 bits of each word: from one seed XLA makes the same words as TensorFlow, and other floats.
        draws = tf.cast(tf.bitwise.bitwise_and(_words(for_scalars, 5), 0xFFFFFF), tf.float32) * 2.0**-24
        cut_share = self.switch_p if self.mixup_alpha and self.cutmix_alpha else float(self.cutmix_alpha > 0)
        kind = tf.where(draws[1] < cut_share, PASTE, BLEND)
        kind = tf.where(draws[0] < self.p, kind, KEEP)
        alpha = tf.where(kind == PASTE, float(self.cutmix_alpha or 1), float(self.mixup_alpha or 1))
        weight = beta_quantile(draws[2], alpha)
        ratio = tf.where(kind == PASTE, tf.sqrt(1.0 - weight), 0.0)
        rows, columns = _around(draws[3], ratio, height), _around(draws[4], ratio, width)
        box = tf.stack([rows[0], columns[0], rows[1], columns[1]])
        area = tf.cast((rows[1] - rows[0]) * (columns[1] - columns[0]), tf.float32)
        outside = 1.0 - area / tf.cast(height * width, tf.float32)
        weight = tf.where(kind == BLEND, weight, tf.where(kind == PASTE, outside, 1.0))
        return Mix(_permutation(for_partners, batch, valid), kind, weight, tf.where(kind == PASTE, box, 0))

    def _keys(self, epoch: int) -> tuple[int, int]:
        """The first halves of the seeds that stand for (seed, epoch, rank); a step is the other half."""
        name = f"batch mix {self.seed} {epoch} {self.rank}".encode()
        digest = hashlib.blake2b(name, digest_size=16, person=b"augmill").digest()
        first, second = struct.unpack("<qq", digest)
        return first, second


def mix_images(images: Any, mix: Mix) -> Any:
    """Blend or paste images [batch, height, width, channels] as drawn; their type stays."""
    import tensorflow as tf

    shape = tf.shape(images)

    def blend() -> Any:
        mine, theirs = tf.cast(images, tf.float32), tf.cast(tf.gather(images, mix.partner), tf.float32)
        blended = mine + (1.0 - mix.weight) * (theirs - mine)  # to the last bit the image itself, mixed with itself
        return tf.cast(tf.round(blended) if images.dtype.is_integer else blended, images.dtype)

    def paste() -> Any:
        top, left, bottom, right = tf.unstack(mix.box)
        rows, columns = tf.range(shape[1]), tf.range(shape[2])
        inside = ((rows >= top) & (rows < bottom))[:, None] & ((columns >= left) & (columns < right))[None, :]
        # Images in one row each: to choose by a mask that is repeated over two dimensions takes four times as long.
        inside = tf.repeat(tf.reshape(inside, [-1]), shape[3])
        flat = tf.reshape(images, [shape[0], -1])
        return tf.reshape(tf.where(inside[None], tf.gather(flat, mix.partner), flat), shape)

    mixed = tf.switch_case(mix.kind, [lambda: tf.identity(images), blend, paste])
    return tf.ensure_shape(mixed, images.shape)


def mix_labels(labels: Any, mix: Mix, classes: int) -> Any:
    """Weigh the labels as drawn: whole numbers [batch] or weights [batch, classes] to float32 [batch, classes]."""
    import tensorflow as tf

    labels = tf.convert_to_tensor(labels)
    if labels.dtype.is_integer and labels.shape.rank in (1, None):
        soft = tf.one_hot(labels, classes)
    elif labels.dtype.is_floating and labels.shape.rank == 2 and labels.shape[1] in (classes, None):
        soft = tf.cast(labels, tf.float32)
    else:
        got = f"{labels.dtype.name} {labels.shape.as_list()}"
        raise ValueError(f"labels must be whole numbers [batch] or floats [batch, {classes}], got {got}")
    return soft + (1.0 - mix.weight) * (tf.gather(soft, mix.partner) - soft)


def beta_quantile(probability: Any, alpha: Any) -> Any:
    """The quantile function of Beta(alpha, alpha), right to 1e-6: float32 [] in [0, 1) to float32 [].

    The distribution function rises, so the cell of a grid in which it passes `probability` holds the quantile; that
    cell becomes the next grid.
    """
    import tensorflow as tf

    low, width = tf.constant(0.0), 1.0
    for _ in range(_ROUNDS):
        width /= _CELLS
        edges = low + width * tf.range(1, _CELLS, dtype=tf.float32)
        reached = tf.math.betainc(tf.broadcast_to(alpha, [_CELLS - 1]), tf.broadcast_to(alpha, [_CELLS - 1]), edges)
        low += width * tf.reduce_sum(tf.cast(reached < probability, tf.float32))
    return low + width / 2


def _words(seed: Any, count: Any) -> Any:
    """Random words, int32 [count], uniform over all there are; by Philox on every device."""
    import tensorflow as tf

    return tf.random.stateless_uniform([count], seed, minval=None, maxval=None, dtype=tf.int32, alg="philox")


def _around(draw: Any, ratio: Any, length: Any) -> tuple[Any, Any]:
    """The ends of a window of `ratio` of a side, around a centre that `draw` picks; cut off at the image's edges."""
    import tensorflow as tf

    sides = tf.cast(length, tf.float32)
    side = tf.cast(tf.round(ratio * sides), tf.int32)
    low = tf.cast(draw * sides, tf.int32) - side // 2
    return tf.maximum(0, low), tf.minimum(length, low + side)


def _permutation(seed: Any, batch: Any, valid: Any) -> Any:
    """A uniform permutation of the valid records, int32 [batch], which leaves the others in their place."""
    import tensorflow as tf

    shuffled = tf.argsort(_words(seed, batch), stable=True)
    if valid is None:
        return shuffled
    valid = tf.cast(valid, tf.bool)
    # The valid ones in two orders, theirs and the shuffled one, each followed by the rest: one goes to the other.
    in_order = tf.argsort(tf.cast(~valid, tf.int32), stable=True)
    mixed = tf.gather(shuffled, tf.argsort(tf.cast(~tf.gather(valid, shuffled), tf.int32), stable=True))
    partner = tf.scatter_nd(in_order[:, None], mixed, [batch])
    return tf.where(valid, partner, tf.range(batch))
