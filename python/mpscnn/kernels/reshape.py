"""Kernels that move elements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpscnn.errors import ShapeError
from mpscnn.kernels.gradient import DifferentiableKernel, GradientKernel
from mpscnn.kernels.kernel import Kernel, UnaryKernel, require_type
from mpscnn.kernels.properties import Integer, Number, Numbers, Size
from mpscnn.kernels.states import GradientState
from mpscnn.runtime.commands import CommandBuffer
from mpscnn.runtime.feature_image import Image

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mpscnn.kernels.named import PadGradientProperties, PadProperties, UnaryProperties


class Reshape(DifferentiableKernel):
    """The elements of each image in `[height][width][channel]` order, in another shape, as MPSNNReshape.

    The whole source is read and the whole result written; `offset` must be (0, 0, z).
    """

    apple_class = "MPSNNReshape"

    reshaped_width = Integer("Columns of the result.")
    reshaped_height = Integer("Rows of the result.")
    reshaped_feature_channels = Integer("Feature channels of the result.")

    def __init__(
        self,
        reshaped_width: int,
        reshaped_height: int,
        reshaped_feature_channels: int,
        **properties: Unpack[UnaryProperties],
    ) -> None:
        Kernel.__init__(
            self,
            reshaped_width=reshaped_width,
            reshaped_height=reshaped_height,
            reshaped_feature_channels=reshaped_feature_channels,
            **properties,
        )


class Pad(DifferentiableKernel):
    """Add a border around an image and its channels, as MPSNNPad.

    `edge_mode` is the content of the border: "zero", "clamp" (the nearest pixel), "mirror" and "mirror_with_edge"
    (reflections,
    as often as needed, the border pixel once or twice) or "constant". With a destination given, rows and columns follow
    from `offset` (minus what lies before) and from what is written; channels are always those of the padding sizes.
    `source_feature_channel_offset` need not be a multiple of 4.
    """

    apple_class = "MPSNNPad"

    padding_size_before = Size("(x, y, channels) before the source.")
    padding_size_after = Size("(x, y, channels) behind the source.")
    fill_value = Number("Value of the border with edge_mode 'constant'.")
    fill_value_array = Numbers("Values of the channels written; they override fill_value.")

    def __init__(
        self,
        padding_size_before: tuple[int, int, int] = (0, 0, 0),
        padding_size_after: tuple[int, int, int] = (0, 0, 0),
        **properties: Unpack[PadProperties],
    ) -> None:
        Kernel.__init__(
            self, padding_size_before=padding_size_before, padding_size_after=padding_size_after, **properties
        )


class Slice(UnaryKernel):
    """A copy of the pixels from `offset` and the channels from `source_feature_channel_offset` on, as MPSNNSlice."""

    apple_class = "MPSNNSlice"


class ReshapeGradient(GradientKernel):
    """The elements of each gradient in the shape of the image that was reshaped, as MPSNNReshapeGradient.

    The kernel reads the whole gradient, which has the number of elements of the source image. All offsets must be 0.
    """

    apple_class = "MPSNNReshapeGradient"
    forward_class = Reshape

    def encode(  # type: ignore[override]
        self,
        commands: CommandBuffer,
        source_gradient: Image,
        source_image: Image,
        gradient_state: GradientState | None = None,
        destination: Image | None = None,
    ) -> Image:
        """As `GradientKernel.encode`; with a state the gradient must have the shape that the forward kernel made."""
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


class PadGradient(GradientKernel):
    """Add the gradient of the border to the pixels that it was copied from, as MPSNNPadGradient.

    Gradients of a border that repeats pixels (`secondary_edge_mode` "clamp", "mirror" and "mirror_with_edge") are added
    to those of the pixels that it shows; those of other borders are dropped. A state of the `Pad` sets the padding
    sizes; without one rows and columns before the source are `kernel_offset_x` and `kernel_offset_y`.
    """

    apple_class = "MPSNNPadGradient"
    forward_class = Pad

    padding_size_before = Size("(x, y, channels) before the forward kernel's source.")
    padding_size_after = Size("(x, y, channels) behind the forward kernel's source.")

    if TYPE_CHECKING:

        def __init__(self, **properties: Unpack[PadGradientProperties]) -> None: ...
