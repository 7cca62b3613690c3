"""Arithmetic of two tensors against the float64 reference."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray
from ops.single_layer import precisions, run_layer, seeds, values
from reference.arithmetic import OPERATIONS, arithmetic, strided
from reference.neuron import neuron
from tolerance import FLOAT32_EPS, assert_close, linear_bound, ulp_bound

import mpscnn

kinds = st.sampled_from(list(OPERATIONS))
COMPARISONS = ("greater", "greater_equal", "equal", "not_equal")


def operands(
    kind: str, seed: int, shapes: tuple[tuple[int, ...], tuple[int, ...]], precision: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return two random tensors that suit an operation.

    No divisor is near zero, some of the numbers to compare are equal, and half of the conditions are zero.
    """
    a, b = (values(seed + i, shape, precision=precision) for i, shape in enumerate(shapes))
    if kind == "power":  # so that results are within the range of float16
        return np.clip(np.abs(a), np.float32(0.5), 4), np.clip(b, np.float32(-1.5), np.float32(1.5))
    if kind in COMPARISONS:
        return np.round(a), np.round(b)
    if kind.startswith("mask"):
        a = np.where(a < 0, np.float32(0), a)
    return a, np.where(np.abs(b) < 0.125, np.float32(0.5), b)


def bound(kind: str, a: Any, b: Any, attributes: dict[str, Any]) -> Any:
    """Return a bound for the rounding errors of the operands, the operation and the bias."""
    x = np.abs(strided(a, attributes, "primary") * attributes.get("primary_scale", 1.0))
    y = np.abs(strided(b, attributes, "secondary") * attributes.get("secondary_scale", 1.0))
    if kind == "power":  # 2 ulp, and what rounding base and exponent means
        with np.errstate(all="ignore"):
            size = np.nan_to_num(x**y, posinf=0) + np.nan_to_num(x**-y, posinf=0)
        return linear_bound(
            size * (1 + y + y * np.abs(np.log(np.maximum(x, 1e-30)))) + abs(attributes.get("bias", 0.0))
        )
    with np.errstate(all="ignore"):
        size = {"multiply": x * y, "divide": x / y}.get(kind, x + y)
    return linear_bound(size + abs(attributes.get("bias", 0.0)))


@given(kinds, st.integers(1, 3), st.integers(1, 7), st.integers(1, 70), seeds, precisions(), st.booleans())
def test_tensors_of_one_shape(
    kind: str, batch: int, size: int, channels: int, seed: int, precision: str, relu: bool
) -> None:
    shape = (batch, size, size + 1, channels)
    a, b = operands(kind, seed, (shape, shape), precision)
    activation = {"kind": "relu"} if relu else None
    plain = arithmetic(kind, a, b, {})
    reference = neuron(plain, activation) if activation else plain
    result = run_layer(kind, [a, b], {}, activation=activation, precision=precision)
    assert_close(result, reference, bound(kind, a, b, {}), half=precision == "float16")


@st.composite
def all_parameters(draw: st.DrawFn) -> tuple[tuple[tuple[int, ...], tuple[int, ...]], dict[str, Any]]:
    """Draw the shapes of two tensors, and attributes with which the shapes fit."""
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
            stride = draw(st.integers(0, 1 if axis == "channels" else 3))
            # With a stride of 0 any extent is valid, because only the first element is read.
            extents = st.integers(1, 3) if stride == 0 else st.just((result[-from_end] - 1) * stride + 1)
            shape[-from_end] = draw(extents)
            attributes[f"{operand}_stride_{axis}"] = stride
        shapes.append(tuple(shape))
    if draw(st.booleans()):
        attributes["minimum"], attributes["maximum"] = sorted((draw(numbers), draw(numbers)))
    return (shapes[0], shapes[1]), attributes


@given(kinds, all_parameters(), seeds, precisions(), st.sampled_from([None, "sigmoid"]))
def test_scales_limits_and_strides(
    kind: str,
    case: tuple[tuple[tuple[int, ...], tuple[int, ...]], dict[str, Any]],
    seed: int,
    precision: str,
    function: str | None,
) -> None:
    shapes, attributes = case
    a, b = operands(kind, seed, shapes, precision)
    activation = {"kind": function} if function else None
    plain = arithmetic(kind, a, b, attributes)
    reference = neuron(plain, activation) if activation else plain
    allowed = bound(kind, a, b, attributes) + (4 * FLOAT32_EPS if activation else 0.0)
    result = run_layer(kind, [a, b], attributes, activation=activation, precision=precision)
    assert_close(result, reference, allowed, half=precision == "float16")


@pytest.mark.parametrize("kind", OPERATIONS)
@pytest.mark.parametrize(
    "shapes",
    [
        ((5, 6, 7), (5, 6, 7)),
        ((5, 6, 7), (1, 1, 7)),
        ((1, 1, 1), (5, 6, 7)),
        ((5, 1, 7), (1, 6, 1)),
        ((5, 6, 1), (5, 6, 7)),
        ((9,), (1,)),
        ((3, 9), (1, 9)),
        ((2, 5, 6, 7), (2, 5, 1, 1)),
    ],
    ids=str,
)
def test_methods_repeat_extents_of_one(kind: str, shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    network = mpscnn.Network(input={"a": shapes[0], "b": shapes[1]})
    result = network.output(getattr(network, kind)(*network.inputs))
    a, b = operands(kind, 0, ((2, *shapes[0]), (2, *shapes[1])), "float32")
    expected = OPERATIONS[kind](a, b)
    assert result.shape[1:] == expected.shape[1:]
    answer = network.compile(precision="float32").session().run([a, b])
    if kind == "power":
        assert_close(answer, expected, ulp_bound(expected, 2))
    else:
        np.testing.assert_array_equal(answer, expected)


@pytest.mark.parametrize("cut", [np.s_[:, ::2], np.s_[:, ::2, 2:5, :16]], ids=["rows", "pixels"])
@pytest.mark.parametrize("kind", ["add", "maximum"])
def test_rows_may_lie_apart(kind: str, cut: tuple[slice, ...]) -> None:
    """Inputs and results may be views of larger arrays, with gaps between rows or pixels."""
    a, b = (values(seed, (2, 10, 7, 20))[cut] for seed in (1, 2))
    whole = np.full((2, 10, 7, 20), 7.0, np.float32)
    network = mpscnn.Network(input={"a": a.shape[1:], "b": b.shape[1:]})
    network.output(network.layer(kind, network.inputs, {}))
    network.compile(precision="float32").session(threads=1).run([a, b], out=whole[cut])
    assert_close(whole[cut], arithmetic(kind, a, b, {}), bound(kind, a, b, {}))
    whole[cut] = 7.0
    assert (whole == 7.0).all()


@pytest.mark.parametrize(
    "shapes", [((4, 4, 3), (4, 4, 2)), ((4, 4, 3), (3,)), ((2, 4, 4, 3), (1, 4, 4, 3))], ids=str
)
def test_other_shapes_are_refused(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    network = mpscnn.Network(input={"a": shapes[0], "b": shapes[1]})
    with pytest.raises(mpscnn.ShapeError, match=r"one shape|number of axes|the last three axes"):
        network.add(*network.inputs)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"minimum": 2.0, "maximum": 1.0}, "minimum must be at most maximum 1"),
        ({"primary_stride_y": -1}, "primary_stride_y must be 0 to"),
        ({"primary_stride_x": -1}, "primary_stride_x must be 0 to"),
        ({"secondary_stride_y": -1}, "secondary_stride_y must be 0 to"),
        ({"secondary_stride_x": -1}, "secondary_stride_x must be 0 to"),
        ({"primary_stride_channels": 2}, "primary_stride_channels must be 0 or 1, got 2"),
        ({"secondary_stride_channels": -1}, "secondary_stride_channels must be 0 or 1"),
        ({"primary_scale": 1e39}, "primary_scale"),
        ({"secondary_scale": 1e39}, "secondary_scale"),
        ({"bias": 1e39}, "bias"),
        ({"minimum": -1e39}, "minimum"),
        ({"maximum": 1e39}, "maximum"),
    ],
)
def test_parameters_out_of_range_are_refused(attributes: dict[str, Any], message: str) -> None:
    network = mpscnn.Network(input=(4, 4, 3))
    with pytest.raises(mpscnn.ParameterError, match=message):
        network.layer("multiply", [network.input, network.input], attributes)


@pytest.mark.parametrize("operand", ["primary", "secondary"])
def test_rows_of_tensors_of_more_axes_have_no_stride(operand: str) -> None:
    network = mpscnn.Network(input=(2, 4, 4, 3))
    with pytest.raises(
        mpscnn.ParameterError, match=f"{operand}_stride_y must be 1 for tensors of more than 4"
    ):
        network.layer("add", [network.input, network.input], {f"{operand}_stride_y": 0})


def test_a_tensor_may_be_added_to_itself() -> None:
    x = values(0, (1, 3, 3, 5))
    network = mpscnn.Network(input=(3, 3, 5))
    network.output(network.add(network.input, network.input))
    np.testing.assert_array_equal(network.compile(precision="float32").session().run(x), 2 * x)


@pytest.mark.parametrize("kind", OPERATIONS)
def test_infinities_and_nan(kind: str) -> None:
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -2.0], np.float32)
    a, b = (grid.reshape(1, -1) for grid in np.meshgrid(special, special))
    with np.errstate(all="ignore"):
        expected = OPERATIONS[kind](a, b)
    np.testing.assert_array_equal(run_layer(kind, [a, b], {}), expected)


def test_less_is_greater_with_the_operands_swapped() -> None:
    a = np.array([[1, 2, 3, np.nan, -0.0]], np.float32)
    b = np.array([[2, 2, 2, 1, 0.0]], np.float32)
    network = mpscnn.Network(input={"a": (5,), "b": (5,)})
    network.output(network.less(*network.inputs))
    network.output(network.less_equal(*network.inputs))
    less, less_equal = network.compile(precision="float32").session().run([a, b]).values()
    np.testing.assert_array_equal(less, [[1, 0, 0, 0, 0]])
    np.testing.assert_array_equal(less_equal, [[1, 1, 0, 0, 1]])


@pytest.mark.parametrize(
    "shapes", [((2, 3, 5), (2, 3, 5)), ((1, 1, 5), (2, 3, 5)), ((2, 3, 1), (1, 1, 5))], ids=str
)
def test_where_takes_nothing_of_what_is_not_chosen(
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
) -> None:
    condition = np.where(values(0, (4, *shapes[0])) > 0, np.float32(1), np.float32(0))
    a, b = values(1, (4, 2, 3, 5)), values(2, (4, *shapes[1]))
    a[0, 0, 0], a[1, 0, 0] = np.nan, np.inf
    b[0, 0, 0, 1:3], b[1, 0, 0, :2] = np.nan, -np.inf
    network = mpscnn.Network(input={"condition": shapes[0], "a": (2, 3, 5), "b": shapes[1]})
    network.output(network.where(*network.inputs))
    result = network.compile(precision="float32").session().run([condition, a, b])
    np.testing.assert_array_equal(result, np.where(condition != 0, a, b))


def test_limits_hold_for_infinities_and_keep_nan() -> None:
    a = np.array([[np.inf, -np.inf, np.nan, 1.0, 0.0]], np.float32)
    b = np.array([[1.0, 1.0, 1.0, 0.0, 0.0]], np.float32)
    limits = {"minimum": -2.0, "maximum": 2.0}
    np.testing.assert_array_equal(run_layer("add", [a, b], limits), [[2.0, -2.0, np.nan, 1.0, 0.0]])


def test_half_overflow_becomes_infinity() -> None:
    x = np.full((1, 1, 1, 8), 60000.0, np.float32)
    assert np.isinf(run_layer("add", [x, x], {}, precision="float16")).all()


@pytest.mark.parametrize("attributes", [{"bias": 1.0}, {"primary_scale": 2.0}, {"maximum": 0.5}])
def test_parameters_hold_behind_a_convolution(attributes: dict[str, Any]) -> None:
    x, weight = values(0, (1, 4, 4, 8)), values(1, (8, 1, 1, 8))
    network = mpscnn.Network(input=(4, 4, 8))
    y = network.conv2d(network.input, 8, 1, name="conv")
    network.output(network.layer("add", [y, network.input], attributes))
    network.load_weights({"conv.weight": weight})
    convolved = run_layer("convolution", [x], {"output_channels": 8}, weights={"weight": weight})
    expected = run_layer("add", [convolved, x], attributes)
    np.testing.assert_array_equal(network.compile(precision="float32").session().run(x), expected)
