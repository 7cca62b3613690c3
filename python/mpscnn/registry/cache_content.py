"""List and delete the files in the cache folder. CACHES has one entry for each folder that mpscnn writes there."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mpscnn._private.cache_folder import cache_directory
from mpscnn._private.files import is_folder
from mpscnn.errors import DownloadError

_LOCK = ".lock"
_HASH = "[0-9a-f]{16}"


class Cache(NamedTuple):
    """A folder in the cache folder.

    Attributes:
        name: the folder's name.
        content: what it holds.
        entries: a pattern for the names of the files and folders that mpscnn writes into it. Other files are foreign:
            they are neither counted nor deleted, because MPSCNN_CACHE may be a folder with other content.
    """

    name: str
    content: str
    entries: str

    @property
    def path(self) -> Path:
        """The folder, which may not exist."""
        return cache_directory() / self.name

    def files(self) -> Iterator[Path]:
        """Yield the files, without those of locks."""
        for entry in self._own():
            if is_folder(entry) and not entry.is_symlink():
                for folder, _, names in os.walk(entry):
                    yield from (Path(folder) / name for name in names if not name.endswith(_LOCK))
            elif not entry.name.endswith(_LOCK):
                yield entry

    def delete(self) -> tuple[int, int]:
        """Delete the files, and folders that are empty then. Return the number of files and their bytes.

        Files of locks stay: another process may wait for one. Raises DownloadError for a file that cannot be deleted.
        """
        count = size = 0
        for path in list(self.files()):
            try:
                own = path.lstat().st_size
                path.unlink()
            except FileNotFoundError:  # another process has deleted it
                continue
            except OSError as error:
                raise DownloadError(f"cannot delete {path}: {error.strerror}") from error
            count, size = count + 1, size + own
        for entry in self._own():
            for folder, _, _ in os.walk(entry, topdown=False):
                _remove_if_empty(Path(folder))
        _remove_if_empty(self.path)
        return count, size

    def _own(self) -> list[Path]:
        pattern = re.compile(self.entries)
        try:
            return [path for path in sorted(self.path.iterdir()) if pattern.fullmatch(path.name)]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise DownloadError(f"cannot look into {self.path}: {error.strerror}") from error


#: All folders that mpscnn writes into the cache folder.
CACHES = (
    Cache("models", "networks converted from files of other formats", r".+-v\d+.*"),
    Cache("sources", "files that publishers offer, for models by name", _HASH),
    Cache("urls", "files downloaded from https:// addresses", _HASH),
    # Names OWNER--NAME. The cache of huggingface_hub, which may be the same folder, has models--OWNER--NAME.
    Cache(
        "hub", "models of several files from the hub of Hugging Face", r"(?!(models|datasets|spaces)--).+--.+"
    ),
    Cache("precisions", "measured errors and times of precisions", rf"{_HASH}{_HASH}\.json.*"),
    Cache("metal_kernels", "measured times of Metal kernels", rf"{_HASH}{_HASH}\.json.*"),
    Cache(
        "self_check",
        "results of checks of GPUs, preflights, and compiled shaders",
        rf"{_HASH}[.-].*|networks",
    ),
    Cache("coreml", "Core ML programs of networks for the device coreml", rf"{_HASH}{_HASH}.*"),
)


def file_sizes(place: Path) -> Iterator[int]:
    """Yield the size of each file in a folder and in its folders."""
    for folder, _, names in os.walk(place):
        for name in names:
            with contextlib.suppress(OSError):  # the file was removed in the meantime
                yield (Path(folder) / name).lstat().st_size


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()
