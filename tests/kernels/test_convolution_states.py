"""Tests of states: weights of convolutions as objects, and image sizes for transposed convolutions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from kernels.index_rule import QUEUE, Window, encode, normal, sized, windows
from ops.single_layer import seeds
from tolerance import assert_close, linear_bound

import mpscnn
from mpscnn import kernels
from mpscnn.kernels import ConvolutionWeightsAndBiasesState as WeightsState

Weighted = kernels.Convolution | kernels.FullyConnected | kernels.ConvolutionTranspose

# Sources of these kernels are 3 x 2 pixels with 8 channels.
SIZES = {"kernel_width": 3, "kernel_height": 2, "input_feature_channels": 8}
KINDS: dict[str, Callable[[Any, Any], Weighted]] = {
    "plain": lambda w, b: kernels.Convolution(
        kernels.ConvolutionDescriptor(**SIZES, output_feature_channels=4), w, b
    ),
    "grouped": lambda w, b: kernels.Convolution(
        kernels.ConvolutionDescriptor(**SIZES, output_feature_channels=8, groups=2), w, b
    ),
    "depthwise": lambda w, b: kernels.Convolution(
        kernels.DepthWiseConvolutionDescriptor(**SIZES, output_feature_channels=8), w, b
    ),
    "multiplied": lambda w, b: kernels.Convolution(
        kernels.DepthWiseConvolutionDescriptor(**SIZES, output_feature_channels=16), w, b
    ),
    "sub-pixel": lambda w, b: kernels.Convolution(
        kernels.SubPixelConvolutionDescriptor(**SIZES, output_feature_channels=12, sub_pixel_scale_factor=2),
        w,
        b,
    ),
    "fully connected": lambda w, b: kernels.FullyConnected(
        kernels.ConvolutionDescriptor(**SIZES, output_feature_channels=5), w, b
    ),
    "transposed": lambda w, b: kernels.ConvolutionTranspose(
        kernels.ConvolutionDescriptor(**SIZES, output_feature_channels=4, stride_x=2), w, b
    ),
}
SHAPES = {
    "plain": (4, 2, 3, 8),
    "grouped": (8, 2, 3, 4),
    "depthwise": (8, 2, 3),
    "multiplied": (16, 2, 3),
    "sub-pixel": (12, 2, 3, 8),
    "fully connected": (5, 2, 3, 8),
    "transposed": (4, 2, 3, 8),
}
kinds = pytest.mark.parametrize("kind", sorted(KINDS))


def weights(kind: str, seed: int) -> tuple[Any, Any]:
    shape = SHAPES[kind]
    return normal(seed, shape), normal(seed + 1, shape[:1])


@pytest.mark.cpu("compares bits with a network of the CPU")
@kinds
def test_weights_are_reloaded_for_what_is_encoded_later(kind: str) -> None:
    """Weights that are reloaded between two encodes of a command buffer are used only by the second one."""
    source = mpscnn.Image.from_numpy(normal(0, (2, 3, 8)))
    old, new = weights(kind, 1), weights(kind, 3)
    kernel = KINDS[kind](*old)
    commands = QUEUE.command_buffer()
    first = kernel.encode(commands, source)
    state = WeightsState(new[0].copy(), new[1].copy())
    kernel.reload_weights_and_biases(state)
    second = kernel.encode(commands, source)
    state.weights[...] = 0  # no effect: the weights were copied
    kernel.reload_weights_and_biases(WeightsState(*old))
    third = kernel.encode(commands, source)
    commands.commit()
    commands.wait()
    for result, made in ((first, old), (second, new), (third, old)):
        np.testing.assert_array_equal(result.numpy(), encode(KINDS[kind](*made), source.numpy())[0])
    assert not np.array_equal(first.numpy(), second.numpy())


@kinds
def test_what_is_exported_can_be_reloaded(kind: str) -> None:
    x = normal(0, (2, 3, 8))
    old, new = weights(kind, 1), weights(kind, 3)
    kernel, other = KINDS[kind](*old), KINDS[kind](*new)
    state = kernel.export_weights_and_biases()
    np.testing.assert_array_equal(state.weights.ravel(), old[0].ravel())
    np.testing.assert_array_equal(state.biases, old[1])
    other.reload_weights_and_biases(state)
    np.testing.assert_array_equal(encode(other, x), encode(kernel, x))


@kinds
def test_biases_come_and_go_with_the_state(kind: str) -> None:
    x = normal(0, (2, 3, 8))
    values, biases = weights(kind, 1)
    kernel = KINDS[kind](values, None)
    without = encode(kernel, x)
    assert kernel.export_weights_and_biases().biases is None
    kernel.reload_weights_and_biases(WeightsState(values, biases))
    np.testing.assert_array_equal(encode(kernel, x), encode(KINDS[kind](values, biases), x))
    np.testing.assert_array_equal(kernel.export_weights_and_biases().biases, biases)
    kernel.reload_weights_and_biases(WeightsState(values))
    np.testing.assert_array_equal(encode(kernel, x), without)
    assert kernel.export_weights_and_biases().biases is None


@kinds
def test_a_refused_reload_changes_nothing(kind: str) -> None:
    x = normal(0, (2, 3, 8))
    kernel = KINDS[kind](*weights(kind, 1))
    before = encode(kernel, x)
    values, biases = weights(kind, 3)
    biases[1] = np.inf
    with pytest.raises(mpscnn.WeightsError, match="bias_terms: element 1 is inf"):
        kernel.reload_weights_and_biases(WeightsState(values, biases))
    with pytest.raises(mpscnn.WeightsError, match="weights must have the shape"):
        kernel.reload_weights_and_biases(WeightsState(values[1:], biases))
    with pytest.raises(mpscnn.WeightsError, match="weights must be numbers"):
        kernel.reload_weights_and_biases(WeightsState(None))  # type: ignore[arg-type]
    with pytest.raises(
        mpscnn.ParameterError, match="expected a ConvolutionWeightsAndBiasesState, got ndarray"
    ):
        kernel.reload_weights_and_biases(values)
    np.testing.assert_array_equal(encode(kernel, x), before)


def test_binary_convolutions_have_nothing_to_reload() -> None:
    """Like Apple's class, binary convolutions have no method to reload weights."""
    assert not hasattr(kernels.BinaryConvolution, "reload_weights_and_biases")


@given(st.integers(1, 9), st.integers(1, 9), windows(dilated=True), st.booleans(), seeds)
def test_a_transposed_convolution_returns_to_the_source(
    height: int, width: int, taps: tuple[Window, Window], by_policy: bool, seed: int
) -> None:
    """The transposed convolution is the adjoint: <convolution(x), y> = <x, transposed(y)>."""
    rows, columns = taps
    x, values = normal(seed, (height, width, 3)), normal(seed + 1, (4, rows.kernel, columns.kernel, 3))
    sizes = sized(kernels.ConvolutionDescriptor, rows, columns, 3, 4)
    forward = kernels.Convolution(sizes, values, offset=(1, -2))
    source = mpscnn.Image.from_numpy(x)
    with QUEUE.command_buffer() as commands:
        if by_policy:
            result = forward.encode(commands, source)
        else:
            result = forward.encode(commands, source, mpscnn.Image(5, 4, 4))
        state = forward.result_state(source)
    y = normal(seed + 2, result.numpy().shape)
    turned = values[:, ::-1, ::-1].transpose(3, 1, 2, 0)
    sizes = sized(kernels.ConvolutionDescriptor, rows, columns, 4, 3)
    backward = kernels.ConvolutionTranspose(sizes, turned)
    with QUEUE.command_buffer() as commands:
        returned = backward.encode(commands, mpscnn.Image.from_numpy(y), image_size_encoding_state=state)
    assert returned.numpy().shape == x.shape
    reference = (x.astype(np.float64) * returned.numpy()).sum()
    there = (result.numpy().astype(np.float64) * y).sum()
    largest = np.abs(values).sum() * np.abs(x).max() * np.abs(y).sum()
    assert_close(np.array([there]), np.array([reference]), linear_bound(np.array([largest])))


def test_a_given_destination_is_where_the_state_says() -> None:
    kernel = kernels.ConvolutionTranspose(
        kernels.ConvolutionDescriptor(2, 2, 1, 1, stride_x=2, stride_y=2), np.ones((1, 2, 2, 1))
    )
    state = kernels.ImageSizeEncodingState(4, 4, (1, 1))
    y = mpscnn.Image.from_numpy(np.array([[[1], [2]], [[3], [4]]], np.float32))
    destination = mpscnn.Image(5, 4, 1)
    with QUEUE.command_buffer() as commands:
        kernel.encode(commands, y, destination, image_size_encoding_state=state)
    expected = [[1, 1, 2, 2, 0]] * 2 + [[3, 3, 4, 4, 0]] * 2
    np.testing.assert_array_equal(destination.numpy()[..., 0], expected)
    assert (kernel.kernel_offset_x, kernel.kernel_offset_y, kernel.offset) == (0, 0, (0, 0, 0))


def test_a_state_of_another_class_is_refused() -> None:
    kernel = kernels.ConvolutionTranspose(kernels.ConvolutionDescriptor(1, 1, 1, 1), np.ones(1))
    source = mpscnn.Image.from_numpy(normal(0, (2, 2, 1)))
    with pytest.raises(mpscnn.ParameterError, match="expected an ImageSizeEncodingState, got tuple"):
        kernel.encode(QUEUE.command_buffer(), source, image_size_encoding_state=(4, 4))  # type: ignore[arg-type]
