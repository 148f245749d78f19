"""A model is adopted: its augmentation becomes a spec, and what is left answers as the whole did."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from augmill.pipeline import Spec, load
from augmill.pipeline.adopt import Adoption, adopt, model_without
from augmill.pipeline.check import run_check
from augmill.pipeline.errors import CheckError, OptionError
from augmill.pipeline.listing import list_source
from augmill.pipeline.model_front import find_front
from augmill.pipeline.plan import make_plan
from augmill.pipeline.training import augmentation_layers

SIDE = 32


def block(*front: Any) -> keras.Sequential:
    return keras.Sequential(
        [*front, layers.RandomFlip("horizontal", name="flip"), layers.RandomRotation(0.1, name="turn")], name="augment"
    )


def tail() -> list[Any]:
    return [
        layers.Conv2D(4, 3, name="features"),
        layers.BatchNormalization(),
        layers.GlobalAveragePooling2D(),
        layers.Dropout(0.2),
        layers.Dense(3, activation="softmax"),
    ]


def sequential() -> keras.Model:
    first = [keras.Input((SIDE, SIDE, 3), name="photo"), layers.RandomZoom(0.2, name="zoom"), layers.Rescaling(1 / 255)]
    jitter = layers.RandomBrightness(0.2, value_range=(0, 1), name="brighter")
    return keras.Sequential([*first, block(), jitter, *tail()], name="flowers")


def functional(dtype: str = "float32", side: int | None = SIDE) -> keras.Model:
    """Preprocessing by arithmetic, a frozen block, two branches and a second input."""
    photo, facts = keras.Input((side, side, 3), name="photo", dtype=dtype), keras.Input((2,), name="facts")
    inside = keras.Input((None, None, 3))
    frozen = keras.Model(
        inside, layers.Add()([layers.Conv2D(4, 3)(inside), layers.Conv2D(4, 3)(inside)]), name="frozen"
    )
    frozen.trainable = False
    pixels = block()(layers.RandomZoom(0.2, name="zoom")(photo))
    features = frozen(keras.ops.subtract(keras.ops.divide(pixels, 127.5), 1.0), training=False)
    ways = [
        layers.GlobalAveragePooling2D()(features),
        layers.GlobalMaxPooling2D()(layers.Conv2D(5, 3)(features)),
        facts,
    ]
    return keras.Model(
        [photo, facts], layers.Dense(3, activation="softmax")(layers.Concatenate()(ways)), name="flowers"
    )


def trained(model: keras.Model) -> keras.Model:
    """Two epochs of Adam, so that weights, moving averages and moments are none that a fresh model has."""
    draws = np.random.default_rng(0)
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    images, labels = draws.uniform(0, 255, (8, SIDE, SIDE, 3)).astype(np.float32), draws.integers(0, 3, 8)
    facts = draws.uniform(size=(8, 2)).astype(np.float32)
    model.fit(images if len(model.inputs) == 1 else [images, facts], labels, batch_size=4, epochs=2, verbose=0)
    return model


@pytest.fixture
def adopted(tmp_path: Path, photo_folder: Path) -> Callable[..., tuple[Adoption, Spec, Any]]:
    """Save a model, adopt it, and give what was done, the spec and the new model."""

    def run(model: Any, **options: Any) -> tuple[Adoption, Spec, Any]:
        model.save(tmp_path / "my-model.keras")
        adoption = adopt(
            str(tmp_path / "my-model.keras"),
            output=tmp_path / "adopted.yaml",
            plain=tmp_path / "plain.keras",
            photos=photo_folder,
            **options,
        )
        plain = keras.saving.load_model(adoption.plain) if adoption.plain else None
        return adoption, Spec.from_yaml(tmp_path / "adopted.yaml"), plain

    return run


Adopt = Callable[..., tuple[Adoption, Spec, Any]]


def test_a_trained_model_loses_its_augmentation_and_nothing_else(adopted: Adopt) -> None:
    model = trained(sequential())
    adoption, spec, plain = adopted(model)

    assert [path for path, _ in adoption.layers] == ["zoom", "augment/flip", "augment/turn", "brighter"]
    assert (adoption.difference, adoption.images, adoption.optimizer) == (0.0, 22, "kept")
    assert list(augmentation_layers(plain)) == []
    assert [layer.name for layer in plain.layers] == [
        layer.name for layer in model.layers if layer.name not in ("zoom", "augment", "brighter")
    ]
    assert (plain.name, plain.inputs[0].name) == ("flowers", "photo")
    assert [weight.name for weight in plain.weights] == [weight.name for weight in model.weights]
    for old, new in zip(model.optimizer.variables, plain.optimizer.variables, strict=True):
        assert np.array_equal(old, new)
    assert int(plain.optimizer.iterations) == 4
    assert spec.canonical()["augment"] == [
        {"keras.layers.RandomZoom": {**_affine(), "height_factor": 0.2, "width_factor": None}},
        {"keras.layers.RandomFlip": {"mode": "horizontal"}},
        {"keras.layers.RandomRotation": {**_affine(), "factor": [-0.1, 0.1]}},
        {"keras.layers.RandomBrightness": {"factor": [-0.2, 0.2], "value_range": [0, 255]}},
    ]
    assert (spec.name, spec.version, spec.image.size) == ("my_model", "1.0.0", (SIDE, SIDE))


def _affine() -> dict[str, Any]:
    return {"fill_mode": "reflect", "interpolation": "bilinear", "fill_value": 0.0}


@pytest.mark.parametrize(("dtype", "side"), [("float32", SIDE), ("uint8", SIDE), ("uint8", None)])
def test_a_functional_model_keeps_its_graph(adopted: Adopt, dtype: str, side: int | None) -> None:
    model = trained(functional(dtype, side))
    adoption, spec, plain = adopted(model)

    assert [path for path, _ in adoption.layers] == ["zoom", "augment/flip", "augment/turn"]
    assert (adoption.difference, adoption.optimizer) == (0.0, "kept")
    kept = [layer.name for layer in model.layers if layer.name not in ("zoom", "augment")]
    assert sorted(layer.name for layer in plain.layers) == sorted(kept)
    assert [tuple(tensor.shape) for tensor in plain.inputs] == [(None, side, side, 3), (None, 2)]
    assert not plain.get_layer("frozen").trainable
    assert '"training": false' in plain.to_json(), "a call keeps its arguments"
    assert [weight.path for weight in plain.trainable_weights] == [weight.path for weight in model.trainable_weights]
    for old, new in zip(model.optimizer.variables, plain.optimizer.variables, strict=True):
        assert np.array_equal(old, new)
    assert spec.image.size == ((SIDE, SIDE) if side else None)
    assert ("set image.size" in " ".join(adoption.notes)) == (side is None)


def test_a_block_that_does_more_than_augment_stays_without_it(adopted: Adopt) -> None:
    model = keras.Sequential([keras.Input((SIDE, SIDE, 3)), block(layers.Rescaling(1 / 255, name="scale")), *tail()])
    adoption, _, plain = adopted(trained(model))
    assert [layer.name for layer in plain.get_layer("augment").layers] == ["scale"]
    assert adoption.difference == 0.0


def test_a_frozen_block_stays_frozen_as_far_as_it_was() -> None:
    first = [keras.Input((SIDE, SIDE, 3)), layers.RandomFlip(), layers.Rescaling(1 / 255)]
    convolutions = [layers.Conv2D(2, 3, name="low"), layers.Conv2D(2, 3, name="high")]
    backbone = keras.Sequential([*first, *convolutions], name="backbone")
    backbone.trainable = False
    backbone.get_layer("high").trainable = True
    model = keras.Sequential([keras.Input((SIDE, SIDE, 3)), backbone, layers.Flatten(), layers.Dense(2)])
    plain = model_without(model, find_front(model))
    new = plain.get_layer("backbone")
    assert new is not backbone
    assert (new.trainable, new.get_layer("low").trainable, new.get_layer("high").trainable) == (False, False, True)
    assert [weight.path for weight in plain.trainable_weights] == [weight.path for weight in model.trainable_weights]


def test_whole_numbers_become_floats_without_the_layer_that_made_them_so(adopted: Adopt) -> None:
    photo = keras.Input((SIDE, SIDE, 3), dtype="uint8")
    features = layers.Conv2D(2, 3)(layers.RandomFlip("horizontal")(photo))  # a convolution takes no uint8
    adoption, _, plain = adopted(keras.Model(photo, layers.GlobalMaxPooling2D()(features)))
    assert adoption.difference == 0.0
    assert plain.predict(np.zeros((2, SIDE, SIDE, 3), np.uint8), verbose=0).shape == (2, 2)


def test_what_augmentation_fills_is_scaled_to_levels(adopted: Adopt) -> None:
    turn = layers.RandomRotation(0.1, fill_mode="constant", fill_value=-1.0)
    shift = layers.RandomTranslation(0.1, 0.1, fill_mode="constant", fill_value=0.0)
    scaled = [keras.Input((SIDE, SIDE, 3)), layers.Rescaling(1 / 127.5, offset=-1), turn, shift]
    adoption, _, _ = adopted(keras.Sequential([*scaled, *tail()]))
    fills = [next(iter(entry.values())).get("fill_value", 0.0) for _, entry in adoption.layers]
    assert fills == [0.0, 127.5]


def test_a_model_of_unit_pixels_says_what_to_load(adopted: Adopt) -> None:
    front = [keras.Input((SIDE, SIDE, 1)), layers.RandomContrast((0.3, 0.3), value_range=(0, 1))]
    adoption, spec, _ = adopted(keras.Sequential([*front, *tail()]))
    assert adoption.notes == ["the model takes pixels in [0, 1]: train it on load(..., output=(0, 1))"]
    assert spec.image.channels == 1


def test_notes_tell_where_keras_does_not_do_what_it_documents(adopted: Adopt, tmp_path: Path) -> None:
    front = [keras.Input((SIDE, SIDE, 3)), layers.Rescaling(1 / 255), layers.RandomContrast(0.3)]
    adoption, _, _ = adopted(keras.Sequential([*front, *tail()]))
    assert len(adoption.notes) == 2
    assert "only raises the contrast; 0.3 does both" in adoption.notes[0]
    assert "gave it pixels in [0, 1] with a value_range of [0, 255]" in adoption.notes[1]
    said = (tmp_path / "adopted.yaml").read_text()
    assert all(f"# {note}\n" in said for note in adoption.notes)


def test_a_random_crop_decides_the_stored_size(adopted: Adopt) -> None:
    """Keras 3.15 lets whole images through at inference, where it documents a crop of the middle."""
    model = keras.Sequential([keras.Input((SIDE, SIDE, 3)), layers.RandomCrop(24, 20), *tail()])
    adoption, spec, plain = adopted(trained(model))
    assert (spec.image.size, spec.image.work_size) == ((24, 20), (SIDE, SIDE))
    assert tuple(plain.inputs[0].shape) == (None, None, None, 3)
    assert adoption.difference == 0.0


def test_a_crop_before_a_layer_that_needs_its_size_decides_the_input(adopted: Adopt) -> None:
    photo = keras.Input((SIDE, SIDE, 3))
    flat = layers.Dense(2)(layers.Flatten()(layers.RandomCrop(24, 20)(photo)))
    adoption, _, plain = adopted(keras.Model(photo, flat))
    assert adoption.difference is None and "fails at inference" in " ".join(adoption.notes)
    assert plain(np.zeros((1, 24, 20, 3), np.float32)).shape == (1, 2)

    cut = layers.RandomCrop(24, 20)(photo)
    known = layers.Lambda(lambda image: keras.ops.reshape(image, (-1, image.shape[1] * image.shape[2] * 3)))(cut)
    front = find_front(keras.Model(photo, known))
    assert tuple(model_without(keras.Model(photo, known), front).inputs[0].shape) == (None, 24, 20, 3)


def test_the_model_trains_on_what_the_spec_builds(
    adopted: Adopt, tmp_path: Path, photo_folder: Path, publish_version: Callable[..., Any]
) -> None:
    _, _, plain = adopted(trained(sequential()))
    path = tmp_path / "adopted.yaml"
    path.write_text(
        path.read_text().replace("folder: photos", f"folder: {photo_folder}").replace("copies: 4", "copies: 1")
    )
    spec = Spec.from_yaml(path)
    assert run_check(spec, make_plan(spec, list_source(spec)), samples=12).problems == []
    version = publish_version(spec, tmp_path / "data")
    history = plain.fit(load(version.path, batch_size=32, as_supervised=True), verbose=0)
    assert np.isfinite(history.history["loss"]).all()


OWN = """
import keras
from keras import layers


class Shift(layers.Layer):
    def __init__(self, most=3, **kwargs):
        super().__init__(**kwargs)
        self.most, self.source = most, keras.random.SeedGenerator(1)

    def get_config(self):
        return {**super().get_config(), "most": self.most}

    def call(self, images, training=False):
        if not training:
            return images
        return keras.ops.roll(images, keras.random.randint((), 1, self.most + 1, seed=self.source), axis=2)


class Own(keras.Model):
    def __init__(self):
        super().__init__(name="own")
        self.augment = keras.Sequential([layers.RandomFlip("vertical"), layers.RandomZoom(0.2)])
        self.head = layers.Dense(2)

    def call(self, images, training=False):
        return self.head(keras.ops.mean(self.augment(images, training=training), axis=(1, 2)))


def build():
    front = [keras.Input((32, 32, 3)), Shift(5, name="shift"), layers.RandomFlip("horizontal", name="flip")]
    return keras.Sequential([*front, layers.Flatten(), layers.Dense(2)], name="built")


def number():
    return 7


augmenter = keras.Sequential([layers.RandomFlip("horizontal"), layers.RandomContrast(0.3)], name="augmenter")
empty = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten()], name="empty")
open_ended = keras.Sequential([layers.RandomFlip(), layers.Flatten(), layers.Dense(2)])
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Write a module of the user's into the current folder, and give the target of a name in it."""
    monkeypatch.chdir(tmp_path)
    name = f"own_model_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(textwrap.dedent(OWN))
    return lambda what: f"{name}:{what}"


def test_a_function_may_return_the_model_with_layers_of_its_own(
    own: Callable[[str], str], augmill: Callable[..., Any]
) -> None:
    result = augmill("adopt", own("build"), "--json")

    assert result.code == 0, result.err
    facts = json.loads(result.out)
    assert facts["layers"][0] == ["shift", {own("Shift"): {"most": 5}}]
    assert (facts["difference"], facts["spec"], facts["plain"]) == (0.0, "adopted.yaml", "model-plain.keras")
    assert Spec.from_yaml("adopted.yaml").augment[0] == {own("Shift"): {"most": 5}}
    plain = keras.saving.load_model("model-plain.keras")
    assert [type(layer) for layer in plain.layers] == [layers.Flatten, layers.Dense]


def test_the_command_tells_what_it_did(own: Callable[[str], str], augmill: Callable[..., Any]) -> None:
    result = augmill("adopt", own("build"))
    words = " ".join(result.out.split())

    assert "model built (Sequential, 4 layers):" in result.out
    assert "flip {keras.layers.RandomFlip: {mode: horizontal}}" in words
    assert "adopted.yaml: the spec; set its source" in words
    assert "outputs at inference on 6 images: differ by at most 0" in words
    again = augmill("adopt", own("build"))
    assert (again.code, again.err) == (2, "augmill: adopted.yaml is there already; --force writes over it\n")
    assert augmill("adopt", own("build"), "--force").code == 0


def test_a_model_of_ones_own_class_is_read_and_not_rewritten(
    own: Callable[[str], str], augmill: Callable[..., Any]
) -> None:
    result = augmill("adopt", own("Own"))

    assert result.code == 1
    assert "the model was not rewritten: what it does stands in Own.call, which augmill can't change" in result.err
    assert Spec.from_yaml("adopted.yaml").augment == [
        {"keras.layers.RandomFlip": {"mode": "vertical"}},
        {"keras.layers.RandomZoom": {"height_factor": 0.2}},
    ]
    assert not Path("model-plain.keras").exists()


def test_an_augmenter_is_all_spec(own: Callable[[str], str], augmill: Callable[..., Any]) -> None:
    result = augmill("adopt", own("augmenter"))

    assert result.code == 0, result.err
    assert "note: the model is augmentation and nothing else" in result.out
    assert len(Spec.from_yaml("adopted.yaml").augment) == 2
    assert not Path("model-plain.keras").exists()


@pytest.mark.parametrize(
    ("what", "message", "code"),
    [
        ("empty", "model empty has no augmentation layers: there is nothing to adopt", 1),
        ("open_ended", "and has no input shape yet; begin it with keras.Input(shape=(height, width, 3))", 2),
        ("number", "must be a Keras model or return one, got int", 2),
        ("missing", "has nothing called 'missing' that can be used; it has ", 2),
        ("Shift", "holds more than augmentation of Keras's own and has no input shape", 2),
    ],
)
def test_what_cannot_be_adopted_is_an_error(
    own: Callable[[str], str], augmill: Callable[..., Any], what: str, message: str, code: int
) -> None:
    result = augmill("adopt", own(what))

    assert message in result.err
    assert result.code == code
    assert not Path("adopted.yaml").exists()


def test_files_are_asked_for_by_their_names(own: Callable[[str], str], augmill: Callable[..., Any]) -> None:
    assert "--model-output must end in .keras" in augmill("adopt", own("build"), "--model-output", "x.h5").err
    assert "there is no folder" in augmill("adopt", own("build"), "--output", "nowhere/x.yaml").err
    assert "there is no model at none.keras" in augmill("adopt", "none.keras").err


@pytest.fixture
def photo_input() -> Any:
    return keras.Input((SIDE, SIDE, 3), name="photo")


def elsewhere(model: keras.Model) -> dict[str, str]:
    return dict(find_front(model).elsewhere)


def test_augmentation_of_features_stays_with_the_reason(adopted: Adopt) -> None:
    model = keras.Sequential(
        [keras.Input((SIDE, SIDE, 3)), layers.Conv2D(3, 3, name="conv"), layers.RandomZoom(0.2, name="zoom"), *tail()]
    )
    with pytest.raises(CheckError, match="zoom stands behind conv, no longer on the image itself"):
        adopted(model)
    both = keras.Sequential([keras.Input((SIDE, SIDE, 3)), layers.RandomFlip(name="flip"), *model.layers], name="both")
    adoption, _, plain = adopted(both)
    assert adoption.left == [("zoom", "stands behind conv, no longer on the image itself")]
    assert [path for path, _ in augmentation_layers(plain)] == ["zoom"]


def test_augmentation_on_one_of_several_branches_stays(photo_input: Any) -> None:
    ways = [layers.GlobalAveragePooling2D(name="mean")(way) for way in (block()(photo_input),)]
    straight = layers.GlobalMaxPooling2D(name="max")(photo_input)
    model = keras.Model(photo_input, layers.Concatenate()([*ways, straight]))
    why = "stands where the image goes several ways (augment, max)"
    assert elsewhere(model) == {"augment/flip": why, "augment/turn": why}
    assert find_front(model).standing == []


def test_augmentation_of_two_images_stays(photo_input: Any) -> None:
    other, shared, conv = keras.Input((SIDE, SIDE, 3)), block(), layers.Conv2D(2, 3)
    twice = keras.Model([photo_input, other], layers.Add()([conv(shared(photo_input)), conv(shared(other))]))
    assert elsewhere(twice) == {"augment/flip": "is called several times", "augment/turn": "is called several times"}
    each = layers.Add()([conv(layers.RandomFlip(name="a")(photo_input)), conv(layers.RandomFlip(name="b")(other))])
    front = find_front(keras.Model([photo_input, other], each))
    assert [standing.path for standing in front.standing] == ["a"]
    assert front.elsewhere == [("b", "augments another input of the model")]


def test_a_crop_behind_a_resizing_stays(photo_input: Any) -> None:
    cropped = layers.RandomCrop(16, 16, name="crop")(layers.Resizing(24, 24)(photo_input))
    why = "cuts what a Resizing layer before it has made, and that one would resize the stored images again"
    assert elsewhere(keras.Model(photo_input, layers.Conv2D(2, 3)(cropped))) == {"crop": why}


def test_the_range_of_pixels_is_followed_through_preprocessing(photo_input: Any) -> None:
    halved = keras.ops.divide(photo_input, 255.0)
    shown = layers.Lambda(lambda pixels: pixels * 2 - 1)(layers.RandomFlip(name="a")(halved))
    known = layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 1.0, 1.0])(layers.RandomFlip(name="b")(shown))
    front = find_front(keras.Model(photo_input, layers.Conv2D(2, 3)(layers.RandomFlip(name="c")(known))))
    assert [front.pixels_at(standing) for standing in front.standing] == [(0.0, 1.0), (-1.0, 1.0), None]


def test_a_model_that_would_answer_otherwise_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from augmill.pipeline import adopt as module

    sequential().save(tmp_path / "model.keras")
    real = module.compile_like

    def spoilt(old: Any, new: Any) -> tuple[str, str]:
        draft = keras.models.clone_model(new)  # with fresh weights
        new.get_layer("features").set_weights([weight + 1 for weight in draft.get_layer("features").get_weights()])
        return real(old, new)

    answers = module.largest_difference
    monkeypatch.setattr(module, "compile_like", spoilt)
    monkeypatch.setattr(
        module,
        "largest_difference",
        lambda old, new, *rest: answers(keras.saving.load_model(tmp_path / "model.keras"), new, *rest),
    )
    with pytest.raises(
        CheckError, match=r"the model answers otherwise at inference: outputs .* differ by .* nothing was"
    ):
        adopt(str(tmp_path / "model.keras"), output=tmp_path / "a.yaml", plain=tmp_path / "b.keras")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.keras"]


def test_a_loss_of_ones_own_is_left_out_with_a_note(tmp_path: Path) -> None:
    model = sequential()

    def own_loss(truth: Any, guess: Any) -> Any:
        return keras.ops.mean(guess)

    model.compile("adam", own_loss)
    model.save(tmp_path / "model.keras")
    adoption = adopt(str(tmp_path / "model.keras"), output=tmp_path / "a.yaml", plain=tmp_path / "b.keras")
    assert adoption.optimizer in ("none", "left out")
    assert adoption.difference == 0.0


def test_a_file_that_is_no_model_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "model.keras").write_bytes(b"nothing")
    with pytest.raises(OptionError, match="Keras can't read"):
        adopt(str(tmp_path / "model.keras"), output=tmp_path / "a.yaml", plain=tmp_path / "b.keras")
