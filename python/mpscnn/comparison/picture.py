"""Draw a comparison: the error of each layer as a bar."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mpscnn.vision.visualize import text_font

if TYPE_CHECKING:
    from PIL import Image as PillowImage

_LINE = 18
_WIDTH = 600
_EQUAL, _DIFFERENT = (120, 170, 230), (220, 90, 80)
# The powers of ten at both ends of the scale.
_LOWEST, _HIGHEST = -9, 1


def error_picture(title: str, errors: Sequence[tuple[str, float]], tolerance: float) -> PillowImage.Image:
    """Draw a bar for each layer's error on a logarithmic scale from 1e-9 to 10, and a line at the tolerance.

    Args:
        title: the two networks.
        errors: the name and the error of each layer.
        tolerance: errors above it have another color.
    """
    from PIL import Image, ImageDraw

    font = text_font(12)
    margin = 12 + int(max(font.getlength(name) for name, _ in errors))
    top = 3 * _LINE
    picture = Image.new("RGB", (margin + _WIDTH + 90, top + _LINE * len(errors) + 8), "white")
    draw = ImageDraw.Draw(picture)
    draw.text((8, 4), title, fill="black", font=font)
    for power in range(_LOWEST, _HIGHEST + 1, 2):
        x = margin + _position(10.0**power)
        draw.line((x, top - 4, x, picture.height), fill=(225, 225, 225))
        draw.text((x, top - 6), f"1e{power}", fill="gray", font=font, anchor="mb")
    for number, (name, error) in enumerate(errors):
        y = top + number * _LINE
        color = _EQUAL if error <= tolerance else _DIFFERENT
        length = _position(error)
        draw.text((margin - 6, y + _LINE // 2), name, fill="black", font=font, anchor="rm")
        draw.rectangle((margin, y + 3, margin + length, y + _LINE - 3), fill=color)
        draw.text((margin + length + 6, y + _LINE // 2), f"{error:.1e}", fill="black", font=font, anchor="lm")
    x = margin + _position(tolerance)
    draw.line((x, top - 4, x, picture.height), fill=(90, 90, 90))
    return picture


def _position(error: float) -> int:
    """Return the position of an error on the scale, in pixels."""
    if not error > 10.0**_LOWEST:
        return 0
    power = _HIGHEST if math.isinf(error) else min(math.log10(error), _HIGHEST)
    return round(_WIDTH * (power - _LOWEST) / (_HIGHEST - _LOWEST))
