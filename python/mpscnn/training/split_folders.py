"""Recognise data sets whose photos are split into folders for training, validation and test."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from mpscnn._private.files import convert_read_errors, is_folder
from mpscnn._private.given_warnings import warn_caller
from mpscnn.errors import ImageError, ParameterError

TRAIN, VALIDATION, TEST = "train", "validation", "test"
#: The names of splits, in lower case.
_SPLITS = {
    "train": TRAIN,
    "training": TRAIN,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "test": TEST,
    "testing": TEST,
}


@dataclass(frozen=True)
class SplitFolders:
    """The folders of a split data set; None for a split that it does not have. Each has a folder for each class."""

    train: Path | None = None
    validation: Path | None = None
    test: Path | None = None

    def __str__(self) -> str:
        found = (self.train, self.validation, self.test)
        return _listed([part.name for part in found if part is not None])


def visible_folders(folder: Path) -> list[Path]:
    """Return the folders in a folder by name, without hidden ones.

    Raises ImageError if the folder cannot be read.
    """
    with convert_read_errors(folder, ImageError):
        return sorted(entry for entry in folder.iterdir() if entry.name[0] != "." and is_folder(entry))


def find_splits(folder: Path) -> SplitFolders | None:
    """Return the splits of a data set, such as train/, val/ and test/; None if its folders are classes.

    A folder is a split by its name. One folder of such a name among others is a class, and so is a folder without
    folders in it.

    Raises:
        ImageError: the folder cannot be read, or has splits that are not clear: two of one kind, classes next to them,
            or no class in any of them.
    """
    folders = visible_folders(folder)
    parts = [entry for entry in folders if entry.name.casefold() in _SPLITS]
    kinds = {_kind(entry) for entry in parts}
    others = [entry.name for entry in folders if entry not in parts]
    if not parts or (others and len(kinds) < 2):
        return None
    names = _listed([entry.name for entry in parts])
    if others:
        raise ImageError(
            f"{folder}: {names} are parts of a split data set, but {others[0]!r} is next to them; move it away, or "
            f"name {parts[0]}"
        )
    if not any(visible_folders(entry) for entry in parts):
        if len(parts) < 2:
            return None
        raise ImageError(
            f"{folder}: {names} are parts of a split data set, but have no folder for each class; make these, or "
            "rename the folders if they are classes"
        )
    if len(kinds) < len(parts):
        raise ImageError(f"{folder}: {names} are parts of a split data set, two of one kind; join them")
    return SplitFolders(**{_kind(entry): entry for entry in parts})


def require_no_splits(folder: Path, classes: Sequence[Path]) -> None:
    """Raise ImageError if a folder is a split data set, or has classes that are split."""
    splits = find_splits(folder)
    if splits is not None:
        first = next(part for part in (splits.train, splits.validation, splits.test) if part is not None)
        raise ImageError(f"{folder}: is split into {splits}, which are no classes; pass one of them: {first}")
    for entry in classes:
        inner = [one for one in visible_folders(entry) if one.name.casefold() in _SPLITS]
        if len({_kind(one) for one in inner}) > 1:
            raise ImageError(
                f"{entry}: {_listed([one.name for one in inner])} are parts of a split data set within a class; "
                "put the classes into the splits, such as train/cat"
            )


def split_kind(name: str) -> str | None:
    """Return the split that a name means: TRAIN, VALIDATION or TEST, also with a year as in "train2017"; or None."""
    return _SPLITS.get(name.casefold().rstrip("0123456789"))


def _kind(entry: Path) -> str:
    return _SPLITS[entry.name.casefold()]


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def require_held_out(training: Iterable[str], validation: Iterable[str]) -> None:
    """Raise ParameterError if a file is among the photos for training and those for validation, also by links.

    A RuntimeWarning reports copies: photos for validation with the bytes of a photo for training.
    """
    trained, held = _by_file(training), _by_file(validation)
    both = [one for one in held if one in trained]
    if both:
        first, other = held[both[0]].path, trained[both[0]].path
        also = "" if first == other else f", which also is {other!r}"
        count = f"{len(both):,} photos are" if len(both) > 1 else "1 photo is"
        raise ParameterError(
            f"validation: {count} both for training and for validation, first {first!r}{also}; the measures would "
            "be too high: remove these photos from one of them"
        )
    _warn_of_copies(list(trained.values()), list(held.values()))


def _warn_of_copies(training: Sequence[_File], validation: Sequence[_File]) -> None:
    """Report photos for validation with the bytes of a photo for training. Only files of equal sizes are read."""
    sizes = {one.size for one in training} & {one.size for one in validation}
    digests = {_digest(one): one for one in training if one.size in sizes}
    copies = [
        (one, digests[key]) for one in validation if one.size in sizes and (key := _digest(one)) in digests
    ]
    if not copies:
        return
    held, trained = copies[0]
    count = f"{len(copies):,} photos have" if len(copies) > 1 else "1 photo has"
    warn_caller(
        f"validation: {count} the bytes of a photo for training, first {held.path!r} those of {trained.path!r}; "
        "the measures are too high: remove the copies",
    )


@dataclass(frozen=True)
class _File:
    path: str
    size: int


def _by_file(paths: Iterable[str]) -> dict[tuple[int, int], _File]:
    """Return the files by what identifies them, so that links are the files to which they lead."""
    files = {}
    for path in paths:
        about = os.stat(path)  # noqa: PTH116 - the name may be no text
        files[about.st_dev, about.st_ino] = _File(path, about.st_size)
    return files


def _digest(file: _File) -> bytes:
    with convert_read_errors(file.path, ImageError), open(file.path, "rb") as stream:  # noqa: PTH123 - as above
        return hashlib.sha256(stream.read()).digest()


class _Placed(Protocol):
    @property
    def path(self) -> str: ...


_Photo = TypeVar("_Photo", bound=_Placed)


def split_by_folder(folder: Path, photos: Sequence[_Photo]) -> dict[str, list[_Photo]] | None:
    """Return the photos of each part of a data set, whose paths have a folder such as train, val or train2017.

    The result is None unless each photo is in such a folder, and there are some
    for training and some for validation.
    """
    parts: dict[str, list[_Photo]] = {}
    for photo in photos:
        names = Path(os.path.relpath(photo.path, folder)).parts[:-1]
        kind = next(filter(None, map(split_kind, names)), None)
        if kind is None:
            return None
        parts.setdefault(kind, []).append(photo)
    return parts if {TRAIN, VALIDATION} <= {*parts} else None
