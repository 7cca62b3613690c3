"""From the paths of a command line to photos: folders become the photos in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mpscnn._private.files import reading
from mpscnn.errors import ImageError
from mpscnn.vision.photo_file import suffixes


def photo_paths(paths: Sequence[str]) -> tuple[list[str], list[ImageError]]:
    """The photos of files and folders in order, and the folders that have none or cannot be read.

    A folder stands for the image files directly in it, by name; hidden files are left out.
    """
    photos: list[str] = []
    failures: list[ImageError] = []
    for path in paths:
        try:
            photos += _photos_in(Path(path)) if _is_folder(path) else [path]
        except ImageError as error:
            failures.append(error)
    return photos, failures


def _is_folder(path: str) -> bool:
    if not path:
        raise ImageError("'': an empty name is not a photo")  # for Path it would be the current folder
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):
        return False  # whatever is wrong with it, opening it as a photo says so


def _photos_in(folder: Path) -> list[str]:
    allowed = suffixes()
    with reading(folder, ImageError):
        entries = sorted(folder.iterdir())
        found = [
            str(entry)
            for entry in entries
            if entry.suffix.lower() in allowed and not entry.name.startswith(".") and entry.is_file()
        ]
    if not found:
        raise ImageError(f"{folder}: the folder has no photos in it (subfolders are not searched)")
    return found
