"""Define the layer methods that change shapes or the order of axes, concatenate tensors, or add borders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mpscnn._private.arguments import pair, whole_numbers
from mpscnn._private.literals import BorderName
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn.errors import ParameterError
from mpscnn.graph.layer_arguments import PaddingArgument, window_attributes
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor


class ReshapeLayers(LayerMaker):
    """Methods that change shapes or the order of axes and channels, concatenate tensors, or add borders."""

    def reshape(self, x: Tensor, shape: Sequence[int], *, name: str | None = None) -> Tensor:
        """Change the shape; the elements keep their order.

        `shape` has no batch. 0 means the extent of x on the same axis, which may be free. One extent may be -1.
        """
        return self.layer("reshape", [x], {"shape": whole_numbers("reshape: shape", shape)}, name=name)

    def flatten(self, x: Tensor, *, name: str | None = None) -> Tensor:
        """Flatten an image: (n, h, w, c) -> (n, h * w * c)."""
        return self.layer("reshape", [x], {"shape": [-1]}, name=name, default="flatten")

    def transpose(self, x: Tensor, axes: Sequence[int], *, name: str | None = None) -> Tensor:
        """Permute the axes after the batch like `numpy.transpose`: axis i + 1 of the result is axis `axes[i]` of x.

        An image (n, h, w, c) with axes (3, 1, 2) becomes (n, c, h, w). The batch, axis 0, stays first and is not
        listed.

        Raises ParameterError unless each axis of x but the batch is listed once.
        """
        return self.layer("transpose", [x], {"axes": whole_numbers("transpose: axes", axes)}, name=name)

    def channel_shuffle(self, x: Tensor, groups: int, *, name: str | None = None) -> Tensor:
        """Interleave groups of consecutive channels like `torch.nn.ChannelShuffle`: (..., c) -> (..., c).

        Channel k * groups + g of the result is channel g * (c / groups) + k of x (Zhang et al. 2018).

        Raises ParameterError unless `groups` divides the number of channels.
        """
        return self.layer("channel_shuffle", [x], {"groups": groups}, name=name)

    @accept_foreign_arguments
    def concat(self, tensors: Sequence[Tensor], *, axis: int = -1, name: str | None = None) -> Tensor:
        """Concatenate tensors along `axis`, which must not be the batch."""
        if not isinstance(tensors, Sequence):
            raise ParameterError(f"concat: expected several tensors, got {type(tensors).__name__}")
        return self.layer("concatenation", list(tensors), {"axis": axis}, name=name, default="concat")

    def pad(
        self,
        x: Tensor,
        padding: PaddingArgument,
        *,
        channels: tuple[int, int] = (0, 0),
        mode: BorderName = "constant",
        value: float | Sequence[float] = 0.0,
        name: str | None = None,
    ) -> Tensor:
        """Add a border: (n, h, w, c) -> (n, h + top + bottom, w + left + right, c + before + after). See MPSNNPad.

        Args:
            padding: one number for all sides, (vertical, horizontal) or ((top, bottom), (left, right)); negative
                numbers crop.
            channels: (number before the first channel, number after the last).
            mode: "constant", "clamp" (the nearest pixel), "mirror" (reflected without the border pixel) or
                "mirror_with_edge" (with it). Reflections repeat if the border is wider than the image.
            value: the value of a constant border: a number, or one for each channel of the result.

        Raises ShapeError if the crop leaves nothing of the image, and ParameterError if the number of values is not the
        number of channels.
        """
        if isinstance(padding, str):
            raise ParameterError(f"pad: padding must be numbers, got {padding!r}")
        window = window_attributes(1, 1, padding, 1)
        front, back = pair("channels", channels)
        attributes: dict[str, Any] = {"mode": mode, "front": front, "back": back}
        attributes |= {side: window.get(f"pad_{side}", 0) for side in ("top", "bottom", "left", "right")}
        if isinstance(value, (int, float, np.number)):
            return self.layer("padding", [x], attributes | {"value": value}, name=name, default="pad")
        attributes["values"] = [float(one) for one in value]
        return self.layer("padding", [x], attributes, name=name, default="pad")
