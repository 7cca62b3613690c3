"""Draw results with Pillow: upright photos, colours of classes, legends."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.bars import text_font
from mpscnn._private.html_view import lines
from mpscnn.errors import ImageError, ShapeError
from mpscnn.vision.photo import open_photo, pixels_checksum
from mpscnn.vision.pixels import require_pillow
from mpscnn.vision.upright import upright

if TYPE_CHECKING:
    from PIL import Image as PillowImage
    from PIL import ImageFont

Color = tuple[int, int, int]

_AXES = ("true", "found")
#: For pictures of feature channels: the smallest length of a channel's longer side, and the gap between channels, in
#: pixels.
_MIN_CELL = 24
_GAP = 1
_GAP_SHADE = 96


def upright_picture(photo: Any) -> PillowImage.Image:
    """Return a photo (see `mpscnn.photo.open_photo`) as an upright 8-bit RGB picture. Transparent parts are white."""
    require_pillow("drawing")
    return upright(open_photo(photo))


def result_picture(given: Any, kept: Any, checksum: int | None) -> PillowImage.Image:
    """Return the upright picture on which a result is drawn: the given photo, or the one that the result keeps.

    Raises ImageError if there is none, or if the kept one has another checksum than the result's photo.
    """
    photo = kept if given is None else given
    if photo is None:
        raise ImageError("the result does not keep its photo; give it: draw(photo)")
    require_pillow("drawing")
    opened = open_photo(photo)
    if given is None and checksum is not None and pixels_checksum(opened) != checksum:
        raise ImageError(
            f"{opened.name}: the array was written again after its result was computed: draw the result before the "
            "next frame, give draw(photo) the photo, or give the model a copy: predict(frame.copy())"
        )
    return upright(opened)


def draw_points(picture: PillowImage.Image, points: Sequence[tuple[str, float, float]]) -> PillowImage.Image:
    """Draw labelled points (label, x, y) on a picture, and return it."""
    from PIL import ImageDraw

    radius = max(2, min(picture.size) // 60)
    draw, font = ImageDraw.Draw(picture), text_font(max(10.0, min(picture.size) / 30))
    for (label, x, y), color in zip(points, class_colors(len(points) + 1)[1:].tolist(), strict=True):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=tuple(color), outline="white")
        outline: dict[str, Any] = {"fill": "white", "stroke_width": 1, "stroke_fill": "black"}
        draw.text((x + 2 * radius, y), label, font=font, anchor="lm", **outline)
    return picture


def class_colors(count: int) -> NDArray[np.uint8]:
    """Return Pascal VOC's colours (count, 3), where 0 is black. The bits of a class's number determine its colour."""
    numbers = np.arange(count)
    colors = np.zeros((count, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colors[:, channel] |= ((numbers >> (3 * bit + channel) & 1) << (7 - bit)).astype(np.uint8)
    return colors


def add_legend(picture: PillowImage.Image, entries: Sequence[tuple[str, Color]]) -> PillowImage.Image:
    """Return the picture with a legend below, or the picture itself if there are no entries."""
    from PIL import Image, ImageDraw

    if not entries:
        return picture
    font = text_font(max(10.0, min(picture.size) / 30))
    line = int(font.size * 1.5)
    places, width, height = _places([font.getlength(text) for text, _ in entries], picture.width, line)
    result = Image.new("RGB", (max(picture.width, width), picture.height + height), "white")
    result.paste(picture)
    draw = ImageDraw.Draw(result)
    for (text, color), (x, y) in zip(entries, places, strict=True):
        top = picture.height + y
        inset = line // 5
        box = (x + inset, top + inset, x + line - inset, top + line - inset)
        draw.rectangle(box, fill=color, outline="black")
        draw.text((x + line, top + line // 2), text, fill="black", font=font, anchor="lm")
    return result


def _places(lengths: Sequence[float], width: int, line: int) -> tuple[list[tuple[int, int]], int, int]:
    """Return the upper left corners of a legend's entries, and the legend's width and height, all in pixels.

    Entries that would extend beyond `width` begin a new line. `lengths` are those of the entries' texts, and `line` is
    the height of a line.
    """
    places: list[tuple[int, int]] = []
    x = y = widest = 0
    for length in lengths:
        needed = line + int(length) + line // 2
        if x > 0 and x + needed > width:
            x, y = 0, y + line
        places.append((x, y))
        x += needed
        widest = max(widest, x)
    return places, widest, y + line


def html_picture(picture: PillowImage.Image) -> str:
    """Return an <img> element that holds the picture."""
    content = io.BytesIO()
    picture.save(content, "PNG")
    return f'<img src="data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}">'


class _Drawable(Protocol):
    """A result that can be drawn."""

    def draw(self) -> PillowImage.Image: ...


def html_result(result: _Drawable, table: str) -> str:
    """Return HTML with the result's picture above its table.

    If the photo cannot be read any more, a message replaces it.
    """
    try:
        picture = html_picture(result.draw())
    except (ImageError, ShapeError) as error:
        picture = lines(error)
    return picture + table


def channels_picture(values: NDArray[Any]) -> PillowImage.Image:
    """Return a picture of a layer's channels. The layer's smallest value is black, its largest is white.

    Args:
        values: (height, width, channels) of one photo, or another shape with the channels last.
    """
    from PIL import Image

    maps: NDArray[np.float64] = np.asarray(values, np.float64)
    while maps.ndim < 3:
        maps = maps[None]
    finite = maps[np.isfinite(maps)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    shares = np.nan_to_num((maps - low) / ((high - low) or 1.0), posinf=1.0, neginf=0.0).clip(0.0, 1.0)
    height, width, channels = maps.shape
    columns = min(channels, max(1, math.isqrt(channels * height // width)))
    scale = max(1, _MIN_CELL // max(height, width))
    down, across = height * scale + _GAP, width * scale + _GAP
    picture = np.full((-(-channels // columns) * down, columns * across), _GAP_SHADE, np.uint8)
    for channel in range(channels):
        top, left = channel // columns * down, channel % columns * across
        shown = np.rint(255.0 * shares[:, :, channel]).repeat(scale, axis=0).repeat(scale, axis=1)
        picture[top : top + height * scale, left : left + width * scale] = shown
    return Image.fromarray(picture)


def matrix_picture(counts: NDArray[np.int64], names: Sequence[str]) -> PillowImage.Image:
    """Return a square table of counts as a picture: true classes at the left, found ones at the top.

    The shade of a cell is its share of the row. Large tables have small cells without numbers, and no names beyond 100
    rows.
    """
    from PIL import Image, ImageDraw

    size = len(names)
    named, numbered = size <= 100, size <= 30
    cell = 36 if numbered else max(2, 1000 // size)
    font = text_font(13 if numbered else 10)
    margin = 8 + (int(max(font.getlength(name) for name in (*names, *_AXES))) if named else 0)
    picture = Image.new("RGB", (margin + size * cell, margin + size * cell), "white")
    draw = ImageDraw.Draw(picture)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    for row in range(size):
        for column in range(size):
            share = float(shares[row, column])
            left, top = margin + column * cell, margin + row * cell
            shade = (round(255 - 215 * share), round(255 - 155 * share), 255)
            draw.rectangle((left, top, left + cell - 1, top + cell - 1), fill=shade)
            if numbered and counts[row, column]:
                color = "white" if share > 0.5 else "black"
                place = (left + cell // 2, top + cell // 2)
                draw.text(place, str(counts[row, column]), fill=color, font=font, anchor="mm")
    if named:
        _name_rows_and_columns(picture, names, font, margin, cell)
    return picture


def _name_rows_and_columns(
    picture: PillowImage.Image, names: Sequence[str], font: ImageFont.FreeTypeFont, margin: int, cell: int
) -> None:
    from PIL import Image, ImageDraw

    draw = ImageDraw.Draw(picture)
    upright = Image.new("RGB", (margin, len(names) * cell), "white")
    columns = ImageDraw.Draw(upright)
    for i, name in enumerate(names):
        middle = i * cell + cell // 2
        draw.text((margin - 4, margin + middle), name, fill="black", font=font, anchor="rm")
        columns.text((4, middle), name, fill="black", font=font, anchor="lm")
    picture.paste(upright.transpose(Image.Transpose.ROTATE_90), (margin, 0))
    true, found = _AXES
    draw.text((4, margin - 4), true, fill="gray", font=font, anchor="ls")
    draw.text((margin - 4, 4), found, fill="gray", font=font, anchor="rt")
