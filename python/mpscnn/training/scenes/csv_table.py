"""Read annotations in a table: a CSV file with a box on each line."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from mpscnn._private.arguments import number_in, whole_number_in
from mpscnn.training.scenes.class_names import text_lines
from mpscnn.training.scenes.labelled import LabelledObjects, fail
from mpscnn.training.scenes.named_objects import NamedObject, NamedPhoto, labelled_by_name, numbers_of
from mpscnn.training.scenes.shapes import rectangle

#: The names of the column with the photos, in lower case.
PHOTO_COLUMNS = (
    "filename",
    "file_name",
    "path",
    "image",
    "image_path",
    "image_id",
    "file",
    "photo",
    "image_name",
)
#: The names of the columns, in lower case, for each of: photo, class, left, top, right, bottom.
_COLUMNS = (
    PHOTO_COLUMNS,
    ("class", "label", "class_name", "name", "category"),
    ("xmin", "x1", "x_min", "left"),
    ("ymin", "y1", "y_min", "top"),
    ("xmax", "x2", "x_max", "right"),
    ("ymax", "y2", "y_max", "bottom"),
)
#: A table without a header has these places of the same columns.
_WITHOUT_HEADER = (0, 5, 1, 2, 3, 4)


def table_rows(path: Path) -> list[list[str]]:
    """Return the cells of each line of a CSV file. Raises ParameterError if it is no text, or a cell is too long."""
    reader = csv.reader(io.StringIO("\n".join(text_lines(path))))
    try:
        return list(reader)
    except csv.Error as error:
        fail(f"{path}: line {reader.line_num}", f"{error}; a quotation mark may have no partner")


def read_csv_table(folder: Path, path: Path) -> LabelledObjects:
    """Return the photos of a table with their objects. A photo with empty edges has no objects.

    Args:
        folder: the folder with the photos.
        path: the file. Its header has names such as filename, class, xmin, ymin, xmax and ymax, in any order, and may
            have width and height of the photo. Without a header, lines are photo, xmin, ymin, xmax, ymax, class.

    Raises ParameterError for missing columns, edges that are not numbers, and the errors of `labelled_by_name`.
    """
    rows = table_rows(path)
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    places = [next((header.index(name) for name in names if name in header), None) for names in _COLUMNS]
    has_header = any(place is not None for place in places)
    if not has_header and len(header) == len(_WITHOUT_HEADER):
        places = [*_WITHOUT_HEADER]
    if None in places:
        missing = [names[0] for names, place in zip(_COLUMNS, places, strict=True) if place is None]
        fail(path, f"has no columns {', '.join(missing)}; its header is {', '.join(header)[:200]}")
    sides = [header.index(side) if side in header else None for side in ("width", "height")]
    photos: dict[str, tuple[str, tuple[int, int] | None, list[NamedObject]]] = {}
    for number, row in enumerate(rows[has_header:], start=1 + has_header):
        line = f"{path}: line {number}"
        if not row:
            continue
        if len(row) < len(header):
            fail(line, f"has {len(row)} cells, the header has {len(header)}")
        name, label, *edges = (row[place or 0].strip() for place in places)
        width, height = (None if side is None else whole_number_in(row[side].strip()) for side in sides)
        size = (width, height) if width and height else None
        _, known, objects = photos.setdefault(name, (line, size, []))
        if known != size:
            fail(line, f"the photo {name!r} has another size than on a line before")
        if not any(edges):
            continue
        if not label:
            fail(line, "has no class")
        left, top, right, bottom = numbers_of(line, [number_in(edge) for edge in edges], "the edges")
        objects.append(
            NamedObject(line, label, rectangle(left, top, right, bottom), (left, top, right, bottom))
        )
    return labelled_by_name(
        folder, [NamedPhoto(line, name, size, objects) for name, (line, size, objects) in photos.items()]
    )
