"""Gradients of convolutions and fully connected kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mpscnn.kernels.convolution import (
    Convolution,
    ConvolutionDescriptor,
    ConvolutionProperties,
    FullyConnected,
    FullyConnectedProperties,
    WeightedKernel,
)
from mpscnn.kernels.convolution_states import ConvolutionGradientState
from mpscnn.kernels.gradient import WeightedGradientKernel
from mpscnn.kernels.kernel import Kernel, require_type

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mpscnn.kernels.named import GradientProperties


class _WithState(WeightedKernel, WeightedGradientKernel):
    """Gradients of weights and bias terms go to a `ConvolutionGradientState`."""

    _roles = ("weights", "bias_terms")

    def _require_weight_state(self, state: object) -> None:
        require_type(f"{type(self).__name__}.encode", state, ConvolutionGradientState)

    def _load_all(self, descriptor: ConvolutionDescriptor, weights: Any, bias_terms: Any) -> None:
        zeros = np.zeros(descriptor.output_feature_channels, np.float32)
        self._load(weights, zeros if bias_terms is None else bias_terms, descriptor.weights())

    def _replace_weight(self, role: str, value: Any) -> None:
        if role == "bias_terms" and value is None:  # they have a gradient all the same
            value = np.zeros(self.output_feature_channels, np.float32)
        super()._replace_weight(role, value)

    output_feature_channels: Any


class ConvolutionGradient(ConvolutionProperties, _WithState):
    """Gradients of a convolution's source, weights and bias terms, as MPSCNNConvolutionGradient.

    Takes what the forward kernel takes. The gradient is that of the forward kernel's result, behind its neuron. The
    state gets the gradients of weights and bias terms, summed over all pixels and images.

    Args:
        descriptor, weights, bias_terms: those of the `Convolution`.
    """

    apple_class = "MPSCNNConvolutionGradient"
    forward_class = Convolution

    def __init__(
        self,
        descriptor: ConvolutionDescriptor,
        weights: Any,
        bias_terms: Any = None,
        **properties: Unpack[GradientProperties],
    ) -> None:
        require_type("ConvolutionGradient", descriptor, ConvolutionDescriptor)
        Kernel.__init__(self, **descriptor.properties(), **properties)
        self._load_all(descriptor, weights, bias_terms)


class FullyConnectedGradient(FullyConnectedProperties, _WithState):
    """Gradients of a fully connected kernel's source, weights and bias terms, as MPSCNNFullyConnectedGradient.

    Args:
        descriptor, weights, bias_terms: those of the `FullyConnected`.
    """

    apple_class = "MPSCNNFullyConnectedGradient"
    forward_class = FullyConnected

    def __init__(
        self,
        descriptor: ConvolutionDescriptor,
        weights: Any,
        bias_terms: Any = None,
        **properties: Unpack[GradientProperties],
    ) -> None:
        Kernel.__init__(self, **self._sizes(descriptor), **properties)
        self._load_all(descriptor, weights, bias_terms)
