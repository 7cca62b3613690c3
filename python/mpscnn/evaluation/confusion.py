"""Show a confusion matrix as a table, or as a list of the most frequent mistakes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.summary import text_table

#: With more classes than this, a table of the most frequent mistakes replaces the confusion matrix.
MAX_COLUMNS = 20


def seen_classes(counts: NDArray[np.int64]) -> list[int]:
    """Return the numbers of the classes that occur in a row or in a column of a square confusion matrix."""
    found = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1))
    return [int(index) for index in found]


def frequent_mistakes(
    counts: NDArray[np.int64], labels: Sequence[str], count: int
) -> list[tuple[str, str, int]]:
    """Return the most frequent mistakes as (true class, found class, number)."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:count]
    pairs = [np.unravel_index(place, wrong.shape) for place in order]
    return [
        (labels[true], labels[found], int(wrong[true, found])) for true, found in pairs if wrong[true, found]
    ]


def confusion_table(
    counts: NDArray[np.int64], labels: Sequence[str], things: str, *, width: int | None = None
) -> str:
    """Return a confusion matrix with a row for each true class that occurs.

    With more than 20 classes, or if a line would be longer than `width`, it is a list of the most frequent mistakes.

    Args:
        counts: `[true class][found class]`.
        labels: the names of the classes.
        things: what is counted, such as "photos".
        width: lines have at most this number of characters if possible.
    """
    seen = seen_classes(counts)
    if len(seen) <= MAX_COLUMNS:
        matrix = _matrix(counts[np.ix_(seen, seen)], [labels[index] for index in seen])
        if width is None or len(matrix.partition("\n")[0]) <= width:
            return matrix
    rows = [
        (true, found, f"{number:,}") for true, found, number in frequent_mistakes(counts, labels, MAX_COLUMNS)
    ]
    return text_table(("true class", "taken for", things), rows, right=(2,), width=width)


def _matrix(counts: NDArray[np.int64], labels: Sequence[str]) -> str:
    rows = [
        (label, *(f"{count:,}" if count else "." for count in row.tolist()))
        for label, row in zip(labels, counts, strict=True)
    ]
    return text_table(("true class", *labels), rows, right=range(1, len(labels) + 1))


def nonzero_cells(counts: NDArray[np.int64], things: str) -> list[dict[str, int]]:
    """Return the cells of a confusion matrix that are not zero, for JSON."""
    return [
        {"class": int(true), "found": int(found), things: int(counts[true, found])}
        for true, found in np.argwhere(counts)
    ]
