"""Compare convolution kernels with the index rule of Apple's headers."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from kernels.index_rule import Call, Window, calls, encode, normal, sized, windows
from ops.single_layer import seeds
from tolerance import assert_close, linear_bound

import mpscnn
from mpscnn import kernels


def convolved(call: Call, x: Any, rows: Window, columns: Window, weights: Any, bias: Any, groups: int) -> Any:
    """Return the result and an error bound. Weights are [out][kernel height][kernel width][in / groups]."""
    outputs, _, _, depth = weights.shape

    def sums(taps: Any, kernel: Any, offsets: Any) -> Any:
        values = []
        for o in range(outputs):
            first = o // (outputs // groups) * depth
            values.append((taps[..., first : first + depth] * kernel[o]).sum() + offsets[o])
        return np.asarray(values)

    before = np.zeros(call.destination)
    result = call.apply(x, rows, columns, before, lambda taps, v, u: sums(taps, weights, bias))
    magnitude = call.apply(
        np.abs(x), rows, columns, before, lambda taps, v, u: sums(taps, np.abs(weights), np.abs(bias))
    )
    return result, linear_bound(magnitude)


@given(st.data(), st.integers(1, 2), st.integers(1, 6), windows(dilated=True), seeds)
def test_convolution(
    data: st.DataObject, groups: int, width: int, taps: tuple[Window, Window], seed: int
) -> None:
    rows, columns = taps
    inputs, outputs = (4 * groups, 8) if groups > 1 else (width, data.draw(st.integers(1, 9)))
    call = data.draw(calls(inputs=inputs, outputs=outputs))
    x = normal(seed, call.source)
    weights = normal(seed + 1, (outputs, rows.kernel, columns.kernel, inputs // groups))
    bias = normal(seed + 2, (outputs,))
    descriptor = sized(kernels.ConvolutionDescriptor, rows, columns, inputs, outputs, groups=groups)
    kernel = kernels.Convolution(descriptor, weights, bias, **call.common())
    reference, bound = convolved(call, x, rows, columns, weights, bias, groups)
    assert_close(encode(kernel, x, destination=np.zeros(call.destination, np.float32)), reference, bound)


@given(st.data(), st.integers(1, 6), st.integers(1, 2), windows(), seeds)
def test_depthwise(
    data: st.DataObject, inputs: int, multiplier: int, taps: tuple[Window, Window], seed: int
) -> None:
    rows, columns = taps
    outputs = inputs * multiplier
    call = data.draw(calls(inputs=inputs, outputs=outputs))
    x = normal(seed, call.source)
    weights = normal(seed + 1, (outputs, rows.kernel, columns.kernel))
    descriptor = sized(kernels.DepthWiseConvolutionDescriptor, rows, columns, inputs, outputs)
    kernel = kernels.Convolution(descriptor, weights, **call.common())
    assert kernel.channel_multiplier == multiplier
    reference, bound = convolved(call, x, rows, columns, weights[..., None], np.zeros(outputs), groups=inputs)
    assert_close(encode(kernel, x, destination=np.zeros(call.destination, np.float32)), reference, bound)


@given(st.integers(2, 3), st.integers(1, 3), st.integers(1, 3), windows(), seeds, st.booleans())
def test_sub_pixel(
    scale: int, inputs: int, outputs: int, taps: tuple[Window, Window], seed: int, clipped: bool
) -> None:
    """The result is a plain convolution, rearranged by the formula of MPSCNNSubPixelConvolutionDescriptor."""
    rows, columns = taps
    filters = outputs * scale**2
    height, width = 3, 4
    call = Call((1, 5, 6, inputs), (1, height, width, filters), (1, 2, 0))
    x = normal(seed, call.source)
    weights = normal(seed + 1, (filters, rows.kernel, columns.kernel, inputs))
    descriptor = sized(
        kernels.SubPixelConvolutionDescriptor, rows, columns, inputs, filters, sub_pixel_scale_factor=scale
    )
    kernel = kernels.Convolution(descriptor, weights, **call.common())
    plain, bound = convolved(call, x, rows, columns, weights, np.zeros(filters), 1)
    less = 1 if clipped else 0
    shape = (1, height * scale - less, width * scale - less, outputs)
    expected, allowed = np.zeros(shape), np.zeros(shape)
    for y in range(shape[1]):
        for z in range(shape[2]):
            first = outputs * (scale * (y % scale) + z % scale)
            expected[0, y, z] = plain[0, y // scale, z // scale, first : first + outputs]
            allowed[0, y, z] = bound[0, y // scale, z // scale, first : first + outputs]
    assert_close(encode(kernel, x, destination=np.zeros(shape, np.float32)), expected, allowed)


def test_a_sub_pixel_result_by_padding_policy_is_enlarged() -> None:
    x, weights = normal(0, (5, 4, 2)), normal(1, (12, 3, 3, 2))
    descriptor = kernels.SubPixelConvolutionDescriptor(
        3, 3, 2, 12, stride_x=2, stride_y=1, sub_pixel_scale_factor=2
    )
    plain = encode(kernels.Convolution(kernels.ConvolutionDescriptor(3, 3, 2, 12, 2, 1), weights), x)
    result = encode(kernels.Convolution(descriptor, weights), x)
    blocks = plain.reshape(5, 2, 2, 2, 3).transpose(0, 2, 1, 3, 4).reshape(1, 10, 4, 3)
    np.testing.assert_array_equal(result, blocks)


@given(st.data(), st.integers(1, 2), st.integers(1, 4), windows(dilated=True), seeds)
def test_transposed(
    data: st.DataObject, groups: int, width: int, taps: tuple[Window, Window], seed: int
) -> None:
    """The result is a correlation over the source with zeros inserted between its pixels."""
    rows, columns = taps
    inputs, outputs = groups * width, groups * data.draw(st.integers(1, 4))
    x = normal(seed, (1, data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4)), inputs))
    spread = np.zeros((1, (x.shape[1] - 1) * rows.stride + 1, (x.shape[2] - 1) * columns.stride + 1, inputs))
    spread[:, :: rows.stride, :: columns.stride] = x
    weights = normal(seed + 1, (outputs, rows.kernel, columns.kernel, inputs // groups))
    bias = normal(seed + 2, (outputs,))
    offset = data.draw(st.tuples(st.integers(-1, 2), st.integers(-1, 2)))
    moved = data.draw(st.tuples(st.integers(-3, 3), st.integers(-3, 3)))
    total = (offset[0] * columns.stride + moved[0], offset[1] * rows.stride + moved[1], 0)
    size = (1, data.draw(st.integers(1, 7)), data.draw(st.integers(1, 7)), outputs)
    call = Call(spread.shape, size, total)
    dense = Window(rows.kernel, 1, rows.dilation), Window(columns.kernel, 1, columns.dilation)
    descriptor = sized(kernels.ConvolutionDescriptor, rows, columns, inputs, outputs, groups=groups)
    kernel = kernels.ConvolutionTranspose(
        descriptor, weights, bias, offset=offset, kernel_offset_x=moved[0], kernel_offset_y=moved[1]
    )
    reference, bound = convolved(call, spread, *dense, weights, bias, groups)
    assert_close(encode(kernel, x, destination=np.zeros(size, np.float32)), reference, bound)
    made = encode(kernels.ConvolutionTranspose(descriptor, weights, bias), x)
    assert made.shape[1:3] == (spread.shape[1] + rows.reach - 1, spread.shape[2] + columns.reach - 1)


@given(seeds, st.sampled_from(["relu", "relun", "linear", "prelu"]), st.booleans())
def test_batch_normalization_comes_before_the_neuron(seed: int, neuron: str, with_bias: bool) -> None:
    x, weights = normal(seed, (1, 3, 4, 5)), normal(seed + 1, (6, 1, 1, 5))
    bias = normal(seed + 2, (6,)) if with_bias else None
    mean, variance, gamma, beta = (np.abs(normal(seed + 3 + i, (6,))) + 0.1 for i in range(4))
    slopes = normal(seed + 8, (6,)) if neuron == "prelu" else None
    descriptor = kernels.ConvolutionDescriptor(
        1, 1, 5, 6, fused_neuron_descriptor=kernels.NeuronDescriptor(neuron, 0.5, 1.5, data=slopes)
    )
    descriptor.set_batch_normalization_parameters_for_inference(mean, variance, gamma, beta, 0.25)
    result = encode(kernels.Convolution(descriptor, weights, bias), x)

    scale = gamma.astype(np.float64) / np.sqrt(variance.astype(np.float64) + 0.25)
    linear = x.astype(np.float64) @ weights[:, 0, 0, :].T + (0 if bias is None else bias)
    y = (linear - mean) * scale + beta
    below = {
        "relu": 0.5 * y,
        "relun": 0.5 * y,
        "linear": 0.5 * y + 1.5,
        "prelu": y * (slopes if slopes is not None else 0),
    }
    above = {"relu": y, "relun": y, "linear": 0.5 * y + 1.5, "prelu": y}
    reference = np.where(y >= 0, above[neuron], below[neuron])
    if neuron == "relun":
        reference = np.minimum(reference, 1.5)
    magnitude = (
        np.abs(x.astype(np.float64)) @ np.abs(weights[:, 0, 0, :]).T
        + np.abs(0 if bias is None else bias)
        + mean
    )
    bound = linear_bound(magnitude * scale + beta) * np.maximum(
        1, np.abs(slopes) if slopes is not None else 1
    )
    assert_close(result, reference, bound + linear_bound(np.abs(reference) + 1.5))


def test_concatenation_is_two_kernels_writing_one_image() -> None:
    x = normal(0, (1, 3, 3, 4))
    queue = mpscnn.CommandQueue("cpu")
    destination = mpscnn.Image(3, 3, 12)
    with queue.command_buffer() as commands:
        source = mpscnn.Image.from_numpy(x)
        for first, scale in ((0, 1.0), (4, 2.0), (8, 3.0)):
            kernel = kernels.Neuron(
                kernels.NeuronDescriptor("linear", scale), destination_feature_channel_offset=first
            )
            kernel.encode(commands, source, destination)
    np.testing.assert_array_equal(destination.numpy(), np.concatenate([x, 2 * x, 3 * x], axis=3)[0])


DESCRIPTOR = {
    "kernel_width": 1,
    "kernel_height": 1,
    "input_feature_channels": 4,
    "output_feature_channels": 4,
}


def test_groups_have_a_multiple_of_4_channels() -> None:
    descriptor = kernels.ConvolutionDescriptor(**(DESCRIPTOR | {"groups": 2}))
    with pytest.raises(
        mpscnn.ParameterError, match="Convolution: groups must be 1, or such that every group"
    ):
        kernels.Convolution(descriptor, np.ones((4, 1, 1, 4)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"groups": 4}, "groups must be 1 for a depthwise"),
        ({"output_feature_channels": 6}, "must be a multiple of the 4"),
    ],
)
def test_depthwise_descriptors_out_of_range_are_named(changes: dict[str, int], message: str) -> None:
    descriptor = kernels.DepthWiseConvolutionDescriptor(**(DESCRIPTOR | changes))
    with pytest.raises(mpscnn.ParameterError, match=message):
        kernels.Convolution(descriptor, np.ones((4, 1, 1)))


def test_sub_pixel_descriptors_out_of_range_are_named() -> None:
    def refused(outputs: int, scale: int, message: str) -> None:
        descriptor = kernels.SubPixelConvolutionDescriptor(1, 1, 8, outputs, sub_pixel_scale_factor=scale)
        with pytest.raises(mpscnn.ParameterError, match=message):
            kernels.Convolution(descriptor, np.ones(outputs * 8))

    refused(6, 2, r"output_feature_channels must be a multiple of sub_pixel_scale_factor\^2 = 4, got 6")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(mpscnn.WeightsError, match="Convolution, weights: element 0"):
        kernels.Convolution(kernels.ConvolutionDescriptor(1, 1, 1, 1), [[[[value]]]])


def test_weights_of_another_size_are_refused() -> None:
    with pytest.raises(
        mpscnn.WeightsError, match=r"weights must have the shape \(4, 1, 1, 4\), got \(4, 4, 4\)"
    ):
        kernels.Convolution(kernels.ConvolutionDescriptor(**DESCRIPTOR), np.ones((4, 4, 4)))


def test_weights_in_another_order_are_refused() -> None:
    """Weights in PyTorch's order [output][input][height][width] are refused, although their size is right."""
    descriptor = kernels.ConvolutionDescriptor(3, 3, 8, 4)
    weights = np.arange(4 * 3 * 3 * 8, dtype=np.float32)
    with pytest.raises(mpscnn.WeightsError, match=r"must have the shape \(4, 3, 3, 8\), got \(4, 8, 3, 3\)"):
        kernels.Convolution(descriptor, weights.reshape(4, 8, 3, 3))
    flat = kernels.Convolution(descriptor, weights).export_weights_and_biases()
    np.testing.assert_array_equal(flat.weights, weights.reshape(4, 3, 3, 8))


@pytest.mark.parametrize("shape", [(8, 3, 2), (4, 2, 3, 2), (48,)])
def test_depthwise_weights_with_and_without_a_multiplier(shape: tuple[int, ...]) -> None:
    descriptor = kernels.DepthWiseConvolutionDescriptor(2, 3, 4, 8)
    weights = np.arange(48, dtype=np.float32)
    kernel = kernels.Convolution(descriptor, weights.reshape(shape))
    np.testing.assert_array_equal(kernel.export_weights_and_biases().weights.ravel(), weights)


def test_batch_normalization_needs_no_epsilon() -> None:
    x = np.array([[[1, 2]]], np.float32)
    descriptor = kernels.ConvolutionDescriptor(1, 1, 2, 2)
    descriptor.set_batch_normalization_parameters_for_inference([1, 1], [4, 4])
    kernel = kernels.Convolution(descriptor, np.eye(2, dtype=np.float32).reshape(2, 1, 1, 2))
    np.testing.assert_allclose(encode(kernel, x).ravel(), [0, 0.5])
    descriptor.set_batch_normalization_parameters_for_inference([1, 1], [4, 4], epsilon=0.0)
    with pytest.raises(mpscnn.ParameterError, match="batch_normalization_epsilon must be above 0, got 0"):
        kernels.Convolution(descriptor, np.eye(2, dtype=np.float32).reshape(2, 1, 1, 2))


def test_groups_write_whole_slices_of_sub_pixels() -> None:
    descriptor = kernels.SubPixelConvolutionDescriptor(1, 1, 8, 8, groups=2, sub_pixel_scale_factor=2)
    with pytest.raises(mpscnn.ParameterError, match=r"output_feature_channels must be .* multiple of 4"):
        kernels.Convolution(descriptor, np.ones((8, 1, 1, 4)))


@pytest.mark.parametrize(
    ("neuron", "message"),
    [
        (
            kernels.NeuronDescriptor("relu", np.nan),
            "fused_neuron_descriptor: a must be a finite number, got nan",
        ),
        (
            kernels.NeuronDescriptor("linear", 1, np.inf),
            "fused_neuron_descriptor: b must be a finite number, got inf",
        ),
        (kernels.NeuronDescriptor("relu", data=[1.0] * 4), "takes no neuron_data"),
        ("relu", "fused_neuron_descriptor must be None or a NeuronDescriptor, got 'relu'"),
    ],
)
def test_neurons_of_descriptors_are_checked(neuron: Any, message: str) -> None:
    descriptor = kernels.ConvolutionDescriptor(1, 1, 4, 4, fused_neuron_descriptor=neuron)
    with pytest.raises(mpscnn.ParameterError, match=f"Convolution: {message}"):
        kernels.Convolution(descriptor, np.ones((4, 1, 1, 4)))


def test_a_source_with_too_few_channels_is_refused() -> None:
    kernel = kernels.Convolution(kernels.ConvolutionDescriptor(**DESCRIPTOR), np.ones((4, 1, 1, 4)))
    with pytest.raises(
        mpscnn.ShapeError, match="Convolution: the source must have 4 feature channels behind"
    ):
        encode(kernel, np.ones((2, 2, 3), np.float32))


@pytest.mark.parametrize("shape", [(2, 2, 4), (1, 1, 5), (1, 2, 4)])
def test_a_fully_connected_kernel_refuses_sources_of_another_size(shape: tuple[int, ...]) -> None:
    kernel = kernels.FullyConnected(kernels.ConvolutionDescriptor(2, 1, 5, 3), np.ones((3, 1, 2, 5)))
    with pytest.raises(mpscnn.ShapeError, match="FullyConnected: the source must be 2 x 1 with 5"):
        encode(kernel, np.ones(shape, np.float32), destination=np.zeros((1, 1, 3), np.float32))


def test_a_fully_connected_kernel_writes_one_pixel() -> None:
    kernel = kernels.FullyConnected(kernels.ConvolutionDescriptor(1, 1, 4, 4), np.ones((4, 1, 1, 4)))
    with pytest.raises(mpscnn.ShapeError, match="FullyConnected: writes one pixel"):
        encode(kernel, np.ones((1, 1, 4), np.float32), destination=np.zeros((2, 1, 4), np.float32))


def test_a_fully_connected_descriptor_has_no_strides() -> None:
    with pytest.raises(mpscnn.ParameterError, match="FullyConnected: stride_x must be 1, got 2"):
        kernels.FullyConnected(kernels.ConvolutionDescriptor(1, 1, 4, 4, stride_x=2), np.ones((4, 1, 1, 4)))
