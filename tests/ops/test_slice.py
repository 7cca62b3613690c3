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
def parts(draw: st.DrawFn, shape: tuple[int, int, int]) -> dict[str, int]:
    """Any part of an image of this shape."""
    attributes: dict[str, int] = {}
    names = (("top", "height", "stride_y"), ("left", "width", "stride_x"), ("front", "channels", ""))
    for extent, (first, count, stride) in zip(shape, names, strict=True):
        start, step = draw(st.integers(0, extent - 1)), draw(st.integers(1, 3)) if stride else 1
        attributes[first] = start - (extent if draw(st.booleans()) else 0)
        attributes[count] = draw(st.integers(0, (extent - start + step - 1) // step))
        attributes |= {stride: step} if stride else {}
    return attributes


shapes = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 40))


@given(st.data(), shapes, seeds, precisions())
def test_alone(data: st.DataObject, shape: tuple[int, int, int], seed: int, precision: str) -> None:
    x, attributes = values(seed, (2, *shape), precision=precision), data.draw(parts(shape))
    result = run_layer("slice", [x], attributes, precision=precision)
    np.testing.assert_array_equal(result, part(x, attributes))


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
        ({"stride_x": 0}, "stride_x must be 1 to"),
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
        ({"channels": slice(0, 3, 2)}, "of channels 1, got 2"),
        ({"rows": slice(3, 1, -1)}, "must be 1 or more"),
        ({"rows": (2, 2)}, "nothing lies from 2 up to 2"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    network = mpscnn.Network(input=(4, 5, 3))
    with pytest.raises(mpscnn.ParameterError, match=message):
        network.slice(network.input, **arguments)
