"""Define kernels for the gradients of convolutions and fully connected kernels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mpscnn.kernels.convolution import (
    Convolution,
    ConvolutionDescriptor,
    ConvolutionProperties,
    ConvolutionTranspose,
    ConvolutionTransposeProperties,
    FullyConnected,
    FullyConnectedProperties,
    WeightedKernel,
)
from mpscnn.kernels.convolution_states import ConvolutionGradientState, ConvolutionTransposeGradientState
from mpscnn.kernels.gradient import WeightedGradientKernel
from mpscnn.kernels.kernel import require_type

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mpscnn.kernels.named import GradientProperties


class _WithState(WeightedKernel, WeightedGradientKernel):
    """A gradient kernel that stores the gradients of weights and bias terms in a `ConvolutionGradientState`."""

    _roles = ("weights", "bias_terms")

    def _require_weight_state(self, state: object) -> None:
        require_type(f"{type(self).__name__}.encode", state, ConvolutionGradientState)

    if TYPE_CHECKING:

        def __init__(
            self,
            descriptor: ConvolutionDescriptor,
            weights: Any,
            bias_terms: Any = None,
            **properties: Unpack[GradientProperties],
        ) -> None: ...

    def _load(self, weights: Any, bias_terms: Any, others: dict[str, Any]) -> None:
        zeros = np.zeros(self.output_feature_channels, np.float32)
        super()._load(weights, zeros if bias_terms is None else bias_terms, others)

    def _replace_weight(self, role: str, value: Any) -> None:
        if role == "bias_terms" and value is None:  # missing bias terms have a gradient, too
            value = np.zeros(self.output_feature_channels, np.float32)
        super()._replace_weight(role, value)

    input_feature_channels: Any
    output_feature_channels: Any

    @property
    def source_gradient_feature_channels(self) -> int:
        """The number of feature channels of the gradient that the kernel reads."""
        return int(self.output_feature_channels // getattr(self, "sub_pixel_scale_factor", 1) ** 2)

    @property
    def source_image_feature_channels(self) -> int:
        """The number of feature channels of the forward kernel's source."""
        return int(self.input_feature_channels)


class ConvolutionGradient(ConvolutionProperties, _WithState):
    """Compute the gradients of a convolution's source, weights and bias terms, as MPSCNNConvolutionGradient.

    The source gradient is that of the forward kernel's result, after its neuron. The gradients of weights and bias
    terms, summed over all pixels and images, are stored in the state.

    Args:
        descriptor, weights, bias_terms: those of the `Convolution`.
    """

    forward_class = Convolution


class FullyConnectedGradient(FullyConnectedProperties, _WithState):
    """Compute the gradients of a fully connected kernel's source, weights and bias terms.

    Apple's class is MPSCNNFullyConnectedGradient.

    Args:
        descriptor, weights, bias_terms: those of the `FullyConnected`.
    """

    forward_class = FullyConnected


class ConvolutionTransposeGradient(ConvolutionTransposeProperties, _WithState):
    """Compute the gradients of a transposed convolution's source, weights and bias terms.

    Apple's class is MPSCNNConvolutionTransposeGradient.

    The gradient of the source is a convolution of the given gradient with the forward kernel's strides. The window's
    centre is at primary_offset + kernel_offset + stride * position.

    Args:
        descriptor, weights, bias_terms: those of the `ConvolutionTranspose`.
    """

    forward_class = ConvolutionTranspose

    def _require_weight_state(self, state: object) -> None:
        require_type("ConvolutionTransposeGradient.encode", state, ConvolutionTransposeGradientState)

    def _placement(self, forward: Mapping[str, Any]) -> dict[str, Any]:
        x, y, _ = forward["offset"]
        moved = {
            "offset": [
                forward["kernel_offset_x"] + x * forward["stride_x"],
                forward["kernel_offset_y"] + y * forward["stride_y"],
                forward["offset"][2],
            ]
        }
        return super()._placement({**forward, **moved})
