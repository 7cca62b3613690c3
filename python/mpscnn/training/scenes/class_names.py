"""Read the names of classes from text files next to annotations."""

from __future__ import annotations

import re
from itertools import islice, takewhile
from pathlib import Path
from unicodedata import normalize

from mpscnn._private.arguments import whole_number_in
from mpscnn._private.files import is_file, read_content
from mpscnn._private.names import first_repeated, shown_names, without_numbers
from mpscnn.errors import ParameterError
from mpscnn.training.scenes.labelled import fail

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

    Raises ParameterError for a file that cannot be read, is empty, or names a class twice, and for a list and a
    data.yaml with other names.
    """
    settings = settings_beside(annotations)
    for place in _places_beside(annotations):
        for name in NAME_FILES:
            if is_file(place / name):
                return _names_of_both(place / name, settings)
        if settings is not None and settings.parent == place:
            return names_of_settings(settings)
    return None


def listed_names(path: Path) -> list[str]:
    """Return the names of classes in the lines of a text file. The number of a class is that of its line.

    Raises ParameterError for a file without names, a name that occurs twice, or a blank line between names.
    """
    return checked_names(without_numbers(_lines_of_names(path)), path)


def _lines_of_names(path: Path) -> list[str]:
    """Return the lines of a file with names. Raises ParameterError if a line between others is blank."""
    lines = [line.strip() for line in text_lines(path)]
    while lines and not lines[-1]:
        lines.pop()
    if "" in lines:
        number = lines.index("")
        fail(
            f"{path}: line {number + 1}",
            f"is blank. The class of a line has its number, so the class {number} has no name: write one there, also "
            "if no object has this class",
        )
    return lines


def _names_of_both(path: Path, settings: Path | None) -> list[str]:
    """Return the names in the lines of a file, as a data.yaml has them: numbers before all names belong to them then.

    Raises ParameterError if a data.yaml has other names: one of both files is of other annotations.
    """
    names = listed_names(path)
    try:
        others = names if settings is None else names_of_settings(settings)
    except ParameterError:
        return names  # the list is there because the data.yaml is not read
    composed = [normalize("NFC", name) for name in others]
    if all(composed != [normalize("NFC", one) for one in own] for own in (names, _lines_of_names(path))):
        fail(
            path,
            f"names the classes {shown_names(names)}, but {settings} names them {shown_names(others)}: correct or "
            "remove one of both files",
        )
    return others


def settings_beside(annotations: Path) -> Path | None:
    """Return the data.yaml in the folder of the annotations or next to it; None if there is none."""
    return next(filter(None, map(_settings_in, _places_beside(annotations))), None)


def _places_beside(annotations: Path) -> list[Path]:
    """Return the folder of the annotations and the one next to it; for labels/train also the one next to labels."""
    own, parent = annotations, annotations.parent
    return [own, parent, *([parent.parent] if parent.name == "labels" else [])]


def _settings_in(folder: Path) -> Path | None:
    return next((folder / name for name in _SETTINGS if is_file(folder / name)), None)


def names_of_settings(path: Path) -> list[str]:
    """Return the `names` of a data.yaml: a list in brackets or of lines with "-", or lines "number: name".

    Raises ParameterError for other content. It is no parser of YAML: what it does not know, it refuses.
    """
    settings = Settings(path)
    if "names" not in settings.starts:
        fail(path, "has no 'names' of the classes")
    entries, is_numbered = settings.entries("names")
    if is_numbered:
        pairs = [entry.partition(":") for entry in entries]
        numbered = {whole_number_in(number.strip(" '\"")): name.strip() for number, _, name in pairs}
        if numbered.keys() != set(range(len(pairs))):
            fail(path, "the numbers of 'names' must be 0, 1, 2 and so on, each once")
        entries = [numbered[number] for number in range(len(pairs))]
    remedy = f"write the names into {NAME_FILES[0]}, one a line"
    names = checked_names([scalar(entry, path, "name", remedy) for entry in entries], path)
    stated = next(
        (found[1] for line in settings.lines if (found := re.fullmatch(r"nc\s*:\s*(\d+)", line))), None
    )
    if stated is not None and whole_number_in(stated) != len(names):
        fail(path, f"has {len(names)} 'names', but 'nc' is {stated[:20]}")
    return names


class Settings:
    """The lines of a data.yaml without comments.

    Attributes:
        lines: the lines.
        starts: the indices of the lines where each key begins, in the order of the file.
    """

    def __init__(self, path: Path) -> None:
        self.lines = [line.split(" #")[0].rstrip() for line in text_lines(path)]
        self.starts: dict[str, list[int]] = {}
        for number, line in enumerate(self.lines):
            if found := re.match(r"(\w+)\s*:", line):
                self.starts.setdefault(found[1], []).append(number)
        self._path = path

    def entries(self, key: str, *, single: bool = False) -> tuple[list[str], bool]:
        """Return the entries of a list or mapping, and whether it is a mapping. With `single` it may be one scalar."""
        starts = self.starts.get(key, [])
        if len(starts) > 1:
            fail(self._path, f"has {len(starts)} {key!r}; write it once")
        if not starts:
            return [], False
        first = self.lines[starts[0]].partition(":")[2].strip()
        rest = islice(self.lines, starts[0] + 1, None)
        if single and first and first[0] not in "[{#":
            return [first], False
        if first and not first.startswith("#"):
            return _in_brackets(first, list(rest), key, self._path)
        own = (line.strip() for line in takewhile(lambda line: not line or line[0] in " \t-", rest))
        entries = [line for line in own if line and not line.startswith("#")]
        if entries and not entries[0].startswith("-"):
            return entries, True
        return [entry.removeprefix("-").strip() for entry in entries], False


def _in_brackets(first: str, rest: list[str], key: str, path: Path) -> tuple[list[str], bool]:
    """Return the entries of a list or mapping that may continue on further lines, and whether it is a mapping."""
    end = 0
    while end < len(rest) and not (rest[end - 1] if end else first).endswith(("]", "}")):
        end += 1
    text = " ".join([first, *(line.strip() for line in rest[:end])]).strip()
    if text[0] + text[-1] not in ("[]", "{}"):
        fail(path, f"{key!r} must be a list or a mapping, got {first[:60]!r}")
    entries = [found[1].strip() for found in _ENTRY.finditer(text[1:-1])]
    return [entry for entry in entries if entry], text[0] == "{"


def scalar(text: str, path: Path, what: str, remedy: str) -> str:
    """Return the text that an entry of YAML stands for. An error calls it `what`, and tells the remedy."""
    if re.fullmatch(_SINGLE, text):
        return text[1:-1].replace("''", "'")
    if re.fullmatch(r'"[^"\\]*"', text):
        return text[1:-1]
    if not _PLAIN.fullmatch(text) or ": " in text:
        fail(path, f"the {what} {text[:60]!r} is not read: {remedy}")
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
        return read_content(path, ParameterError, is_text=True).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ParameterError(f"{path}: is not a text file: {error}") from error
