"""Sub-pixel convolution and depth to space against the float64 reference."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ops.single_layer import precisions, run_layer, seeds, values, windows
from reference.neuron import neuron
from reference.subpixel import depth_to_space, subpixel_convolution
from tolerance import assert_close, linear_bound

import mpscnn

orders = st.sampled_from(["position_major", "channel_major"])


@given(st.tuples(*[st.integers(1, 5)] * 3), st.integers(1, 21), st.integers(1, 4), orders, seeds)
def test_depth_to_space(
    shape: tuple[int, int, int], channels: int, scale: int, order: str, seed: int
) -> None:
    x = values(seed, (*shape, channels * scale**2))
    result = run_layer("depth_to_space", [x], {"scale": scale, "order": order})
    np.testing.assert_array_equal(result, depth_to_space(x, scale, order))


@given(st.data(), orders, seeds, precisions())
def test_subpixel_convolution(data: st.DataObject, order: str, seed: int, precision: str) -> None:
    batch, height, width = data.draw(st.tuples(st.integers(1, 2), st.integers(1, 9), st.integers(1, 9)))
    scale, groups, inputs = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 5)))
    outputs = data.draw(st.integers(1, 9).filter(lambda n: n * scale**2 % groups == 0))
    attributes = data.draw(windows(height, width))
    attributes |= {"output_channels": outputs, "scale": scale, "order": order, "groups": groups}
    shape = (outputs * scale**2, attributes["kernel_height"], attributes["kernel_width"], inputs)
    x = values(seed, (batch, height, width, inputs * groups), precision=precision)
    weight, bias = values(seed + 1, shape, precision=precision), values(seed + 2, shape[:1])
    reference, _ = subpixel_convolution(x, weight, bias, attributes)
    attributes["output_height"] = reference.shape[1] - data.draw(st.integers(0, scale - 1))
    attributes["output_width"] = reference.shape[2] - data.draw(st.integers(0, scale - 1))
    reference, magnitude = subpixel_convolution(x, weight, bias, attributes)
    activation = data.draw(
        st.sampled_from([None, {"kind": "relun", "b": 1.0}, {"kind": "linear", "a": -1.0}])
    )
    if activation is not None:
        reference = neuron(reference, activation)
    result = run_layer(
        "subpixel_convolution",
        [x],
        attributes,
        weights={"weight": weight, "bias": bias},
        activation=activation,
        precision=precision,
        threads=data.draw(st.integers(1, 3)),
    )
    assert_close(result, reference, linear_bound(magnitude), half=precision == "float16")


def test_large_images_are_cut_into_blocks() -> None:
    x, weight = values(0, (2, 61, 43, 9)), values(1, (4 * 37, 3, 3, 9))
    attributes = {"output_channels": 37, "kernel_height": 3, "kernel_width": 3, "scale": 2, "padding": "same"}
    reference, magnitude = subpixel_convolution(x, weight, None, attributes)
    results = [
        run_layer("subpixel_convolution", [x], attributes, weights={"weight": weight}, threads=threads)
        for threads in (1, 2, 5)
    ]
    assert_close(results[0], reference, linear_bound(magnitude))
    np.testing.assert_array_equal(results[1], results[0])
    np.testing.assert_array_equal(results[2], results[0])


@given(orders, st.integers(1, 11), seeds)
def test_slopes_belong_to_channels_of_the_result(order: str, outputs: int, seed: int) -> None:
    network = mpscnn.Network(input=(4, 3, 5))
    network.output(
        network.subpixel_conv2d(network.input, outputs, 1, 2, order=order, activation="prelu", name="layer")
    )
    weight, slope = values(seed, (outputs * 4, 1, 1, 5)), values(seed + 1, (outputs,))
    network.load_weights({"layer.weight": weight, "layer.slope": slope})
    x = values(seed + 2, (1, 4, 3, 5))
    attributes = {"output_channels": outputs, "scale": 2, "order": order}
    plain, magnitude = subpixel_convolution(x, weight, None, attributes)
    bound = linear_bound(magnitude) * np.maximum(1, np.abs(slope)) * 2
    result = network.compile(precision="float32").session().run(x)
    assert_close(result, np.where(plain < 0, slope * plain, plain), bound)


def test_pixel_shuffle_is_the_channel_major_order() -> None:
    network = mpscnn.Network(input=(2, 3, 12))
    network.output(network.pixel_shuffle(network.input, 2))
    x = values(0, (1, 2, 3, 12))
    np.testing.assert_array_equal(network.compile().session().run(x), depth_to_space(x, 2, "channel_major"))


@pytest.mark.parametrize(
    ("operation", "attributes", "message"),
    [
        ("depth_to_space", {"scale": 0}, "scale must be 1 to"),
        ("depth_to_space", {"scale": 3}, "scale must be a number whose square divides the 4 channels, got 3"),
        ("depth_to_space", {"order": "rows"}, "must be one of position_major, channel_major"),
        ("subpixel_convolution", {}, "output_channels must be 1 to"),
        ("subpixel_convolution", {"output_channels": 1, "scale": 2000}, "scale must be 1 to"),
        ("subpixel_convolution", {"output_channels": 1, "groups": 2}, "groups must be a divisor"),
        ("subpixel_convolution", {"output_channels": 1, "kernel_width": 0}, "kernel_width must be"),
        ("subpixel_convolution", {"output_channels": 1, "output_height": -1}, "output_height must be"),
        (
            "subpixel_convolution",
            {"output_channels": 1, "scale": 2, "output_width": 8},
            "output_width must be 9 to 10",
        ),
        (
            "subpixel_convolution",
            {"output_channels": 1, "scale": 2, "output_height": 11},
            "must be 9 to 10, got 11",
        ),
    ],
)
def test_wrong_parameters_are_named(operation: str, attributes: dict[str, Any], message: str) -> None:
    network = mpscnn.Network(input=(5, 5, 4))
    with pytest.raises((mpscnn.ParameterError, mpscnn.ShapeError), match=message):
        network.layer(operation, [network.input], attributes)
