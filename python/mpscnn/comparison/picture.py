"""A comparison as a picture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mpscnn.vision.visualize import text_font

if TYPE_CHECKING:
    from PIL import Image as PillowImage

    from mpscnn.comparison.compared import Comparison

_LINE = 18
_WIDTH = 600
_EQUAL, _DIFFERENT = (120, 170, 230), (220, 90, 80)
# The least error that is shown, and the greatest: powers of ten.
_LOWEST, _HIGHEST = -9, 1


def error_picture(comparison: Comparison) -> PillowImage.Image:
    """A bar for each layer's error, on a logarithmic scale from 1e-9 to 10; a line at the tolerance."""
    from PIL import Image, ImageDraw

    font = text_font(12)
    layers = comparison.layers
    margin = 12 + int(max(font.getlength(layer.name) for layer in layers))
    top = 3 * _LINE
    picture = Image.new("RGB", (margin + _WIDTH + 90, top + _LINE * len(layers) + 8), "white")
    draw = ImageDraw.Draw(picture)
    draw.text((8, 4), f"{comparison.first}   |   {comparison.second}", fill="black", font=font)
    for power in range(_LOWEST, _HIGHEST + 1, 2):
        x = margin + _position(10.0**power)
        draw.line((x, top - 4, x, picture.height), fill=(225, 225, 225))
        draw.text((x, top - 6), f"1e{power}", fill="gray", font=font, anchor="mb")
    for number, layer in enumerate(layers):
        y = top + number * _LINE
        color = _EQUAL if comparison.judged(layer) <= comparison.tolerance else _DIFFERENT
        length = _position(comparison.judged(layer))
        draw.text((margin - 6, y + _LINE // 2), layer.name, fill="black", font=font, anchor="rm")
        draw.rectangle((margin, y + 3, margin + length, y + _LINE - 3), fill=color)
        text = f"{comparison.judged(layer):.1e}"
        draw.text((margin + length + 6, y + _LINE // 2), text, fill="black", font=font, anchor="lm")
    x = margin + _position(comparison.tolerance)
    draw.line((x, top - 4, x, picture.height), fill=(90, 90, 90))
    return picture


def _position(error: float) -> int:
    """Where an error lies on the scale, in pixels."""
    if not error > 10.0**_LOWEST:
        return 0
    power = _HIGHEST if math.isinf(error) else min(math.log10(error), _HIGHEST)
    return round(_WIDTH * (power - _LOWEST) / (_HIGHEST - _LOWEST))
