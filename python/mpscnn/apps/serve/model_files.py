"""Notice when the model files of a service change."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from mpscnn._private.files import is_folder
from mpscnn._private.model_name import is_path
from mpscnn.opening_models import hub_model_name

_State = list[tuple[str, int, int, int]]


class ModelFiles:
    """The model files of a service. A folder, such as an .mlpackage, stands for all its files.

    Args:
        sources: the arguments of the command. Names of models are not watched.
    """

    def __init__(self, sources: Iterable[str]) -> None:
        self._paths = [
            Path(source) for source in sources if is_path(source) and hub_model_name(source) is None
        ]
        self._latest = self._loaded = self._state()

    def note_load(self) -> None:
        """Remember the present state of the files, which are loaded now."""
        self._latest = self._loaded = self._state()

    def have_changed(self) -> bool:
        """Return True if the files differ from those that were loaded, and have not changed since the last call.

        So a file that is being written is not loaded before it is complete.
        """
        before, self._latest = self._latest, self._state()
        return self._latest is not None and self._latest == before and self._latest != self._loaded

    def _state(self) -> _State | None:
        """Return what distinguishes versions of the files, or None while a file is missing."""
        try:
            return [_version(file) for path in self._paths for file in _files(path)]
        except OSError:
            return None


def _files(path: Path) -> list[Path]:
    if not is_folder(path):
        return [path]
    return sorted(Path(folder, name) for folder, _, names in os.walk(path) for name in names)


def _version(file: Path) -> tuple[str, int, int, int]:
    found = file.stat()
    return str(file), found.st_ino, found.st_size, found.st_mtime_ns
