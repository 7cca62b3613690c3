"""Kernels that move elements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpscnn.kernels.kernel import Kernel, UnaryKernel
from mpscnn.kernels.properties import Integer, Number, Numbers, Size

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mpscnn.kernels.named import PadProperties, UnaryProperties


class Reshape(UnaryKernel):
    """The elements of each image in [height][width][channel] order, in another shape, as MPSNNReshape.

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


class Pad(UnaryKernel):
    """A border around an image and its channels, as MPSNNPad.

    `edge_mode` says what it holds: "zero", "clamp" (the nearest pixel), "mirror" and "mirror_with_edge" (reflections,
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
