"""Define convolution and fully connected kernels with 1-bit weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mpscnn.errors import ParameterError
from mpscnn.graph.weights import unpack_binary_weights
from mpscnn.kernels.convolution import ConvolutionDescriptor, properties_without_normalization
from mpscnn.kernels.fields import BinaryConvolutionFields
from mpscnn.kernels.kernel import Kernel, UnaryKernel

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mpscnn.kernels.named import UnaryProperties


class BinaryConvolution(BinaryConvolutionFields, UnaryKernel):
    """Convolution with weights of one bit, as MPSCNNBinaryConvolution.

    result[o] = neuron(output_scale[o] * beta * sum + output_bias[o]) over the window of `Convolution`, with x' = (x +
    input_bias[c]) * input_scale[c]. By `type`, the sum adds x' times -1 or +1 ("binary_weights"), or the sign of x'
    times -1 or +1 ("xnor"; zero counts as +1), or it counts the places where both are 0 or more ("and").

    Args:
        descriptor: sizes and neuron; groups must be 1.
        weights: `[output][kernel height][kernel width][input]`, of which only the signs count, or Apple's uint32 words
            `[output][kernel height][kernel width][ceil(input / 32)]`, the first channel in the least significant bit.
        type: "binary_weights", "xnor" or "and".
        use_beta_scaling: beta is the mean of |x| over window and channels instead of 1.
        output_bias_terms, output_scale_terms: [output]; 0 and 1 by default.
        input_bias_terms, input_scale_terms: [input]; 0 and 1 by default.

    Raises:
        ParameterError, WeightsError: the arguments do not fit each other.
    """

    def __init__(
        self,
        descriptor: ConvolutionDescriptor,
        weights: Any,
        *,
        type: str = "binary_weights",
        use_beta_scaling: bool = False,
        output_bias_terms: Any = None,
        output_scale_terms: Any = None,
        input_bias_terms: Any = None,
        input_scale_terms: Any = None,
        **properties: Unpack[UnaryProperties],
    ) -> None:
        Kernel.__init__(
            self, self._sizes(descriptor), type=type, use_beta_scaling=use_beta_scaling, **properties
        )
        words = np.asarray(weights)
        if words.dtype == np.uint32:
            weights = unpack_binary_weights(words, descriptor.input_feature_channels)
        self._set_weight("weights", weights)
        self._set_weight("bias_terms", output_bias_terms, required=False)
        self._set_weight("output_scale_terms", output_scale_terms, required=False)
        self._set_weight("input_bias_terms", input_bias_terms, required=False)
        self._set_weight("input_scale_terms", input_scale_terms, required=False)
        for role, value in descriptor.weights().items():
            self._set_weight(role, value)

    def _sizes(self, descriptor: ConvolutionDescriptor) -> dict[str, Any]:
        name = self.__class__.__name__
        given = properties_without_normalization(name, descriptor)
        if given.pop("groups") != 1:
            raise ParameterError(f"{name}: groups must be 1, got {descriptor.groups}")
        return given


class BinaryFullyConnected(BinaryConvolution):
    """Compute weighted sums of the whole source with weights of one bit, as MPSCNNBinaryFullyConnected.

    The descriptor's kernel must be as large as the source; strides are 1 and `offset` is ignored. Weights are
    `[output][source height][source width][input]`. Everything else is as for `BinaryConvolution`.
    """
