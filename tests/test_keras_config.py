"""Keras layers that are made already become entries of a spec that do the same, or say where they don't."""

from __future__ import annotations

import inspect
import itertools
import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import yaml
from keras import layers

from augmill.pipeline import Spec
from augmill.transforms.backend import to_uint8
from augmill.transforms.base import TransformError
from augmill.transforms.catalog import OPS
from augmill.transforms.composition import OneOf, Sometimes
from augmill.transforms.grammar import parse_policy
from augmill.transforms.keras_affine import RandomFlip, RandomRotation, RandomZoom
from augmill.transforms.keras_color import RandomBrightness
from augmill.transforms.keras_config import augmenter_entries, layer_entry
from augmill.transforms.keras_graph import load_model
from augmill.transforms.keras_layer import image_layer_class
from augmill.transforms.user_layer import UserLayer

_NUMBERS = itertools.count()  # a module is imported once by its name: each gets another

HALF = "factor [0, 1], to which Keras turns a number, applies it to 50% of the images; 1 applies it to 100%"

# layer, its entry, and words of the notes, one text a note
CASES: list[tuple[Any, Any, list[str]]] = [
    (layers.RandomFlip("horizontal"), {"mode": "horizontal"}, []),
    (layers.RandomFlip(), {}, ["each way by itself"]),
    (layers.RandomRotation(0.1), {"factor": [-0.1, 0.1]}, []),
    (layers.RandomRotation((-0.1, 0.3), fill_mode="nearest"), {"factor": [-0.1, 0.3], "fill_mode": "nearest"}, []),
    (layers.RandomTranslation(0.1, (-0.2, 0.1)), {"height_factor": 0.1, "width_factor": [-0.2, 0.1]}, []),
    (layers.RandomZoom(0.2), {"height_factor": 0.2}, []),
    (layers.RandomShear(0.2), {"x_factor": [0.0, 0.2]}, []),
    (layers.RandomShear(y_factor=(0.1, 0.2)), {"y_factor": [0.1, 0.2]}, []),
    (layers.RandomBrightness(0.2), {"factor": [-0.2, 0.2]}, []),
    (layers.RandomContrast(0.3), {"factor": [0, 0.3]}, ["only raises the contrast; 0.3 does both"]),
    (layers.RandomContrast((0.3, 0.3)), {"factor": [0.3, 0.3]}, []),
    (layers.RandomHue(0.2), {"factor": [0, 0.2]}, []),
    (layers.RandomSaturation(0.3), {"factor": [0.0, 0.3]}, ["Keras turned 0.3 into [-0.3, 0.3]"]),
    (layers.RandomSaturation((0.4, 0.6)), {"factor": [0.4, 0.6]}, []),
    (layers.RandomColorDegeneration(0.5), {"factor": [0.0, 0.5]}, ["Keras turned 0.5 into [-0.5, 0.5]"]),
    (
        layers.RandomColorJitter(brightness_factor=0.1, contrast_factor=0.4, saturation_factor=0.3),
        {"brightness_factor": 0.1, "contrast_factor": 0.4, "saturation_factor": 0.3},
        ["only raised the contrast", "saturation 0.3 as [-0.3, 0.3]"],
    ),
    (layers.RandomGrayscale(), {}, []),
    (layers.RandomGrayscale(0.2, seed=4), {"factor": 0.2}, []),
    (layers.RandomInvert(), {"factor": [0, 1.0]}, [HALF]),
    (layers.RandomInvert((0.2, 0.2)), {"factor": [0.2, 0.2]}, []),
    (layers.RandomPosterization(4), {"factor": 4}, ["Keras turned 4 bits into 1 to 3; the spec keeps 4"]),
    (layers.RandomPosterization((3, 5)), {"factor": [3, 5]}, []),
    (layers.Solarization(threshold_factor=0.5), {"threshold_factor": [0, 0.5]}, []),
    (
        layers.Solarization(threshold_factor=(0.5, 0.5)),
        {"threshold_factor": [0.5, 0.5]},
        ["only the higher end of threshold_factor"],
    ),
    (layers.RandomSharpness((0.6, 1.0)), {"factor": [0.6, 1.0]}, []),
    (
        layers.RandomGaussianBlur((0.5, 0.5), kernel_size=5, sigma=0.8),
        {"factor": [0.5, 0.5], "kernel_size": 5, "sigma": [0, 0.8]},
        ["sigma [0, 0.8], to which Keras turns a number, draws the width; 0.8 would be the width"],
    ),
    (layers.RandomErasing(), {"factor": [0, 1.0]}, [HALF]),
    (
        layers.RandomErasing((1, 1), scale=(0.1, 0.2), fill_value=9),
        {"factor": [1, 1], "scale": [0.1, 0.2], "fill_value": 9.0},
        [],
    ),
    (
        layers.RandomPerspective(scale=0.4, fill_value=128),
        {"factor": [0, 1.0], "scale": 0.4, "fill_value": 128.0},
        [HALF],
    ),
    (layers.RandomElasticTransform((0.5, 0.5)), {"factor": [0.5, 0.5], "scale": [0, 1.0]}, []),
    (layers.RandomCrop(20, 30), {"height": 20, "width": 30}, ["the same window out of a whole batch"]),
    (layers.RandAugment(factor=0.4, num_ops=3), {"num_ops": 3, "factor": 0.4}, ["the published strengths"]),
    (layers.AugMix(chain_depth=2), {"chain_depth": 2}, ["the published strengths"]),
    (layers.MixUp(), {}, ["the spec's op mixes both"]),
    (layers.CutMix(0.5), {"factor": [0, 0.5]}, ["the spec's op mixes both"]),
    (layers.CenterCrop(20, 30), {"height": 20, "width": 30}, []),
    (layers.Resizing(20, 30, antialias=True), {"height": 20, "width": 30, "antialias": True}, []),
    (layers.MaxNumBoundingBoxes(3), {"max_number": 3}, []),
    (layers.AutoContrast(), {}, []),
    (layers.Equalization(), {}, []),
]
if hasattr(layers, "ContrastLimitedAdaptiveHistogramEqualization"):  # the Keras of Python 3.10 lacks it
    CASES.append((layers.ContrastLimitedAdaptiveHistogramEqualization(clip_limit=3.0), {"clip_limit": 3.0}, []))


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Write a module of the user's and give its name."""

    def write(source: str) -> str:
        name = f"own_augmenter_{next(_NUMBERS)}"
        start = "import keras\nfrom keras import layers\n"
        (tmp_path / f"{name}.py").write_text(start + textwrap.dedent(source), encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path)
        return name

    return write


@pytest.mark.parametrize(("layer", "arguments", "words"), CASES, ids=lambda value: type(value).__name__)
def test_a_layer_becomes_the_entry_that_makes_it(layer: Any, arguments: dict[str, Any], words: list[str]) -> None:
    name = f"keras.layers.{type(layer).__name__}"
    made = layer_entry(layer)
    assert made.entry == ({name: arguments} if arguments else name)
    assert len(made.notes) == len(words) and all(word in note for word, note in zip(words, made.notes, strict=True))
    assert all(note.startswith(f"{name}: ") for note in made.notes)
    policy, problems = parse_policy(json.loads(json.dumps([made.entry])))
    assert problems == []
    [op] = policy.ops
    assert type(op) is OPS[name]


def test_every_layer_of_keras_is_tried_here() -> None:
    found = {name: value for name, value in vars(layers).items() if inspect.isclass(value)}
    known = {name for name, value in found.items() if issubclass(value, image_layer_class())}
    assert {type(layer).__name__ for layer, _, _ in CASES} == known


@pytest.mark.parametrize(
    "layer",
    [
        layers.RandomBrightness((0.2, 0.2), value_range=(0, 1)),
        layers.RandomRotation((0.05, 0.05), fill_mode="constant", fill_value=0.3),
        layers.RandomTranslation((0.2, 0.2), (0.1, 0.1), fill_mode="constant", fill_value=0.5),
        layers.RandomErasing((1, 1), scale=(1, 1), fill_value=0.25, value_range=(0, 1)),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_a_layer_on_pixels_from_0_to_1_does_the_same_on_levels(
    layer: Any, photo: np.ndarray, drawn: Callable[..., list[dict[str, Any]]]
) -> None:
    """The ranges hold one value each, so that both draw the same."""
    [op] = parse_policy([layer_entry(layer, (0.0, 1.0)).entry])[0].ops
    [params] = drawn(op, photo.shape, 1)
    expected = np.asarray(layer(photo[None].astype(np.float32) / 255, training=True))[0] * 255
    got = to_uint8(op.apply(photo.astype(np.float32), params), "op").astype(int)
    assert np.mean(np.abs(got - to_uint8(expected, "layer")) <= 1) > 0.99  # the layer never erases the first row


def test_a_layer_set_to_another_range_than_its_pixels_have_is_told_of() -> None:
    made = layer_entry(layers.RandomBrightness(0.2), (0.0, 1.0))
    assert made.entry == {"keras.layers.RandomBrightness": {"factor": [-0.2, 0.2]}}
    assert made.notes == (
        "keras.layers.RandomBrightness: the model gave it pixels in [0, 1] with a value_range of [0, 255], so that it "
        "did not do what its factor says; in the spec it does",
    )
    assert "does not say what range its pixels have" in layer_entry(layers.RandomHue(0.2), None).notes[0]


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (layers.Rescaling(1 / 255), "keras.layers.Rescaling is no augmentation of images; leave it in the model"),
        (layers.Dropout(0.2), "keras.layers.Dropout is no augmentation of images"),
        (layers.RandomFlip(data_format="channels_first"), "works on channels first"),
    ],
)
def test_what_is_no_augmentation_is_refused(layer: Any, message: str) -> None:
    with pytest.raises(TransformError, match=message):
        layer_entry(layer)


OWN = """
class Shift(layers.Layer):
    def __init__(self, most=20, places=(1, 2), seed=None, **kwargs):
        super().__init__(**kwargs)
        self.most, self.places, self.seed = most, places, seed
    def get_config(self):
        return {**super().get_config(), "most": self.most, "places": self.places, "seed": self.seed}
    def call(self, images):
        return images

class Silent(layers.Layer):
    def __init__(self, thing):
        super().__init__()
    def call(self, images):
        return images

class Darker(layers.RandomBrightness):
    pass

class Wraps(layers.Layer):
    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner
    def get_config(self):
        return {**super().get_config(), "inner": keras.saving.serialize_keras_object(self.inner)}

def inside():
    class Hidden(layers.Layer):
        pass
    return Hidden()
"""


def test_a_layer_of_the_users_own_is_named_by_its_module(module: Callable[[str], str]) -> None:
    name = module(OWN)
    own = __import__(name)
    made = layer_entry(own.Shift(7, places=np.array([3, 4]), seed=5, name="x"))
    assert made.entry == {f"{name}:Shift": {"most": 7, "places": [3, 4]}}
    assert layer_entry(own.Shift()).entry == f"{name}:Shift"
    darker = layer_entry(own.Darker(0.2, value_range=(0, 1)), (0.0, 1.0))
    assert darker.entry == {f"{name}:Darker": {"factor": [-0.2, 0.2]}}
    assert "sees [0, 255] in the spec" in layer_entry(own.Shift(), (0.0, 1.0)).notes[0]
    for layer, message in [
        (own.Silent(object()), "does not tell its arguments by get_config"),
        (own.inside(), "can't be imported; put its class at the top of a module"),
        (own.Wraps(layers.RandomFlip()), "is made with other objects of Keras"),
    ]:
        with pytest.raises(TransformError, match=message):
            layer_entry(layer)


def chain() -> Any:
    inner = layers.Pipeline([layers.RandomRotation(0.1), keras.Sequential([layers.RandomZoom(0.2)])])
    return keras.Sequential([layers.RandomFlip("horizontal"), inner, layers.Identity()])


def test_augmenters_are_chains_of_layers_however_nested() -> None:
    inputs = keras.Input((None, None, 3))
    graph = keras.Model(inputs, layers.RandomBrightness(0.2)(chain()(inputs)))
    names = [
        made.entry if isinstance(made.entry, str) else next(iter(made.entry)) for made in augmenter_entries(graph, "x")
    ]
    assert names == [f"keras.layers.Random{name}" for name in ("Flip", "Rotation", "Zoom", "Brightness")]
    forked = keras.Model(inputs, layers.Add()([layers.RandomFlip()(inputs), inputs]))
    with pytest.raises(TransformError, match=r"^x is a model that is no chain of layers"):
        augmenter_entries(forked, "x")
    with pytest.raises(TransformError, match=r"^x has no layers$"):
        augmenter_entries(keras.Sequential([]), "x")
    with pytest.raises(TransformError, match=r"^x: keras.layers.Rescaling is no augmentation"):
        augmenter_entries(keras.Sequential([layers.Rescaling(1 / 255)]), "x")


def test_one_value_range_in_an_augmenter_is_that_of_all_its_layers() -> None:
    augmenter = keras.Sequential(
        [
            layers.RandomRotation(0.1, fill_mode="constant", fill_value=0.5),
            layers.RandomBrightness(0.2, value_range=(0, 1)),
        ]
    )
    [turned, brighter] = augmenter_entries(augmenter, "x")
    assert turned.entry["keras.layers.RandomRotation"]["fill_value"] == 127.5  # type: ignore[index]
    assert brighter.notes == ()


def test_an_augmenter_in_a_spec_becomes_its_layers(module: Callable[[str], str]) -> None:
    name = module(
        """
        one = layers.RandomFlip("horizontal")
        several = keras.Sequential([one, layers.RandomRotation(0.1), layers.RandomZoom(0.2)])
        broken = keras.Sequential([layers.RandomFlip(), layers.RandomZoom(0.0)])
        """
    )
    flip, turn, zoom = RandomFlip("horizontal"), RandomRotation((-0.1, 0.1)), RandomZoom(0.2)
    policy, problems = parse_policy(
        [
            f"{name}:several",
            {"sometimes": {"p": 0.5, "do": [f"{name}:several"]}},
            {"one_of": [f"{name}:several", f"{name}:one", {"keras.layers.RandomBrightness": {"factor": 0.2}}]},
        ]
    )
    assert problems == []
    assert policy.ops == (
        *(flip, turn, zoom),
        Sometimes(0.5, (flip, turn, zoom)),
        OneOf((Sometimes(1.0, (flip, turn, zoom)), flip, RandomBrightness(0.2))),
    )
    assert parse_policy(policy.entries())[0] == policy
    [problem] = parse_policy([{f"{name}:one": {"mode": "vertical"}}])[1]
    assert problem.message == f"{name}:one is made already and takes no arguments, got mode"
    [problem] = parse_policy([f"{name}:broken"])[1]
    assert problem.where == ("augment", 0, f"{name}:broken", "keras.layers.RandomZoom")


def test_a_class_and_a_function_stay_what_they_are(module: Callable[[str], str]) -> None:
    name = module(OWN)
    [op] = parse_policy([f"{name}:Shift"])[0].ops
    assert op == UserLayer(f"{name}:Shift")


def test_a_saved_augmenter_is_found_beside_the_spec(tmp_path: Path, photo_folder: Path) -> None:
    (tmp_path / "saved").mkdir()
    augmenter = chain()
    augmenter.build((None, 32, 32, 3))
    augmenter.save(tmp_path / "saved/augment.keras")
    parts = {
        "name": "crops",
        "version": "1.0.0",
        "source": {"folder": str(photo_folder)},
        "augment": [
            "saved/augment.keras",
            {"sometimes": {"p": 0.5, "do": ["saved/augment.keras"]}},
        ],
    }
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(parts))
    spec = Spec.from_yaml(tmp_path / "spec.yaml")
    entries = [made.entry for made in augmenter_entries(chain(), "x")]
    assert (
        spec.canonical()["augment"] == parse_policy([*entries, {"sometimes": {"p": 0.5, "do": entries}}])[0].entries()
    )
    assert Spec(**spec.canonical()).digest() == spec.digest(), "a worker needs the file no more"


def test_a_model_that_cannot_be_read_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "broken.keras").write_bytes(b"no model at all")
    [problem] = parse_policy([str(tmp_path / "broken.keras")])[1]
    assert "Keras can't read" in problem.message and "give <module>:<name> instead" in problem.message
    [problem] = parse_policy([str(tmp_path / "none.keras")])[1]
    assert problem.message == f"there is no model at {tmp_path / 'none.keras'}"


def test_a_saved_shear_can_be_read(tmp_path: Path) -> None:
    """Keras 3.15 saves RandomShear(0.2) as (-0.2, 0.2), and refuses to read that."""
    path = tmp_path / "shear.keras"
    keras.Sequential([keras.Input((8, 8, 3)), layers.RandomShear(0.2, 0.1)]).save(path)
    [made] = augmenter_entries(load_model(path), "x")
    assert made.entry == {"keras.layers.RandomShear": {"x_factor": [0.0, 0.2], "y_factor": [0.0, 0.1]}}
    assert "from_config" not in vars(layers.RandomShear), "Keras is left as it was"
