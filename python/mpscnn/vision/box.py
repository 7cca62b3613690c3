"""A rectangle on a photo."""

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
