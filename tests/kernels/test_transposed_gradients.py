"""Compare gradients of transposed convolutions with central differences of their definition in float64."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from kernels import index_rule
from kernels.index_rule import normal
from kernels.test_gradients import activated
from reference.differences import numeric_gradient

import mpscnn
from mpscnn import kernels
from mpscnn.kernels import ConvolutionDescriptor, NeuronDescriptor

pytestmark = pytest.mark.usefixtures("operations_of_training")
Image = mpscnn.Image


@dataclass
class Case:
    """A transposed convolution of images of 3 rows and 4 columns."""

    kernel: tuple[int, int]  # columns, rows
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    inputs: int = 4
    outputs: int = 5
    neuron: bool = False

    @property
    def descriptor(self) -> ConvolutionDescriptor:
        return ConvolutionDescriptor(
            *self.kernel,
            self.inputs,
            self.outputs,
            *self.stride,
            *self.dilation,
            groups=self.groups,
            fused_neuron_descriptor=NeuronDescriptor("elu", 1.0) if self.neuron else None,
        )

    @property
    def weights(self) -> Any:
        return normal(7, (self.outputs, self.kernel[1], self.kernel[0], self.inputs // self.groups)) / 4

    @property
    def bias(self) -> Any:
        return normal(8, (self.outputs,))

    def forward(self, x: Any, weights: Any, bias: Any, total: tuple[int, int], size: tuple[int, int]) -> Any:
        """Return the result: a correlation over the source with zeros inserted between its pixels.

        `total` is offset * stride + kernel_offset. Both `total` and `size` have the order (columns, rows).
        """
        images, height, width, inputs = x.shape
        columns, rows = self.stride
        spread = np.zeros((images, (height - 1) * rows + 1, (width - 1) * columns + 1, inputs))
        spread[:, ::rows, ::columns] = x
        reach = [(k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True)]
        result = np.zeros((images, size[1], size[0], self.outputs)) + bias
        own = self.inputs // self.groups
        share = self.outputs // self.groups
        margin = 20  # zeros around the source
        spread = np.pad(spread, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
        for v, u in np.ndindex(self.kernel[1], self.kernel[0]):
            top = margin + total[1] - reach[1] // 2 + v * self.dilation[1]
            left = margin + total[0] - reach[0] // 2 + u * self.dilation[0]
            read = spread[:, top : top + size[1], left : left + size[0]]
            for group in range(self.groups):
                of, to = slice(group * own, (group + 1) * own), slice(group * share, (group + 1) * share)
                result[..., to] += read[..., of] @ weights[to, v, u].T
        return activated(result) if self.neuron else result


CASES = {
    "3 x 2": Case((3, 2)),
    "stride": Case((3, 2), (2, 3)),
    "a stride beyond the kernel": Case((1, 2), (3, 3)),
    "dilation": Case((2, 3), (2, 1), (3, 2)),
    "groups": Case((3, 3), (2, 2), groups=2, inputs=8, outputs=8),
    "narrow groups": Case((2, 2), (2, 2), groups=2, inputs=4, outputs=6),
    "neuron": Case((3, 2), (2, 2), neuron=True),
}
PLACES: dict[str, dict[str, Any]] = {
    "policy": {},
    "moved": {"offset": (1, -1), "kernel_offset_x": -2, "kernel_offset_y": 3},
    "from the second image": {"offset": (0, 1, 1), "kernel_offset_x": 1},
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", CASES)
def test_gradients(name: str, place: str) -> None:
    """The gradients of source, weights and bias are right for any position of the result."""
    case = CASES[name]
    x = normal(0, (2, 3, 4, case.inputs))
    forward = kernels.ConvolutionTranspose(case.descriptor, case.weights, case.bias, **PLACES[place])
    back = kernels.ConvolutionTransposeGradient(case.descriptor, case.weights, case.bias)
    source = Image.from_numpy(x)
    state = forward.result_state(source)
    first = PLACES[place].get("offset", (0, 0, 0))[2:] or (0,)
    images = 2 - first[0]
    with index_rule.QUEUE.command_buffer() as commands:
        given = None if place == "policy" else Image(7, 6, case.outputs, images)
        result = forward.encode(commands, source, given, destination_state=state)
    gradient = normal(1, result.read().shape)
    destination = Image(4, 3, case.inputs, images)
    with index_rule.QUEUE.command_buffer() as commands:
        back.encode(commands, Image.from_numpy(gradient), source, state, destination)
    x, offset = x[first[0] :].astype(np.float64), forward.offset
    total = (
        offset[0] * case.stride[0] + forward.kernel_offset_x,
        offset[1] * case.stride[1] + forward.kernel_offset_y,
    )
    size = (gradient.shape[2], gradient.shape[1])
    weights, bias = case.weights.astype(np.float64), case.bias.astype(np.float64)
    np.testing.assert_allclose(result.read(), case.forward(x, weights, bias, total, size), atol=1e-5)
    for got, expected in (
        (
            destination.read(),
            numeric_gradient(lambda own: case.forward(own, weights, bias, total, size), x, gradient),
        ),
        (
            state.gradient_for_weights,
            numeric_gradient(lambda own: case.forward(x, own, bias, total, size), weights, gradient),
        ),
        (
            state.gradient_for_biases,
            numeric_gradient(lambda own: case.forward(x, weights, own, total, size), bias, gradient),
        ),
    ):
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-4)


def test_the_adjoint_of_what_undoes_a_convolution() -> None:
    """<transposed(y), g> = <y, gradient(g)> also holds if an image size state determined the result's position."""
    sizes = ConvolutionDescriptor(3, 3, 4, 8, 2, 2)
    weights = normal(3, (8, 3, 3, 4))
    forward = kernels.Convolution(sizes, weights)
    source = Image.from_numpy(normal(0, (7, 6, 4)))
    with index_rule.QUEUE.command_buffer() as commands:
        result = forward.encode(commands, source)
    of_convolution = forward.result_state(source)
    y, g = normal(1, result.read().shape), normal(2, (1, 7, 6, 4))
    turned = np.ascontiguousarray(weights[:, ::-1, ::-1].transpose(3, 1, 2, 0))
    back_sizes = ConvolutionDescriptor(3, 3, 8, 4, 2, 2)
    undo = kernels.ConvolutionTranspose(back_sizes, turned)
    image = Image.from_numpy(y)
    state = undo.result_state(image)
    with index_rule.QUEUE.command_buffer() as commands:
        returned = undo.encode(
            commands, image, image_size_encoding_state=of_convolution, destination_state=state
        )
        got = kernels.ConvolutionTransposeGradient(back_sizes, turned).encode(
            commands, Image.from_numpy(g), image, state
        )
    there = (returned.read().astype(np.float64) * g).sum()
    assert got.read().shape == y.shape
    np.testing.assert_allclose((got.read().astype(np.float64) * y).sum(), there, rtol=1e-5)
    # The gradient kernel computes the original convolution of the incoming gradient.
    with index_rule.QUEUE.command_buffer() as commands:
        plain = forward.encode(commands, Image.from_numpy(g))
    np.testing.assert_allclose(got.read(), plain.read(), atol=1e-4)


def test_properties_say_where_the_window_is_without_a_state() -> None:
    """Without a state, properties place the window.

    Its centre is at primary_offset + kernel_offset + stride * position. The result begins at secondary_offset.
    """
    case = Case((3, 2), (2, 1))
    x, gradient = normal(0, (2, 3, 4, 4)), normal(1, (2, 6, 7, 5))
    kernel = kernels.ConvolutionTransposeGradient(
        case.descriptor, case.weights, primary_offset=(1, 0), kernel_offset_x=1, kernel_offset_y=2
    )
    kernel.secondary_offset = (1, 0)
    padded = np.pad(gradient, ((0, 0), (8, 8), (8, 8), (0, 0)))
    expected = np.zeros(x.shape)
    for v, u, i, j in np.ndindex(2, 3, 3, 3):  # the last column of the source lies behind the destination
        # A correlation with the kernel turned by 180 degrees.
        row, column = 8 + 2 + i - 1 + v, 8 + 1 + 1 + 2 * j - 1 + u
        expected[:, i, j] += padded[:, row, column] @ case.weights[:, 1 - v, 2 - u]
    destination = Image.from_numpy(np.zeros((2, 3, 3, 4), np.float32))
    with index_rule.QUEUE.command_buffer() as commands:
        images = Image.from_numpy(gradient), Image.from_numpy(x)
        kernels.GradientKernel.encode(kernel, commands, *images, None, destination)
    np.testing.assert_allclose(destination.read(), expected[:, :, :3], atol=1e-5)


def test_what_does_not_fit_is_refused() -> None:
    case = CASES["stride"]
    forward = kernels.ConvolutionTranspose(case.descriptor, case.weights)
    back = kernels.ConvolutionTransposeGradient(case.descriptor, case.weights)
    assert (back.source_gradient_feature_channels, back.source_image_feature_channels) == (5, 4)
    source = Image.from_numpy(normal(0, (3, 4, 4)))
    state = forward.result_state(source)
    assert state.convolution_transpose is forward
    commands = index_rule.QUEUE.command_buffer()
    result = forward.encode(commands, source, destination_state=state)
    with pytest.raises(mpscnn.ParameterError, match="stride_x is 1, the forward kernel has 2"):
        kernels.ConvolutionTransposeGradient(Case((3, 2), (1, 3)).descriptor, case.weights).encode(
            commands, result, source, state
        )
    convolution = kernels.Convolution(ConvolutionDescriptor(1, 1, 4, 4), np.ones((4, 1, 1, 4)))
    of_convolution = convolution.result_state(source)
    with pytest.raises(
        mpscnn.ParameterError,
        match="expected a ConvolutionTransposeGradientState, got ConvolutionGradientState",
    ):
        forward.encode(commands, source, destination_state=of_convolution)  # type: ignore[arg-type]
    with pytest.raises(mpscnn.ParameterError, match="must be of a Convolution, got one of a"):
        forward.encode(commands, source, image_size_encoding_state=state)
    with pytest.raises(mpscnn.ShapeError, match="must have 5 feature channels behind its offset, got 4"):
        back.encode(commands, source, source, state)
    descriptor = ConvolutionDescriptor(1, 1, 4, 4)
    descriptor.set_batch_normalization_parameters_for_inference(np.zeros(4), np.ones(4))
    with pytest.raises(mpscnn.ParameterError, match="ConvolutionTransposeGradient: has no batch normal"):
        kernels.ConvolutionTransposeGradient(descriptor, np.ones((4, 1, 1, 4)))
