"""The mask of an object: the pixels of the photo that belong to it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn._private.arrays import AsArray
from mpscnn.vision.box import Box


class ObjectMask(AsArray):
    """The pixels of an upright photo that belong to an object.

    The pixels are computed at their first use. A pixel belongs to the object if its centre is in the object's box, and
    the network's mask there, interpolated bilinearly, is above 0. `np.asarray(mask)` is `pixels`.
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

    def _as_array(self) -> NDArray[np.bool_]:
        return self.pixels

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

    def to_coco(self, size: tuple[int, int]) -> dict[str, Any]:
        """Return the mask of a photo with the size (width, height) as COCO's `segmentation`.

        It is `{"size": [height, width], "counts": "..."}`, the compressed run-length encoding that pycocotools reads.
        """
        width, height = size
        return {"size": [height, width], "counts": _packed(self._runs(width, height))}

    def _runs(self, width: int, height: int) -> NDArray[np.int64]:
        """Return the lengths of runs of a photo's pixels, column after column, first those outside of the object."""
        bordered = np.pad(self.pixels, ((1, 1), (0, 0))).astype(np.int8).T
        column, row = np.nonzero(np.diff(bordered))
        edges = (self.left + column) * height + self.top + row
        # A run that ends at the bottom of a column continues at the top of the next one.
        repeated = np.flatnonzero(np.diff(edges) == 0)
        edges = np.delete(edges, np.concatenate([repeated, repeated + 1]))
        runs: NDArray[np.int64] = np.diff(edges, prepend=0, append=width * height)
        return runs[:-1] if runs[-1] == 0 else runs

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self.left, self.top, np.packbits(self.pixels), self.pixels.shape)

    def __repr__(self) -> str:
        width, height = self._core.width, self._core.height
        return f"<ObjectMask: {width} x {height} pixels at ({self.left}, {self.top})>"


def _packed(runs: NDArray[np.int64]) -> str:
    """Return lengths of runs as COCO's text.

    From the third length on, the text has the difference from the length two places before. Each character has five
    bits of a number, the lowest first, and a sixth bit that says whether more characters follow.
    """
    numbers = runs.copy()
    numbers[3:] -= runs[1:-2]
    text = []
    for number in numbers.tolist():
        more = True
        while more:
            low, number = number & 31, number >> 5
            more = number != (-1 if low & 16 else 0)
            text.append(chr(low + 32 * more + 48))
    return "".join(text)


def runs_from_coco(text: str) -> list[int]:
    """Return the lengths of runs that COCO's text has, see `_packed`."""
    runs: list[int] = []
    number = shift = 0
    for character in text:
        bits = ord(character) - 48
        number |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        number -= (bits & 16) << 1 << (shift - 5)  # the sign
        runs.append(number + (runs[-2] if len(runs) > 2 else 0))
        number = shift = 0
    return runs


def mask_from_coco(found: Mapping[str, Any]) -> ObjectMask:
    """Return the mask that `ObjectMask.to_coco` has encoded."""
    height, width = found["size"]
    runs = runs_from_coco(found["counts"])
    inside = np.arange(len(runs)) % 2 == 1
    whole = np.repeat(inside, runs).reshape(width, height).T
    rows, columns = (np.flatnonzero(whole.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return _restored(0, 0, np.zeros(0, np.uint8), (0, 0))
    (top, bottom), (left, right) = ((int(one[0]), int(one[-1]) + 1) for one in (rows, columns))
    pixels = whole[top:bottom, left:right]
    return _restored(left, top, np.packbits(pixels), pixels.shape)


class _Computed:
    """The place and the size of a mask whose pixels are known."""

    def __init__(self, left: int, top: int, shape: tuple[int, int]) -> None:
        self.left, self.top = left, top
        self.height, self.width = shape


def _restored(left: int, top: int, packed: NDArray[np.uint8], shape: tuple[int, int]) -> ObjectMask:
    mask = ObjectMask(_Computed(left, top, shape))  # type: ignore[arg-type]
    mask.__dict__["pixels"] = np.unpackbits(packed, count=shape[0] * shape[1]).reshape(shape).astype(np.bool_)
    return mask
