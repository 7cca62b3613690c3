"""Test activation functions and their gradients. tests/ops/test_attached_neuron.py has activations of other layers."""

from __future__ import annotations

import inspect
import json
import math
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from operations.generic import *  # noqa: F403
from operations.record import Layers, Operation, RawKernel, Sample, autograd, refusals, special
from ops.single_layer import run_layer, run_training, seeds, values
from reference.neuron import FUNCTIONS, neuron, neuron_gradient
from tolerance import FLOAT32_EPS, neuron_bound, ulp_bound

from mpscnn import ShapeError, _core, kernels

KINDS = list(FUNCTIONS)
numbers = st.floats(-4, 4, width=16)
bases = st.one_of(st.just(-1.0), st.floats(0.125, 8, width=16).filter(lambda base: abs(base - 1) > 0.05))
exponents = st.one_of(st.integers(-4, 6).map(float), st.sampled_from([0.5, -0.5, 0.75, 1.5, 2.25]))
channels = st.integers(1, 40)


@st.composite
def functions(draw: st.DrawFn) -> dict[str, Any]:
    kind, a, b = draw(st.sampled_from(KINDS)), draw(numbers), draw(numbers)
    c = draw(exponents if kind == "power" else bases)
    low, high = sorted((a, b)) if kind == "clamp" else (a, b)
    return {"kind": kind, "a": low, "b": high, "c": c}


def away_from_zero(x: Any, function: dict[str, Any], part: float) -> Any:
    """Replace inputs for which a * x + b is nearly 0, because rounding decides on its sign."""
    if function["kind"] not in ("power", "logarithm"):
        return x
    a, b = function["a"], function["b"]
    return np.where(np.abs(a * x + b) < part * (np.abs(a * x) + abs(b)), np.float32(8.0), x)


def torch_neuron(torch: Any, function: dict[str, Any], x: Any) -> Any:
    """Return PyTorch's function. A function without parameters is found by its name."""
    functional, kind = torch.nn.functional, function["kind"]
    a, b, c = (function.get(name, 0.0) for name in "abc")
    own = {
        "absolute": torch.abs,
        "relu": lambda x: functional.leaky_relu(x, a),
        "relun": lambda x: functional.hardtanh(functional.leaky_relu(x, a), -math.inf, b),
        "linear": lambda x: a * x + b,
        "hard_sigmoid": lambda x: functional.hardtanh(a * x + b, 0, 1),
        "tanh": lambda x: a * torch.tanh(b * x),
        "softplus": lambda x: a * functional.softplus(b * x, threshold=200.0),
        "elu": lambda x: functional.elu(x, a),
        "power": lambda x: torch.pow(a * x + b, c),
        "exponential": lambda x: torch.exp((a * x + b) * (1.0 if c == -1 else math.log(c))),
        "logarithm": lambda x: torch.log(a * x + b) / (1.0 if c == -1 else math.log(c)),
        "hard_swish": functional.hardswish,
        "swish": lambda x: functional.silu(x) if b == 1 else x * torch.sigmoid(b * x),
        "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
        "clamp": lambda x: functional.hardtanh(x, a, b),
    }
    return (own.get(kind) or getattr(torch, kind, None) or getattr(functional, kind))(x)


#: Functions for the comparison with PyTorch: those of the table of cases, and others with kinks at whole numbers.
PYTORCHS: list[dict[str, Any]] = [
    case["attributes"]
    for case in json.loads(_core.cases())
    if case["operation"] == "neuron" and "conformance" in case["tags"] and case["attributes"]["kind"] in KINDS
] + [
    {"kind": "relu"},
    {"kind": "relun", "b": 6.0},
    {"kind": "hard_sigmoid", "a": 0.25, "b": 0.5},
    {"kind": "power", "a": 2.0, "b": 1.0, "c": 3.0},
    {"kind": "power", "a": 1.0, "c": 0.5},
    {"kind": "exponential", "a": 1.0, "c": 2.0},
    {"kind": "logarithm", "a": 1.0, "c": 10.0},
    {"kind": "swish", "b": 1.0},
]
#: From this scale on, exponentials overflow, and PyTorch's GELU loses the digits of its small results.
MAX_SCALE = {"exponential": 10.0, "gelu": 1.0, "gelu_tanh": 1.0}

# ---- Functions -----------------------------------------------------------------------------------------------


def expect_neuron(sample: Sample) -> Any:
    (x,), function = sample.inputs, dict(sample.attributes)
    reference = neuron(x, function, sample.weights.get("slope"))
    if function["kind"] == "prelu":
        return reference, ulp_bound(reference)
    return reference, neuron_bound(x, function, reference)


@st.composite
def images(draw: st.DrawFn) -> Sample:
    function = draw(functions())
    x = values(draw(seeds), (2, 3, 5, draw(channels)), scale=4.0)
    x[0, 0, 0, 0], x[1, 2, 4, -1] = np.nan, 0.0
    return Sample([away_from_zero(x, function, 1e-5)], function)


def within_domain(function: dict[str, Any], seed: int) -> Sample:
    """Return a sample without NaN: logarithms and powers have only positive arguments."""
    x = values(seed, (2, 3, 5, 7))
    return Sample([np.abs(x) if function["kind"] in ("logarithm", "power") else x], function)


def prelu(seed: int, channels: int) -> Sample:
    x, slope = values(seed, (2, 3, 5, channels)), values(seed + 1, (channels,))
    return Sample([x], {"kind": "prelu"}, {"slope": slope})


def raw_kernel(function: dict[str, Any]) -> RawKernel:
    """Return a kernel of the function's own class, or of Neuron if there is none."""
    kind = function["kind"]
    own = {name.removeprefix("Neuron").lower(): name for name in kernels.__all__ if name.startswith("Neuron")}
    name = own.get(kind.replace("_", ""))

    def make(_: Sample) -> kernels.Neuron:
        if name is None:
            return kernels.Neuron(kernels.NeuronDescriptor(kind, *(function.get(key, 0.0) for key in "abc")))
        made = getattr(kernels, name)
        known = {key: function.get(key, 0.0) for key in "abc" if key in inspect.signature(made).parameters}
        kernel: kernels.Neuron = made(**known)
        return kernel

    return RawKernel(st.builds(within_domain, st.just(function), seeds), make)


def of(function: str | dict[str, Any], *x: float, **others: Any) -> Sample:
    return Sample(special(*x), function if isinstance(function, dict) else {"kind": function}, **others)


def power(c: float) -> dict[str, Any]:
    return {"kind": "power", "a": 1.0, "c": c}


def clamp(low: float, high: float) -> dict[str, Any]:
    return {"kind": "clamp", "a": low, "b": high}


SPECIAL = np.nan, np.inf, -np.inf, 0.0, 1.0
NEGATIVE = -2.0, -0.5, 0.0, 2.0
POWERS = {3.0: [-8, -0.125, 0, 8], 2.0: [4, 0.25, 0, 4], -1.0: [-0.5, -2, np.inf, 0.5], 0.0: [1, 1, 1, 1]}
HALVES = -3.5, -2.5, -0.5, 0.5, 1.5, 2.5, 8388607.5, 8388609.0, -1e30
AROUND = np.nan, -np.inf, -3.0, 0.0, 3.0, np.inf
MAX = float(np.finfo(np.float32).max)
LIMITS = {
    (-1.0, 2.0): [np.nan, -1, -1, 0, 2, 2],
    (2.0, 2.0): [np.nan, 2, 2, 2, 2, 2],
    (-MAX, 2.0): [np.nan, -np.inf, -3, 0, 2, 2],
    (-1.0, MAX): [np.nan, -1, -1, 0, 3, np.inf],
}
OF_INFINITY = {
    c: [math.pow(-math.inf, c), math.pow(math.inf, c), np.nan]
    for c in (0.5, -0.5, 1.5, -2.5, 3.0, -3.0, 2.0, -2.0, 0.0)
}
#: Functions by their names, computed without the reference.
NAMES: dict[str, Any] = {
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "leaky_relu": lambda x: np.where(x < 0, 0.01 * x, x),
    "elu": lambda x: np.where(x < 0, np.expm1(x), x),
    "hard_sigmoid": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
    "swish": lambda x: x / (1 + np.exp(-x)),
    "SiLU": lambda x: x / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "softplus": lambda x: np.log1p(np.exp(x)),
    "exponential": np.exp,
    "logarithm": lambda x: np.log(np.abs(x)),
}


def named(name: str, expected: Any) -> Layers:
    def build(net: Any, x: Any) -> Any:
        return net.activation(net.activation(x, "absolute") if name == "logarithm" else x, name)

    return Layers([(4, 4, 5)], build, expected, rtol=1e-5, atol=1e-6)


NEURON = Operation(
    "neuron",
    expect_neuron,
    draws={"images": images(), "prelu": st.builds(prelu, seeds, channels)},
    known={kind: of({"kind": kind, "a": 0.5, "b": 6.0, "c": 2.0}, *SPECIAL) for kind in KINDS}
    | {"prelu": of("prelu", *SPECIAL, weights={"slope": np.full(5, 0.5, np.float32)})}
    | {f"power {c}": of(power(c), *NEGATIVE, expected=expected) for c, expected in POWERS.items()}
    | {
        f"power {c} of infinity": of(power(c), -np.inf, np.inf, np.nan, expected=expected)
        for c, expected in OF_INFINITY.items()
    }
    | {"root": of(power(0.5), *NEGATIVE, expected=[np.nan, np.nan, 0, math.sqrt(2)])}
    | {f"{kind} of halves": of(kind, *HALVES) for kind in ("round", "floor", "ceil")}
    | {f"{limits}": of(clamp(*limits), *AROUND, expected=expected) for limits, expected in LIMITS.items()}
    | {
        "logarithms": of(
            {"kind": "logarithm", "a": 1.0, "c": 2.0}, -1.0, 0.0, 8.0, expected=[np.nan, -np.inf, 3]
        )
    },
    refused=refusals(
        {
            "must be one of none, relu, linear, sigmoid, .*, erf": {"kind": "maxout"},
            "b must be a limit of clamp that is not below a, got 0.5": clamp(1.0, 0.5),
            "neuron.a: expected a number of at most": {"kind": "relu", "a": 1e39},
            "neuron.b: expected a number of at most": {"kind": "relun", "b": 1e39},
            "neuron.c: expected a number of at most": {"kind": "power", "c": 1e39},
            "c must be the base of exponential, above 0 or -1 for e, got": [
                {"kind": "exponential", "c": 0.0},
                {"kind": "exponential", "c": -2.0},
            ],
            "c must be the base of logarithm, above 0 and not 1": [
                {"kind": "logarithm", "c": 0.0},
                {"kind": "logarithm", "c": 1.0},
            ],
            "'relu', 'relu6', 'leaky_relu'": lambda net, x: net.activation(x, "maxout"),
            "takes no activation": lambda net, x: net.layer("softmax", [x], {}, activation="relu"),
        }
    ),
    layers={name: named(name, expected) for name, expected in NAMES.items()},
    gradient_draws={
        "functions": st.builds(within_domain, st.sampled_from(PYTORCHS), seeds),
        "prelu": st.builds(prelu, seeds, channels),
    },
    kernels={f"{function}": raw_kernel(function) for function in PYTORCHS}
    | {
        "prelu": RawKernel(
            st.builds(prelu, seeds, channels), lambda sample: kernels.NeuronPReLU(sample.weights["slope"])
        )
    },
    torch=lambda torch, sample: torch_neuron(torch, dict(sample.attributes), sample.inputs[0]),
    onnx_draws={},  # ONNX Runtime's functions are less exact; see tests/converters/onnx_writer/test_onnx_export.py
    torch_draws={
        f"{'-'.join(map(str, function.values()))} {scale}": st.just(
            Sample([values(0, (2, 7, 9, 33), scale=scale)], function)
        )
        for function in PYTORCHS
        for scale in (0.01, 1.0, 10.0, 100.0)
        if scale <= MAX_SCALE.get(str(function["kind"]), 100.0)
    },
)

# ---- Gradients -----------------------------------------------------------------------------------------------

#: Functions whose derivative can be computed from the result, with attributes for which this is possible.
FROM_RESULT: dict[str, dict[str, Any]] = {
    "none": {}, "relu": {"a": 0.25}, "linear": {"a": 2.0, "b": 1.0}, "sigmoid": {}, "softsign": {}, "elu": {"a": 0.5},
    "hard_sigmoid": {"a": 0.2, "b": 0.5}, "tanh": {"a": 1.5, "b": 0.75}, "softplus": {"a": 1.5, "b": 2.0},
    "relun": {"a": 0.0, "b": 6.0}, "exponential": {"a": 0.5, "b": 0.25, "c": -1.0}, "clamp": {"a": -1.0, "b": 2.0},
}  # fmt: skip
#: Functions whose derivatives are sums of terms that may cancel.
SUMS = ("gelu", "hard_swish", "swish", "mish", "gelu_tanh")


def expect_gradient(sample: Sample) -> Any:
    """Return the gradient and a bound for its errors.

    The argument and each term may be rounded by a few units in the last place. None means that all bits agree.
    """
    (gradient, x, *slopes), function = sample.inputs, dict(sample.attributes)
    if slopes:
        return neuron_gradient(gradient, x, function, slopes[0].ravel()), None
    reference = neuron_gradient(gradient, x, function)
    around = 8 * FLOAT32_EPS * (np.abs(x) + 1)
    moved = [neuron_gradient(gradient, x + sign * around, function) - reference for sign in (1, -1)]
    terms = np.abs(reference) + (np.abs(gradient) if function["kind"] in SUMS else 0)
    bound = np.maximum(*np.abs(np.nan_to_num(moved, posinf=0, neginf=0))) + 16 * FLOAT32_EPS * terms + 1e-37
    return reference, bound


@st.composite
def of_input(draw: st.DrawFn) -> Sample:
    function, seed, shape = draw(functions()), draw(seeds), (2, 3, 5, draw(channels))
    if function["kind"] in ("power", "logarithm") and function["a"] == function["b"] == 0:
        function["b"] = 1.0
    x = away_from_zero(values(seed + 1, shape, scale=4.0), function, 1e-3)
    return Sample([values(seed, shape), x], function)


@st.composite
def of_result(draw: st.DrawFn) -> Sample:
    kind, seed, shape = draw(st.sampled_from(list(FROM_RESULT))), draw(seeds), (2, 3, 5, draw(channels))
    function = {"kind": kind, **FROM_RESULT[kind]}
    y = neuron(values(seed + 1, shape, scale=2.0), function).astype(np.float32)
    return Sample([values(seed, shape), y], function | {"from_result": True})


@st.composite
def of_prelu(draw: st.DrawFn) -> Sample:
    count, seed = draw(channels), draw(seeds)
    slope = values(seed + 2, (1, 1, 1, count) if draw(st.booleans()) else (1, count))
    return Sample([*(values(seed + i, (2, 3, 5, count)) for i in (0, 1)), slope], {"kind": "prelu"})


PAIR = [(1, 3), (1, 3)]

GRADIENT = Operation(
    "neuron_gradient",
    expect_gradient,
    draws={"of the input": of_input(), "of the result": of_result(), "prelu": of_prelu()},
    refused=[
        *refusals(
            {
                "from_result must be false for gelu": {"kind": "gelu", "from_result": True},
                r"from_result must be false for relu with a = -0\.5": {
                    "kind": "relu",
                    "a": -0.5,
                    "from_result": True,
                },
                "the slopes, input 2, are for prelu and needed there": {"kind": "prelu"},
            },
            PAIR,
        ),
        *refusals({"one slope for each of the 3 channels": {"kind": "prelu"}}, [*PAIR, (1, 2)], ShapeError),
        *refusals({"input 1 must have the shape of input 0": {"kind": "relu"}}, [(1, 3), (1, 4)], ShapeError),
    ],
    divided={
        f"{shape}": Sample([values(0, shape), values(1, shape)], {"kind": "gelu"})
        for shape in ((3, 40, 50, 24), (5, 20000), (2, 300, 70))
    },
    training=True,
)


@pytest.mark.parametrize("kind", KINDS)
def test_the_reference_is_the_slope_of_the_function(kind: str) -> None:
    function = {"kind": kind, "a": -1.3 if kind == "clamp" else 0.5, "b": 3.1, "c": 2.0}
    x = np.linspace(-6, 6, 97)[None] + 0.01
    if kind == "logarithm":
        x = np.abs(x)
    step = 1e-5
    slope = (neuron(x + step, function) - neuron(x - step, function)) / (2 * step)
    np.testing.assert_allclose(neuron_gradient(1.0, x, function), slope, rtol=1e-6, atol=1e-6)
    if kind in FROM_RESULT:
        function = {"kind": kind, **FROM_RESULT[kind]}
        by_result = neuron_gradient(1.0, neuron(x, function), function | {"from_result": True})
        np.testing.assert_allclose(by_result, neuron_gradient(1.0, x, function), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("function", PYTORCHS, ids=lambda function: "-".join(map(str, function.values())))
def test_gradients_are_torchs_at_kinks(function: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x = np.concatenate([[-1e4, -90, -6, -3, -2, -1, 0, 1, 2, 3, 6, 90, 1e4], np.linspace(-8, 8, 100)])
    x = x.astype(np.float32)[None]
    ones = torch.ones(x.shape, dtype=torch.float64)
    expected = autograd(ones, torch.from_numpy(x).double(), lambda x: torch_neuron(torch, function, x))
    result = run_training("neuron_gradient", [np.ones_like(x), x], function)
    np.testing.assert_allclose(result, expected.float().numpy(), rtol=3e-6, atol=1e-6)


OPERATIONS = [NEURON, GRADIENT]


@pytest.mark.parametrize("c", [-3.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_powers_of_both_zeros_are_those_of_c(c: float, precision: str) -> None:
    """The base a * x + b stays -0 only with b = -0. The powers 1/2 and -1/2 have the sign of a square root."""
    x = special(-0.0, 0.0)
    result = run_layer("neuron", x, {"kind": "power", "a": 1.0, "b": -0.0, "c": c}, precision=precision)
    with np.errstate(divide="ignore"):
        root = np.sqrt(x[0])
        expected = {0.5: root, -0.5: 1.0 / root}.get(c, np.float_power(x[0], c))
    np.testing.assert_array_equal(result, expected)
    np.testing.assert_array_equal(np.signbit(result), np.signbit(expected))
