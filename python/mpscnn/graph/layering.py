"""Compute where the layers of a network are placed in a drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Point = tuple[float, float]


@dataclass(frozen=True)
class Place:
    """The centre of a box in pixels."""

    x: float
    y: float


@dataclass(frozen=True)
class Layering:
    """A drawing: its size in pixels, the boxes by name, and the lines between them, which run around other boxes."""

    width: float
    height: float
    places: Mapping[str, Place]
    lines: Sequence[Sequence[Point]]
    """The corners of each line, from its upper end to its lower end."""


def assign_rows(
    inputs_of: Mapping[str, Sequence[str]], *, box: tuple[float, float], gaps: tuple[float, float]
) -> Layering:
    """Place the nodes of a graph in rows, each below the nodes that it reads.

    A line that passes through rows has its own column there. All lines from one node share that column.

    Args:
        inputs_of: the nodes that each node reads. The nodes are in an order of computation.
        box: the width and height of a node in pixels.
        gaps: the smallest horizontal distance between boxes, and the distance between rows, in pixels.
    """
    rows = _rows(inputs_of)
    last_row: dict[str, int] = {}  # the row where the line from each node ends
    for name, sources in inputs_of.items():
        for source in sources:
            if rows[name] > rows[source] + 1:
                last_row[source] = max(last_row.get(source, 0), rows[name] - 1)
    columns = _columns(inputs_of, rows, last_row, box[0], gaps[0])
    pitch = box[1] + gaps[1]

    def corner(column: float, row: int, side: float) -> Point:
        return column, gaps[1] / 2 + row * pitch + box[1] * side

    lines: list[list[Point]] = []
    for name, sources in inputs_of.items():
        for source in dict.fromkeys(sources):
            line = [corner(columns[source, rows[source]], rows[source], 1.0)]
            for row in range(rows[source] + 1, rows[name]):
                line += [corner(columns[source, row], row, side) for side in (0.0, 1.0)]
            lines.append([*line, corner(columns[name, rows[name]], rows[name], 0.0)])
    places = {name: Place(columns[name, row], corner(0.0, row, 0.5)[1]) for name, row in rows.items()}
    edges = [place.x + box[0] / 2 for place in places.values()] + [x for line in lines for x, _ in line]
    return Layering(
        max(edges, default=0.0) + gaps[0], (max(rows.values(), default=-1) + 1) * pitch, places, lines
    )


def _rows(inputs_of: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Return the row of each node, from 0. A node without inputs is placed just above its first reader."""
    rows: dict[str, int] = {}
    for name, sources in inputs_of.items():
        rows[name] = 1 + max((rows[source] for source in sources), default=-1)
    above: dict[str, int] = {}
    for name, sources in inputs_of.items():
        for source in sources:
            if not inputs_of[source]:
                above[source] = min(above.get(source, rows[name]), rows[name] - 1)
    rows.update(above)
    return rows


def _columns(
    inputs_of: Mapping[str, Sequence[str]],
    rows: Mapping[str, int],
    last_row: Mapping[str, int],
    box: float,
    gap: float,
) -> dict[tuple[str, int], float]:
    """Return the x coordinates of nodes and of lines that pass through rows, by the node's name and the row.

    A node or line is placed below its source if there is room, otherwise further to the right. A line has the name of
    the node where it begins.
    """
    members: dict[int, list[str]] = {}
    for name, row in rows.items():
        members.setdefault(row, []).append(name)
    columns: dict[tuple[str, int], float] = {}
    first = gap + box / 2
    for row in sorted(members):
        passing = [name for name, last in last_row.items() if rows[name] < row <= last]
        wanted: list[tuple[float, bool, str]] = [
            (min((columns[source, row - 1] for source in inputs_of[name]), default=first), False, name)
            for name in members[row]
        ]
        wanted += [(columns[name, row - 1], True, name) for name in passing]
        free = gap
        for x, passes, name in sorted(wanted, key=lambda entry: entry[:2]):
            half = 0.0 if passes else box / 2
            columns[name, row] = max(x, free + half)
            free = columns[name, row] + half + gap
    return columns
