"""Draw boxes with labels on pictures, with Pillow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mpscnn._private.bars import text_font
from mpscnn.vision.visualize import Color, class_colors

if TYPE_CHECKING:
    from PIL import Image as PillowImage

    from mpscnn.vision.found_object import Detection
    from mpscnn.vision.object_mask import ObjectMask

_COLORS = 64  # with more classes, colours repeat
_VISIBLE = 0.5  # the minimum probability of keypoints that are drawn
_OPACITY = 128  # of masks, 255 at most


def draw_boxes(picture: PillowImage.Image, entries: Sequence[Detection]) -> PillowImage.Image:
    """Return a copy of the picture with boxes and their labels, the first box on top.

    Masks are mixed with the picture. Keypoints are discs, without those that are probably not visible. All boxes of a
    class have the same colour. If there are more than 64 classes, some classes share a colour.
    """
    from PIL import ImageDraw

    result = picture.copy()
    for one in reversed(entries):
        if one.mask is not None:
            _tint(result, one.mask, _color(one.index))
    draw = ImageDraw.Draw(result)
    font = text_font(max(10.0, min(picture.size) / 30))
    line = max(1, round(min(picture.size) / 200))
    for one in reversed(entries):
        color, text = _color(one.index), f"{one.label} {one.score:.0%}"
        left, top, right, bottom = (round(edge) for edge in one.box)
        if one.corners:
            draw.polygon([tuple(corner) for corner in one.corners], outline=color, width=line)
        else:
            draw.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=color, width=line)
        for x, y, score in one.keypoints:
            if score >= _VISIBLE:
                draw.circle((x, y), 2 * line, fill=color, outline="white")
        width, height = round(font.getlength(text)) + 2 * line, round(font.size * 1.3)
        x = max(0, min(left, picture.width - width))
        y = max(0, top - height)
        draw.rectangle((x, y, x + width, y + height), fill=color)
        ink = "black" if sum(color) > 382 else "white"
        draw.text((x + line, y + height // 2), text, fill=ink, font=font, anchor="lm")
    return result


def _tint(picture: PillowImage.Image, mask: ObjectMask, color: Color) -> None:
    from PIL import Image

    opacity = Image.fromarray(mask.pixels.astype(np.uint8) * np.uint8(_OPACITY), "L")
    picture.paste(color, (mask.left, mask.top), opacity)


def _color(index: int) -> Color:
    red, green, blue = class_colors(_COLORS + 1)[1 + index % _COLORS].tolist()
    return red, green, blue
