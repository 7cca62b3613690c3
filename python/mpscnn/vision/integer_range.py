"""Check and convert photos of integers whose range is not that of their type, such as 10 bits in uint16."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.arguments import whole_number
from mpscnn._private.given_warnings import warn_caller
from mpscnn.errors import ImageError

GIVE_BITS = (
    "for 0 to 255 give numpy.asarray(array, numpy.uint8); for another range say its bits: "
    "mpscnn.open_photo(array, bits=10) for 0 to 1023"
)
_MAX_8, _MAX_12 = 255, 4095


def require_all_bits(pixels: NDArray[np.uint16], name: str) -> None:
    """Raise ImageError if 16-bit samples seem to be of 8 bits, and warn if they seem to be of 10 or 12 bits.

    They would become black. A photo that is entirely black is accepted. Alpha does not count.
    """
    highest = _highest(pixels)
    if 0 < highest <= _MAX_8:
        raise ImageError(
            f"{name}: has no value above {highest}, and uint16 means 0 to 65535, so the photo would be black: "
            "give numpy.asarray(array, numpy.uint8), or say the bits: mpscnn.open_photo(array, bits=16)"
        )
    if 0 < highest <= _MAX_12:
        warn_caller(
            f"{name}: has no value above {highest}, and uint16 means 0 to 65535, so the photo is nearly black. Say the "
            f"bits: mpscnn.open_photo(array, bits={10 if highest < 1 << 10 else 12}), or bits=16 if it is right",
        )


def require_more_than_8_bits(pixels: NDArray[np.uint16]) -> None:
    """Raise ImageError if the 16-bit samples of a file or a Pillow image seem to be of 8 bits, as for arrays."""
    highest = _highest(pixels)
    if 0 < highest <= _MAX_8:
        raise ImageError(
            f"has no value above {highest}, and its 16 bits mean 0 to 65535, so the photo would be black: give an "
            "array of uint8 if they mean 0 to 255, or mpscnn.open_photo(array, bits=16) if it is right"
        )


def _highest(pixels: NDArray[np.uint16]) -> int:
    """Return the largest number of the colours, without alpha."""
    has_alpha = pixels.ndim == 3 and pixels.shape[2] == 4
    return int((pixels[..., :3] if has_alpha else pixels).max())


def with_bits(pixels: NDArray[Any], bits: int) -> NDArray[Any]:
    """Return integers of 0 to 2**bits - 1 as uint8 if they have 8 bits, otherwise scaled to uint16's range.

    Raises ImageError for another type, or a value beyond the range. ParameterError: `bits` is not 1 to 16.
    """
    highest = (1 << whole_number("bits", bits, 1, 16)) - 1
    name = f"array {pixels.shape} {pixels.dtype}"
    if pixels.dtype.kind not in "iu":
        raise ImageError(f"{name}: bits={bits} is for integers")
    if pixels.size and not 0 <= int(pixels.min()) <= int(pixels.max()) <= highest:
        raise ImageError(
            f"{name}: has values from {pixels.min()} to {pixels.max()}; bits={bits} means 0 to {highest}"
        )
    if bits == 8:
        return pixels.astype(np.uint8)
    if bits == 16:
        return pixels.astype(np.uint16)
    scaled = (pixels.astype(np.uint32) * 65535 + highest // 2) // highest
    return scaled.astype(np.uint16)
