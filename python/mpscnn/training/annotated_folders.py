"""Recognise data sets for detectors among folders that are given as those of a classifier."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mpscnn._private.files import is_file, is_folder
from mpscnn.errors import ImageError

_SETTINGS = ("data.yaml", "data.yml", "dataset.yaml")
#: The names of folders with photos and with their annotations, as data sets of YOLO and Pascal VOC have them.
_PAIRS = (("images", "labels"), ("JPEGImages", "Annotations"))


@contextmanager
def name_annotations(folder: Path) -> Iterator[None]:
    """Add to an ImageError about the folders of classes that the folder has annotations of objects, if it has some."""
    try:
        yield
    except ImageError as error:
        place = annotations_in(folder)
        if place is None:
            raise
        raise ImageError(
            f"{folder}: has no folder of photos for each class, but annotations of objects; train a detector of them "
            f"with --task detect --annotations {place} ({error})"
        ) from error


def is_annotations(path: Path) -> bool:
    """Return True if a path seems to be a file or a folder with annotations of objects, and no photos or model."""
    if path.suffix.lower() in (".xml", ".yaml", ".yml", ".json"):
        return is_file(path)
    return is_folder(path) and any(any(path.glob(f"*{suffix}")) for suffix in (".xml", ".txt", ".json"))


def annotations_in(folder: Path) -> Path | None:
    """Return the place of annotations in a folder, or in a folder of it such as train; None if there are none."""
    for name in _SETTINGS:
        if is_file(folder / name):
            return folder / name
    for place in (folder, folder / "train"):
        files = list(place.glob("*.json")) if is_folder(place) else []
        if len(files) == 1:
            return files[0]
    for photos, labels in _PAIRS:
        for top in (".", "train"):
            if is_folder(folder / top / photos) and is_folder(folder / top / labels):
                return folder / top / labels
    return None
