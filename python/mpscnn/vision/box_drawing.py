"""Draw boxes with labels on pictures, with Pillow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mpscnn.vision.visualize import Color, class_colors, text_font

if TYPE_CHECKING:
    from PIL import Image as PillowImage

    from mpscnn.vision.box import Box

_COLORS = 64  # with more classes, colours repeat


def draw_boxes(picture: PillowImage.Image, entries: Sequence[tuple[Box, str, int]]) -> PillowImage.Image:
    """Return a copy of the picture with boxes and their labels, the first box on top.

    All boxes of a class have the same colour. If there are more than 64 classes, some classes share a colour.
    """
    from PIL import ImageDraw

    result = picture.copy()
    draw = ImageDraw.Draw(result)
    font = text_font(max(10.0, min(picture.size) / 30))
    line = max(1, round(min(picture.size) / 200))
    for box, text, index in reversed(entries):
        color = _color(index)
        left, top, right, bottom = (round(edge) for edge in box)
        draw.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=color, width=line)
        width, height = round(font.getlength(text)) + 2 * line, round(font.size * 1.3)
        x = max(0, min(left, picture.width - width))
        y = max(0, top - height)
        draw.rectangle((x, y, x + width, y + height), fill=color)
        ink = "black" if sum(color) > 382 else "white"
        draw.text((x + line, y + height // 2), text, fill=ink, font=font, anchor="lm")
    return result


def _color(index: int) -> Color:
    red, green, blue = class_colors(_COLORS + 1)[1 + index % _COLORS].tolist()
    return red, green, blue
