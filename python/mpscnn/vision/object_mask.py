"""The mask of an object: the pixels of the photo that belong to it."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn.vision.box import Box

__all__ = ["ObjectMask"]


class ObjectMask:
    """The pixels of an upright photo that belong to an object.

    The pixels are computed at their first use. A pixel belongs to the object if its centre is in the object's box, and
    the network's mask there, interpolated bilinearly, is above 0.
    """

    def __init__(self, core: _core.ObjectMask) -> None:
        self._core = core
        self.left = core.left
        """The first column of the photo that `pixels` covers."""
        self.top = core.top
        """The first row of the photo that `pixels` covers."""

    @cached_property
    def pixels(self) -> NDArray[np.bool_]:
        """The pixels around the object (height, width): True for those of the object."""
        return self._core.pixels().astype(np.bool_)

    @property
    def box(self) -> Box:
        """The part of the photo that `pixels` covers."""
        return Box(self.left, self.top, self.left + self._core.width, self.top + self._core.height)

    @property
    def area(self) -> int:
        """The number of the object's pixels."""
        return int(np.count_nonzero(self.pixels))

    def on_photo(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        """Return the mask of a photo with the size (width, height), as an array (height, width)."""
        whole = np.zeros(size[::-1], np.bool_)
        height, width = self.pixels.shape
        whole[self.top : self.top + height, self.left : self.left + width] = self.pixels
        return whole

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self.left, self.top, np.packbits(self.pixels), self.pixels.shape)

    def __repr__(self) -> str:
        width, height = self._core.width, self._core.height
        return f"<ObjectMask: {width} x {height} pixels at ({self.left}, {self.top})>"


class _Computed:
    """The place and the size of a mask whose pixels are known."""

    def __init__(self, left: int, top: int, shape: tuple[int, int]) -> None:
        self.left, self.top = left, top
        self.height, self.width = shape


def _restored(left: int, top: int, packed: NDArray[np.uint8], shape: tuple[int, int]) -> ObjectMask:
    mask = ObjectMask(_Computed(left, top, shape))  # type: ignore[arg-type]
    mask.__dict__["pixels"] = np.unpackbits(packed, count=shape[0] * shape[1]).reshape(shape).astype(np.bool_)
    return mask
