"""Find the meaning of the four numbers of a detector's boxes, from the results for one image."""

from __future__ import annotations

from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

# The first matrix computes left, top, right and bottom from a centre and a size. The second swaps x and y.
_FROM_CENTER = np.array([[1, 0, -0.5, 0], [0, 1, 0, -0.5], [1, 0, 0.5, 0], [0, 1, 0, 0.5]])
_Y_FIRST = np.eye(4)[[1, 0, 3, 2]]
_MIN_BOXES = 16
_CLEARLY = 1.5
_MAX_ERROR = 0.2


def find_box_form(
    numbers: NDArray[np.float64],
    scores: NDArray[np.float64],
    size: tuple[int, int],
    expected: NDArray[np.float64] | None,
    corners: bool | None,
) -> tuple[NDArray[np.float64], str] | None:
    """Find the meaning of each box's four numbers, and whether scores are probabilities.

    Args:
        numbers: the four numbers of each box; shape (boxes, 4).
        scores: the scores of each box; shape (boxes, columns).
        size: (height, width) of the image.
        expected: approximate centres of the boxes, x and y in fractions of the image; shape (boxes, 2). None if
            unknown.
        corners: True if the numbers are two corners, False if they are a centre and a size, None if unknown.

    Returns:
        A matrix (4, 4) and a description. The matrix times a box's numbers is left, top, right and bottom in fractions
        of the image. The result is None if the meaning cannot be found.
    """
    if not (np.isfinite(numbers).all() and np.isfinite(scores).all()):
        return None
    if scores.min() < 0.0 or scores.max() > 1.0 + 1e-6 or len(numbers) < _MIN_BOXES:
        return None
    found: list[tuple[float, bool, bool, str, NDArray[np.float64]]] = []
    for in_corners in (True, False) if corners is None else (corners,):
        if not (numbers[:, 2:] >= (numbers[:, :2] if in_corners else 0.0)).all():
            continue
        centers = (numbers[:, :2] + numbers[:, 2:]) / 2 if in_corners else numbers[:, :2]
        y_first = False if expected is not None else _y_first(centers)
        for unit, sides in (("fractions", np.ones(2)), ("pixels", np.array(size[::-1], np.float64))):
            if y_first is not None:
                unit_first = sides[::-1] if y_first else sides
                error = _error(centers / unit_first, expected)
                found.append((error, in_corners, y_first, unit, unit_first))
    if not found or min(found, key=itemgetter(0))[0] > _MAX_ERROR:
        return None
    _, in_corners, y_first, unit, sides = min(found, key=itemgetter(0))
    matrix = (np.eye(4) if in_corners else _FROM_CENTER) / np.tile(sides, 2)
    if y_first:
        matrix = _Y_FIRST @ matrix
    what = "corners" if in_corners else "centres and sizes"
    return matrix, f"{what}, {'y' if y_first else 'x'} first, in {unit}"


def _error(centers: NDArray[np.float64], expected: NDArray[np.float64] | None) -> float:
    """Return the mean distance of centres, in fractions of the image, from the expected ones.

    If the expected centres are not known, the centres should be spread over the whole image: their minimum, median and
    maximum are compared with 0, 0.5 and 1.
    """
    if expected is None:
        expected, centers = np.array([[0.0], [0.5], [1.0]]), np.quantile(centers, [0.0, 0.5, 1.0], axis=0)
    return float(np.abs(centers - expected).mean())


def _y_first(centers: NDArray[np.float64]) -> bool | None:
    """Return True if the first coordinate is y, False if it is x; None if that is not clear.

    Boxes are listed row by row of the image, so y changes more slowly than x.
    """
    slow = _slow_share(centers)
    return None if slow.max() < _CLEARLY * slow.min() else bool(slow[0] > slow[1])


def _slow_share(centers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how much of each coordinate's variance remains in the means of consecutive boxes.

    Boxes come row by row, so almost none of the variance of x remains.
    """
    shares = np.zeros(2)
    for parts in (8, 16, 32):
        length = len(centers) // parts
        if length > 1:
            means = centers[: length * parts].reshape(parts, length, 2).mean(axis=1)
            shares += means.var(axis=0) / np.maximum(centers.var(axis=0), 1e-30)
    return shares
