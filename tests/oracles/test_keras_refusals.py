"""Test that Keras models with authors' own layers or unsupported settings are refused with the reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from oracles.test_keras import L, image, keras, randomized, sequential

import mpscnn
from mpscnn import converters

pytestmark = pytest.mark.filterwarnings("ignore")  # warnings of Keras itself about its formats


def test_slopes_of_positions_need_a_size(tmp_path: Path) -> None:
    model = randomized(keras.Sequential([L.Input((8, None, 8)), L.PReLU(shared_axes=[2])]))
    model.save(tmp_path / "model.keras")
    with pytest.raises(mpscnn.UnsupportedError, match="whose size is free"):
        converters.read_network([tmp_path / "model.keras"])


class ReLU(L.Layer):
    """An author's layer with the name of one of Keras's layers."""

    def call(self, x: Any) -> Any:
        return x * 3.0


@keras.saving.register_keras_serializable("package")
class Conv2D(L.Conv2D):
    """An author's layer with the name of its base class in Keras. It is registered for saving."""


@keras.saving.register_keras_serializable("package")
def relu(x: Any) -> Any:
    return x * 3.0


@pytest.mark.parametrize("make", [ReLU, lambda: Conv2D(3, 3), lambda: L.Activation(relu)])
def test_names_that_authors_took_from_keras(tmp_path: Path, make: Callable[[], Any]) -> None:
    model = keras.Sequential([L.Input((9, 8, 4)), make()])
    model.save(tmp_path / "model.keras")
    with pytest.raises(mpscnn.UnsupportedError, match="of the file's author"):
        converters.read_network([tmp_path / "model.keras"])


class Author(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.layer = L.Dense(3)

    def call(self, x: Any) -> Any:
        return self.layer(x)


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_models_of_an_authors_class(tmp_path: Path, suffix: str) -> None:
    model = Author()
    model(image(2, 4))
    model.save(tmp_path / f"model.{suffix}")
    with pytest.raises(mpscnn.UnsupportedError, match=r"'Author'.*ONNX"):
        converters.read_network([tmp_path / f"model.{suffix}"])


def test_second_results_of_what_is_refused(tmp_path: Path) -> None:
    x = L.Input((9, 8, 4))
    model = keras.Model(x, keras.ops.unstack(x, axis=-1)[1])
    model.save(tmp_path / "model.keras")
    with pytest.raises(mpscnn.UnsupportedError, match="'unstack'"):
        converters.read_network([tmp_path / "model.keras"])


@pytest.mark.parametrize("mode", ["int8", "float8", "int4"])
@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_quantised_layers_are_refused(tmp_path: Path, suffix: str, mode: str) -> None:
    """In the mode float8 the weights are still of 32 bits, but Keras rounds them and the input when it runs."""
    model = sequential(L.Dense(8), shape=(8,))
    model.quantize(mode)
    model.save(tmp_path / f"model.{suffix}")
    with pytest.raises(
        mpscnn.UnsupportedError, match=r"\(Dense\): is quantised by Keras: save the model before"
    ):
        converters.read_network([tmp_path / f"model.{suffix}"])


def frozen() -> Any:
    """Return a normalization that keeps its statistics, also in training."""
    layer = L.BatchNormalization()
    layer.trainable = False
    return layer


def within(layer: Any) -> Any:
    return keras.Sequential([L.Input((4, 6)), layer])


IN_TRAINING = {
    "normalization": L.BatchNormalization,
    "dropout": lambda: L.Dropout(0.5),
    "noise": lambda: L.GaussianNoise(0.5),
    "recurrent": lambda: L.LSTM(3, dropout=0.5),
    "attention": lambda: lambda x, **given: L.MultiHeadAttention(2, 3, dropout=0.5)(x, x, **given),
    "model": lambda: within(L.BatchNormalization()),
}
SAME_IN_TRAINING = {
    "frozen normalization": frozen,
    "recurrent without dropout": lambda: L.LSTM(3),
    "model without such layers": lambda: within(L.Dense(3)),
}


def called(make: Callable[[], Any], path: Path, *, training: bool) -> mpscnn.Network:
    x = L.Input((4, 6))
    keras.Model(x, make()(x, training=training)).save(path)
    return converters.read_network([path])


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize("name", [*IN_TRAINING, *SAME_IN_TRAINING])
def test_calls_in_training(tmp_path: Path, name: str, suffix: str) -> None:
    make = {**IN_TRAINING, **SAME_IN_TRAINING}[name]
    path = tmp_path / f"model.{suffix}"
    assert called(make, path, training=False).outputs
    if name in SAME_IN_TRAINING:
        assert called(make, path, training=True).outputs
        return
    with pytest.raises(mpscnn.UnsupportedError, match=r"layer '.*' \(\w+\): is called with training=True"):
        called(make, path, training=True)
