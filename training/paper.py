"""Generate images of paper: light or dark, in uneven light, plain, ruled or squared, with noise, stains and lines."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mpscnn.training.digit_views import interpolate_grids

__all__ = ["blank_paper"]

Images = NDArray[np.float32]

# The probability of each property of a sheet. A sheet is only squared if it is ruled.
_DARK, _RULED, _SQUARED, _STAINED, _STRUCK, _EDGED, _NOISY = 0.25, 0.3, 0.4, 0.25, 0.25, 0.2, 0.7
_LIGHT_CELLS = 4
# The smallest difference between the gray levels of ink and paper, which are in 0..1.
_MIN_CONTRAST = 0.3


def blank_paper(side: int, random: np.random.Generator) -> tuple[Images, float]:
    """Return an image (side, side) of paper with gray levels in about 0..1, and a gray level for readable ink on it."""
    contrast = random.uniform(_MIN_CONTRAST, 0.9)
    dark = random.random() < _DARK
    level = random.uniform(0.03, 0.97 - contrast) if dark else random.uniform(contrast + 0.03, 0.97)
    ink = level + contrast if dark else level - contrast
    image = np.full((side, side), level, np.float32) + _light(side, 0.35 * contrast, random)
    toward_ink = float(ink - level)
    if random.random() < _EDGED:
        _edge(image, toward_ink * random.uniform(-0.6, 0.6), random)
    if random.random() < _RULED:
        _rule(image, toward_ink * random.uniform(0.15, 0.5), random)
    if random.random() < _STAINED:
        _stain(image, toward_ink * random.uniform(0.1, 0.4), random)
    if random.random() < _STRUCK:
        _strike(image, toward_ink * random.uniform(0.3, 0.9), random)
    if random.random() < _NOISY:
        noise = random.standard_normal((side, side), np.float32)
        image += noise * np.float32(random.uniform(0, 0.14) * contrast)
    return image, float(ink)


def _light(side: int, reach: float, random: np.random.Generator) -> Images:
    cells = (random.random((1, 1, _LIGHT_CELLS, _LIGHT_CELLS), np.float32) - np.float32(0.5)) * np.float32(
        reach
    )
    light: Images = interpolate_grids(cells, side, side)[0, 0]
    return light


def _edge(image: Images, change: float, random: np.random.Generator) -> None:
    """Change the gray level along one side of the image, as if the sheet ended there and a table began."""
    share = int(random.uniform(0.02, 0.2) * len(image))
    turned = np.rot90(image, int(random.integers(0, 4)))
    turned[:share] += np.float32(change)


def _rule(image: Images, change: float, random: np.random.Generator) -> None:
    step = int(random.integers(8, 40))
    first = int(random.integers(0, step))
    image[first::step] += np.float32(change)
    if random.random() < _SQUARED:
        image[:, first::step] += np.float32(change)


def _stain(image: Images, change: float, random: np.random.Generator) -> None:
    side = len(image)
    places = (np.arange(side, dtype=np.float32) + np.float32(0.5)) / side
    for _ in range(int(random.integers(1, 4))):
        y, x, radius = random.uniform(0, 1), random.uniform(0, 1), random.uniform(0.03, 0.3)
        down = np.exp(-(((places - y) / radius) ** 2)).astype(np.float32)
        across = np.exp(-(((places - x) / radius) ** 2)).astype(np.float32)
        image += np.float32(change) * down[:, None] * across


def _strike(image: Images, change: float, random: np.random.Generator) -> None:
    """Draw bent pen lines that are too long to be digits."""
    side = len(image)
    for _ in range(int(random.integers(1, 4))):
        begin, middle, end = random.uniform(0, 1, (3, 2))
        length = float(np.abs(end - begin).max())
        end = begin + (end - begin) * max(1.0, 0.6 / max(length, 1e-3))
        t = np.linspace(0, 1, 2 * side)[:, None]
        points = ((1 - t) ** 2 * begin + 2 * t * (1 - t) * middle + t**2 * end) * side
        y, x = points.astype(np.int64).T
        mark = np.zeros_like(image)
        for down in range(int(random.integers(1, 4))):
            inside = (y + down >= 0) & (y + down < side) & (x >= 0) & (x < side)
            mark[y[inside] + down, x[inside]] = 1
        image += np.float32(change) * mark
