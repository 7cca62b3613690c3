"""Define the layer method for padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mpscnn._private.arguments import pair
from mpscnn._private.literals import BorderName
from mpscnn.errors import ParameterError
from mpscnn.graph.layer_arguments import PaddingArgument, window_attributes
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor


class PaddingLayers(LayerMaker):
    """The method that adds borders to images."""

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
