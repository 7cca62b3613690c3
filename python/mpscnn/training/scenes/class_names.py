"""Read the names of classes from text files next to annotations."""

from __future__ import annotations

import re
from pathlib import Path

from mpscnn._private.files import read_content
from mpscnn.errors import ParameterError
from mpscnn.training.scenes.labelled import fail

__all__ = ["NAME_FILES", "names_beside", "names_of_settings", "text_lines"]

#: Files with the names of classes, one on each line.
NAME_FILES = ("classes.txt", "obj.names", "classes.names", "labels.txt")
_SETTINGS = ("data.yaml", "data.yml", "dataset.yaml")


def names_beside(annotations: Path) -> list[str] | None:
    """Return the names of classes from a file in the folder of the annotations or next to it; None if there is none.

    Raises ParameterError for a file that cannot be read, is empty, or names a class twice.
    """
    for place in (annotations, annotations.parent):
        for name in NAME_FILES:
            if (place / name).is_file():
                lines = [line.strip() for line in text_lines(place / name)]
                return checked_names([line for line in lines if line], place / name)
        for name in _SETTINGS:
            if (place / name).is_file():
                return names_of_settings(place / name)
    return None


def names_of_settings(path: Path) -> list[str]:
    """Return the `names` of a data.yaml: a list in brackets or of lines with "-", or lines "number: name"."""
    lines = [line.split(" #")[0].rstrip() for line in text_lines(path)]
    start = next((i for i, line in enumerate(lines) if re.match(r"names\s*:", line)), None)
    if start is None:
        fail(path, "has no 'names' of the classes")
    first = lines[start].partition(":")[2].strip()
    if first:
        # A list in brackets may continue on further lines.
        text = first
        for line in lines[start + 1 :]:
            if text.endswith(("]", "}")):
                break
            text += " " + line.strip()
        if text[0] + text[-1] not in ("[]", "{}"):
            fail(path, f"'names' must be a list or a mapping, got {first[:60]!r}")
        entries = [part.strip() for part in text[1:-1].split(",") if part.strip()]
        numbered = text[0] == "{"
    else:
        rest = lines[start + 1 :]
        end = next((i for i, line in enumerate(rest) if line and not re.match(r"[\s-]", line)), len(rest))
        entries = [line.strip() for line in rest[:end] if line.strip()]
        numbered = bool(entries) and not entries[0].startswith("-")
        if not numbered:
            entries = [entry.removeprefix("-").strip() for entry in entries]
    if numbered:
        pairs = [entry.partition(":") for entry in entries]
        if [number.strip() for number, _, _ in pairs] != [str(i) for i in range(len(pairs))]:
            fail(path, "the numbers of 'names' must be 0, 1, 2 and so on, each once")
        entries = [name.strip() for _, _, name in pairs]
    return checked_names([entry.strip("'\"") for entry in entries], path)


def checked_names(names: list[str], path: Path) -> list[str]:
    """Return the names. Raises ParameterError if there are none, or one occurs twice."""
    if not names:
        fail(path, "has no names of classes")
    if len(set(names)) < len(names):
        fail(path, f"a class is named twice: {next(name for name in names if names.count(name) > 1)!r}")
    return names


def text_lines(path: Path) -> list[str]:
    """Return the lines of a text file. Raises ParameterError if it cannot be read as text."""
    try:
        return read_content(path, ParameterError).decode().splitlines()
    except UnicodeDecodeError as error:
        raise ParameterError(f"{path}: is not a text file: {error}") from error
