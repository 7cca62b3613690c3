"""Draw bars with text below or without a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mpscnn.errors import ImageError

if TYPE_CHECKING:
    from PIL import Image as PillowImage
    from PIL import ImageFont

_BAR = (160, 200, 255)
_BAR_WIDTH = 640
_MAX_BARS = 500


def bar_picture(title: str, entries: Sequence[tuple[str, float]]) -> PillowImage.Image:
    """Return a picture with a line of text for each entry, and a bar for its number, the longest for the largest.

    If there are more than 500 entries, it shows those with the largest numbers.
    """
    from PIL import Image

    largest = max((number for _, number in entries), default=0) or 1
    least = sorted((number for _, number in entries), reverse=True)[:_MAX_BARS][-1:]
    kept = [(text, number / largest) for text, number in entries if [number] >= least][:_MAX_BARS]
    left_out = f", the {len(kept)} largest of {len(entries):,}" if len(kept) < len(entries) else ""
    return add_bars(Image.new("RGB", (_BAR_WIDTH, 1), "white"), [(title + left_out, 0.0), *kept], points=14)


def add_bars(
    picture: PillowImage.Image, entries: Sequence[tuple[str, float]], *, points: float | None = None
) -> PillowImage.Image:
    """Return the picture with a line of text for each entry below. A bar behind the text shows its share, 0 to 1.

    `points` is the size of the text; None: by the picture's size.
    """
    from PIL import Image, ImageDraw

    font = text_font(points or max(10.0, min(picture.size) / 30))
    line = int(font.size * 1.5)
    inset = line // 5
    longest = max((int(font.getlength(text)) for text, _ in entries), default=0)
    width = max(picture.width, longest + 4 * inset)
    result = Image.new("RGB", (width, picture.height + len(entries) * line), "white")
    result.paste(picture)
    draw = ImageDraw.Draw(result)
    for row, (text, share) in enumerate(entries):
        top = picture.height + row * line
        draw.rectangle((0, top + 1, round(share * (width - 1)), top + line - 2), fill=_BAR)
        draw.text((2 * inset, top + line // 2), text, fill="black", font=font, anchor="lm")
    return result


def text_font(points: float) -> ImageFont.FreeTypeFont:
    """Return Pillow's font. Raises ImageError if Pillow is older than 10.1 or was built without fonts."""
    from PIL import ImageFont

    try:
        font = ImageFont.load_default(points)
    except TypeError as error:  # earlier versions have one size
        raise ImageError("drawing text needs Pillow 10.1 or later") from error
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise ImageError("drawing text needs a Pillow with FreeType support")
    return font
