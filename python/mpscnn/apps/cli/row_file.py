"""Write the results of many photos to one file, which a second call completes if the first one was ended."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from mpscnn._private.files import convert_write_errors, exists, is_folder, replace_atomically, require_regular
from mpscnn._private.json_text import json_line
from mpscnn.apps.cli.output import hint, warn
from mpscnn.apps.cli.result_printer import origin_of
from mpscnn.apps.train.output_lock import lock_output
from mpscnn.errors import ParameterError
from mpscnn.model import Model
from mpscnn.vision.photo_list import STDIN

#: Suffixes of files that have rows of results.
ROWS = (".jsonl", ".csv")
#: The end of the name of a file with the rows that are complete, while the others are computed.
_PART = ".part"


def is_row_file(path: Path) -> bool:
    """Return True if the name is that of a file with rows of results."""
    return path.suffix.lower() in ROWS and not is_folder(path)


def settings_of(model: Model, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the rows of a file depend on, next to the photos: the model, and the options of its task."""
    _, (content, compiled, assigned) = model.__reduce__()
    compiled = {name: value for name, value in compiled.items() if name != "threads"}
    digest = hashlib.sha256(content)
    digest.update(repr((compiled, assigned)).encode("utf-8", "backslashreplace"))
    return json.loads(json_line({**origin_of(model), "digest": digest.hexdigest(), "options": dict(options)}))  # type: ignore[no-any-return]


class RowFile:
    """A file with the rows of photos, in the photos' order.

    Until it is complete, rows are in the file with ".part" after its name: a line with the settings, and a line for
    each photo with its name, whether it failed, and its rows. If the process is killed, the next one with the same
    settings reads them. It computes only the other photos, and those that failed.

    Args:
        path: the file.
        head: the text before all rows.
        settings: what the rows depend on, as JSON.
        part: the open file with complete rows.
    """

    def __init__(self, path: Path, head: str, settings: Mapping[str, Any], part: BinaryIO) -> None:
        self.path = path
        self._head = head.encode()
        self._settings = settings
        self._part = part
        self._places: dict[str, int] = {}
        self._done: set[str] = set()
        self._read_part()

    def waiting(self, photos: Sequence[str]) -> list[str]:
        """Return the photos without complete rows."""
        return [photo for photo in dict.fromkeys(photos) if photo == STDIN or photo not in self._done]

    def add(self, photo: str, text: str, *, failed: bool = False) -> None:
        """Add the rows of a photo."""
        line = f"{json.dumps([photo, failed, text])}\n".encode()
        with convert_write_errors(self.path, ParameterError):
            place = self._part.seek(0, os.SEEK_END)
            self._part.write(line)  # one call, so that Ctrl-C cannot cut a line
            self._part.flush()
        self._places[photo] = place

    def finish(self, photos: Sequence[str]) -> None:
        """Write the file with the rows of these photos, and remove the file with the parts."""
        with replace_atomically(self.path, ParameterError) as file:
            file.write(self._head)
            for photo in photos:
                if photo in self._places:
                    self._part.seek(self._places[photo])
                    text: str = json.loads(self._part.readline())[2]
                    file.write(text.encode("utf-8", "backslashreplace"))

    def _read_part(self) -> None:
        """Read the rows of an earlier process. A line that was cut is removed.

        Raises ParameterError if the lines are no rows, or of another command.
        """
        self._part.seek(0)
        end = 0
        for number, line in enumerate(self._part, start=1):
            entry = _entry(line)
            if entry is None:
                break
            if end == 0:
                self._require_settings(entry)
            elif not isinstance(entry, list) or [*map(type, entry)] != [str, bool, str]:
                raise ParameterError(
                    f"{self.path}{_PART}: line {number}: must be [photo, whether it failed, rows], got {entry!r:.60}: "
                    "remove the file, or choose another output"
                )
            else:
                photo, failed, _ = entry
                self._places[photo] = end
                (self._done.discard if failed else self._done.add)(photo)
            end += len(line)
        self._part.truncate(end)
        if end == 0:
            with convert_write_errors(self.path, ParameterError):
                self._part.seek(0)
                self._part.write(f"{json.dumps(self._settings)}\n".encode())
                self._part.flush()

    def _require_settings(self, found: Any) -> None:
        if found == self._settings:
            return
        names = [
            name
            for name in self._settings
            if not isinstance(found, dict) or found.get(name) != self._settings[name]
        ]
        what = ", ".join("weights" if name == "digest" else name for name in names)
        raise ParameterError(
            f"{self.path}{_PART} has the rows of an ended command that differs in its {what}: remove it, or choose "
            "another output"
        )


def _entry(line: bytes) -> Any:
    """Return the value of a line with JSON, or None if it was cut. A line of nested lists counts as cut."""
    if not line.endswith(b"\n"):
        return None
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


@contextmanager
def _closed_at_end(file: BinaryIO, path: Path) -> Iterator[None]:
    """Close a file at the end, which writes what a full disk has not taken before."""
    try:
        yield
    finally:
        with convert_write_errors(path, ParameterError):
            file.close()


@contextmanager
def row_file(path: Path, head: str, settings: Mapping[str, Any]) -> Iterator[RowFile]:
    """Open a file of rows. If the `with` block fails, the complete rows stay for the next call.

    Raises:
        ParameterError: the file cannot be written, or its rows so far were made with other settings.
        StateError: another process writes it.
    """
    part = Path(f"{path}{_PART}")
    with lock_output(path, warn, kind=ParameterError, maker="command"):
        with convert_write_errors(path, ParameterError):
            if exists(part):
                require_regular(part, ParameterError)
            file = part.open("a+b")
        with _closed_at_end(file, path):
            rows = RowFile(path, head, settings, file)
            try:
                yield rows
            except BaseException:
                hint(f"{part} keeps the rows so far: the same command continues there")
                raise
        part.unlink()
