"""Define the kernel for the gradient of a reshaped image."""

from __future__ import annotations

from mpscnn.errors import ShapeError
from mpscnn.kernels.classes import Reshape
from mpscnn.kernels.gradient import GradientKernel
from mpscnn.kernels.kernel import require_type
from mpscnn.kernels.states import GradientState
from mpscnn.runtime.commands import CommandBuffer
from mpscnn.runtime.feature_image import Image


class ReshapeGradient(GradientKernel):
    """Return the elements of each gradient in the shape of the image that was reshaped, as MPSNNReshapeGradient.

    The kernel reads the whole gradient, which has the number of elements of the source image. All offsets must be 0.
    """

    forward_class = Reshape

    def encode(  # type: ignore[override]
        self,
        commands: CommandBuffer,
        source_gradient: Image,
        source_image: Image,
        gradient_state: GradientState | None = None,
        destination: Image | None = None,
    ) -> Image:
        """Encode as `GradientKernel.encode`.

        With a state, the gradient must have the shape of the forward kernel's result.
        """
        if gradient_state is not None:
            self._follow(gradient_state, source_image)
            require_type("ReshapeGradient.encode", source_gradient, Image)
            self._require_reshaped(gradient_state, source_gradient)
        return super().encode(commands, source_gradient, source_image, gradient_state, destination)

    def _require_reshaped(self, state: GradientState, gradient: Image) -> None:
        forward = state._recorded()
        wanted = tuple(forward[f"reshaped_{name}"] for name in ("width", "height", "feature_channels"))
        channels = min(
            gradient.feature_channels - self.primary_source_feature_channel_offset,
            self.primary_source_feature_channel_max_count,
        )
        if (gradient.width, gradient.height, channels) != wanted:
            raise ShapeError(
                f"ReshapeGradient: the source gradient must be {wanted[0]} x {wanted[1]} with {wanted[2]} feature "
                f"channels as the result of the forward kernel, got {gradient.width} x {gradient.height} with "
                f"{channels}"
            )
