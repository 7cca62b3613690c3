"""Generate random variants of handwritten digits, as other hands and pens would write them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mpscnn.training.batches import EpochData, epoch_parts

# The largest change of each kind. The rotation is in radians, the shear is the tangent of its angle, and the scale is a
# logarithm. Shifts and bends are shares of half the image's side. A change of ink is a share of the gray level.
_ROTATION = 0.22
_SHEAR = 0.25
_LOG_SCALE = 0.16
_SHIFT = 0.1
_BEND = 0.09
_BEND_CELLS = 5
_INK = 0.25

Images = NDArray[np.float32]


class DigitViews(EpochData):
    """Data with new variants of the images in each epoch, in a random order.

    Args:
        images: (n, height, width, 1) in 0..1, light strokes on black.
        labels: the digits.
        seed: the random seed of the order and the variants.
    """

    def __init__(self, images: Images, labels: NDArray[np.uint8], *, seed: int) -> None:
        self._images, self._labels, self._seed = images, labels, seed

    def __len__(self) -> int:
        return len(self._images)

    def batches(
        self, size: int, *, epoch: int | None = None, first: int = 0
    ) -> Iterator[tuple[Images, NDArray[np.uint8]]]:
        """Yield batches of images and labels, as `EpochData.batches` does."""
        parts = epoch_parts(len(self._images), size, seed=self._seed, epoch=epoch, first=first)
        for number, chosen in enumerate(parts, first):
            images = self._images[chosen]
            if epoch is not None:
                images = random_views(images, np.random.default_rng([self._seed, epoch, number * size]))
            yield images, self._labels[chosen]


def random_views(images: Images, random: np.random.Generator) -> Images:
    """Return one random variant of each image (n, height, width, 1), as if by another hand and pen."""
    moved = _sampled(images[..., 0], *_positions(images.shape[:3], random))
    views: Images = _other_pen(moved, random)[..., None]
    return views


def _spread(random: np.random.Generator, shape: tuple[int, ...], reach: float) -> Images:
    """Return random numbers between -reach and reach."""
    numbers: Images = (random.random(shape, np.float32) * 2 - 1) * np.float32(reach)
    return numbers


def _positions(shape: tuple[int, int, int], random: np.random.Generator) -> tuple[Images, Images]:
    """Return for each pixel of the variants its source position, as rows and columns.

    Variants are rotated, sheared, scaled, moved and bent.
    """
    count, height, width = shape
    angle, shear = (_spread(random, (count, 1, 1), reach) for reach in (_ROTATION, _SHEAR))
    wide, high = np.exp(_spread(random, (2, count, 1, 1), _LOG_SCALE))
    shift_x, shift_y = _spread(random, (2, count, 1, 1), _SHIFT)
    bend = _spread(random, (2, count, _BEND_CELLS, _BEND_CELLS), _BEND)
    bend_x, bend_y = interpolate_grids(bend, height, width)
    y, x = _centred(height)[:, None], _centred(width)[None, :]
    cosine, sine = np.cos(angle), np.sin(angle)
    from_x = wide * cosine * x + high * (shear * cosine - sine) * y + shift_x + bend_x
    from_y = wide * sine * x + high * (shear * sine + cosine) * y + shift_y + bend_y
    return ((from_y + 1) * height - 1) / 2, ((from_x + 1) * width - 1) / 2


def _centred(extent: int) -> Images:
    """Return the centres of pixels as numbers in -1..1."""
    return ((2 * np.arange(extent) + 1) / extent - 1).astype(np.float32)


def interpolate_grids(cells: Images, height: int, width: int) -> Images:
    """Interpolate coarse grids (k, n, cells, cells) to smooth surfaces (k, n, height, width)."""
    rows, columns = _cubic(cells.shape[-2], height), _cubic(cells.shape[-1], width)
    # einsum adds in a fixed order; a matrix product's order depends on the library and its threads.
    across = np.einsum("knab,jb->knaj", cells, columns)
    smooth: Images = np.einsum("knaj,ia->knij", across, rows)
    return smooth


@cache
def _cubic(cells: int, extent: int) -> Images:
    """Return weights (extent, cells) of cubic convolution (Keys 1981, a = -0.5). The outermost cells are repeated."""
    weights = np.zeros((extent, cells), np.float32)
    for i, place in enumerate(np.linspace(0, cells - 1, extent)):
        base = min(int(place), cells - 2)
        for cell in range(base - 1, base + 3):
            distance = abs(place - cell)
            near = 1.5 * distance**3 - 2.5 * distance**2 + 1
            far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
            weights[i, min(max(cell, 0), cells - 1)] += near if distance <= 1 else far
    return weights


def _sampled(images: Images, rows: Images, columns: Images) -> Images:
    """Sample images at these positions with bilinear interpolation. Outside they are black."""
    count, height, width = images.shape
    padded = np.zeros((count, height + 2, width + 2), np.float32)
    padded[:, 1:-1, 1:-1] = images
    flat = padded.reshape(-1)
    rows, columns = np.clip(rows + 1, 0, height + 0.999), np.clip(columns + 1, 0, width + 0.999)
    top, left = rows.astype(np.int32), columns.astype(np.int32)
    down, right = (rows - top).astype(np.float32), (columns - left).astype(np.float32)
    corner = (np.arange(count, dtype=np.int32)[:, None, None] * (height + 2) + top) * (width + 2) + left
    upper = flat[corner] * (1 - right) + flat[corner + 1] * right
    lower = flat[corner + width + 2] * (1 - right) + flat[corner + width + 3] * right
    values: Images = upper * (1 - down) + lower * down
    return values


def _other_pen(images: Images, random: np.random.Generator) -> Images:
    """Make the strokes of about half of the images thicker, thinner or softer, and all ink paler or darker."""
    count = len(images)
    kind = random.integers(0, 3, count)
    share = np.maximum(_spread(random, (count, 1, 1), 1.0), 0)
    ink = 1 + _spread(random, (count, 1, 1), _INK)
    result = images.copy()
    for number, change, part in ((0, _thick, 1.0), (1, _thin, 0.5), (2, _soft, 1.0)):
        # Erosion removes more than dilation adds, so it is used half as much.
        chosen = kind == number
        plain = images[chosen]
        result[chosen] = plain + (change(plain) - plain) * share[chosen] * np.float32(part)
    inked: Images = np.clip(result * ink, 0, 1)
    return inked


def _neighbours(images: Images, outside: float) -> list[Images]:
    """Return the images moved by -1 to 1 rows and columns."""
    count, height, width = images.shape
    padded = np.full((count, height + 2, width + 2), outside, np.float32)
    padded[:, 1:-1, 1:-1] = images
    return [padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]


def _thick(images: Images) -> Images:
    thick: Images = np.maximum.reduce(_neighbours(images, 0.0))
    return thick


def _thin(images: Images) -> Images:
    thin: Images = np.minimum.reduce(_neighbours(images, 1.0))
    return thin


def _soft(images: Images) -> Images:
    total = np.zeros_like(images)
    for moved in _neighbours(images, 0.0):
        total += moved
    total /= np.float32(9)
    return total
