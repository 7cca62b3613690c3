"""Activation functions, standing alone and attached, against the float64 reference."""

from __future__ import annotations

import math
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray
from ops.single_layer import precisions, run_layer, seeds, values
from reference.convolution import convolution
from reference.fully_connected import fully_connected
from reference.neuron import neuron
from tolerance import (
    FLOAT32_EPS,
    NEURON_ULPS,
    assert_close,
    defined_where_attached,
    linear_bound,
    neuron_bound,
    ulp_bound,
)

import mpscnn

KINDS = [
    "none", "relu", "linear", "sigmoid", "hard_sigmoid", "tanh", "absolute", "softplus", "softsign", "elu", "relun",
    "power", "exponential", "logarithm", "gelu", "hard_swish", "swish", "mish", "gelu_tanh", "clamp", "sign", "floor",
    "ceil", "round", "erf",
]  # fmt: skip
NAMES = [
    "relu", "relu6", "leaky_relu", "elu", "gelu", "sigmoid", "hard_sigmoid", "tanh", "softplus", "softsign", "absolute",
    "exponential", "logarithm", "hard_swish", "swish", "mish", "gelu_tanh", "erf", "sign", "floor", "ceil", "round",
]  # fmt: skip
numbers = st.floats(-4, 4, width=16)
bases = st.one_of(st.just(-1.0), st.floats(0.125, 8, width=16).filter(lambda base: abs(base - 1) > 0.05))
exponents = st.one_of(st.integers(-4, 6).map(float), st.sampled_from([0.5, -0.5, 0.75, 1.5, 2.25]))


@given(st.sampled_from(KINDS), numbers, numbers, bases, exponents, st.integers(1, 40), seeds, precisions())
def test_functions(
    kind: str, a: float, b: float, base: float, exponent: float, channels: int, seed: int, precision: str
) -> None:
    x = values(seed, (2, 3, 5, channels), precision=precision, scale=4.0)
    x[0, 0, 0, 0], x[1, 2, 4, -1] = np.nan, 0.0
    attributes = {"kind": kind, "a": a, "b": b, "c": exponent if kind == "power" else base}
    if kind == "clamp":
        attributes["a"], attributes["b"] = sorted((a, b))
    if kind in ("power", "logarithm"):
        # Inputs for which a * x + b is nearly 0 are replaced, because rounding decides on its sign.
        near = np.abs(a * x + b) < 1e-5 * (np.abs(a * x) + abs(b))
        x = np.where(near, np.float32(8.0), x)
    reference = neuron(x, attributes)
    result = run_layer("neuron", [x], attributes, precision=precision)
    if precision == "float16":
        # From 65520 on, float16 results are infinite. Near 65520 both results are allowed, because rounding decides.
        next_to_it = np.abs(np.abs(reference) - 65520) < 65520 * 64 * FLOAT32_EPS
        reference = np.where(np.abs(reference) > 65520, np.copysign(np.inf, reference), reference)
        reference = np.where(next_to_it, result, reference)
    assert_close(result, reference, neuron_bound(x, attributes, reference), half=precision == "float16")


@given(st.integers(1, 40), seeds, precisions())
def test_prelu_has_a_slope_for_each_channel(channels: int, seed: int, precision: str) -> None:
    x, slope = values(seed, (2, 3, 5, channels), precision=precision), values(seed + 1, (channels,))
    result = run_layer("neuron", [x], {"kind": "prelu"}, weights={"slope": slope}, precision=precision)
    reference = neuron(x, {"kind": "prelu"}, slope)
    assert_close(result, reference, ulp_bound(reference), half=precision == "float16")


@pytest.mark.parametrize("kind", [*KINDS, "prelu"])
def test_nan_passes_and_infinity_stays_in_its_place(kind: str) -> None:
    x = np.array([[np.nan, np.inf, -np.inf, 0.0, 1.0]], np.float32)
    weights: dict[str, Any] = {"slope": np.full(5, 0.5, np.float32)} if kind == "prelu" else {}
    attributes = {"kind": kind, "a": 0.5, "b": 6.0, "c": 2.0}
    expected = neuron(x, attributes, weights.get("slope"))
    result = run_layer("neuron", [x], attributes, weights=weights)
    np.testing.assert_allclose(result, expected, rtol=NEURON_ULPS * FLOAT32_EPS)
    assert np.isnan(result[0, 0])


def test_powers_of_negative_numbers() -> None:
    x = np.array([[-2.0, -0.5, 0.0, 2.0]], np.float32)

    def power(exponent: float) -> NDArray[Any]:
        return run_layer("neuron", [x], {"kind": "power", "a": 1.0, "c": exponent})

    np.testing.assert_array_equal(power(3.0), [[-8.0, -0.125, 0.0, 8.0]])
    np.testing.assert_array_equal(power(2.0), [[4.0, 0.25, 0.0, 4.0]])
    np.testing.assert_array_equal(power(-1.0), [[-0.5, -2.0, np.inf, 0.5]])
    np.testing.assert_array_equal(power(0.0), [[1.0, 1.0, 1.0, 1.0]])
    np.testing.assert_array_equal(np.isnan(power(0.5)), [[True, True, False, False]])


@pytest.mark.parametrize("exponent", [0.5, -0.5, 1.5, -2.5, 3.0, -3.0, 2.0, -2.0, 0.0])
def test_powers_of_infinity(exponent: float) -> None:
    """Powers of infinities are equal to those of C's pow, which Python's math.pow calls."""
    x = np.array([[-np.inf, np.inf, np.nan, -1e30]], np.float32)
    expected = [math.pow(base, exponent) for base in (-math.inf, math.inf)]
    result = run_layer("neuron", [x], {"kind": "power", "a": 1.0, "c": exponent})
    np.testing.assert_array_equal(result[0, :2], expected)
    np.testing.assert_array_equal(
        result[0, :2], neuron(x[0, :2], {"kind": "power", "a": 1, "b": 0, "c": exponent})
    )
    assert np.isnan(result[0, 2])
    assert np.isnan(result[0, 3]) == (exponent % 1 != 0)


def test_limits_of_clamp() -> None:
    x = np.array([[np.nan, -np.inf, -3.0, 0.0, 3.0, np.inf]], np.float32)
    largest = float(np.finfo(np.float32).max)

    def clamp(low: float, high: float) -> NDArray[Any]:
        return run_layer("neuron", [x], {"kind": "clamp", "a": low, "b": high})

    np.testing.assert_array_equal(clamp(-1.0, 2.0), [[np.nan, -1, -1, 0, 2, 2]])
    np.testing.assert_array_equal(clamp(2.0, 2.0), [[np.nan, 2, 2, 2, 2, 2]])
    np.testing.assert_array_equal(clamp(-largest, 2.0), [[np.nan, -np.inf, -3, 0, 2, 2]])
    np.testing.assert_array_equal(clamp(-1.0, largest), [[np.nan, -1, -1, 0, 3, np.inf]])


def test_halves_round_to_even() -> None:
    x = np.array([[-3.5, -2.5, -0.5, 0.5, 1.5, 2.5, 8388607.5, 8388609.0, -1e30]], np.float32)
    np.testing.assert_array_equal(run_layer("neuron", [x], {"kind": "round"}), np.rint(x))
    np.testing.assert_array_equal(run_layer("neuron", [x], {"kind": "floor"}), np.floor(x))
    np.testing.assert_array_equal(run_layer("neuron", [x], {"kind": "ceil"}), np.ceil(x))


def test_logarithms_of_what_is_not_positive() -> None:
    result = run_layer(
        "neuron", [np.array([[-1.0, 0.0, 8.0]], np.float32)], {"kind": "logarithm", "a": 1.0, "c": 2.0}
    )
    np.testing.assert_array_equal(result, [[np.nan, -np.inf, 3.0]])


@pytest.mark.parametrize("name", NAMES)
def test_names(name: str) -> None:
    x = np.abs(values(0, (1, 4, 4, 5))) + 0.1 if name == "logarithm" else values(0, (1, 4, 4, 5), scale=3.0)
    network = mpscnn.Network(input=(4, 4, 5))
    network.output(network.activation(network.input, name))
    expected = {
        "relu": np.maximum(x, 0), "relu6": np.clip(x, 0, 6), "leaky_relu": np.where(x < 0, 0.01 * x, x),
        "elu": np.where(x < 0, np.expm1(x), x), "gelu": neuron(x, {"kind": "gelu"}), "sigmoid": 1 / (1 + np.exp(-x)),
        "hard_sigmoid": np.clip(0.2 * x + 0.5, 0, 1), "tanh": np.tanh(x), "softplus": np.log1p(np.exp(x)),
        "softsign": x / (1 + np.abs(x)), "absolute": np.abs(x), "exponential": np.exp(x),
        "logarithm": np.log(np.abs(x)), "hard_swish": x * np.clip(x + 3, 0, 6) / 6, "swish": x / (1 + np.exp(-x)),
        "mish": x * np.tanh(np.log1p(np.exp(x))), "gelu_tanh": neuron(x, {"kind": "gelu_tanh"}),
        "erf": neuron(x, {"kind": "erf"}), "sign": np.sign(x), "floor": np.floor(x), "ceil": np.ceil(x),
        "round": np.rint(x),
    }[name]  # fmt: skip
    result = network.compile(precision="float32").session().run(x)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.cpu("MPS attaches activations of its own to convolutions")
@pytest.mark.parametrize("kind", [*KINDS, "prelu"])
@pytest.mark.parametrize(
    "operation", ["convolution", "depthwise", "fully_connected", "add", "batch_normalization"]
)
def test_attached_and_standing_alone_are_the_same_bits(kind: str, operation: str) -> None:
    channels = 19
    x = values(0, (2, 6, 7, channels))
    function = {"kind": kind, "a": 0.5, "b": 1.0, "c": 2.0}
    inputs, attributes, weights = [x], {}, {}
    if operation == "convolution":
        attributes = {"output_channels": channels, "kernel_height": 3, "kernel_width": 3, "padding": "same"}
        weights = {"weight": values(1, (channels, 3, 3, channels))}
    elif operation == "depthwise":
        attributes = {"output_channels": channels, "groups": channels, "kernel_height": 3, "kernel_width": 3}
        weights = {"weight": values(1, (channels, 3, 3, 1))}
    elif operation == "fully_connected":
        attributes, weights = {"outputs": channels}, {"weight": values(1, (channels, 6, 7, channels))}
    elif operation == "add":
        inputs = [x, values(1, x.shape)]
    else:
        weights = {"mean": values(1, (channels,)), "variance": np.abs(values(2, (channels,)))}
    slope = {"slope": values(3, (channels,))} if kind == "prelu" else {}
    name = "convolution" if operation == "depthwise" else operation
    attached = run_layer(name, inputs, attributes, weights=weights | slope, activation=function)
    plain = run_layer(name, inputs, attributes, weights=weights)
    np.testing.assert_array_equal(attached, run_layer("neuron", [plain], function, weights=slope))


#: Attributes without the number of outputs, and the weight's shape, of layers of 19 channels each.
LAYERS: dict[str, tuple[str, dict[str, Any], tuple[int, ...]]] = {
    "pointwise": ("convolution", {}, (19, 1, 1, 19)),
    "3x3": ("convolution", {"kernel_height": 3, "kernel_width": 3}, (19, 3, 3, 19)),
    "grouped": ("convolution", {"kernel_height": 2, "groups": 19}, (38, 2, 1, 1)),
    "dense": ("fully_connected", {}, (19, 4, 5, 19)),
}


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("kind", [*KINDS, "prelu"])
@pytest.mark.parametrize("layer", LAYERS)
def test_attached_to_sums_of_products(layer: str, kind: str, precision: str) -> None:
    operation, attributes, shape = LAYERS[layer]
    x, weight = (
        values(seed, size, precision=precision, scale=0.4) for seed, size in [(0, (2, 4, 5, 19)), (1, shape)]
    )
    if kind == "logarithm":  # the logarithm needs positive sums
        x, weight = np.abs(x), np.abs(weight)
    slope = values(2, shape[:1]) if kind == "prelu" else None
    function = {"kind": kind, "a": 0.5, "b": 1.0, "c": 2.0}
    result = run_layer(
        operation,
        [x],
        attributes | {"outputs" if layer == "dense" else "output_channels": shape[0]},
        weights={"weight": weight} | ({} if slope is None else {"slope": slope}),
        activation=function,
        precision=precision,
    )
    sums, magnitude = (
        fully_connected(x, weight, None) if layer == "dense" else convolution(x, weight, None, attributes)
    )
    reference = neuron(sums, function, slope)
    # The function at both ends of the sum's error interval gives the bound, since extrema are flat or kinks.
    moved = [
        np.abs(neuron(sums + sign * linear_bound(magnitude), function, slope) - reference) for sign in (1, -1)
    ]
    bound = np.maximum(*moved) + neuron_bound(sums, function, reference)
    assert_close(result, reference, bound, half=precision == "float16")


#: Inputs for which formulas may overflow or cancel, and NaN.
EXTREMES = [np.nan, -np.inf, -1e38, -6e4, -1e3, -90, -30, -1e-4, 0, 1e-4, 30, 90, 1e3, 6e4, 1e38, np.inf]
FUNCTIONS = [
    *({"kind": kind, "a": 0.5, "b": 1.0, "c": 2.0} for kind in [*KINDS, "prelu"]),
    {"kind": "relu"},
    {"kind": "relun", "b": 6.0},
    {"kind": "exponential", "a": 1.0, "c": -1.0},
    {"kind": "logarithm", "a": 1.0, "c": -1.0},
]


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: "-".join(map(str, function.values())))
@pytest.mark.parametrize("layer", ["pointwise", "3x3", "dense"])
def test_attached_to_large_sums(
    layer: str, function: dict[str, Any], precision: str, chosen_device: str
) -> None:
    operation, attributes, (_, height, width, _) = LAYERS[layer]
    if layer == "dense":
        height = width = 1
    half = precision == "float16"
    x = np.array([value for value in EXTREMES if not (half and abs(value) == 1e38)], np.float32)
    if half:
        x = x.astype(np.float16).astype(np.float32)
    # Each number is in a separate image, because an infinity times the zeros of other weights would be NaN.
    images = np.zeros((x.size, 1, 1, 2), np.float32)
    images[..., 0] = x[:, None, None]
    weight = np.zeros((3, height, width, 2), np.float32)
    weight[:, height // 2, width // 2] = 1
    slope = np.array([0.5, 0.25, 2.0], np.float32) if function["kind"] == "prelu" else None
    result = run_layer(
        operation,
        [images],
        attributes | ({"outputs": 3} if layer == "dense" else {"output_channels": 3, "padding": "same"}),
        weights={"weight": weight} | ({} if slope is None else {"slope": slope}),
        activation=function,
        precision=precision,
    ).reshape(x.size, 3)
    sums = np.repeat(x[:, None], 3, axis=1)
    reference = neuron(sums, function, slope)
    most = 65504.0 if half else np.finfo(np.float32).max
    reference = np.where(np.abs(reference) > most, np.copysign(np.inf, reference), reference)
    known = defined_where_attached(function["kind"], sums, chosen_device)
    bound = neuron_bound(sums, function, reference)
    assert_close(result[known], reference[known], bound[known], half=half)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"kind": "maxout"}, "must be one of none, relu, linear, sigmoid, .*, erf, got"),
        ({"kind": "clamp", "a": 1.0, "b": 0.5}, "b must be a limit of clamp that is not below a, got 0.5"),
        ({"kind": "relu", "a": 1e39}, "a"),
        ({"kind": "relun", "b": 1e39}, "b"),
        ({"kind": "power", "c": 1e39}, "c"),
        ({"kind": "exponential", "c": 0.0}, "c must be the base of exponential, above 0 or -1 for e, got 0"),
        ({"kind": "exponential", "c": -2.0}, "c must be the base of exponential"),
        ({"kind": "logarithm", "c": 0.0}, "c must be the base of logarithm, above 0 and not 1"),
        ({"kind": "logarithm", "c": 1.0}, "c must be the base of logarithm, above 0 and not 1"),
    ],
)
def test_parameters_out_of_range_are_refused(attributes: dict[str, Any], message: str) -> None:
    network = mpscnn.Network(input=(4, 4, 3))
    with pytest.raises(mpscnn.ParameterError, match=message):
        network.activation(network.input, attributes)


def test_functions_that_do_not_exist_are_refused() -> None:
    network = mpscnn.Network(input=(4, 4, 3))
    with pytest.raises(mpscnn.ParameterError, match="'relu', 'relu6', 'leaky_relu'"):
        network.activation(network.input, "maxout")
    with pytest.raises(mpscnn.ParameterError, match="takes no activation"):
        network.layer("softmax", [network.input], {}, activation="relu")
