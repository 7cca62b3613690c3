"""Read which photos a data.yaml of YOLO gives to training, validation and test."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from mpscnn._private.files import exists, is_file, is_folder
from mpscnn.training.scenes.class_names import Settings, scalar, text_lines
from mpscnn.training.scenes.labelled import StatedPart, fail, labelled_photo_paths
from mpscnn.training.split_folders import TEST, TRAIN, VALIDATION, split_kind

_KINDS = "a folder of photos, a list of folders, or a .txt file with the path of a photo on each line"
#: The parts that an evaluation may measure with. The first one that has photos is taken.
_MEASURED = (TEST, VALIDATION, TRAIN)


def is_settings(given: object) -> bool:
    """Return True for the path of a data.yaml, which names photos and annotations."""
    return isinstance(given, (str, os.PathLike)) and os.fsdecode(given).lower().endswith((".yaml", ".yml"))


def root_of_settings(settings: Path) -> Path:
    """Return the folder to which the entries of a data.yaml are relative: its `path`, or the folder of the file.

    A relative `path` begins in the folder of the file, or else in the current one. It may also be the name of the
    file's own folder. Raises ParameterError if there is no such folder.
    """
    entries = _texts(Settings(settings), "path", settings)
    if not entries:
        return settings.parent
    if len(entries) > 1:
        fail(settings, "'path' must be one folder")
    own, stated = settings.parent, Path(entries[0])
    places = [own / stated, stated, *([own] if own.resolve().name == stated.name else [])]
    found = next(filter(is_folder, places), None)
    if found is None:
        fail(
            settings,
            f"path: the folder {str(own / stated)!r} does not exist; write the place of the photos there",
        )
    return found


def parts_of_settings(
    settings: Path, *, measures: bool = False, trains: bool = True
) -> dict[str, StatedPart]:
    """Return the photos for training, validation and test that a data.yaml states; {} if it states none.

    A folder for test that does not exist is left out, because no training uses it.

    Args:
        settings: the data.yaml.
        measures: True for an evaluation: only the part to measure with is read and returned. It is the one for test,
            or else the one for validation, or else the one for training.
        trains: whether photos of this file train. Otherwise it needs none for training.

    Raises ParameterError for an entry that is not a folder, a list or a file of photos. For training also for photos
    that are in two parts, and for parts without one for training; for an evaluation for parts without photos.
    """
    keys: dict[str, str] = {}
    content = Settings(settings)
    for key in content.starts:
        kind = split_kind(key) if key.isalpha() else None
        if kind is not None and _texts(content, key, settings):
            if kind in keys:
                fail(settings, f"{keys[kind]!r} and {key!r} mean the same; write one of them")
            keys[kind] = key
    if not keys:
        return {}
    root = root_of_settings(settings)
    parts: dict[str, StatedPart] = {}
    known: dict[str, str] = {}
    read = [kind for kind in _MEASURED if kind in keys] if measures else list(keys)
    for kind in read:
        key = keys[kind]
        places: dict[str, Path] = {}  # entries may mean the same folder or file, which is read once
        for entry in dict.fromkeys(_texts(content, key, settings)):
            if place := _place(settings, key, root, entry, kind):
                places.setdefault(os.path.realpath(place), place)
        photos = list(dict.fromkeys(photo for place in places.values() for photo in _photos(place, root)))
        for photo in photos:
            if (other := known.setdefault(photo_key(photo), key)) != key:
                fail(
                    settings,
                    f"the photo {photo} is in both {other!r} and {key!r}. A photo that trains cannot measure: give "
                    f"them different photos, or leave {key!r} out, and a share of {other!r} is held out",
                )
        if photos:
            parts[kind] = StatedPart(f"{settings}: {key}", tuple(photos))
            if measures:
                break
    if measures and not parts:
        fail(settings, f"has {' and '.join(map(repr, keys.values()))}, but no photos to measure with")
    if trains and not measures and TRAIN not in parts:
        fail(settings, f"has {' and '.join(map(repr, keys.values()))}, but no 'train'")
    return parts


def photo_key(photo: str) -> str:
    """Return a text that is the same for all paths to a photo."""
    folder, name = os.path.split(photo)
    return f"{_real_folder(folder)}{os.sep}{name}"


@lru_cache(maxsize=256)
def _real_folder(folder: str) -> str:
    return os.path.realpath(folder)


def _texts(content: Settings, key: str, settings: Path) -> list[str]:
    """Return the one text or the list of texts that a key has; [] if it has none."""
    entries, is_numbered = content.entries(key, single=True)
    if is_numbered:
        fail(settings, f"{key!r} must be {_KINDS}")
    return [scalar(entry, settings, f"entry of {key!r}", f"write {_KINDS}") for entry in entries]


def _place(settings: Path, key: str, root: Path, entry: str, kind: str) -> Path | None:
    """Return the folder or file of an entry; None for a folder for test that does not exist."""
    place = root / entry
    if not exists(place) and entry.startswith("../"):
        place = root / entry[3:]  # some tools begin in a folder that is not there
    if not exists(place):
        if kind == TEST:
            return None
        fail(
            settings,
            f"{key}: {str(root / entry)!r} does not exist; entries begin in 'path', or in the folder of the file",
        )
    if not is_folder(place) and place.suffix.lower() != ".txt":
        fail(settings, f"{key!r} must be {_KINDS}, got {entry!r}")
    if os.path.realpath(place) == os.path.sep:
        fail(settings, f"{key}: {entry!r} leads to all files of this machine; write the folder of the photos")
    return place


def _photos(place: Path, root: Path) -> list[str]:
    """Return the photos of a folder, or those that a text file lists."""
    if is_folder(place):
        paths, failures = labelled_photo_paths(place)
        if failures:
            raise failures[0]
        return paths
    lines = enumerate(text_lines(place), start=1)
    return [_listed(place, root, line.strip(), number) for number, line in lines if line.strip()]


def _listed(file: Path, root: Path, line: str, number: int) -> str:
    """Return the photo of a line. Its path begins in the folder of the text file, or in that of the data set."""
    paths = [os.path.normpath(folder / line) for folder in (file.parent, root)]
    found = next(filter(is_file, paths), None)
    if found is None:
        fail(
            f"{file}: line {number}", f"the photo {line[:200]!r} does not exist in {file.parent} or in {root}"
        )
    return found
