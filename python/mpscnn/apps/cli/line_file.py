"""Write a file line by line, which gets its name when it is complete."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mpscnn._private.files import convert_write_errors, create_temporary, replace_target
from mpscnn.errors import ParameterError


class LineFile:
    """A file of lines. They go to a temporary file in the same folder, which is renamed at the end.

    Raises ParameterError if the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with convert_write_errors(path, ParameterError):
            self._temporary = create_temporary(path)
            self._file = self._temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="")
        self._failed = False

    def write(self, text: str) -> None:
        """Append lines."""
        with self._writing():
            self._file.write(text)  # one call, so that Ctrl-C cannot cut a line

    def finish(self) -> None:
        """Rename the temporary file to the output's name if all lines could be written."""
        if not self._failed:
            with self._writing():
                self._file.close()
                replace_target(self._temporary, self._path)

    def close(self) -> None:
        """Remove the temporary file if it was not renamed."""
        with suppress(OSError):  # the error was already reported, or the lines are not wanted
            self._file.close()
        self._temporary.unlink(missing_ok=True)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with convert_write_errors(self._path, ParameterError):
                yield
        except ParameterError:
            self._failed = True
            raise
