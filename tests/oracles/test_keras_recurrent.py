"""Convert Keras's recurrent layers from both of its formats, and compare them with Keras itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracles.test_keras import L, agrees, keras, randomized

import mpscnn
from mpscnn import converters

pytestmark = pytest.mark.filterwarnings("ignore")  # warnings of Keras itself about its formats

LAYERS: dict[str, Any] = {
    "lstm": lambda: L.LSTM(4),
    "lstm of all steps": lambda: L.LSTM(4, return_sequences=True),
    "lstm backwards": lambda: L.LSTM(4, return_sequences=True, go_backwards=True),
    "lstm with other functions": lambda: L.LSTM(
        4, activation="relu", recurrent_activation="hard_sigmoid", use_bias=False
    ),
    "gru": lambda: L.GRU(4),
    "gru with its gate before the product": lambda: L.GRU(4, reset_after=False, return_sequences=True),
    "gru without biases": lambda: L.GRU(4, use_bias=False),
    "both directions": lambda: L.Bidirectional(L.LSTM(4, return_sequences=True)),
    "their sum": lambda: L.Bidirectional(L.GRU(4), merge_mode="sum"),
    "their mean": lambda: L.Bidirectional(L.GRU(4), merge_mode="ave"),
    "their product": lambda: L.Bidirectional(L.LSTM(4), merge_mode="mul"),
}


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize("kind", LAYERS)
def test_layers(tmp_path: Path, kind: str, suffix: str) -> None:
    x = np.random.default_rng(0).normal(size=(2, 6, 3))
    model = randomized(keras.Sequential([L.Input((6, 3)), LAYERS[kind](), L.Dense(2)]))
    agrees(model, tmp_path / f"model.{suffix}", x)


def test_layers_one_after_the_other(tmp_path: Path) -> None:
    x = np.random.default_rng(1).normal(size=(2, 9, 5))
    inner = [L.Bidirectional(L.LSTM(4, return_sequences=True)), L.GRU(5, return_sequences=True), L.LSTM(3)]
    agrees(randomized(keras.Sequential([L.Input((9, 5)), *inner])), tmp_path / "model.keras", x)


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_embedding(tmp_path: Path, suffix: str) -> None:
    words = np.random.default_rng(3).integers(0, 30, (2, 7))
    model = keras.Sequential([L.Input((7,), dtype="int32"), L.Embedding(30, 6), L.GRU(4)])
    agrees(randomized(model), tmp_path / f"model.{suffix}", words)


def test_layer_scale(tmp_path: Path) -> None:
    """ConvNeXt of keras.applications multiplies each channel by a factor."""
    scale = keras.src.applications.convnext.LayerScale(0.1, 3, name="scale")
    model = randomized(keras.Sequential([L.Input((4, 4, 3)), scale]))
    agrees(model, tmp_path / "model.keras", np.random.default_rng(2).normal(size=(2, 4, 4, 3)))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda: L.SimpleRNN(4), "recurrent layers of this kind are not supported"),
        (lambda: L.Bidirectional(L.SimpleRNN(4)), "of kind 'SimpleRNN', which is not supported"),
    ],
)
def test_what_is_refused(tmp_path: Path, layer: Any, message: str) -> None:
    keras.Sequential([L.Input((6, 3)), layer()]).save(tmp_path / "model.keras")
    with pytest.raises(mpscnn.UnsupportedError, match=message):
        converters.read_network([tmp_path / "model.keras"])
