"""Read the names of classes from text files next to annotations."""

from __future__ import annotations

import re
from pathlib import Path

from mpscnn._private.arguments import whole_number_in
from mpscnn._private.files import read_content
from mpscnn._private.names import first_repeated
from mpscnn.errors import ParameterError
from mpscnn.training.scenes.labelled import fail

__all__ = ["NAME_FILES", "names_beside", "names_of_settings", "text_lines"]

#: Files with the names of classes, one on each line.
NAME_FILES = ("classes.txt", "obj.names", "classes.names", "labels.txt")
_SETTINGS = ("data.yaml", "data.yml", "dataset.yaml")
_SINGLE = r"'(?:[^']|'')*'"
#: An entry of a list or mapping in brackets, up to a comma that is not within quotation marks.
_ENTRY = re.compile(rf"""\s*((?:\d+\s*:\s*)?(?:{_SINGLE}|"[^"\\]*"|[^,]*))\s*(?:,|$)""")
#: A name without quotation marks. YAML gives a meaning to these characters at its beginning.
_PLAIN = re.compile(r"""[^\s'"\[\]{}&*!|>%@`,?:#-][^\[\]{}]*|-\w[^\[\]{}]*""")


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
    """Return the `names` of a data.yaml: a list in brackets or of lines with "-", or lines "number: name".

    Raises ParameterError for other content. It is no parser of YAML: what it does not know, it refuses.
    """
    lines = [line.split(" #")[0].rstrip() for line in text_lines(path)]
    starts = [i for i, line in enumerate(lines) if re.match(r"names\s*:", line)]
    if len(starts) != 1:
        fail(path, f"has {'no' if not starts else len(starts)} 'names' of the classes")
    first, rest = lines[starts[0]].partition(":")[2].strip(), lines[starts[0] + 1 :]
    if first:
        entries, is_numbered = _in_brackets(first, rest, path)
    else:
        end = next((i for i, line in enumerate(rest) if line and not re.match(r"[\s-]", line)), len(rest))
        entries = [line.strip() for line in rest[:end] if line.strip()]
        is_numbered = bool(entries) and not entries[0].startswith("-")
        if not is_numbered:
            entries = [entry.removeprefix("-").strip() for entry in entries]
    if is_numbered:
        pairs = [entry.partition(":") for entry in entries]
        if [number.strip() for number, _, _ in pairs] != [str(i) for i in range(len(pairs))]:
            fail(path, "the numbers of 'names' must be 0, 1, 2 and so on, each once")
        entries = [name.strip() for _, _, name in pairs]
    names = checked_names([_scalar(entry, path) for entry in entries], path)
    stated = next((found[1] for line in lines if (found := re.fullmatch(r"nc\s*:\s*(\d+)", line))), None)
    if stated is not None and whole_number_in(stated) != len(names):
        fail(path, f"has {len(names)} 'names', but 'nc' is {stated[:20]}")
    return names


def _in_brackets(first: str, rest: list[str], path: Path) -> tuple[list[str], bool]:
    """Return the entries of a list or mapping that may continue on further lines, and whether it is a mapping."""
    end = 0
    while end < len(rest) and not (rest[end - 1] if end else first).endswith(("]", "}")):
        end += 1
    text = " ".join([first, *(line.strip() for line in rest[:end])]).strip()
    if text[0] + text[-1] not in ("[]", "{}"):
        fail(path, f"'names' must be a list or a mapping, got {first[:60]!r}")
    entries = [found[1].strip() for found in _ENTRY.finditer(text[1:-1])]
    return [entry for entry in entries if entry], text[0] == "{"


def _scalar(text: str, path: Path) -> str:
    """Return the text that an entry of YAML stands for."""
    if re.fullmatch(_SINGLE, text):
        return text[1:-1].replace("''", "'")
    if re.fullmatch(r'"[^"\\]*"', text):
        return text[1:-1]
    if not _PLAIN.fullmatch(text) or ": " in text:
        fail(path, f"the name {text[:60]!r} is not read: write the names into {NAME_FILES[0]}, one a line")
    return text


def checked_names(names: list[str], path: Path) -> list[str]:
    """Return the names. Raises ParameterError if there are none, or one occurs twice."""
    if not names:
        fail(path, "has no names of classes")
    if (twice := first_repeated(names)) is not None:
        fail(path, f"a class is named twice: {twice!r}")
    return names


def text_lines(path: Path) -> list[str]:
    """Return the lines of a text file. Raises ParameterError if it cannot be read as text."""
    try:
        return read_content(path, ParameterError).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ParameterError(f"{path}: is not a text file: {error}") from error
