"""Define convolution and fully connected kernels, and their descriptors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mpscnn.errors import ParameterError
from mpscnn.kernels.convolution_states import (
    ConvolutionGradientState,
    ConvolutionTransposeGradientState,
    ConvolutionWeightsAndBiasesState,
    ImageSizeEncodingState,
)
from mpscnn.kernels.fields import ConvolutionFields, ConvolutionTransposeFields, FullyConnectedFields
from mpscnn.kernels.gradient import DifferentiableKernel
from mpscnn.kernels.kernel import Kernel, require_type
from mpscnn.kernels.named_fields import NamedFields
from mpscnn.kernels.neuron import Neuron
from mpscnn.kernels.neuron_descriptor import NeuronDescriptor
from mpscnn.runtime.commands import CommandBuffer
from mpscnn.runtime.feature_image import Image, ImageDescriptor

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mpscnn.kernels.named import TransposeProperties, UnaryProperties

# FLT_MIN, which Apple's data sources use if they name no epsilon.
MIN_EPSILON = float(np.finfo(np.float32).tiny)


@dataclass
class ConvolutionDescriptor(NamedFields):
    """The sizes of a convolution, as MPSCNNConvolutionDescriptor.

    `fused_neuron_descriptor` is applied to the result, after the batch normalization of
    `set_batch_normalization_parameters_for_inference`. A neuron kernel, such as `NeuronReLU()`, stands for its
    descriptor.
    """

    kernel_width: int
    kernel_height: int
    input_feature_channels: int
    output_feature_channels: int
    stride_x: int = 1
    stride_y: int = 1
    dilation_rate_x: int = 1
    dilation_rate_y: int = 1
    groups: int = 1
    fused_neuron_descriptor: NeuronDescriptor | None = None

    def __post_init__(self) -> None:
        self._batch_normalization: dict[str, Any] | None = None
        self._epsilon = MIN_EPSILON

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value.descriptor() if isinstance(value, Neuron) else value)

    def set_batch_normalization_parameters_for_inference(
        self, mean: Any, variance: Any, gamma: Any = None, beta: Any = None, epsilon: float = MIN_EPSILON
    ) -> None:
        """Set a batch normalization: gamma (x - mean) / sqrt(variance + epsilon) + beta for each output channel.

        By default gamma is 1 and beta 0. epsilon must be above 0.
        """
        self._batch_normalization = {"mean": mean, "variance": variance, "gamma": gamma, "beta": beta}
        self._epsilon = float(epsilon)

    def properties(self) -> dict[str, Any]:
        """Return the properties of a kernel with this descriptor."""
        own = {one.name: getattr(self, one.name) for one in fields(ConvolutionDescriptor)}
        return own | {
            "batch_normalization": self._batch_normalization is not None,
            "batch_normalization_epsilon": self._epsilon,
        }

    def weights(self) -> dict[str, Any]:
        """Return the weights of the batch normalization and of the neuron."""
        weights = {
            role: value for role, value in (self._batch_normalization or {}).items() if value is not None
        }
        if self.fused_neuron_descriptor is not None and self.fused_neuron_descriptor.data is not None:
            weights["neuron_data"] = self.fused_neuron_descriptor.data
        return weights


@dataclass
class DepthWiseConvolutionDescriptor(ConvolutionDescriptor):
    """A convolution of each source channel separately, as MPSCNNDepthWiseConvolutionDescriptor.

    Output channel c * channel_multiplier + m comes from source channel c. Weights are `[output channel][kernel
    height][kernel width]`.
    """

    @property
    def channel_multiplier(self) -> int:
        """The number of output channels for each source channel."""
        return self.output_feature_channels // self.input_feature_channels

    def properties(self) -> dict[str, Any]:
        """Return the properties of a kernel with this descriptor."""
        return super().properties() | {"depthwise": True}


@dataclass
class SubPixelConvolutionDescriptor(ConvolutionDescriptor):
    """A convolution whose channels become pixels, as MPSCNNSubPixelConvolutionDescriptor.

    With scale r the result has output_feature_channels / r^2 channels, and r times as many rows and columns. Pixel (y,
    x), channel c is the convolution's pixel (y // r, x // r), channel (output_feature_channels / r^2) * (r * (y % r) +
    x % r) + c. So the channels of a pixel are contiguous, unlike in PyTorch's PixelShuffle.
    """

    sub_pixel_scale_factor: int = 1

    def properties(self) -> dict[str, Any]:
        """Return the properties of a kernel with this descriptor."""
        return super().properties() | {"sub_pixel_scale_factor": self.sub_pixel_scale_factor}


class WeightedKernel(Kernel):
    """Base class of convolution kernels, whose weights can be replaced and exported."""

    def __init__(
        self,
        descriptor: ConvolutionDescriptor,
        weights: Any,
        bias_terms: Any = None,
        **properties: Unpack[UnaryProperties],
    ) -> None:
        Kernel.__init__(self, self._sizes(descriptor), **properties)
        self._load(weights, bias_terms, descriptor.weights())

    def _sizes(self, descriptor: ConvolutionDescriptor) -> dict[str, Any]:
        """Return the properties that the kernel takes from its descriptor. Raises ParameterError for a wrong one."""
        raise NotImplementedError

    def reload_weights_and_biases(self, state: ConvolutionWeightsAndBiasesState) -> None:
        """Replace weights and bias terms for later `encode` calls. Their shapes must be the same; no biases mean zeros.

        Encoded work keeps its weights, even in the same command buffer, as with
        reloadWeightsAndBiasesWithCommandBuffer:state:.

        Raises WeightsError for other shapes and for values that are not finite; then nothing has changed.
        """
        require_type(
            f"{type(self).__name__}.reload_weights_and_biases", state, ConvolutionWeightsAndBiasesState
        )
        self._reload({"weights": state.weights, "bias_terms": state.biases})

    def export_weights_and_biases(self) -> ConvolutionWeightsAndBiasesState:
        """Return copies of the weights and bias terms."""
        return ConvolutionWeightsAndBiasesState(self._kernel.weight("weights"), self._weight("bias_terms"))

    def _load(self, weights: Any, bias_terms: Any, others: dict[str, Any]) -> None:
        self._set_weight("weights", weights)
        self._set_weight("bias_terms", bias_terms, required=False)
        for role, value in others.items():
            self._set_weight(role, value)


class ConvolutionProperties(ConvolutionFields, Kernel):
    """The properties that convolutions and their gradients take from their descriptor."""

    def _sizes(self, descriptor: ConvolutionDescriptor) -> dict[str, Any]:
        require_type(type(self).__name__, descriptor, ConvolutionDescriptor)
        if (
            type(descriptor) is ConvolutionDescriptor
            and descriptor.groups == descriptor.input_feature_channels > 1
        ):
            raise ParameterError(
                f"{type(self).__name__}: {descriptor.groups} groups of one channel each are a depthwise convolution: "
                "give a DepthWiseConvolutionDescriptor without groups and weights [output][kernel height][kernel width]"
            )
        return descriptor.properties()

    def _same_elements(self, role: str, given: Sequence[int], shape: Sequence[int]) -> bool:
        # The axis [output] stays one here; the core divides the channels into two axes.
        if role == "weights" and self.depthwise and len(given) == 3:
            channels, multiplier, *taps = shape
            shape = (channels * multiplier, *taps)
        return super()._same_elements(role, given, shape)

    @property
    def channel_multiplier(self) -> int:
        """The number of output channels for each source channel; 0 unless the convolution is depthwise."""
        return self.output_feature_channels // self.input_feature_channels if self.depthwise else 0


class Convolution(ConvolutionProperties, WeightedKernel, DifferentiableKernel):
    """Convolution (a correlation), as MPSCNNConvolution.

        result[o] = neuron(batch_norm(bias[o] + sum over v, u, c of
            weights[o][v][u][c] * x[left_y + dilation * v][left_x + dilation * u][c]))

    with left = offset + stride * position - (((kernel - 1) * dilation + 1) >> 1) along each axis.

    Args:
        descriptor: sizes, neuron and batch normalization. Its class decides whether the convolution is depthwise.
        weights: `[output][kernel height][kernel width][input / groups]`; depthwise `[output][kernel height][kernel
            width]`.
        bias_terms: [output]; 0 by default.

    Raises:
        ParameterError, WeightsError: the arguments do not fit each other.
    """

    _state_class = ConvolutionGradientState

    def result_state(self, source: Image) -> ConvolutionGradientState:
        """Return a new state for the gradient kernel. A transposed convolution can use it, too, to restore the size."""
        return ConvolutionGradientState(self, source)


def _plain_properties(kernel: str, descriptor: object) -> dict[str, Any]:
    """Return the properties of a descriptor. Raise ParameterError for depthwise and sub-pixel convolutions."""
    if type(descriptor) is not ConvolutionDescriptor:
        raise ParameterError(f"{kernel}: expected a ConvolutionDescriptor, got {type(descriptor).__name__}")
    return descriptor.properties()


def properties_without_normalization(kernel: str, descriptor: ConvolutionDescriptor) -> dict[str, Any]:
    """Return the properties of a descriptor for kernels that have no batch normalization."""
    given = _plain_properties(kernel, descriptor)
    if given.pop("batch_normalization"):
        raise ParameterError(f"{kernel}: has no batch normalization")
    del given["batch_normalization_epsilon"]
    return given


class FullyConnectedProperties(FullyConnectedFields, Kernel):
    """The properties that fully connected kernels and their gradients take from their descriptor."""

    def _sizes(self, descriptor: ConvolutionDescriptor) -> dict[str, Any]:
        name = type(self).__name__
        given = _plain_properties(name, descriptor)
        sizes = ("kernel_width", "kernel_height", "input_feature_channels", "output_feature_channels")
        plain = ConvolutionDescriptor(*(given[name] for name in sizes)).properties()
        own = {*sizes, "fused_neuron_descriptor"}
        for key in given.keys() - own:
            if given[key] != plain[key]:
                raise ParameterError(f"{name}: {key} must be {plain[key]}, got {given[key]}")
        return {key: given[key] for key in own}


class FullyConnected(FullyConnectedProperties, WeightedKernel, DifferentiableKernel):
    """Compute weighted sums of the whole source: a 1 x 1 image of `output_feature_channels`.

    The descriptor's kernel must be as large as the source; strides and groups are 1 and `offset` is ignored. Apple's
    class is MPSCNNFullyConnected.

    Args:
        descriptor: sizes and neuron.
        weights: `[output][source height][source width][input]`. Apple's headers disagree on the order of height and
            width; this is the order of its data sources.
        bias_terms: [output]; 0 by default.
    """

    _state_class = ConvolutionGradientState

    def result_state(self, source: Image) -> ConvolutionGradientState:
        """Return a new state for the gradient kernel."""
        return ConvolutionGradientState(self, source)


class ConvolutionTransposeProperties(ConvolutionTransposeFields, Kernel):
    """The properties that transposed convolutions and their gradients take from their descriptor."""

    def _sizes(self, descriptor: ConvolutionDescriptor) -> dict[str, Any]:
        return properties_without_normalization(type(self).__name__, descriptor)


class ConvolutionTranspose(ConvolutionTransposeProperties, WeightedKernel, DifferentiableKernel):
    """Transposed convolution, as MPSCNNConvolutionTranspose.

    It is a correlation of stride 1 over the source with stride - 1 zeros between its pixels. Its window begins at
    offset * stride + kernel_offset + position - (((kernel - 1) * dilation + 1) >> 1). Weights are not rotated; for the
    layer of TensorFlow and PyTorch, rotate them by 180 degrees. Results that the kernel creates have (n - 1) * stride +
    (kernel - 1) * dilation + 1 pixels.

    Args:
        descriptor: sizes and neuron.
        weights: `[output][kernel height][kernel width][input / groups]`.
        bias_terms: [output]; 0 by default.
    """

    _state_class = ConvolutionTransposeGradientState

    if TYPE_CHECKING:

        def __init__(
            self,
            descriptor: ConvolutionDescriptor,
            weights: Any,
            bias_terms: Any = None,
            **properties: Unpack[TransposeProperties],
        ) -> None: ...

    def result_state(self, source: Image) -> ConvolutionTransposeGradientState:
        """Return a new state for the gradient kernel."""
        require_type("ConvolutionTranspose.result_state", source, Image)
        return ConvolutionTransposeGradientState(self, source)

    def encode(
        self,
        commands: CommandBuffer,
        source: Image,
        destination: Image | None = None,
        *,
        image_size_encoding_state: ImageSizeEncodingState | ConvolutionGradientState | None = None,
        destination_state: ConvolutionTransposeGradientState | None = None,
    ) -> Image:
        """Encode as `UnaryKernel.encode`. With a convolution's state, pixels go where that convolution read them.

        The convolution must have the same kernel size, stride and dilation. Its state sets `offset` to (0, 0, z), the
        kernel offsets, and the size of a result that the kernel creates. With the convolution's weights rotated by 180
        degrees, the kernel is then its adjoint. A `destination_state` records what the gradient kernel needs.
        """
        if image_size_encoding_state is None:
            return super().encode(commands, source, destination, destination_state=destination_state)
        self._require_arguments(commands, [source])
        descriptor = self._undo(source, image_size_encoding_state)
        if destination is None:
            destination = self.destination_image_allocator(commands, descriptor)
        return super().encode(commands, source, destination, destination_state=destination_state)

    def _undo(
        self, source: Image, state: ImageSizeEncodingState | ConvolutionGradientState
    ) -> ImageDescriptor:
        """Set the offsets that undo a convolution, and return the result's descriptor."""
        if isinstance(state, ConvolutionTransposeGradientState):
            raise ParameterError(
                "ConvolutionTranspose.encode: image_size_encoding_state must be of a Convolution, got one of a "
                "ConvolutionTranspose"
            )
        if isinstance(state, ConvolutionGradientState):
            state = state.image_size
        require_type("ConvolutionTranspose.encode", state, ImageSizeEncodingState)
        made = self.destination_image_descriptor(source)
        # An even window extends one pixel further to the left than to the right.
        moved = [
            1 - ((kernel - 1) * dilation + 1) % 2 - offset
            for kernel, dilation, offset in zip(
                (self.kernel_width, self.kernel_height),
                (self.dilation_rate_x, self.dilation_rate_y),
                state.offset,
                strict=True,
            )
        ]
        self.kernel_offset_x, self.kernel_offset_y = moved
        return replace(made, width=state.source_width, height=state.source_height)
