"""Read a table of labels: a CSV file with a photo on each line, and a column for each tag, number or coordinate."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.arguments import number_in
from mpscnn.training.scenes.csv_table import PHOTO_COLUMNS, table_rows
from mpscnn.training.scenes.labelled import fail, find_photo

TableTask = Literal["tags", "number", "keypoints"]
#: The words of a cell of a tag.
_TAGGED = {"1": 1.0, "true": 1.0, "yes": 1.0, "0": 0.0, "false": 0.0, "no": 0.0}
#: Names of the only column of tags, whose cells list the tags of a photo.
_LISTS = ("tags", "labels", "classes", "tag", "label")
_COORDINATE = re.compile(r"(.+)[ _.:-]([xy])", re.IGNORECASE)
_UNIT = re.compile(r"(.*\S)\s*[(\[]([^()\[\]]*)[)\]]")
_MAX_COLUMNS, _MAX_VALUE = 10_000, float(np.finfo(np.float32).max)
_FORMS = {
    "tags": "photo,beach,sunset with 0 or 1 in each cell, or photo,tags with tags that ; separates",
    "number": "photo,weight (kg) with a number in each cell",
    "keypoints": "photo,nose_x,nose_y with pixels of the photo in each cell",
}


@dataclass(frozen=True, eq=False)
class LabelTable:
    """The labels of photos.

    Attributes:
        paths: the photos.
        labels: the name of each column.
        parts: the unit of each number, which may be empty, or the names of the points; empty for tags.
        values: (photos, columns) float32: 0 or 1, the numbers, or pixels of the upright photo. NaN: not known.
    """

    paths: list[str]
    labels: list[str]
    parts: list[str]
    values: NDArray[np.float32]


def read_label_table(
    path: Path, folder: Path, task: TableTask, *, known: Sequence[str] | None = None
) -> LabelTable:
    """Return the labels in a CSV file. Its header names the column of the photo, and the labels.

    An empty cell is not known, and does not train. A line without any label is left out. For tags, a single column
    "tags" may list the tags of a photo.

    Args:
        path: the file.
        folder: the folder with the photos, whose names may lack the suffix.
        task: what the columns are.
        known: the labels of a model, whose order the result has; None: those of the table, from which a model learns.

    Raises ParameterError, which names the line, for a missing column, a cell of another kind, a photo that does not
    exist or has two lines, other labels than the known ones, and a column from which nothing can be learned.
    """
    rows = list(enumerate(table_rows(path), start=1))
    header = [cell.strip() for cell in rows[0][1]] if rows else []
    place = next((n for n, cell in enumerate(header) if cell.lower() in PHOTO_COLUMNS), None)
    if place is None or not 2 <= len(header) <= _MAX_COLUMNS:
        fail(path, f"the header must be such as {_FORMS[task]}; it is {', '.join(header)[:200]!r}")
    lines: dict[str, str] = {}
    cells: list[list[str]] = []
    for number, row in rows[1:]:
        line = f"{path}: line {number}"
        if not row:
            continue
        if len(row) != len(header):
            fail(line, f"has {len(row)} cells, the header has {len(header)}")
        photo = find_photo(folder, row[place].strip(), line)
        if photo in lines:
            fail(line, f"the photo {photo!r} has another line before; give each photo one line")
        lines[photo] = line
        cells.append([cell.strip() for n, cell in enumerate(row) if n != place])
    if not cells:
        fail(path, "has no line with a photo")
    labels = [cell for n, cell in enumerate(header) if n != place]
    if task == "tags" and len(labels) == 1 and labels[0].lower() in _LISTS:
        labels, cells = _listed(path, cells, known or ())
    labels, parts = _named(path, labels, task)
    if len(set(labels)) < len(labels) or "" in labels or not labels:
        fail(path, f"the labels must have different names, got {labels!r:.200}")
    values = np.array(
        [
            [_value(text, task, line, label) for text, label in zip(row, labels, strict=True)]
            for row, line in zip(cells, lines.values(), strict=True)
        ],
        np.float32,
    )
    if known is not None:
        if sorted(labels) != sorted(known):
            fail(path, f"has the labels {', '.join(labels)}; the model has {', '.join(known)}")
        order = [labels.index(label) for label in known]
        labels, values = list(known), values[:, order]
        parts = _named(path, labels, task)[1] if task == "keypoints" else [parts[n] for n in order if parts]
    for label, column in zip(labels, values.T, strict=True) if known is None else ():
        given = column[~np.isnan(column)]
        if not given.size or given.min() == given.max():
            what = f"is {given[0]:g} on all photos" if given.size else "has no value"
            fail(path, f"{label!r} {what}, so nothing can be learned from it; remove it")
    paths, learned = list(lines), np.flatnonzero(~np.isnan(values).all(1))
    return LabelTable([paths[n] for n in learned], labels, parts, values[learned])


def _listed(
    path: Path, cells: Sequence[Sequence[str]], known: Sequence[str]
) -> tuple[list[str], list[list[str]]]:
    """Return the tags, and 0 or 1 for each of them, from cells that list the tags of a photo.

    The known tags are among them, also if no photo has them. Raises ParameterError for more tags than a table may have.
    """
    lists = [{tag.strip() for tag in re.split(r"[;|,]", row[0]) if tag.strip()} for row in cells]
    labels = sorted({*known, *(tag for tags in lists for tag in tags)})
    if len(labels) > _MAX_COLUMNS:
        fail(path, f"has {len(labels):,} different tags, at most {_MAX_COLUMNS:,} are read")
    return labels, [[str(int(label in tags)) for label in labels] for tags in lists]


def _named(path: Path, labels: list[str], task: TableTask) -> tuple[list[str], list[str]]:
    """Return the labels without units, and the units of numbers or the names of points."""
    if task == "tags":
        return labels, []
    if task == "keypoints":
        ends = [_COORDINATE.fullmatch(label) for label in labels]
        names = [end[1] for end in ends[::2] if end]
        wanted = [(name, axis) for name in names for axis in "xy"]
        if [(end[1], end[2].lower()) for end in ends if end] != wanted or len(wanted) != len(labels):
            fail(
                path,
                f"the columns must be x and y of each point, such as {_FORMS[task]}, got {labels!r:.200}",
            )
        return labels, names
    parts = [_UNIT.fullmatch(label) for label in labels]
    names = [label if part is None else part[1] for label, part in zip(labels, parts, strict=True)]
    return names, ["" if part is None else part[2].strip() for part in parts]


def _value(text: str, task: TableTask, line: str, label: str) -> float:
    """Return the value of a cell; NaN if it is empty."""
    if not text:
        return float("nan")
    value = _TAGGED.get(text.lower()) if task == "tags" else number_in(text)
    if value is None or abs(value) > _MAX_VALUE:
        fail(line, f"{label!r} is {text[:60]!r}; expected is {_FORMS[task]}")
    return value
