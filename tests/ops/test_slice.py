"""Parts of images."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ops.single_layer import precisions, run_layer, seeds, values
from reference.pooling import pooling
from reference.slice import part

import mpscnn


@st.composite
def parts(draw: st.DrawFn, shape: tuple[int, ...], backward: bool = True) -> dict[str, int]:
    """Any part of a tensor of this shape."""
    attributes: dict[str, int] = {}
    names = (
        ("front", "channels", "stride_channels"),
        ("left", "width", "stride_x"),
        ("top", "height", "stride_y"),
    )
    for extent, (first, count, stride) in zip(reversed(shape), names, strict=False):
        start = draw(st.integers(0, extent - 1))
        step = draw(st.sampled_from([1, 1, 2, 3, -1, -2] if backward else [1, 2]))
        left = extent - start if step > 0 else start + 1
        attributes[first] = start - (extent if draw(st.booleans()) else 0)
        attributes[count] = draw(st.integers(0, (left + abs(step) - 1) // abs(step)))
        attributes[stride] = step
    return attributes


shapes = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 40))


@given(st.data(), shapes, seeds, precisions())
def test_alone(data: st.DataObject, shape: tuple[int, int, int], seed: int, precision: str) -> None:
    x, attributes = values(seed, (2, *shape), precision=precision), data.draw(parts(shape))
    result = run_layer("slice", [x], attributes, precision=precision)
    np.testing.assert_array_equal(result, part(x, attributes))


@given(st.data(), st.lists(st.integers(1, 30), min_size=1, max_size=2), seeds)
def test_tensors_of_less_axes(data: st.DataObject, shape: list[int], seed: int) -> None:
    x, attributes = values(seed, (2, *shape)), data.draw(parts(tuple(shape)))
    np.testing.assert_array_equal(run_layer("slice", [x], attributes), part(x, attributes))


@given(st.data(), shapes, seeds, st.booleans())
def test_between_layers(
    data: st.DataObject, shape: tuple[int, int, int], seed: int, own_result: bool
) -> None:
    """As views of an input or of a layer's result: slices of slices, read by layers, joined, reshaped, put out."""
    network = mpscnn.Network(input=shape)
    source = network.activation(network.input, {"kind": "linear", "a": 2.0}) if own_result else network.input
    x = values(seed, (2, *shape))
    expected = 2 * x if own_result else x
    first_part = data.draw(parts(shape))
    first, expected = network.layer("slice", [source], first_part), part(expected, first_part)
    second_part = data.draw(parts(expected.shape[1:]))
    second = network.layer("slice", [first], second_part)
    network.output(network.global_max_pool2d(first))
    network.output(network.concat([second, second], axis=-1))
    network.output(network.flatten(second))
    network.output(first)
    network.output(network.activation(second, "relu"))
    named = network.compile(precision="float32").session(threads=1).run(x)
    assert isinstance(named, dict)
    results = list(named.values())
    smaller = part(expected, second_part)
    np.testing.assert_array_equal(
        results[0], pooling(expected, {"kind": "max", "global": True}).astype(np.float32)
    )
    np.testing.assert_array_equal(results[1], np.concatenate([smaller, smaller], axis=-1))
    np.testing.assert_array_equal(results[2], smaller.reshape(2, -1))
    np.testing.assert_array_equal(results[3], expected)
    np.testing.assert_array_equal(results[4], np.maximum(smaller, 0))


@pytest.mark.parametrize(
    ("rows", "columns", "channels"),
    [
        ((1, 4), None, (2, 5)),
        (slice(None, None, 2), (-3, None), slice(None, -1)),
        ((-4, -1), slice(1, 6, 3), None),
        (slice(None, None, -1), slice(5, None, -2), slice(None, None, 3)),
        (slice(-1, -4, -1), slice(5, 1, -3), slice(4, 0, -1)),
    ],
)
def test_method_is_numpys_indexing(rows: Any, columns: Any, channels: Any) -> None:
    network = mpscnn.Network(input=(6, 7, 5))
    network.output(network.slice(network.input, rows=rows, columns=columns, channels=channels))
    x = values(0, (2, 6, 7, 5))
    index = [
        s if isinstance(s, slice) else slice(None) if s is None else slice(*s)
        for s in (rows, columns, channels)
    ]
    result = network.compile(precision="float32").session().run(x)
    np.testing.assert_array_equal(result, x[(slice(None), *index)])


def test_free_extents() -> None:
    network = mpscnn.Network(input=(None, None, 3))
    network.output(network.slice(network.input, rows=(1, None), columns=(-2, None)))
    x = values(0, (1, 5, 4, 3))
    np.testing.assert_array_equal(network.compile(precision="float32").session().run(x), x[:, 1:, -2:])
    with pytest.raises(mpscnn.ParameterError, match="top 1 up to -1 needs an extent that the network knows"):
        network.slice(network.input, rows=(1, -1))


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"top": 4}, "what follows 4 on in steps of 1 does not lie within 4 rows"),
        ({"left": -6}, "does not lie within 5 columns"),
        ({"front": 2, "channels": 2}, "2 from 2 on in steps of 1 does not lie within 3 channels"),
        ({"height": 3, "stride_y": 2}, "3 from 0 on in steps of 2 does not lie within 4 rows"),
        ({"height": 2, "stride_y": -1}, "2 from 0 on in steps of -1 does not lie within 4 rows"),
        ({"stride_x": 0}, "stride_x must be other than 0"),
        ({"width": -1}, "width must be 0 to"),
        ({"front": -(1 << 25)}, "front must be -16777216"),
    ],
)
def test_wrong_parameters_are_named(attributes: dict[str, int], message: str) -> None:
    network = mpscnn.Network(input=(4, 5, 3))
    with pytest.raises((mpscnn.ParameterError, mpscnn.ShapeError), match=message):
        network.layer("slice", [network.input], attributes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"channels": slice(0, 3, 0)}, "the step must not be 0"),
        ({"rows": slice(1, 3, -1)}, "nothing lies from 1 up to 3 in steps of -1"),
        ({"rows": (2, 2)}, "nothing lies from 2 up to 2"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    network = mpscnn.Network(input=(4, 5, 3))
    with pytest.raises(mpscnn.ParameterError, match=message):
        network.slice(network.input, **arguments)


def test_a_tensor_without_such_an_axis_is_named() -> None:
    network = mpscnn.Network(input=(5, 3))
    with pytest.raises(mpscnn.ParameterError, match="has no rows"):
        network.slice(network.input, rows=(0, 1))
    five = mpscnn.Network(input=(2, 2, 5, 3))
    with pytest.raises(mpscnn.ShapeError, match="slice: the input must have 2 to 4 axes"):
        five.slice(five.input, channels=(0, 1))


@pytest.mark.parametrize(
    ("shape", "axis"), [((6, 4, 9), -1), ((6, 4, 9), 1), ((6, 4, 9), 2), ((6, 9), -1), ((6,), 1)]
)
@pytest.mark.parametrize("parts", [1, 2, (1, 3)])
def test_split(shape: tuple[int, ...], axis: int, parts: Any) -> None:
    x = values(0, (2, *shape))
    extent = x.shape[axis]
    if isinstance(parts, int):
        parts = 3 if extent % 3 == 0 and parts > 1 else parts
        sizes = [extent // parts] * parts
    else:
        parts = sizes = [*parts, extent - sum(parts)] if extent > sum(parts) else list(parts)
    network = mpscnn.Network(input=shape)
    for tensor in network.split(network.input, parts, axis=axis, name="part"):
        network.output(tensor)
    results = network.compile(precision="float32").session().run(x)
    found = list(results.values()) if isinstance(results, dict) else [results]
    expected = np.split(x, np.cumsum(sizes)[:-1], axis=axis)
    assert len(found) == len(expected)
    for result, right in zip(found, expected, strict=True):
        np.testing.assert_array_equal(result, right)


def test_split_copies_nothing_on_the_cpu() -> None:
    network = mpscnn.Network(input=(7, 7, 64))
    left, right = network.split(network.activation(network.input, "relu"), 2)
    network.output(network.conv2d(left, 32, 1))
    network.output(network.depthwise_conv2d(right, 3))
    network.initialize_weights()
    program = network.compile(device="cpu", precision="float32")
    profile = program.session(threads=1).profile(values(0, (1, 7, 7, 64)))
    assert not [step for step in profile.steps if "slice" in " ".join(step.layers)]


@pytest.mark.parametrize(
    ("parts", "axis", "message"),
    [
        (4, -1, "parts must be a divisor of 9, got 4"),
        (0, -1, "parts must be a divisor of 9, got 0"),
        ((4, 4), -1, r"that add up to 9, got \[4, 4\]"),
        ((10, -1), -1, "must be sizes of at least 1"),
        ((), -1, "must be sizes of at least 1"),
        (2, 0, "axis must be one of"),
        (2, 4, "axis must be one of"),
        (2, 1, "axis 1 of .* needs an extent that the network knows"),
    ],
)
def test_wrong_splits_are_named(parts: Any, axis: int, message: str) -> None:
    network = mpscnn.Network(input=(None, 4, 9))
    with pytest.raises(mpscnn.ParameterError, match=message):
        network.split(network.input, parts, axis=axis)
