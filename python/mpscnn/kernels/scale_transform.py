"""Define the position and scale of a scaled image, and the property that holds them."""

from __future__ import annotations

from typing import Any, NamedTuple

from mpscnn.kernels.properties import Number, Property


class ScaleTransform(NamedTuple):
    """The scale and translation from the source to the destination, as MPSScaleTransform.

    destination position = source position * scale + translation, in pixels. Positions are those of the edges of pixels:
    the first pixel extends from 0 to 1. The first pixel written has the destination position 0. With scale_x = 2 and
    translate_x = -20 the destination begins with the source's column 10.
    """

    scale_x: float = 1.0
    scale_y: float = 1.0
    translate_x: float = 0.0
    translate_y: float = 0.0


class Transform(Property["ScaleTransform | None"]):
    """A `ScaleTransform`, or None: the whole source becomes the whole destination."""

    expected = "None, a ScaleTransform or (scale_x, scale_y, translate_x, translate_y)"

    def _to_core(self, value: Any) -> list[float] | None:
        if value is None:
            return None
        numbers = [_number._to_core(entry) for entry in value]
        if len(numbers) != len(ScaleTransform()):
            raise ValueError
        return numbers

    def _from_core(self, value: Any) -> ScaleTransform | None:
        return None if value is None else ScaleTransform(*value)


_number = Number()
