"""Transposed convolution against the float64 reference."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ops.single_layer import precisions, run_layer, seeds, values
from reference.neuron import neuron
from reference.transposed_convolution import transposed_convolution
from tolerance import assert_close, linear_bound, needs_promise_about_nan

import mpscnn

ACTIVATIONS: list[dict[str, Any] | None] = [
    None,
    {"kind": "relun", "b": 1.0},
    {"kind": "linear", "a": -1.0, "b": 0.5},
]


@st.composite
def transposed_windows(draw: st.DrawFn, height: int, width: int) -> dict[str, Any]:
    """Draw attributes with at least one output for an image of this size."""
    attributes: dict[str, Any] = {"padding": draw(st.sampled_from(["valid", "same", "explicit"]))}
    for size, side, suffix, before, after in (
        (height, "height", "y", "pad_top", "pad_bottom"),
        (width, "width", "x", "pad_left", "pad_right"),
    ):
        kernel, stride = draw(st.integers(1, 5)), draw(st.integers(1, 4))
        dilation = draw(st.integers(1, 3)) if kernel > 1 else 1
        attributes |= {f"kernel_{side}": kernel, f"stride_{suffix}": stride, f"dilation_{suffix}": dilation}
        reach = (kernel - 1) * dilation + 1
        everything = (size - 1) * stride + reach
        own_output = draw(st.booleans())
        if attributes["padding"] == "explicit":
            attributes[before] = draw(st.integers(-2, everything - 1))
            if own_output:
                attributes[f"output_{side}"] = draw(st.integers(1, everything + 3))
            else:
                attributes[after] = draw(st.integers(-2, everything - 1 - max(attributes[before], 0)))
                attributes[f"output_padding_{suffix}"] = draw(st.integers(0, max(stride, dilation) - 1))
        elif own_output:
            shortest = (size - 1) * stride + (1 if attributes["padding"] == "same" else reach)
            attributes[f"output_{side}"] = shortest + draw(st.integers(0, stride - 1))
    return attributes


def check(
    x: Any, weight: Any, bias: Any, attributes: dict[str, Any], precision: str, activation: Any = None
) -> None:
    reference, magnitude = transposed_convolution(x, weight, bias, attributes)
    if activation is not None:
        reference = neuron(reference, activation)
        magnitude = magnitude + np.abs(reference)  # the result of the activation is rounded, too
    weights = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
    result = run_layer(
        "transposed_convolution", [x], attributes, weights=weights, activation=activation, precision=precision
    )
    assert_close(result, reference, linear_bound(magnitude), half=precision == "float16")


@given(st.data(), seeds, precisions())
def test_dense_and_grouped(data: st.DataObject, seed: int, precision: str) -> None:
    batch, height, width = data.draw(st.tuples(st.integers(1, 2), st.integers(1, 6), st.integers(1, 6)))
    groups = data.draw(st.integers(1, 3))
    inputs, outputs = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 19))
    attributes = data.draw(transposed_windows(height, width))
    attributes |= {"output_channels": outputs * groups, "groups": groups}
    attributes["kernel_use"] = data.draw(st.sampled_from(["scatter", "gather"]))
    x = values(seed, (batch, height, width, inputs * groups), precision=precision)
    shape = (outputs * groups, attributes["kernel_height"], attributes["kernel_width"], inputs)
    weight = values(seed + 1, shape, precision=precision)
    bias = values(seed + 2, (outputs * groups,)) if data.draw(st.booleans()) else None
    check(x, weight, bias, attributes, precision, data.draw(st.sampled_from(ACTIVATIONS)))


@given(st.data(), seeds, st.integers(2, 37), st.integers(1, 2))
def test_depthwise(data: st.DataObject, seed: int, channels: int, multiplier: int) -> None:
    height, width = data.draw(st.tuples(st.integers(1, 7), st.integers(1, 7)))
    attributes = data.draw(transposed_windows(height, width))
    attributes |= {"output_channels": channels * multiplier, "groups": channels}
    shape = (channels * multiplier, attributes["kernel_height"], attributes["kernel_width"], 1)
    check(values(seed, (2, height, width, channels)), values(seed + 1, shape), None, attributes, "float32")


@pytest.mark.parametrize("kernel", [1, 3])
def test_pixels_that_no_input_reaches_are_the_activated_bias(kernel: int) -> None:
    bias, slope = values(0, (19,)), values(1, (19,))
    network = mpscnn.Network(input=(3, 3, 5))
    network.output(
        network.conv2d_transpose(network.input, 19, kernel, strides=4, activation="prelu", name="layer")
    )
    weight = values(2, (19, kernel, kernel, 5))
    network.load_weights({"layer.weight": weight, "layer.bias": bias, "layer.slope": slope})
    result = network.compile(precision="float32").session(threads=3).run(values(3, (1, 3, 3, 5)))
    assert isinstance(result, np.ndarray)
    assert result.shape == (1, 12, 12, 19)
    alone = np.where(bias < 0, slope * bias, bias)
    for y, x in np.ndindex(12, 12):
        if y % 4 >= kernel or x % 4 >= kernel:
            np.testing.assert_array_equal(result[0, y, x], alone)


def test_same_bits_for_any_number_of_threads() -> None:
    x, weight = values(0, (2, 17, 13, 33)), values(1, (40, 4, 3, 33))
    attributes = {"output_channels": 40, "kernel_height": 4, "kernel_width": 3, "stride_y": 2, "stride_x": 3}
    one, *others = (
        run_layer("transposed_convolution", [x], attributes, weights={"weight": weight}, threads=threads)
        for threads in (1, 2, 5)
    )
    for other in others:
        np.testing.assert_array_equal(other, one)


def test_batch_normalization_is_folded() -> None:
    network = mpscnn.Network(input=(4, 5, 3))
    x = network.conv2d_transpose(network.input, 6, 3, strides=2, padding="same", name="up")
    network.output(network.batch_norm(x, activation="relu", name="norm"))
    network.initialize_weights(seed=1)
    network.load_weights({"norm.mean": values(2, (6,)), "norm.variance": values(3, (6,)) ** 2 + 0.1})
    whole, last = (
        network.compile(precision="float32"),
        network.compile(precision="float32", outputs=["up", "norm"]),
    )
    image = values(4, (2, 4, 5, 3))
    folded, (_, apart) = whole.session().run(image), last.session().run(image).values()
    np.testing.assert_allclose(folded, apart, rtol=1e-5, atol=1e-5)


@needs_promise_about_nan
def test_nan_reaches_exactly_the_pixels_that_it_is_spread_over() -> None:
    x = values(0, (1, 4, 4, 3))
    x[0, 1, 2, 1] = np.nan
    attributes = {"output_channels": 9, "kernel_height": 3, "kernel_width": 3, "stride_y": 2, "stride_x": 2}
    result = run_layer("transposed_convolution", [x], attributes, weights={"weight": values(1, (9, 3, 3, 3))})
    expected = np.zeros((9, 9), bool)
    expected[2:5, 4:7] = True
    assert (np.isnan(result[0]) == expected[..., None]).all()


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"output_channels": 0}, "output_channels must be 1 to"),
        ({"groups": 2}, "groups must be a divisor"),
        ({"stride_y": 0}, "stride_y must be"),
        ({"kernel_width": 0}, "kernel_width must be"),
        ({"pad_top": 1}, "pad_top must be 0 unless padding is explicit, got 1"),
        ({"output_padding_x": 1, "stride_x": 2}, "output_padding_x must be 0 unless padding is explicit"),
        (
            {"output_padding_y": 1, "padding": "explicit"},
            r"output_padding_y must be 0 to 0 \(less than the stride",
        ),
        ({"output_padding_y": -1, "padding": "explicit"}, "output_padding_y must be"),
        (
            {"output_height": 3, "pad_bottom": 1, "padding": "explicit"},
            "pad_bottom must be 0 where output_height",
        ),
        ({"output_width": -1}, "output_width must be 0 to"),
        ({"padding": "full"}, "must be one of valid, same, explicit"),
        ({"padding": "explicit", "pad_left": 9}, "the padding leaves -4 columns"),
        (
            {"padding": "same", "stride_y": 2, "output_height": 8},
            "output_height 8 does not lead back to the input's 5",
        ),
        ({"padding": "same", "stride_y": 2, "output_height": 11}, "output_height 11 does not lead back"),
        ({"kernel_use": "both"}, "must be one of scatter, gather"),
    ],
)
def test_wrong_parameters_are_named(attributes: dict[str, Any], message: str) -> None:
    network = mpscnn.Network(input=(5, 5, 3))
    with pytest.raises((mpscnn.ParameterError, mpscnn.ShapeError), match=message):
        network.layer("transposed_convolution", [network.input], {"output_channels": 4} | attributes)


def test_output_size_and_output_padding_exclude_each_other() -> None:
    network = mpscnn.Network(input=(5, 5, 3))
    with pytest.raises(
        mpscnn.ParameterError, match="output_padding_y must be 0 where output_height is given"
    ):
        network.conv2d_transpose(
            network.input, 4, 3, strides=2, padding=1, output_padding=1, output_size=(10, 10)
        )
