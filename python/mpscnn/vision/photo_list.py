"""Find the photos for file names, folders and patterns."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from mpscnn._private.files import convert_read_errors, is_folder
from mpscnn.errors import ImageError
from mpscnn.vision.photo_file import suffixes

__all__ = ["STDIN", "photo_paths", "photos_in"]

#: The argument that means standard input.
STDIN = "-"
_PATTERN = re.compile(r"[*?[]")


def photo_paths(arguments: Sequence[str]) -> tuple[list[str], list[ImageError]]:
    """Return the photos of files, folders and patterns in order, and an error for each argument without photos.

    A folder means the image files in it and in its subfolders, by name. Hidden files are skipped, and links to folders
    are not followed. A pattern that the shell has not expanded, such as "photos/*.jpg" or "photos/**/*.jpg", means all
    matching files, and the photos of matching folders.
    """
    photos: list[str] = []
    failures: list[ImageError] = []
    for argument in arguments:
        try:
            for path in _matches(argument):
                photos += _photos_in(path, failures) if is_folder(path) else [path]
        except ImageError as error:
            failures.append(error)
    return photos, failures


def _matches(argument: str) -> list[str]:
    if not argument:
        raise ImageError("'': an empty name is not a photo")  # Path("") would mean the current folder
    if not _PATTERN.search(argument) or os.path.lexists(argument):
        return [argument]
    pattern = Path(argument)
    try:
        # The module glob is not used, because it follows links to folders, even in circles.
        top = Path(pattern.anchor)
        found = sorted(str(path) for path in top.glob(str(pattern.relative_to(top))) if _shown(path, pattern))
    except (OSError, ValueError, NotImplementedError) as error:
        raise ImageError(f"{argument}: cannot be read as a file or pattern: {error}") from error
    if not found:
        raise ImageError(f"{argument}: there is no such file, and none that matches it as a pattern")
    return found


def _shown(path: Path, pattern: Path) -> bool:
    """Return True if the path is not hidden, except for parts that the pattern names."""
    return not any(part.startswith(".") and part not in pattern.parts for part in path.parts)


def _photos_in(folder: str, failures: list[ImageError]) -> list[str]:
    photos, unread = photos_in(folder)
    failures += unread
    if not photos and not unread:
        raise ImageError(f"{folder}: the folder has no photos in it, nor have its subfolders")
    return photos


def photos_in(folder: str) -> tuple[list[str], list[ImageError]]:
    """Return the image files of a folder as for `photo_paths`, and the errors of unreadable folders."""
    allowed = suffixes()
    failures: list[ImageError] = []
    found: list[str] = []

    def failed(error: OSError) -> None:
        try:
            with convert_read_errors(error.filename, ImageError):
                raise error
        except ImageError as failure:
            failures.append(failure)

    for place, folders, files in os.walk(folder, onerror=failed):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            os.path.join(place, name)  # noqa: PTH118 - the name may be no text
            for name in sorted(files)
            if Path(name).suffix.lower() in allowed and not name.startswith(".")
        ]
    return [path for path in found if Path(path).is_file()], failures
