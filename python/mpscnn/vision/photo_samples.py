"""Read the samples of photo files with all their bits.

Pillow has no mode for colours of more than 8 bits, but its decoders can unpack either byte of a 16-bit sample. Such a
file is decoded twice, once for the high bytes and once for the low bytes.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn.errors import ImageError
from mpscnn.vision.photo_file import own_memory, read_image

if TYPE_CHECKING:
    from PIL import Image as PillowImage
    from PIL.ImageFile import ImageFile

_Arrays = list[NDArray[Any]]
_Pixels = tuple[NDArray[Any], str]
_Change = Callable[["ImageFile"], None]

_SIXTEEN_BITS = re.compile("(RGB|RGBX|RGBA|RGBa|CMYK);16([BLN])")
_NATIVE = "L" if sys.byteorder == "little" else "B"
_OTHER = {"L": "B", "B": "L"}
_DEEPEST = 65535
_STRIP = 1 << 20  # the pixels of an image that are converted at a time

# TIFF's tags.
_BITS, _PHOTOMETRIC, _PLANAR, _EXTRA, _SAMPLE_FORMAT, _SUBSAMPLING = 258, 262, 284, 338, 339, 530
_WHITE_IS_ZERO = 0
_SEPARATE = 2
_MULTIPLIED = 1
_SIGNED = 2


@dataclass(frozen=True)
class Samples:
    """Pixels (height, width, channels), their format in the core, and the image that has the file's metadata."""

    pixels: NDArray[Any]
    format: str
    image: PillowImage.Image
    reduction: int = 1
    """The factor by which both sides of the file's picture are larger than the pixels."""


@dataclass(frozen=True)
class _Unpacking:
    """How a file's samples are unpacked if Pillow's own way would lose some of them.

    The file is decoded once for each of `passes`. A pass is a function that changes the opened image before it is
    decoded. `join` gets the decoded image and the arrays of all passes, and returns the pixels and their format.
    """

    passes: tuple[_Change, ...]
    join: Callable[[PillowImage.Image, _Arrays], _Pixels]


def read_samples(
    stream: IO[bytes],
    size: int,
    max_pixels: int,
    reduce: Callable[[ImageFile], int] | None = None,
    reserve: Callable[[int], None] | None = None,
) -> Samples | None:
    """Return the samples of a file of `size` bytes, or None if its format is not supported.

    `reduce` may make the decoder compute a smaller picture. It returns the factor. `reserve` is called before any pixel
    is decoded, with the number of pixels that are decoded: twice those of the picture if it is decoded twice.

    Raises:
        ImageError: as `read_image`, or if the meaning of the samples is not clear.
    """
    found: list[_Unpacking | None] = []
    reduction = 1

    def prepare(image: ImageFile) -> None:
        nonlocal reduction
        if reduce is not None:
            reduction = reduce(image)
        found.append(_unpacking(image))
        if reserve is not None and len(found) == 1:
            reserve(image.width * image.height * (1 if found[0] is None else len(found[0].passes)))
        if found[0] is not None:
            found[0].passes[len(found) - 1](image)

    image = read_image(stream, size, max_pixels, prepare)
    if image is None:
        return None
    unpacking = found[0]
    if unpacking is None:
        return Samples(*_decoded(image), image, reduction)
    arrays = [np.asarray(image)]
    for _ in unpacking.passes[1:]:
        again = read_image(stream, size, max_pixels, prepare)
        if again is None:
            raise ImageError("changes while it is read")
        arrays.append(np.asarray(again))
    pixels, pixel_format = unpacking.join(image, arrays)
    return Samples(np.ascontiguousarray(pixels), pixel_format, image)


def is_unpacked_otherwise(image: PillowImage.Image) -> bool:
    """Return True if Pillow would lose samples by decoding an opened image."""
    return bool(getattr(image, "tile", None)) and _unpacking(cast("ImageFile", image)) is not None


def decoded_samples(image: PillowImage.Image) -> Samples:
    """Return the samples of a decoded image.

    Raises:
        ImageError: the meaning of the samples is not clear.
    """
    pixels, pixel_format = _decoded(image)
    if not pixels.flags.owndata:
        pixels.flags.writeable = False  # they may be the image's own
    return Samples(pixels, pixel_format, image)


def _decoded(image: PillowImage.Image) -> _Pixels:
    mode = image.mode
    if mode.startswith("I;16") or mode == "I":
        values = np.asarray(image)
        whole = _from_integers(values) if mode == "I" else np.ascontiguousarray(values, dtype=np.uint16)
        return _whitened(whole, image.info.get("transparency")), "gray16"
    if mode == "F":
        return _from_floats(np.asarray(image, dtype=np.float32)), "gray32f"
    if mode in ("La", "RGBa"):
        return _on_white(np.asarray(image))
    transparent = _has_transparency(image)
    if mode in ("1", "L", "LA"):
        wanted, pixel_format = ("LA", "gray_alpha8") if transparent else ("L", "gray8")
    else:
        wanted, pixel_format = ("RGBA", "rgba8") if transparent else ("RGB", "rgb8")
    return _in_mode(image, wanted), pixel_format


def _in_mode(image: PillowImage.Image, mode: str) -> NDArray[np.uint8]:
    """Return the pixels in a mode of 8 bits, in the image's own memory if possible.

    Other pixels are converted in strips, so that no copy of all pixels is needed.
    """
    width, height = image.size
    rows = max(_STRIP // width, 1)
    if image.mode == mode or rows >= height:
        shared = _in_place(image if image.mode == mode else image.convert(mode))
        if shared is not None:
            return shared
    channels = len(mode)
    pixels = np.empty((height, width, channels)[: 3 if channels > 1 else 2], np.uint8)
    for top in range(0, height, rows):
        strip = image if rows >= height else image.crop((0, top, width, min(top + rows, height)))
        pixels[top : top + rows] = np.asarray(strip if strip.mode == mode else strip.convert(mode))
    return pixels


def _in_place(image: PillowImage.Image) -> NDArray[np.uint8] | None:
    """Return the pixels of an image without a copy. Pillow stores a pixel of three samples in four bytes.

    Return None if its memory is in several blocks or has samples that the mode does not name.
    """
    if image.mode not in ("L", "RGB", "RGBA"):
        return None
    pixels = own_memory(image)
    if pixels is None:
        try:
            capsules = image.__arrow_c_array__()
        except ValueError:  # the image is in several blocks
            return None
        pixels = _core.arrow_pixels(*capsules, image.height, image.width)
    return pixels[..., :3] if pixels is not None and image.mode == "RGB" else pixels


def _has_transparency(image: PillowImage.Image) -> bool:
    color = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(color, tuple) and max(color) > 255:
        raise ImageError(
            f"was decoded to 8 bits, and its transparent colour {color} has 16: give the file or its bytes"
        )
    if color is not None or image.mode in ("LA", "PA", "RGBA"):
        return True
    return image.palette is not None and image.palette.mode.endswith("A")


def _from_floats(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale an image of the mode F from 0 to 255, the range of Pillow's own conversions, to 0 to 1.

    Raises ImageError for fractions from 0 to 1 or from -1 to 1, which would become a black photo.
    """
    if not np.isfinite(values).all():
        raise ImageError("has pixels that are not finite numbers")
    low, high = float(values.min()), float(values.max())
    if low >= -1 and high <= 1 and (values != np.rint(values)).any():
        raise ImageError(
            f"has floats from {low:.4g} to {high:.4g} (Pillow's mode F), which mean 0 to 255: multiply them by 255, or "
            "give an array"
        )
    scaled: NDArray[np.float32] = values / np.float32(255)
    return scaled


def _from_integers(values: NDArray[Any]) -> NDArray[np.uint16]:
    """Convert 32-bit integer pixels (Pillow's mode I) to 16-bit gray, for which some programs use this mode.

    Raises ImageError for larger or negative integers, whose meaning is not clear.
    """
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > _DEEPEST:
        raise ImageError(f"has integer pixels from {low} to {high}; 0 to 65535 (16 bits) can be read")
    return values.astype(np.uint16)


def _whitened(pixels: NDArray[np.uint16], color: Any) -> NDArray[np.uint16]:
    """Replace pixels of the transparent colour by white."""
    if color is None:
        return pixels
    if pixels.ndim == 3:
        transparent = np.logical_and.reduce(
            [pixels[..., channel] == value for channel, value in enumerate(color)]
        )
    else:
        transparent = pixels == color
    whitened: NDArray[np.uint16] = pixels.copy()
    whitened[transparent] = _DEEPEST
    return whitened


def _on_white(pixels: NDArray[Any]) -> _Pixels:
    """Compose pixels over white. The last channel is alpha; the other channels are already multiplied by it."""
    maximum = np.iinfo(pixels.dtype).max
    white = (maximum - pixels[..., -1:]).astype(pixels.dtype)
    colors: NDArray[Any] = pixels[..., :-1]
    # Limit colours above alpha, which are errors of the program that wrote the file.
    composed: NDArray[Any] = np.minimum(colors, maximum - white) + white
    bits = 8 * pixels.dtype.itemsize
    return (composed[..., 0], f"gray{bits}") if composed.shape[2] == 1 else (composed, f"rgb{bits}")


# ---- Files ---------------------------------------------------------------------------------------------------------


def _unpacking(image: ImageFile) -> _Unpacking | None:
    """Return how to unpack the samples of an opened file; None if Pillow's own way is used.

    That way loses nothing, except in AVIF files of 10 or 12 bits, which Pillow gives in 8 bits only.
    """
    of_format = _OF_FORMATS.get(str(image.format))
    return None if of_format is None else of_format(image)


def raw_mode(image: ImageFile) -> str:
    """Return Pillow's name of the layout of the pixels' bytes."""
    args = _first_tile(image)[3]
    return str(args[0] if isinstance(args, tuple) and args else args)


def _first_tile(image: ImageFile) -> tuple[str, Any, int, Any]:
    """Return the first tile: codec, the rectangle that it fills, the offset in the file, and the codec's arguments."""
    tiles: list[Any] = image.tile
    return tuple(tiles[0]) if tiles else ("", (), 0, "")


def _as_it_is(_: ImageFile) -> None:
    """Change nothing: Pillow decodes what `join` needs."""


def _set_mode(image: ImageFile, mode: str) -> None:
    name = "_mode" if hasattr(image, "_mode") else "mode"  # Pillow before 10.1 has no _mode
    setattr(image, name, mode)


def _set_raw_modes(image: ImageFile, wanted: Callable[[str], str]) -> None:
    tiles: list[Any] = image.tile
    for index, tile in enumerate(tiles):
        codec, extents, offset, args = tile
        if isinstance(args, tuple):
            _set_tile(image, index, codec, extents, offset, (wanted(str(args[0])), *args[1:]))
        else:
            _set_tile(image, index, codec, extents, offset, wanted(str(args)))


def _set_tile(image: ImageFile, index: int, *parts: Any) -> None:
    tiles: list[Any] = image.tile
    named = hasattr(tiles[index], "_fields")  # tiles are named tuples from Pillow 11 on
    tiles[index] = type(tiles[index])(*parts) if named else parts


def _change(raw: str, mode: str = "") -> _Change:
    """Return a function that changes an opened image to another order of bytes, and another mode."""

    def change(image: ImageFile) -> None:
        if mode:
            _set_mode(image, mode)
        _set_raw_modes(image, lambda _: raw)

    return change


def _of_both_bytes(raw: str) -> _Unpacking | None:
    match = _SIXTEEN_BITS.fullmatch(raw)
    if match is None:
        return None
    layout, order = match.groups()
    order = _NATIVE if order == "N" else order
    plain = "RGBA" if layout == "RGBa" else layout  # for RGBa, Pillow would divide by alpha in 8 bits
    passes = tuple(_change(f"{plain};16{which}") for which in (order, _OTHER[order]))
    return _Unpacking(passes, _JOINS.get(layout, _joined_colors))


def _joined(arrays: _Arrays) -> NDArray[np.uint16]:
    high, low = arrays
    whole = high.astype(np.uint16)
    whole <<= 8
    whole |= low
    return whole


def _joined_colors(image: PillowImage.Image, arrays: _Arrays) -> _Pixels:
    pixels = _whitened(_joined(arrays), image.info.get("transparency"))
    if image.mode == "RGBA":
        return pixels, "rgba16"
    return pixels[..., :3], "rgb16"  # some versions of Pillow keep a fourth channel without meaning


def _joined_multiplied(_: PillowImage.Image, arrays: _Arrays) -> _Pixels:
    return _on_white(_joined(arrays))


def _joined_inks(_: PillowImage.Image, arrays: _Arrays) -> _Pixels:
    """Convert CMYK to RGB like Pillow does for 8 bits: (1 - ink) * (1 - black)."""
    light = ~_joined(arrays)
    colors = light[..., :3].astype(np.float32)
    colors *= light[..., 3:]
    colors /= np.float32(_DEEPEST**2)
    return colors, "rgb32f"


_JOINS = {"RGBa": _joined_multiplied, "CMYK": _joined_inks}


# ---- PNG -----------------------------------------------------------------------------------------------------------

# Pillow's raw modes of at most 8 bits, with the largest sample and the factor by which Pillow multiplies samples. The
# transparent colour is not multiplied by Pillow.
_EXPANDED = {"L;2": (3, 0x55), "L;4": (15, 0x11), "L": (255, 1), "RGB": (255, 1)}


def _of_png(image: ImageFile) -> _Unpacking | None:
    raw = raw_mode(image)
    if raw == "LA;16B":
        return _Unpacking((_change("RGBA"),), _gray_with_alpha)
    if raw in _EXPANDED and "transparency" in image.info:
        maximum, factor = _EXPANDED[raw]
        return _Unpacking((_as_it_is,), partial(_with_color, maximum, factor))
    return _of_both_bytes(raw)


def _gray_with_alpha(_: PillowImage.Image, arrays: _Arrays) -> _Pixels:
    """Compose 16-bit gray with alpha over white, since the core has no such format."""
    samples = np.ascontiguousarray(arrays[0]).view(">u2")
    darkness = (_DEEPEST - samples[..., 0]).astype(np.float32)
    darkness *= samples[..., 1]
    darkness /= np.float32(_DEEPEST**2)
    return np.float32(1) - darkness, "gray32f"


def _with_color(maximum: int, factor: int, image: PillowImage.Image, _: _Arrays) -> _Pixels:
    """Decode an image with a transparent colour.

    The file stores the colour as 16-bit numbers. Only as many of their low bits count as a sample has.
    """
    color = image.info["transparency"]
    if isinstance(color, tuple):
        image.info["transparency"] = tuple((value & maximum) * factor for value in color)
    else:
        image.info["transparency"] = (color & maximum) * factor
    return _decoded(image)


# ---- TIFF ----------------------------------------------------------------------------------------------------------


def _of_tiff(image: ImageFile) -> _Unpacking | None:
    tags = image.tag_v2  # type: ignore[attr-defined]
    raw = raw_mode(image)
    white_is_zero = tags.get(_PHOTOMETRIC, _WHITE_IS_ZERO) == _WHITE_IS_ZERO
    if white_is_zero and image.mode == "F":
        raise ImageError("has floats of which zero is white; those of which zero is black can be read")
    if raw == "YCbCr" and tags.get(_SUBSAMPLING, (2, 2)) != (1, 1):
        raise ImageError("has subsampled YCbCr samples that are not compressed; save it as RGB")
    if tags.get(_PLANAR, 1) == _SEPARATE and len(image.getbands()) > 1:
        return _of_planes(image)
    if raw == "I;12":
        return _Unpacking((_as_it_is,), partial(_scaled, 4095))
    if white_is_zero and image.mode.startswith("I;16"):
        return _Unpacking((_as_it_is,), _inverted)
    if _SIGNED in tags.get(_SAMPLE_FORMAT, ()) and image.mode == "L":
        return _Unpacking((_as_it_is,), _not_negative)
    if raw in ("RGBa", "RGBaX", "RGBaXX"):
        return _Unpacking((_change(raw.replace("a", "A")),), _multiplied)
    return _of_both_bytes(raw)


def _of_planes(image: ImageFile) -> _Unpacking | None:
    """Return how to unpack a file that stores each channel separately."""
    tags = image.tag_v2  # type: ignore[attr-defined]
    multiplied = _MULTIPLIED in tags.get(_EXTRA, ())
    compressed = _first_tile(image)[0] == "libtiff"
    if max(tags.get(_BITS, (1,))) <= 8:
        # Pillow divides compressed planes by alpha in every raw mode, so no raw mode reads them better.
        return _Unpacking((_upper_case,), _multiplied) if multiplied and not compressed else None
    if compressed or image.mode not in ("RGB", "RGBA"):
        raise ImageError(
            "has 16-bit samples in separate planes (PlanarConfiguration 2), which are read only if they are RGB or "
            "RGBA and not compressed; save it with interleaved samples"
        )
    order = "L" if tags.prefix == b"II" else "B"
    passes = tuple(partial(_set_planes, which) for which in (order, _OTHER[order]))
    return _Unpacking(passes, _joined_multiplied if multiplied else _joined_colors)


def _set_planes(order: str, image: ImageFile) -> None:
    """Make Pillow decode one byte of each 16-bit sample, which `order` selects: the high or the low one."""
    _set_raw_modes(image, lambda raw: f"{raw[0].upper()};16{order}")
    # Planes without a meaning have no raw mode.
    tiles: list[Any] = image.tile
    image.tile = [tile for tile in tiles if tile[3][0][0] in image.getbands()]


def _upper_case(image: ImageFile) -> None:
    _set_raw_modes(image, str.upper)


def _scaled(maximum: int, _: PillowImage.Image, arrays: _Arrays) -> _Pixels:
    return arrays[0].astype(np.float32) / np.float32(maximum), "gray32f"


def _inverted(_: PillowImage.Image, arrays: _Arrays) -> _Pixels:
    """Invert 16-bit samples in which 0 is white. Pillow inverts only 8-bit samples."""
    return ~arrays[0].astype(np.uint16), "gray16"


def _not_negative(_: PillowImage.Image, arrays: _Arrays) -> _Pixels:
    """Return signed 8-bit samples. Raise ImageError if one is negative, because Pillow ignores the sign."""
    low = int(arrays[0].view(np.int8).min())
    if low < 0:
        raise ImageError(f"has integer pixels from {low} on; of signed 8-bit integers 0 to 127 can be read")
    return arrays[0], "gray8"


def _multiplied(_: PillowImage.Image, arrays: _Arrays) -> _Pixels:
    return _on_white(arrays[0])


# ---- PPM and BMP -----------------------------------------------------------------------------------------------------


def _of_ppm(image: ImageFile) -> _Unpacking | None:
    """Return how to unpack a PPM file if Pillow would scale and round its samples.

    Pillow scales samples to 8 bits, or to 16 bits if they are gray.
    """
    codec, _, _, args = _first_tile(image)
    if image.mode not in ("L", "I", "RGB") or codec == "raw":
        return None
    maximum = int(args[1])
    if image.mode != "I" and 255 % maximum == 0:
        return None
    return _Unpacking((_one_sample_a_pixel,), partial(_numbers, maximum, image.size, codec))


def _one_sample_a_pixel(image: ImageFile) -> None:
    """Change the opened image to a gray one with a pixel for each sample, so that Pillow does not scale the samples."""
    codec, _, offset, args = _first_tile(image)
    width, height = image.width * (3 if image.mode == "RGB" else 1), image.height
    image._size = (width, height)
    if codec == "ppm_plain":
        _set_mode(image, "I")
        _set_tile(image, 0, codec, (0, 0, width, height), offset, ("I", _DEEPEST))
        return
    mode, raw = ("L", "L") if args[1] <= 255 else ("I;16", "I;16B")
    _set_mode(image, mode)
    _set_tile(image, 0, "raw", (0, 0, width, height), offset, (raw, 0, 1))


def _numbers(
    maximum: int, size: tuple[int, int], codec: str, _: PillowImage.Image, arrays: _Arrays
) -> _Pixels:
    width, height = size
    samples = arrays[0].reshape(height, width, -1)
    name = "rgb" if samples.shape[2] == 3 else "gray"
    pixels = samples if samples.shape[2] == 3 else samples[..., 0]
    largest = int(pixels.max())
    if largest > maximum and codec == "ppm_plain":
        raise ImageError(f"has the sample {largest}, its header allows up to {maximum}")
    if maximum == _DEEPEST:
        return pixels.astype(np.uint16), f"{name}16"
    return np.minimum(pixels, maximum).astype(np.float32) / np.float32(maximum), f"{name}32f"


# Pillow's raw modes for BMP's 16-bit pixels: the first bit of blue, green and red, and their largest sample.
_PACKED = {"BGR;15": ((0, 31), (5, 31), (10, 31)), "BGR;16": ((0, 31), (5, 63), (11, 31))}


def _of_bmp(image: ImageFile) -> _Unpacking | None:
    raw = raw_mode(image)
    if raw not in _PACKED:
        return None
    return _Unpacking((_change("I;16", "I;16"),), partial(_unpacked, raw))


def _unpacked(raw: str, _: PillowImage.Image, arrays: _Arrays) -> _Pixels:
    pixels = np.empty((*arrays[0].shape, 3), np.float32)
    for channel, (shift, maximum) in enumerate(reversed(_PACKED[raw])):
        np.divide(arrays[0] >> shift & maximum, maximum, out=pixels[..., channel], dtype=np.float32)
    return pixels, "rgb32f"


_OF_FORMATS: dict[str, Callable[[ImageFile], _Unpacking | None]] = {
    "PNG": _of_png,
    "TIFF": _of_tiff,
    "PPM": _of_ppm,
    "BMP": _of_bmp,
}
