"""Rectangles and lines on photos."""

from __future__ import annotations

from typing import NamedTuple


class Box(NamedTuple):
    """A rectangle, given by its edges."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """The distance from the left to the right edge."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """The distance from the top to the bottom edge."""
        return self.bottom - self.top


Line = tuple[float, float, float, float]
"""The ends of a line, x1, y1, x2 and y2, in pixels of the upright photo."""
