"""Test arithmetic and comparisons of two tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from operations.generic import *  # noqa: F403
from operations.record import Array, Layers, Operation, RawKernel, Sample, refusals
from ops.single_layer import run_layer, seeds, values
from reference.arithmetic import OPERATIONS as FUNCTIONS
from reference.arithmetic import arithmetic, strided
from reference.neuron import neuron
from tolerance import FLOAT32_EPS, linear_bound

from mpscnn import Network, ShapeError, kernels

#: Methods that are another operation with its operands swapped.
SWAPPED = {"greater": ("less",), "greater_equal": ("less_equal",)}
METHODS = {
    name: lambda a, b, function=function: quietly(function, a, b)
    for name, function in (FUNCTIONS | {"less": np.less, "less_equal": np.less_equal}).items()
}
COMPARISONS = ("greater", "greater_equal", "equal", "not_equal")


def quietly(function: Any, *arrays: Array) -> Any:
    """Return a function's result without NumPy's warnings of infinities and NaN."""
    with np.errstate(all="ignore"):
        return function(*arrays)


def operands(kind: str, seed: int, shapes: Sequence[tuple[int, ...]]) -> list[Array]:
    """Return two random tensors that suit an operation.

    No divisor is near zero, some of the numbers to compare are equal, and half of the conditions are zero.
    """
    a, b = (values(seed + i, shape) for i, shape in enumerate(shapes))
    if kind == "power":  # keep the results within the range of float16
        return [np.clip(np.abs(a), np.float32(0.5), 4), np.clip(b, np.float32(-1.5), np.float32(1.5))]
    if kind in COMPARISONS:
        return [np.round(a), np.round(b)]
    if kind.startswith("mask"):
        a = np.where(a < 0, np.float32(0), a)
    return [a, np.where(np.abs(b) < 0.125, np.float32(0.5), b)]


def bound(kind: str, a: Array, b: Array, attributes: dict[str, Any]) -> Any:
    """Return a bound for the rounding errors of the operands, the operation and the bias."""
    x = np.abs(strided(a, attributes, "primary") * attributes.get("primary_scale", 1.0))
    y = np.abs(strided(b, attributes, "secondary") * attributes.get("secondary_scale", 1.0))
    bias = abs(attributes.get("bias", 0.0))
    with np.errstate(all="ignore"):
        if kind == "power":  # the error is 2 ulp, and the effect of rounding base and exponent
            size = np.nan_to_num(x**y, posinf=0) + np.nan_to_num(x**-y, posinf=0)
            return linear_bound(size * (1 + y + y * np.abs(np.log(np.maximum(x, 1e-30)))) + bias)
        size = {"multiply": x * y, "divide": x / y}.get(kind, x + y)
    return linear_bound(np.nan_to_num(size, posinf=0) + bias)


@st.composite
def of_one_shape(draw: st.DrawFn, kind: str) -> Sample:
    size = draw(st.integers(1, 7))
    shape = draw(st.integers(1, 3)), size, size + 1, draw(st.integers(1, 70))
    activation = draw(st.sampled_from([None, {"kind": "relu"}]))
    return Sample(operands(kind, draw(seeds), (shape, shape)), activation=activation)


@st.composite
def with_parameters(draw: st.DrawFn, kind: str, *, whole: bool = False) -> Sample:
    """Draw scales, limits and strides, and tensors with which the strides fit. `whole`: all elements are read."""
    rank = draw(st.integers(2, 4))
    result = [draw(st.integers(1, 3)), *(draw(st.integers(1, 5)) for _ in range(rank - 2))]
    result.append(draw(st.sampled_from([1, 3, 8, 17, 40])))
    numbers = st.floats(-2, 2, width=16)
    attributes: dict[str, Any] = {"bias": draw(numbers)}
    shapes = []
    for operand in ("primary", "secondary"):
        attributes[f"{operand}_scale"] = draw(numbers.filter(lambda scale: abs(scale) > 0.1))
        shape = list(result)
        for from_end, axis in ((1, "channels"), (2, "x"), (3, "y")):
            if rank - from_end < 1:
                continue
            stride = draw(st.integers(0, 1 if whole or axis == "channels" else 3))
            # With a stride of 0 any extent is valid, because only the first element is read.
            repeated = st.integers(1, 1 if whole else 3)
            extents = repeated if stride == 0 else st.just((result[-from_end] - 1) * stride + 1)
            shape[-from_end] = draw(extents)
            attributes[f"{operand}_stride_{axis}"] = stride
        shapes.append(tuple(shape))
    if draw(st.booleans()):
        attributes["minimum"], attributes["maximum"] = sorted((draw(numbers), draw(numbers)))
    activation = draw(st.sampled_from([None, {"kind": "sigmoid"}]))
    return Sample(operands(kind, draw(seeds), shapes), attributes, activation=activation)


def expectation(kind: str) -> Any:
    def expect(sample: Sample) -> Any:
        (a, b), attributes = sample.inputs, dict(sample.attributes)
        result, allowed = arithmetic(kind, a, b, attributes), bound(kind, a, b, attributes)
        if sample.activation is None:
            return result, allowed
        return neuron(result, dict(sample.activation)), allowed + 4 * FLOAT32_EPS

    return expect


@st.composite
def shapes_that_broadcast(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    rank = draw(st.integers(1, 4))
    extents = [*(draw(st.integers(1, 9)) for _ in range(rank - 1)), draw(st.integers(1, 40))]
    first, second = [], []
    for from_end, extent in zip(range(rank, 0, -1), extents, strict=True):
        # In tensors with more than four axes, including the batch, only the last two can be repeated.
        fixed = rank == 4 and from_end > 2
        repeated = "none" if fixed else draw(st.sampled_from(["none", "none", "first", "second"]))
        first.append(1 if repeated == "first" else extent)
        second.append(1 if repeated == "second" else extent)
    return tuple(first), tuple(second)


@st.composite
def repeated(draw: st.DrawFn, kind: str) -> Layers:
    """Draw a use of a method whose operands have extents of 1, which are repeated."""
    shapes = draw(shapes_that_broadcast())
    batch, seed = draw(st.integers(1, 3)), draw(seeds)
    # Some of the numbers are equal, some are zero, and negative bases also have whole exponents.
    inputs = [np.round(4 * values(seed + i, (batch, *shape))) / 4 for i, shape in enumerate(shapes)]
    return Layers(
        shapes,
        lambda net, a, b: getattr(net, kind)(a, b),
        METHODS[kind],
        inputs=inputs,
        rtol=4 * FLOAT32_EPS if kind == "power" else 0.0,
    )


@st.composite
def raw_operands(draw: st.DrawFn, kind: str) -> Sample:
    """Draw an image, and an image whose rows, columns or channels may be repeated. Either may be the first operand."""
    size, swapped = tuple(draw(st.integers(1, 5)) for _ in range(3)), draw(st.booleans())
    once = dict(zip(("y", "x", "channels"), draw(st.tuples(*[st.booleans()] * 3)), strict=True))
    small = tuple(1 if one else extent for extent, one in zip(size, once.values(), strict=True))
    shapes = [(2, *size), (2, *small)]
    role = "primary" if swapped else "secondary"
    attributes = {
        "primary_scale": 0.5,
        "secondary_scale": 2.0,
        "bias": 0.25,
        "minimum": -1.5,
        "maximum": 1.75,
    }
    attributes |= {f"{role}_stride_{axis}": 0 for axis, one in once.items() if one}
    return Sample(operands(kind, draw(seeds), shapes[::-1] if swapped else shapes), attributes)


def raw_kernel(name: str) -> RawKernel:
    def make(sample: Sample) -> kernels.BinaryKernel:
        ends = {"minimum": "minimum_value", "maximum": "maximum_value"}
        properties = {
            ends.get(key, key.replace("stride_channels", "stride_in_feature_channels")): value
            for key, value in sample.attributes.items()
        }
        return getattr(kernels, name)(**properties)

    return RawKernel(raw_operands(name.lower()), make)


RAW = {name.lower(): {name: raw_kernel(name)} for name in ("Add", "Subtract", "Multiply", "Divide")}
SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -2.0], np.float32)
PAIRS = [grid.reshape(1, -1) for grid in np.meshgrid(SPECIAL, SPECIAL)]
NUMBERS = [
    np.array([[np.inf, -np.inf, np.nan, 1.0, 0.0]], np.float32),
    np.array([[1.0, 1.0, 1.0, 0.0, 0.0]], np.float32),
]
#: PyTorch's functions for operations that have other names there. Conditions are numbers, so they are compared with 0.
TORCH: dict[str, Any] = {
    "power": lambda torch, a, b: torch.pow(a, b),
    "greater": lambda torch, a, b: (a > b).double(),
    "greater_equal": lambda torch, a, b: (a >= b).double(),
    "equal": lambda torch, a, b: (a == b).double(),
    "not_equal": lambda torch, a, b: (a != b).double(),
    "mask": lambda torch, a, b: torch.where(a != 0, b, 0.0),
    "mask_out": lambda torch, a, b: torch.where(a == 0, b, 0.0),
}


def torchs(kind: str) -> Any:
    def result(torch: Any, sample: Sample) -> Any:
        a, b = sample.inputs
        plain = TORCH[kind](torch, a, b) if kind in TORCH else getattr(torch, kind)(a, b)
        return plain if sample.activation is None else plain.clamp_min(0)

    return result


def gradients(kind: str) -> Mapping[str, st.SearchStrategy[Sample]]:
    if kind in COMPARISONS:  # comparisons have no gradient
        return {}
    one_shape = {"one shape": of_one_shape(kind)}
    if kind == "power":  # a power with scales or limits has no gradient
        return one_shape
    return one_shape | {"parameters": with_parameters(kind, whole=True)}


def operation(kind: str, **more: Any) -> Operation:
    pairs = Sample(PAIRS, expected=METHODS[kind](*PAIRS))
    return Operation(
        kind,
        expectation(kind),
        draws={"one shape": of_one_shape(kind), "parameters": with_parameters(kind)},
        known={"infinities and NaN": pairs, **more.pop("known", {})},
        layers={method: repeated(method) for method in (kind, *SWAPPED.get(kind, ()))},
        torch=torchs(kind),
        torch_draws={"one shape": of_one_shape(kind)},
        refused=more.pop("refused", OUT_OF_RANGE),
        kernels=RAW.get(kind, {}),
        gradient_draws=gradients(kind),
        **more,
    )


SIZES = ((4, 4, 3), (4, 4, 3))
OUT_OF_RANGE = refusals(
    {
        "minimum must be at most maximum 1": {"minimum": 2.0, "maximum": 1.0},
        "primary_stride_y must be 0 to": {"primary_stride_y": -1},
        "primary_stride_x must be 0 to": {"primary_stride_x": -1},
        "secondary_stride_y must be 0 to": {"secondary_stride_y": -1},
        "secondary_stride_x must be 0 to": {"secondary_stride_x": -1},
        "primary_stride_channels must be 0 or 1, got 2": {"primary_stride_channels": 2},
        "secondary_stride_channels must be 0 or 1": {"secondary_stride_channels": -1},
        "primary_scale": {"primary_scale": 1e39},
        "secondary_scale": {"secondary_scale": 1e39},
        "bias": {"bias": 1e39},
        "minimum": {"minimum": -1e39},
        "maximum": {"maximum": 1e39},
    },
    SIZES,
)


def of_shapes(*shapes: tuple[int, ...]) -> list[Any]:
    message = "one shape|number of axes|only the last 2 axes of tensors with 5 axes"
    return refusals({message: lambda net, a, b: net.add(a, b)}, shapes, ShapeError)


def without_stride(operand: str) -> list[Any]:
    message = f"{operand}_stride_y must be 1 for tensors of more than 4"
    return refusals({message: {f"{operand}_stride_y": 0}}, [(2, 4, 4, 3), (2, 4, 4, 3)])


ADD = operation(
    "add",
    known={
        "limits hold for infinities and keep NaN": Sample(
            NUMBERS, {"minimum": -2.0, "maximum": 2.0}, expected=[2.0, -2.0, np.nan, 1.0, 0.0]
        ),
        "overflow in float16": Sample(
            [np.full((1, 1, 1, 8), 60000.0, np.float32)] * 2, precision="float16", expected=[np.inf] * 8
        ),
    },
    refused=[
        *OUT_OF_RANGE,
        *of_shapes((4, 4, 3), (4, 4, 2)),
        *of_shapes((4, 4, 3), (3,)),
        *of_shapes((2, 4, 4, 3), (1, 4, 4, 3)),
        *of_shapes((2, 4, 4, 3), (2, 1, 4, 3)),
        *without_stride("primary"),
        *without_stride("secondary"),
    ],
)


def test_a_tensor_may_be_added_to_itself() -> None:
    x = values(0, (1, 3, 3, 5))
    network = Network(input=(3, 3, 5))
    network.output(network.add(network.input, network.input))
    np.testing.assert_array_equal(network.compile(precision="float32").session().run(x), 2 * x)


@given(shapes_that_broadcast(), seeds)
def test_where_takes_nothing_from_the_other_tensor(
    shapes: tuple[tuple[int, ...], tuple[int, ...]], seed: int
) -> None:
    whole = tuple(map(max, *shapes))
    condition, a, b = (
        np.round(values(seed + i, (2, *shape))) for i, shape in enumerate((shapes[0], whole, shapes[1]))
    )
    a.flat[0], b.flat[-1] = np.nan, np.inf
    network = Network(input={"condition": shapes[0], "a": whole, "b": shapes[1]})
    network.output(network.where(*network.inputs))
    result = network.compile(precision="float32").session().run([condition, a, b])
    np.testing.assert_array_equal(result, np.where(condition != 0, a, b))


def test_the_gradient_of_a_power_is_0_for_the_exponent_0() -> None:
    base, exponent = np.array([[0, 0, 2, 0]], np.float32), np.array([[0, 1, 0, 2]], np.float32)
    network = Network(input={"base": (4,), "exponent": (4,)})
    network.output(network.power(*network.inputs))
    _, found = network.gradients({"base": base, "exponent": exponent}, output_gradient=np.ones_like(base))
    np.testing.assert_array_equal(found["base"], [[0, 1, 0, 0]])


@pytest.mark.parametrize("attributes", [{"bias": 1.0}, {"primary_scale": 2.0}, {"maximum": 0.5}])
def test_parameters_hold_after_a_convolution(attributes: dict[str, Any]) -> None:
    x, weight = values(0, (1, 4, 4, 8)), values(1, (8, 1, 1, 8))
    network = Network(input=(4, 4, 8))
    y = network.conv2d(network.input, 8, 1, name="conv")
    network.output(network.layer("add", [y, network.input], attributes))
    network.load_weights({"conv.weight": weight}, layout="OHWI")
    convolved = run_layer("convolution", [x], {"output_channels": 8}, weights={"weight": weight})
    expected = run_layer("add", [convolved, x], attributes)
    np.testing.assert_array_equal(network.compile(precision="float32").session().run(x), expected)


OPERATIONS = [ADD, *(operation(kind) for kind in FUNCTIONS if kind != "add")]
