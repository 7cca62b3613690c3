"""Convert Core AI's resize, whose samples are stated by a scale and an offset for each axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.graph.builder import Builder
from mpscnn.converters.reading.graph.resizing import CORNERS, FROM_EDGE, HALF_PIXEL, resize
from mpscnn.errors import UnsupportedError

_LARGEST = 2**31 - 1


@dataclass(frozen=True)
class Resized:
    """An axis that is resized: sample i is at (i + 0.5 - offset) / scale - 0.5.

    Attributes:
        extent: the number of pixels; None: it is free.
        size: the number of samples.
        scale, offset: the numbers of the program.
    """

    extent: int | None
    size: int
    scale: float
    offset: float

    @property
    def samples(self) -> str:
        """The rule that gives the axis its samples: "" for one that stays as it is, "?" for an unknown one."""
        if self.extent is None or self.extent < 1 or self.size < 1:
            return "?"
        if self.extent == self.size and self.scale == 1.0 and self.offset == 0.0:
            return ""
        ratio = self.size / self.extent
        corners = (self.size - 1) / (self.extent - 1) if self.extent > 1 else 1.0
        rules = {
            HALF_PIXEL: (ratio, 0.0),
            FROM_EDGE: (ratio, 0.5 * (1 - self.scale)),
            CORNERS: (corners, 0.5 * (1 - corners)),
        }
        rounding = 1e-6 * max(self.scale, 1.0)
        for rule, stated in rules.items():
            if np.allclose((self.scale, self.offset), stated, rtol=0, atol=rounding):
                return rule
        return "?"

    def nearest(self) -> list[int]:
        """Return the pixel that is nearest to each sample; of two equally near ones, the one with the even number."""
        if self.extent is None or not 0 < self.size <= _LARGEST or not self.scale > 0:
            raise UnsupportedError("takes the nearest pixels of an image whose size is free")
        places = np.rint((np.arange(self.size) + 0.5 - self.offset) / self.scale - 0.5)
        return [int(place) for place in np.clip(places, 0, self.extent - 1)]


def interpolate_linearly(b: Builder, x: str, axes: Sequence[Resized]) -> str:
    """Resize the last two axes by linear interpolation."""
    samples = {axis.samples for axis in axes} - {""}
    if len(samples) > 1 or "?" in samples:
        stated = ", ".join(f"{axis.scale:g} and {axis.offset:g}" for axis in axes)
        raise UnsupportedError(f"samples by the scales and offsets {stated}, which is not supported")
    return resize(b, x, [axis.size for axis in axes], *(samples or {HALF_PIXEL}))


def take_nearest(b: Builder, x: str, axes: Sequence[Resized]) -> str:
    """Resize the last two axes by the pixels nearest to the samples."""
    taken = [axis.nearest() for axis in axes]
    from_edge = [[i * (axis.extent or 0) // axis.size for i in range(axis.size)] for axis in axes]
    if taken == from_edge:
        return resize(b, x, [axis.size for axis in axes], FROM_EDGE, nearest=True)
    for number, places in enumerate(taken, 2):
        x = ops.gather(b, x, places, axis=number)
    return x
