"""Gradients of activation functions against the float64 reference, differences of the function, and PyTorch."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray
from ops.single_layer import run_training, seeds, values
from ops.test_neuron import KINDS, bases, exponents, numbers
from reference.neuron import neuron
from reference.neuron_gradient import neuron_gradient
from tolerance import FLOAT32_EPS, assert_close

import mpscnn

#: Functions whose derivative can be computed from the result, with attributes for which this is possible.
FROM_RESULT: dict[str, dict[str, Any]] = {
    "none": {}, "relu": {"a": 0.25}, "linear": {"a": 2.0, "b": 1.0}, "sigmoid": {}, "softsign": {}, "elu": {"a": 0.5},
    "hard_sigmoid": {"a": 0.2, "b": 0.5}, "tanh": {"a": 1.5, "b": 0.75}, "softplus": {"a": 1.5, "b": 2.0},
    "relun": {"a": 0.0, "b": 6.0}, "exponential": {"a": 0.5, "b": 0.25, "c": -1.0}, "clamp": {"a": -1.0, "b": 2.0},
}  # fmt: skip
#: Functions whose derivatives are sums of terms that may cancel.
SUMS = ("gelu", "hard_swish", "swish", "mish", "gelu_tanh")


def bound(
    gradient: NDArray[Any], x: NDArray[Any], attributes: dict[str, Any], slope: Any = None
) -> NDArray[Any]:
    """Return a bound: the effect of rounding the argument and each term by a few units in the last place."""
    reference = neuron_gradient(gradient, x, attributes, slope)
    around = 8 * FLOAT32_EPS * (np.abs(x) + 1)
    moved = [neuron_gradient(gradient, x + sign * around, attributes, slope) - reference for sign in (1, -1)]
    terms = np.abs(reference) + (np.abs(gradient) if attributes["kind"] in SUMS else 0)
    return np.maximum(*np.abs(np.nan_to_num(moved, posinf=0, neginf=0))) + 16 * FLOAT32_EPS * terms + 1e-37


def check(gradient: NDArray[Any], x: NDArray[Any], attributes: dict[str, Any], threads: int = 1) -> None:
    result = run_training("neuron_gradient", [gradient, x], attributes, threads=threads)
    reference = neuron_gradient(gradient, x, attributes)
    assert_close(result, reference, bound(gradient, x, attributes))


@given(st.sampled_from(KINDS), numbers, numbers, bases, exponents, st.integers(1, 40), seeds)
def test_of_the_input(
    kind: str, a: float, b: float, base: float, exponent: float, channels: int, seed: int
) -> None:
    attributes = {"kind": kind, "a": a, "b": b, "c": exponent if kind == "power" else base}
    if kind == "clamp":
        attributes["a"], attributes["b"] = sorted((a, b))
    gradient, x = values(seed, (2, 3, 5, channels)), values(seed + 1, (2, 3, 5, channels), scale=4.0)
    if kind in ("power", "logarithm"):  # where a * x + b nearly vanishes, its sign is a matter of rounding
        x = np.where(np.abs(a * x + b) < 1e-3 * (np.abs(a * x) + abs(b)), np.float32(8.0), x)
        if a == b == 0:
            attributes["b"] = 1.0
    check(gradient, x, attributes, threads=1 + seed % 3)


@given(st.sampled_from(list(FROM_RESULT)), st.integers(1, 40), seeds)
def test_of_the_result(kind: str, channels: int, seed: int) -> None:
    attributes = {"kind": kind, **FROM_RESULT[kind]}
    gradient, x = values(seed, (2, 3, 5, channels)), values(seed + 1, (2, 3, 5, channels), scale=2.0)
    y = neuron(x, attributes).astype(np.float32)
    check(gradient, y, attributes | {"from_result": True})
    from_input = neuron_gradient(gradient, x, attributes)
    from_result = run_training("neuron_gradient", [gradient, y], attributes | {"from_result": True})
    np.testing.assert_allclose(from_result, from_input, rtol=1e-4, atol=1e-5)


@given(st.integers(1, 40), seeds, st.booleans())
def test_prelu_has_a_slope_for_each_channel(channels: int, seed: int, image: bool) -> None:
    gradient, x = values(seed, (2, 3, 5, channels)), values(seed + 1, (2, 3, 5, channels))
    slope = values(seed + 2, (1, 1, 1, channels) if image else (1, channels))
    result = run_training("neuron_gradient", [gradient, x, slope], {"kind": "prelu"})
    np.testing.assert_array_equal(
        result, neuron_gradient(gradient, x, {"kind": "prelu"}, slope.ravel()).astype(np.float32)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_slope_of_the_function(kind: str) -> None:
    """The gradient is the slope of the function, except at kinks."""
    attributes = {"kind": kind, "a": 0.5, "b": 3.1, "c": 2.0}
    if kind == "clamp":
        attributes["a"] = -1.3
    x = np.linspace(-6, 6, 97)[None] + 0.01
    if kind == "logarithm":
        x = np.abs(x)
    step = 1e-5
    slope = (neuron(x + step, attributes) - neuron(x - step, attributes)) / (2 * step)
    np.testing.assert_allclose(neuron_gradient(1.0, x, attributes), slope, rtol=1e-6, atol=1e-6)


#: PyTorch's functions, which are also compared at kinks and for large numbers, with mpscnn's attributes.
TORCH: dict[str, dict[str, Any]] = {
    "relu": {"kind": "relu"}, "leaky_relu": {"kind": "relu", "a": 0.01}, "relu6": {"kind": "relun", "b": 6.0},
    "sigmoid": {"kind": "sigmoid"}, "hardsigmoid": {"kind": "hard_sigmoid", "a": 1 / 6, "b": 0.5},
    "tanh": {"kind": "tanh", "a": 1.0, "b": 1.0}, "hardtanh": {"kind": "clamp", "a": -1.0, "b": 1.0},
    "elu": {"kind": "elu", "a": 1.0}, "softplus": {"kind": "softplus", "a": 1.0, "b": 1.0},
    "softsign": {"kind": "softsign"}, "gelu": {"kind": "gelu"}, "hardswish": {"kind": "hard_swish"},
    "silu": {"kind": "swish", "b": 1.0}, "mish": {"kind": "mish"},
}  # fmt: skip


@pytest.mark.parametrize("name", TORCH)
def test_pytorch(name: str) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x = np.concatenate([[-1e4, -90, -6, -3, -1, 0, 1, 3, 6, 90, 1e4], np.linspace(-8, 8, 100)])
    x = x.astype(np.float32)[None]
    argument = torch.from_numpy(x.astype(np.float64)).requires_grad_()
    getattr(torch.nn.functional, name)(argument).sum().backward()
    result = run_training("neuron_gradient", [np.ones_like(x), x], TORCH[name])
    np.testing.assert_allclose(result, argument.grad.numpy(), rtol=3e-6, atol=1e-6)


@pytest.mark.parametrize("shape", [(3, 40, 50, 24), (5, 20000), (2, 300, 70)])
def test_bits_do_not_depend_on_threads(shape: tuple[int, ...]) -> None:
    gradient, x = values(0, shape), values(1, shape)
    one = run_training("neuron_gradient", [gradient, x], {"kind": "gelu"})
    for threads in (2, 3, 8):
        several = run_training("neuron_gradient", [gradient, x], {"kind": "gelu"}, threads=threads)
        np.testing.assert_array_equal(one, several)


def test_what_is_refused() -> None:
    x = np.ones((1, 3), np.float32)
    with pytest.raises(mpscnn.ParameterError, match="from_result must be false for gelu"):
        run_training("neuron_gradient", [x, x], {"kind": "gelu", "from_result": True})
    with pytest.raises(mpscnn.ParameterError, match=r"from_result must be false for relu with a = -0\.5"):
        run_training("neuron_gradient", [x, x], {"kind": "relu", "a": -0.5, "from_result": True})
    with pytest.raises(mpscnn.ParameterError, match="the slopes, input 2, are for prelu and needed there"):
        run_training("neuron_gradient", [x, x], {"kind": "prelu"})
    with pytest.raises(mpscnn.ShapeError, match="one slope for each of the 3 channels"):
        run_training("neuron_gradient", [x, x, np.ones((1, 2), np.float32)], {"kind": "prelu"})
    with pytest.raises(mpscnn.ShapeError, match="input 1 must have the shape of input 0"):
        run_training("neuron_gradient", [x, np.ones((1, 4), np.float32)], {"kind": "relu"})
