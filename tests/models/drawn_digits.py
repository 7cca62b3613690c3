"""Draw digits that look as if drawn by hand: strokes along a smooth curve through a few points."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Point = tuple[float, float]

#: Strokes of each digit, as points (x, y) in a box that is 1 wide and 1.5 high.
STROKES: dict[int, list[list[Point]]] = {
    0: [[(0.5, 0.0), (0.1, 0.35), (0.05, 1.0), (0.45, 1.5), (0.9, 1.1), (0.95, 0.4), (0.5, 0.0)]],
    1: [[(0.25, 0.3), (0.55, 0.0), (0.55, 0.5), (0.5, 1.0), (0.5, 1.5)]],
    2: [[(0.05, 0.35), (0.4, 0.0), (0.85, 0.3), (0.6, 0.8), (0.05, 1.45)], [(0.05, 1.45), (0.5, 1.4), (1.0, 1.45)]],
    3: [[(0.1, 0.15), (0.55, 0.0), (0.85, 0.3), (0.4, 0.65)], [(0.4, 0.65), (0.95, 0.95), (0.7, 1.4), (0.05, 1.4)]],
    4: [[(0.35, 0.0), (0.2, 0.5), (0.0, 0.9)], [(0.0, 0.9), (0.5, 0.9), (1.0, 0.85)],
        [(0.7, 0.3), (0.65, 0.9), (0.6, 1.5)]],
    5: [[(0.9, 0.0), (0.5, 0.0), (0.15, 0.05)], [(0.15, 0.05), (0.1, 0.6)],
        [(0.1, 0.6), (0.7, 0.6), (0.9, 1.1), (0.5, 1.5), (0.0, 1.35)]],
    6: [[(0.75, 0.0), (0.3, 0.45), (0.05, 1.0), (0.3, 1.5), (0.85, 1.3), (0.75, 0.85), (0.3, 0.85), (0.1, 1.1)]],
    7: [[(0.05, 0.05), (0.5, 0.05), (0.95, 0.0)], [(0.95, 0.0), (0.6, 0.75), (0.4, 1.5)]],
    8: [[(0.85, 0.2), (0.4, 0.0), (0.15, 0.35), (0.5, 0.7), (0.85, 1.1), (0.5, 1.5), (0.1, 1.15), (0.45, 0.75),
         (0.85, 0.4), (0.85, 0.2)]],
    9: [[(0.85, 0.3), (0.45, 0.0), (0.1, 0.4), (0.4, 0.75), (0.85, 0.35)], [(0.85, 0.3), (0.85, 0.8), (0.7, 1.5)]],
}  # fmt: skip


def curve(points: list[Point]) -> NDArray[np.float64]:
    """Return points along the Catmull-Rom spline through the given points."""
    p = np.array([points[0], *points, points[-1]], np.float64)
    t = np.linspace(0, 1, 12)[:, None]
    parts = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(p, p[1:], p[2:], p[3:], strict=False)
    ]
    return np.concatenate(parts)


def draw(
    digit: int,
    *,
    size: tuple[int, int] = (240, 320),
    height: float = 200,
    at: tuple[float, float] = (50, 60),
    pen: float = 14,
    ink: int = 40,
    paper: int = 225,
) -> Image.Image:
    """Return a gray photo of `size` (width, height) with a digit, whose box is `height` high and begins `at` (x, y)."""
    fine = 4  # draw larger, then reduce, for smooth edges
    image = Image.new("L", (size[0] * fine, size[1] * fine), paper)
    brush = ImageDraw.Draw(image)
    radius = pen * fine / 2
    for stroke in STROKES[digit]:
        points = curve(stroke) * (height / 1.5 * fine) + np.array(at) * fine
        for begin, end in pairwise(points):
            steps = max(1, int(np.hypot(*(end - begin)) / (radius / 4)))
            for share in np.linspace(0, 1, steps + 1):
                x, y = begin + share * (end - begin)
                brush.ellipse((x - radius, y - radius, x + radius, y + radius), fill=ink)
    return image.resize(size, Image.Resampling.BOX)


def draw_page(
    rows: tuple[str, ...],
    *,
    size: tuple[int, int] = (480, 480),
    height: float = 90,
    pen: float = 8,
    ink: int = 40,
    paper: int = 225,
) -> tuple[Image.Image, list[tuple[int, tuple[float, float, float, float]]]]:
    """Return a gray page with rows of drawn digits, and for each digit its class and the box of its ink in pixels."""
    page = np.full((size[1], size[0]), paper, np.float64)
    found = []
    for line, row in enumerate(rows):
        for column, character in enumerate(row):
            at = (40 + column * height * 1.1, 40 + line * height * 1.5)
            drawn = draw(int(character), size=size, height=height, at=at, pen=pen, ink=ink, paper=paper)
            strokes = np.abs(np.asarray(drawn, np.float64) - paper)
            page += np.sign(ink - paper) * strokes
            y, x = np.nonzero(strokes > abs(ink - paper) / 2)
            found.append((int(character), (x.min(), y.min(), x.max() + 1.0, y.max() + 1.0)))
    return Image.fromarray(np.clip(page, 0, 255).astype(np.uint8)), found
