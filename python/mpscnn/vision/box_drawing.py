"""Draw boxes with labels on pictures, with Pillow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mpscnn._private.bars import text_font
from mpscnn.vision.visualize import Color, class_colors

if TYPE_CHECKING:
    from PIL import Image as PillowImage

    from mpscnn.vision.box import Box, Line
    from mpscnn.vision.found_object import Detection
    from mpscnn.vision.object_mask import ObjectMask

_COLORS = 64  # with more classes, colours repeat
_VISIBLE = 0.5  # the minimum probability of keypoints that are drawn
_OPACITY = 128  # of masks, 255 at most


def draw_boxes(picture: PillowImage.Image, entries: Sequence[Detection]) -> PillowImage.Image:
    """Return a copy of the picture with boxes and their labels, the first box on top.

    Masks are mixed with the picture. Keypoints are discs, without those that are probably not visible. All boxes of a
    class, or of an identity in a video, have the same colour. If there are more than 64, some share a colour.
    """
    from PIL import ImageDraw

    result = picture.copy()
    for one in reversed(entries):
        if one.mask is not None:
            _tint(result, one.mask, _color(one))
    draw = ImageDraw.Draw(result)
    font = text_font(max(10.0, min(picture.size) / 30))
    line = max(1, round(min(picture.size) / 200))
    texts = [
        f"{one.label} {one.score:.0%}" if one.track is None else f"#{one.track} {one.label} {one.score:.0%}"
        for one in entries
    ]
    height = round(font.size * 1.3)
    sizes = [(round(font.getlength(text)) + 2 * line, height) for text in texts]
    places = label_places([one.box for one in entries], sizes, picture.size)
    for one in reversed(entries):
        color = _color(one)
        left, top, right, bottom = (round(edge) for edge in one.box)
        if one.corners:
            draw.polygon([tuple(corner) for corner in one.corners], outline=color, width=line)
        else:
            draw.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=color, width=line)
        for x, y, score in one.keypoints:
            if score >= _VISIBLE:
                draw.circle((x, y), 2 * line, fill=color, outline="white")
    for one, text, (x, y), (width, _) in zip(entries, texts, places, sizes, strict=True):
        color = _color(one)
        draw.rectangle((x, y, x + width, y + height), fill=color)
        ink = "black" if sum(color) > 382 else "white"
        draw.text((x + line, y + height // 2), text, fill=ink, font=font, anchor="lm")
    return result


def label_places(
    boxes: Sequence[Box], sizes: Sequence[tuple[int, int]], picture: tuple[int, int]
) -> list[tuple[int, int]]:
    """Return the upper left corner of each box's label, so that labels cover each other as little as possible.

    A label is above its box if it has room there, or else inside or below it, or at the nearest height that is free.

    Args:
        boxes: the boxes, the most important one first.
        sizes: the widths and heights of the labels.
        picture: the width and height of the picture.
    """
    placed: list[tuple[int, int, int, int]] = []
    for box, (width, height) in zip(boxes, sizes, strict=True):
        left, top, right, bottom = (round(edge) for edge in box)
        last_x, last_y = max(picture[0] - width, 0), max(picture[1] - height, 0)
        columns = [min(max(x, 0), last_x) for x in (left, right - width)]
        rows = sorted(range(0, last_y + 1, height + 1), key=lambda y: abs(y - top + height))
        rows = [min(max(y, 0), last_y) for y in (top - height, top, bottom - height, bottom)] + rows
        spots = ((x, y, x + width, y + height) for y in rows for x in columns)
        placed.append(min(spots, key=lambda spot: sum(_common_area(spot, other) for other in placed)))
    return [(x, y) for x, y, _, _ in placed]


def _common_area(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> int:
    """Return the number of pixels of two rectangles in both of them, with their right and lower edges."""
    width = min(a[2], b[2]) - max(a[0], b[0]) + 1
    height = min(a[3], b[3]) - max(a[1], b[1]) + 1
    return max(width, 0) * max(height, 0)


def _tint(picture: PillowImage.Image, mask: ObjectMask, color: Color) -> None:
    from PIL import Image

    opacity = Image.fromarray(mask.pixels.astype(np.uint8) * np.uint8(_OPACITY), "L")
    picture.paste(color, (mask.left, mask.top), opacity)


def _color(one: Detection) -> Color:
    index = one.index if one.track is None else one.track
    red, green, blue = class_colors(_COLORS + 1)[1 + index % _COLORS].tolist()
    return red, green, blue


def draw_count_line(picture: PillowImage.Image, line: Line, text: str) -> None:
    """Draw a line on a picture, in place, and the text in its lower left corner."""
    from PIL import ImageDraw

    draw = ImageDraw.Draw(picture)
    width = max(2, round(min(picture.size) / 150))
    draw.line(line, fill="red", width=width)
    if text:
        font = text_font(max(10.0, min(picture.size) / 30))
        left, top, right, bottom = draw.textbbox(
            (width, picture.height - width), text, font=font, anchor="lb"
        )
        draw.rectangle((left - width, top - width, right + width, bottom + width), fill="white")
        draw.text((width, picture.height - width), text, fill="black", font=font, anchor="lb")
