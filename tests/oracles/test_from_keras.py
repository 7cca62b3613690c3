"""Test `mpscnn.from_keras` with models in memory. test_keras.py compares each layer with what its file becomes."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

import numpy as np
import pytest

import mpscnn
from mpscnn import ParameterError, UnsupportedError

pytest.importorskip("torch", reason="PyTorch, on which Keras runs here, is not installed")
os.environ["KERAS_BACKEND"] = "torch"
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # warnings of Keras itself at import
    keras = pytest.importorskip("keras", reason="Keras is not installed")
L = keras.layers

pytestmark = pytest.mark.filterwarnings("ignore")  # warnings of Keras itself


def small() -> Any:
    return keras.Sequential(
        [L.Input((None, None, 3)), L.Conv2D(4, 3, activation="relu"), L.GlobalAveragePooling2D(), L.Dense(5)],
        name="small",
    )


def test_a_model_is_a_network_of_its_name_for_any_size() -> None:
    model = small()
    network = mpscnn.from_keras(model)
    assert (network.name, network.input.shape) == ("small", (None, None, None, 3))
    x = np.random.default_rng(0).normal(size=(2, 20, 24, 3)).astype(np.float32)
    np.testing.assert_allclose(network(x), model(x).detach().numpy(), rtol=1e-4, atol=1e-5)
    assert mpscnn.from_keras(model, name="other", size=(32, 40)).input.shape == (None, 32, 40, 3)


def test_trained_weights_are_those_of_the_moment() -> None:
    model = small()
    model.compile("adam", "mse")
    x = np.random.default_rng(0).normal(size=(8, 9, 9, 3)).astype(np.float32)
    before = mpscnn.from_keras(model)(x)
    model.fit(x, np.ones((8, 5), np.float32), epochs=1, verbose=0)
    after = mpscnn.from_keras(model)(x)
    assert not np.allclose(before, after)
    np.testing.assert_allclose(after, model.predict(x, verbose=0), rtol=1e-4, atol=1e-5)


def test_a_network_of_keras_applications() -> None:
    model = keras.applications.MobileNetV2(weights=None, input_shape=(64, 64, 3), alpha=0.35)
    network = mpscnn.from_keras(model)
    assert len(network.outputs) == 1


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "bfloat16"])
def test_models_of_other_types_are_compared_in_float32(policy: str) -> None:
    layers = [
        L.Input((16, 16, 3)),
        L.Conv2D(16, 3, dtype=policy),
        keras.Sequential([L.Input((14, 14, 16)), L.BatchNormalization(dtype=policy)]),
        L.GlobalAveragePooling2D(dtype=policy),
        L.Dense(10),
    ]
    model = keras.Sequential(layers)
    network = mpscnn.from_keras(model)
    assert network.outputs[0].shape == (None, 10)
    assert model.layers[0].dtype_policy.name == policy


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_models_made_under_a_policy_are_compared_in_float32(policy: str) -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        inner = keras.Sequential([L.Input((14, 14, 16)), L.Conv2D(32, 3), L.BatchNormalization(), L.ReLU()])
        model = keras.Sequential(
            [L.Input((16, 16, 3)), L.Conv2D(16, 3), inner, L.GlobalAveragePooling2D(), L.Dense(10)]
        )
        assert mpscnn.from_keras(model).outputs[0].shape == (None, 10)
    finally:
        keras.config.set_dtype_policy(before)


def test_wrong_results_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small()

    def other(x: Any, **_: Any) -> Any:
        return 2 * keras.Sequential.call(model, x)

    monkeypatch.setattr(model, "call", other)
    with pytest.raises(UnsupportedError, match="does not compute what the model does"):
        mpscnn.from_keras(model)
    mpscnn.from_keras(model, check=False)


def test_a_model_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small()

    def failing(x: Any, **_: Any) -> Any:
        raise RuntimeError("no such device")

    monkeypatch.setattr(model, "call", failing)
    with pytest.raises(UnsupportedError, match=r"the model itself fails, .* RuntimeError: .*no such device"):
        mpscnn.from_keras(model)
    mpscnn.from_keras(model, check=False)


def test_what_is_no_built_model_of_layers_of_keras_is_refused() -> None:
    class Own(keras.Model):  # type: ignore[misc,name-defined]
        def call(self, x: Any) -> Any:
            return x

    own = Own()
    own(np.zeros((1, 2), np.float32))
    with pytest.raises(UnsupportedError, match="a class whose code is not in the file"):
        mpscnn.from_keras(own)
    with pytest.raises(ParameterError, match=r"expected a keras\.Model, got Dense"):
        mpscnn.from_keras(L.Dense(2))
    with pytest.raises(UnsupportedError, match="is not built"):
        mpscnn.from_keras(keras.Sequential([L.Dense(2)]))
    with pytest.raises(UnsupportedError, match="SimpleRNN"):
        mpscnn.from_keras(keras.Sequential([L.Input((5, 4)), L.SimpleRNN(3)]))
    quantized = keras.Sequential([L.Input((8,)), L.Dense(4)])
    quantized.quantize("int8")
    with pytest.raises(UnsupportedError, match="quantised"):
        mpscnn.from_keras(quantized)


def test_without_keras_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small()
    monkeypatch.setitem(sys.modules, "keras", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UnsupportedError, match="pip install keras"):
        mpscnn.from_keras(model)
