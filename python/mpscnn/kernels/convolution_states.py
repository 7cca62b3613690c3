"""Define states of convolutions: the sizes of their sources, their weights, and the gradients of the weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.kernels.gradient import WeightGradientState
from mpscnn.runtime.feature_image import Image

Weights = NDArray[Any]


class ConvolutionWeightsAndBiasesState:
    """A state with a convolution's weights and bias terms, as MPSCNNConvolutionWeightsAndBiasesState.

    Weights computed by an optimiser are available when its command buffer is completed. Before that they raise
    StateError.
    """

    def __init__(
        self, weights: Weights | Callable[[], Weights], biases: Weights | Callable[[], Weights] | None = None
    ) -> None:
        self._weights, self._biases = weights, biases

    @property
    def weights(self) -> Weights:
        """The weights `[output][kernel height][kernel width][input / groups]`.

        For depthwise convolutions they are `[output][kernel height][kernel width]`.
        """
        return self._weights() if callable(self._weights) else self._weights

    @property
    def biases(self) -> Weights | None:
        """The bias terms [output]; None for zeros."""
        return self._biases() if callable(self._biases) else self._biases


@dataclass(frozen=True)
class ImageSizeEncodingState:
    """The size of a convolution's source, which `ConvolutionTranspose` restores, as MPSImageSizeEncodingState."""

    source_width: int
    source_height: int
    offset: tuple[int, int] = (0, 0)
    """The convolution's `offset`, (x, y)."""


class ConvolutionGradientState(WeightGradientState):
    """A state of a convolution or fully connected kernel, as MPSCNNConvolutionGradientState.

    The gradient kernel stores the gradients of weights and bias terms in it. A transposed convolution accepts it as an
    image size encoding state, too.
    """

    def __init__(self, convolution: Any, source: Image | None = None) -> None:
        super().__init__(convolution, source)
        self._convolution = convolution
        self._offset: tuple[int, int] = convolution.offset[:2]

    @property
    def convolution(self) -> Any:
        """The kernel that the state is for."""
        return self._convolution

    @property
    def offset(self) -> tuple[int, int]:
        """The `offset`, (x, y), that the kernel had when it was encoded.

        Until the kernel is encoded, it is the offset that the kernel had when the state was made.
        """
        return self._offset if self._properties is None else super().offset

    @property
    def image_size(self) -> ImageSizeEncodingState:
        """A state with the source's size and the offset, without gradients, for a `ConvolutionTranspose`."""
        return ImageSizeEncodingState(self.source_width, self.source_height, self.offset)

    @property
    def gradient_for_weights_layout(self) -> str:
        """The layout of `gradient_for_weights`: "ohwi", `[output][kernel height][kernel width][input]`."""
        return "ohwi"

    @property
    def gradient_for_weights(self) -> NDArray[np.float32]:
        """A copy of the weights' gradient in the shape of the weights.

        Raises StateError if the command buffer with the gradient kernel is not completed.
        """
        gradient = self._gradient("weights")
        return gradient[..., 0] if getattr(self._convolution, "depthwise", False) else gradient

    @property
    def gradient_for_biases(self) -> NDArray[np.float32]:
        """A copy of the bias terms' gradient, [output]. Raises StateError like `gradient_for_weights`."""
        return self._gradient("bias_terms").reshape(-1)


class ConvolutionTransposeGradientState(ConvolutionGradientState):
    """A state of a transposed convolution, as MPSCNNConvolutionTransposeGradientState.

    The gradient kernel stores the gradients of weights and bias terms in it. Unlike the state of a convolution, it does
    not set the size of another transposed convolution's result.
    """

    @property
    def convolution_transpose(self) -> Any:
        """The kernel that the state is for."""
        return self._convolution
