"""Find the photos for file names, folders and patterns."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mpscnn._private.files import convert_read_errors, is_file, is_folder
from mpscnn._private.given_warnings import warn_caller
from mpscnn.errors import ImageError
from mpscnn.vision.photo_formats import left_out_text, suffix_of, suffixes

#: The argument that means standard input.
STDIN = "-"
_URL = re.compile("[A-Za-z][A-Za-z0-9+.-]*://")
_PATTERN = re.compile(r"[*?[]")


@dataclass
class FoundPhotos:
    """The image files of folders, the errors of folders that cannot be read, and the files that are left out."""

    paths: list[str] = field(default_factory=list)
    failures: list[ImageError] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    """The number of visible files that are not read, by suffix."""

    def add(self, other: FoundPhotos) -> None:
        """Append the photos of another folder."""
        self.paths += other.paths
        self.failures += other.failures
        self.left_out.update(other.left_out)


def photo_paths(
    arguments: Sequence[str], *, expected: Collection[str] = ()
) -> tuple[list[str], list[ImageError]]:
    """Return the photos of files, folders and patterns in order, and an error for each argument without photos.

    A folder means the image files in it and in its subfolders, by name. Hidden files are skipped, and links to folders
    are not followed. A pattern that the shell has not expanded, such as "photos/*.jpg" or "photos/**/*.jpg", means all
    matching files, and the photos of matching folders. A warning tells how many files of folders are left out, except
    files with the `expected` suffixes.
    """
    found = FoundPhotos()
    for argument in arguments:
        try:
            for path in _matches(argument):
                if is_folder(path):
                    found.add(_photos_in(path))
                else:
                    found.paths.append(path)
        except ImageError as error:
            found.failures.append(error)
    for suffix in expected:
        found.left_out.pop(suffix, None)
    warn_of_left_out(arguments[0] if len(arguments) == 1 else "folders", found.left_out)
    return found.paths, found.failures


def is_url(name: str) -> bool:
    """Return True if the text begins like a URL, such as "https://"."""
    return _URL.match(name) is not None


def is_pattern(name: str) -> bool:
    """Return True for a pattern such as "photos/*.jpg", unless a file has this name."""
    return bool(_PATTERN.search(name)) and not is_url(name) and not os.path.lexists(name)


def _matches(argument: str) -> list[str]:
    if not argument:
        raise ImageError("'': an empty name is not a photo")  # Path("") would mean the current folder
    if not is_pattern(argument):
        return [argument]
    pattern = Path(argument)
    try:
        # The module glob is not used, because it follows links to folders, even in circles.
        top = Path(pattern.anchor)
        found = sorted(
            str(path)
            for path in top.glob(_shortest(pattern.parts[bool(pattern.anchor) :]))
            if _shown(path, pattern)
        )
    except (OSError, ValueError, NotImplementedError, RecursionError) as error:
        raise ImageError(f"{argument}: cannot be read as a file or pattern: {error}") from error
    if not found:
        raise ImageError(f"{argument}: there is no such file, and none that matches it as a pattern")
    return found


def _shortest(parts: Sequence[str]) -> str:
    """Join a pattern's parts. Each further "**" in a row would only multiply the time."""
    kept = [part for part, before in zip(parts, ("", *parts), strict=False) if (part, before) != ("**", "**")]
    return os.path.join(*kept) if kept else ""  # noqa: PTH118


def _shown(path: Path, pattern: Path) -> bool:
    """Return True if the path is not hidden, except for parts that the pattern names."""
    return not any(part.startswith(".") and part not in pattern.parts for part in path.parts)


def _photos_in(folder: str) -> FoundPhotos:
    found = photos_in(folder)
    if not found.paths and not found.failures:
        raise ImageError(no_photos_text(folder, found.left_out))
    return found


def photos_in(folder: str) -> FoundPhotos:
    """Find the image files of a folder as for `photo_paths`."""
    allowed = suffixes()
    found = FoundPhotos()

    def failed(error: OSError) -> None:
        try:
            with convert_read_errors(error.filename, ImageError):
                raise error
        except ImageError as failure:
            found.failures.append(failure)

    for place, folders, files in os.walk(folder, onerror=failed):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path, suffix = os.path.join(place, name), suffix_of(name)  # noqa: PTH118 - the name may be no text
            if name.startswith(".") or not is_file(Path(path)):
                continue
            if suffix in allowed:
                found.paths.append(path)
            else:
                found.left_out[suffix] += 1
    return found


def no_photos_text(folder: str, left_out: Counter[str]) -> str:
    """Return the message for a folder without photos."""
    files = f"; {left_out_text(left_out)}" if left_out else ""
    return f"{folder}: the folder has no photos in it, nor have its subfolders{files}"


def warn_of_left_out(folder: str | os.PathLike[str], left_out: Counter[str]) -> None:
    """Warn of files in a folder that are not read as photos, once for all of them."""
    if left_out:
        warn_caller(f"{os.fspath(folder)}: {left_out_text(left_out)}")
