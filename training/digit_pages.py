"""Generate the training data of a detector: pages with handwritten digits from MNIST, and the box of each digit."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from paper import blank_paper

from mpscnn.errors import ParameterError
from mpscnn.training.batches import EpochData
from mpscnn.training.digit_views import random_views

__all__ = ["BOX_MARGIN", "PAGE_SIDE", "DigitPages", "Page"]

#: Height and width of a page in pixels.
PAGE_SIDE = 160
#: The margin between a digit's ink and its box on each side, as a share of the digit's height. Without a margin the box
#: of a 1 would be hardly more than a line.
BOX_MARGIN = 0.1

# The smallest and largest height of a digit in pixels. The digits of one page have similar heights: the
# logarithm of a digit's height differs from that of the page's common height by at most _LOG_HEIGHT.
_LEAST, _MOST = 15.0, 72.0
_LOG_HEIGHT = 0.25
# The largest change of a digit's aspect ratio, as a logarithm. The ratio varies because photos of any shape are
# stretched to the network's input.
_LOG_ASPECT = 0.3
_MAX_DIGITS = 16
_TRIES = 8
# The range of the gap between neighbours in a row, and the smallest gap between the ink of any two digits. Both are
# shares of a digit's height.
_ROW_GAPS = (0.08, 0.7)
_MIN_GAP = 0.06
_IN_ROWS = 0.6
# Pixels of MNIST (0 to 1) above this value are ink.
_INK = 0.3

Images = NDArray[np.float32]


@dataclass(frozen=True)
class Page:
    """A gray image (side, side) in 0..1, and its digits.

    Attributes:
        boxes: (k, 4) left, top, right and bottom of each digit's box, in fractions of the page.
        classes: (k,) digits.
    """

    image: Images
    boxes: Images
    classes: NDArray[np.int32]


class DigitPages(EpochData):
    """Generates new pages for each epoch: digits of several sizes, in rows or scattered, on all kinds of paper.

    A batch has images (n, side, side, 1) in -1..1 (the preprocessing preset "tensorflow"), and a dictionary with
    "boxes" and "classes" for each page. A thread generates the next batches while the network computes. The content of
    a page depends only on the seed, the epoch and the page's number.

    Args:
        images: digits (n, 28, 28, 1) in 0..1, light strokes on black.
        labels: the digit that each image shows.
        pages: the number of pages in an epoch.
        seed: the seed of all random choices.
        views: whether digits are randomly rotated, bent and so on (`random_views`), as in training.

    Raises:
        ParameterError: there are no images, or not as many labels, or `pages` is less than 1.
    """

    def __init__(
        self, images: Images, labels: NDArray[np.uint8], *, pages: int, seed: int, views: bool = True
    ) -> None:
        if len(images) == 0 or len(images) != len(labels):
            raise ParameterError(f"pages need images and as many labels, got {len(images)} and {len(labels)}")
        if pages < 1:
            raise ParameterError(f"pages must be at least 1, got {pages}")
        self._images, self._labels = images, labels
        self._pages, self._seed, self._views = pages, seed, views

    def __len__(self) -> int:
        return self._pages

    def page(self, number: int, *, epoch: int | None = None) -> Page:
        """Return one page of an epoch. Without an epoch, return a page for `evaluate`."""
        random = np.random.default_rng([self._seed, 0 if epoch is None else epoch + 1, number])
        image, ink = blank_paper(PAGE_SIDE, random)
        chosen = random.integers(0, len(self._images), random.integers(1, _MAX_DIGITS + 1))
        digits = self._images[chosen]
        if self._views:
            digits = random_views(digits, random)
        inside: list[tuple[float, float, float, float]] = []
        classes = []
        layout = _Layout(random)
        for digit, label in zip(digits[..., 0], self._labels[chosen], strict=True):
            strokes = _cut_out(digit)
            if strokes is None:
                continue
            height, width = layout.extents(strokes)
            place = layout.place(height, width)
            if place is None:
                continue
            alpha = _with_pen(_resized(strokes, height, width), random)
            _write(image, alpha, place, ink + random.uniform(-0.05, 0.05))
            inside.append(_box(place, height, width))
            classes.append(int(label))
        return Page(
            np.clip(image, 0, 1), np.array(inside, np.float32).reshape(-1, 4), np.array(classes, np.int32)
        )

    def batches(
        self, size: int, *, epoch: int | None = None, first: int = 0
    ) -> Iterator[tuple[Images, list[dict[str, Any]]]]:
        """Yield the batches of an epoch; see `EpochData.batches`."""
        with ThreadPoolExecutor(1, "mpscnn-pages") as pool:
            begun: deque[Future[tuple[Images, list[dict[str, Any]]]]] = deque()
            try:
                for begin in range(first * size, self._pages, size):
                    numbers = range(begin, min(begin + size, self._pages))
                    begun.append(pool.submit(self._batch, numbers, epoch))
                    if len(begun) > 2:
                        yield begun.popleft().result()
                while begun:
                    yield begun.popleft().result()
            finally:
                for future in begun:
                    future.cancel()

    def _batch(self, numbers: range, epoch: int | None) -> tuple[Images, list[dict[str, Any]]]:
        pages = [self.page(number, epoch=epoch) for number in numbers]
        images = np.stack([page.image for page in pages])[..., None] * np.float32(2) - np.float32(1)
        return images, [{"boxes": page.boxes, "classes": page.classes} for page in pages]


class _Layout:
    """Chooses the places of a page's digits: in rows from left to right, or anywhere that is free."""

    def __init__(self, random: np.random.Generator) -> None:
        self._random = random
        self._height = float(np.exp(random.uniform(np.log(_LEAST), np.log(_MOST))))
        self._aspect = float(np.exp(random.uniform(-_LOG_ASPECT, _LOG_ASPECT)))
        self._in_rows = random.random() < _IN_ROWS
        self._taken: list[tuple[int, int, int, int]] = []
        self._right, self._line = 0.0, random.uniform(0, max(PAGE_SIDE - 2 * self._height, 1))
        self._right = random.uniform(0, PAGE_SIDE / 2)

    def extents(self, strokes: Images) -> tuple[int, int]:
        """Return the height and width for a digit's ink on this page."""
        height = self._height * float(np.exp(self._random.uniform(-_LOG_HEIGHT, _LOG_HEIGHT)))
        height = min(max(height, _LEAST), _MOST)
        width = height * self._aspect * strokes.shape[1] / strokes.shape[0]
        return round(height), max(round(width), 2)

    def place(self, height: int, width: int) -> tuple[int, int] | None:
        """Return the (top, left) corner for ink of this size; None if no free place was found."""
        margin = round(BOX_MARGIN * height) + 1
        lowest, rightmost = PAGE_SIDE - margin - height, PAGE_SIDE - margin - width
        if rightmost < margin:
            return None
        for _ in range(_TRIES):
            if self._in_rows:
                place = self._in_row(height, width, margin, lowest)
            else:
                place = (
                    int(self._random.integers(margin, lowest + 1)),
                    int(self._random.integers(margin, rightmost + 1)),
                )
            if place is not None and self._is_free(place, height, width):
                self._taken.append((place[0], place[1], place[0] + height, place[1] + width))
                self._right = place[1] + width
                return place
        return None

    def _in_row(self, height: int, width: int, margin: int, lowest: int) -> tuple[int, int] | None:
        left = round(self._right + self._random.uniform(*_ROW_GAPS) * height)
        if left + width + margin > PAGE_SIDE:  # the next row
            self._line += self._height * self._random.uniform(1.3, 2.2)
            self._right = self._random.uniform(0, PAGE_SIDE / 4)
            return None
        top = round(self._line + self._random.uniform(-0.12, 0.12) * height)
        return (max(top, margin), max(left, margin)) if top <= lowest else None

    def _is_free(self, place: tuple[int, int], height: int, width: int) -> bool:
        top, left = place
        gap = max(_MIN_GAP * height, 1)
        return all(
            top + height + gap <= other[0]
            or other[2] + gap <= top
            or left + width + gap <= other[1]
            or other[3] + gap <= left
            for other in self._taken
        )


def _box(place: tuple[int, int], height: int, width: int) -> tuple[float, float, float, float]:
    margin = BOX_MARGIN * height
    top, left = place
    edges = (left - margin, top - margin, left + width + margin, top + height + margin)
    return (edges[0] / PAGE_SIDE, edges[1] / PAGE_SIDE, edges[2] / PAGE_SIDE, edges[3] / PAGE_SIDE)


def _cut_out(digit: Images) -> Images | None:
    """Crop an image to its ink. Return None if there is no ink."""
    ink = digit > _INK
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not len(rows):
        return None
    return digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _resized(strokes: Images, height: int, width: int) -> Images:
    """Resize an image bilinearly: first its rows, then its columns."""
    rows: Images = _interpolated(strokes, height)
    both: Images = _interpolated(rows.T, width).T
    return both


def _interpolated(values: Images, extent: int) -> Images:
    """Interpolate to `extent` rows. Each new row is a weighted mean of two neighbouring old rows."""
    old = len(values)
    places = np.clip((np.arange(extent, dtype=np.float32) + np.float32(0.5)) * old / extent - 0.5, 0, old - 1)
    base = np.minimum(places.astype(np.int64), max(old - 2, 0))
    share = (places - base).astype(np.float32)[:, None]
    between: Images = values[base] * (1 - share) + values[np.minimum(base + 1, old - 1)] * share
    return between


def _with_pen(strokes: Images, random: np.random.Generator) -> Images:
    """Sharpen the strokes of half of the digits, thicker or thinner, because enlarged digits of MNIST are blurred."""
    if random.random() < 0.5:
        return strokes
    middle, steepness = random.uniform(0.35, 0.6), random.uniform(1.2, 3.0)
    sharp: Images = np.clip((strokes - np.float32(middle)) * np.float32(steepness) + np.float32(0.5), 0, 1)
    return sharp


def _write(image: Images, strokes: Images, place: tuple[int, int], ink: float) -> None:
    top, left = place
    part = image[top : top + strokes.shape[0], left : left + strokes.shape[1]]
    part += (np.float32(ink) - part) * strokes
