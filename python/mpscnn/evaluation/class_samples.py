"""Pair photos with their classes by the names of folders."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from mpscnn._private.arguments import are_numbers, whole_number_in
from mpscnn._private.files import is_folder
from mpscnn._private.names import did_you_mean, shown_names
from mpscnn.errors import Error, ImageError, ParameterError
from mpscnn.photo_sources import is_one_photo, one_photo, require_no_video, several_photos
from mpscnn.training.split_folders import find_splits, visible_folders
from mpscnn.vision.photo import open_photo
from mpscnn.vision.photo_list import is_url, photos_in, warn_of_left_out

Sample = tuple[Any, "int | str"]
"""A photo and its class, as a number or a label."""
_MAX_SHOWN = 5  # numbers of classes in a message
_LONGEST_NAME = 4096
Failed = Callable[[Any, Error], object]


def samples_of(given: Any, labels: Sequence[str], failed: Failed | None) -> Iterable[Any]:
    """Return the pairs of what the user of `evaluate` gave. A path without a class has the class of its folder.

    Photos and an array of their classes, (X, Y), become pairs. Raises the errors of `samples_in_folders`.
    """
    if isinstance(given, tuple) and len(given) == 2 and getattr(given[1], "ndim", 0) == 1:
        photos, classes = list(given[0]), given[1].tolist()
        if len(photos) != len(classes):
            raise ParameterError(f"expected a class for each photo, got {len(photos)} and {len(classes)}")
        return zip(photos, classes, strict=True)
    if hasattr(given, "class_to_idx"):  # an ImageFolder numbers its classes by their names' order
        finder = ClassFinder(labels)
        numbers = [finder.of_folder(Path(label)) for label in given.labels]
        return [(path, numbers[number]) for path, number in given.samples]
    if isinstance(given, (str, PathLike)):
        if is_folder(given):
            return samples_in_folders(part_to_measure(Path(given)), labels, failed)
        given = several_photos(given) or [given]
    require_no_video(given)
    if is_one_photo(given) or not isinstance(given, Iterable):
        raise ParameterError(
            "expected a folder, a pattern, an ImageFolder, or pairs of a photo and its class, got "
            f"{type(given).__name__}"
        )
    return _with_classes(given, labels)


def _with_classes(samples: Iterable[Any], labels: Sequence[str]) -> Iterator[Any]:
    finder = ClassFinder(labels)
    known: dict[Path, int] = {}
    for sample in samples:
        if not isinstance(sample, (str, PathLike)):
            yield sample
            continue
        for path in several_photos(sample) or [sample]:
            require_no_video(path)
            folder = Path(path).parent if _is_url(path) else Path(path).absolute().parent
            if folder not in known:
                known[folder] = _class_of(path, folder, finder)
            yield path, known[folder]


def _is_url(path: str | PathLike[str]) -> bool:
    return isinstance(path, str) and is_url(path)


def _class_of(path: str | PathLike[str], folder: Path, finder: ClassFinder) -> int:
    """Return the class of a photo by its folder. Raises ImageError if there is no class and the file is no photo."""
    try:
        return finder.of_folder(folder)
    except ParameterError:
        if _is_url(path):
            raise ParameterError(
                f"{path}: the model has no class {folder.name!r}; give pairs of a photo and its class: "
                f"[({path!r}, 'label')]"
            ) from None
        open_photo(one_photo(path))
        raise


def part_to_measure(folder: Path) -> Path:
    """Return the folder of the classes: the test photos of a split data set, or those for validation.

    Raises ImageError if the folder cannot be read, or has photos for training only.
    """
    splits = find_splits(folder)
    if splits is None:
        return folder
    part = splits.test or splits.validation
    if part is None:
        raise ImageError(f"{folder}: has photos for training only; give {splits.train} to measure on them")
    return part


def samples_in_folders(folder: Path, labels: Sequence[str], failed: Failed | None = None) -> list[Sample]:
    """Return the photos in the folders of a folder, each with the class after which its folder is named.

    A folder that cannot be read is passed to `failed` with the error. All folders without photos are one error, with
    `folder`. None: the error is raised.

    Raises:
        ImageError: there are no folders. ParameterError: a folder is not named after a class.
    """
    entries = visible_folders(folder)
    if not entries:
        raise ImageError(f"{folder}: has no folders, one for each class, in it")
    samples: list[Sample] = []
    empty: list[Path] = []
    left_out = Counter[str]()
    finder = ClassFinder(labels)
    for entry in entries:
        index = finder.of_folder(entry)
        found = photos_in(str(entry))
        left_out.update(found.left_out)
        if not found.paths and not found.failures:
            empty.append(entry)
        for failure in found.failures:
            if failed is None:
                raise failure
            failed(entry, failure)
        samples += [(path, index) for path in found.paths]
    warn_of_left_out(folder, left_out)
    if empty:
        failure = ImageError(f"{folder}: no photo in {shown_names([entry.name for entry in empty])}")
        if failed is None:
            raise failure
        failed(folder, failure)
    return samples


class ClassFinder:
    """Finds the class of a folder's photos: the folder is named after its label, one of its names, or its number.

    A label like ImageNet's "goldfish, Carassius auratus" has several names. Case, separators and the Unicode form do
    not matter. If all labels are numbers, a folder is never named after the number of a class. Each name is prepared
    once, because there may be many folders and many labels.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = labels
        self._has_numbers = not are_numbers(labels)
        self._by_label: dict[str, list[int]] = {}
        self._by_name: dict[str, list[int]] = {}
        for index, label in enumerate(labels):
            self._by_label.setdefault(_plain(label), []).append(index)
            for name in dict.fromkeys(map(_plain, label.split(","))):
                self._by_name.setdefault(name, []).append(index)

    def of_folder(self, folder: Path) -> int:
        """Return the number of the class. Raises ParameterError if no class, or more than one, has this name."""
        wanted = _plain(folder.name)
        found = self._by_label.get(wanted) or self._by_name.get(wanted) or []
        number = whole_number_in(wanted)
        if not found and self._has_numbers and number is not None and number < len(self._labels):
            found = [number]
        if len(found) == 1:
            return found[0]
        if found:
            numbers = " and ".join(map(str, found[:_MAX_SHOWN])) + " and others" * (len(found) > _MAX_SHOWN)
            raise ParameterError(
                f"{folder}: the classes {numbers} are called {folder.name!r}; use their numbers"
            )
        names = dict.fromkeys(name.strip() for label in self._labels for name in (label, *label.split(",")))
        hint = did_you_mean(folder.name, names) or "."
        numbered = f" or numbered 0 to {len(self._labels) - 1}" if self._has_numbers else ""
        raise ParameterError(
            f"{folder}: the model has no class {folder.name!r}{hint} Folders are named like "
            f"the model's labels{numbered}; mpscnn.train(folder) trains a model of a folder's own classes"
        )


def _plain(name: str) -> str:
    # macOS may write a letter and its accent as two characters. The name of a folder is short, and normalizing the
    # long label of a file could take long.
    name = unicodedata.normalize("NFC", name) if len(name) <= _LONGEST_NAME else name
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())
