"""Match rows and columns of a table so that the sum of the matched values is largest."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def best_pairs(values: NDArray[np.float64], least: float) -> list[tuple[int, int]]:
    """Return pairs of a row and a column, each at most once, with the largest sum of (value - `least`).

    Pairs with smaller values than `least` are not made. Most rows have one possible column, which no other row wants:
    these are matched first.

    Args:
        values: an array (rows, columns).
        least: the smallest value of a pair.
    """
    possible = values >= least
    alone = possible & (possible.sum(0) == 1)[None] & (possible.sum(1) == 1)[:, None]
    pairs = [(int(row), int(column)) for row, column in np.argwhere(alone)]
    rows = np.flatnonzero(possible.any(1) & ~alone.any(1))
    columns = np.flatnonzero(possible.any(0) & ~alone.any(0))
    if len(rows):
        gains = np.where(possible, values - least, -math.inf)[np.ix_(rows, columns)]
        pairs += [(int(rows[i]), int(columns[j])) for i, j in _assigned((-gains).tolist())]
    return sorted(pairs)


def _assigned(costs: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """Return the pairs with the smallest sum of costs, where a row without a pair costs 0.

    Each row has a column of its own with cost 0, and the shortest augmenting path joins one row after the other
    (Jonker and Volgenant, "A shortest augmenting path algorithm for dense and sparse linear assignment problems",
    1987).
    """
    count, width = len(costs), len(costs[0])
    table = [[*row, *(0.0 if i == j else math.inf for j in range(count))] for i, row in enumerate(costs)]
    of_row, of_column = [0.0] * count, [0.0] * (width + count)
    owner = [-1] * (width + count)
    for start in range(count):
        distance, before = [math.inf] * (width + count), [-1] * (width + count)
        waiting = set(range(width + count))
        row, length, column = start, 0.0, -1
        seen: list[tuple[int, int]] = []
        while row >= 0:
            for j in waiting:
                reached = length + table[row][j] - of_row[row] - of_column[j]
                if reached < distance[j]:
                    distance[j], before[j] = reached, row
            column = min(waiting, key=distance.__getitem__)
            length = distance[column]
            waiting.remove(column)
            seen.append((row, column))
            row = owner[column]
        for place, (row, _) in enumerate(seen):
            of_row[row] += length - (distance[seen[place - 1][1]] if place else 0.0)
        for _, j in seen:
            of_column[j] -= length - distance[j]
        while column >= 0:  # turn the path around
            row = before[column]
            previous = owner.index(row) if row != start else -1
            owner[column], column = row, previous
    return [(row, column) for column, row in enumerate(owner[:width]) if row >= 0]
