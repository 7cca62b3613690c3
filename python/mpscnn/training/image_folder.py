"""Read training data from photos in one folder for each class: `mpscnn.ImageFolder`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from copy import copy
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.arguments import (
    input_size,
    is_finite_number,
    is_whole_number,
    name_list,
    path_name,
    whole_number,
)
from mpscnn._private.callables import require_arguments
from mpscnn._private.names import shown_names
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn._private.other_names import Expected
from mpscnn.errors import ImageError, ParameterError
from mpscnn.graph.class_numbers import ClassNumbers
from mpscnn.runtime.library import available_processors
from mpscnn.training.batches import EpochData, epoch_parts
from mpscnn.training.class_folders import list_class_folders
from mpscnn.training.loading import load_ahead
from mpscnn.training.photo_views import Augmentation, PhotoFile, PhotoReader, chosen_augmentation, mix

Batch = tuple[NDArray[np.float32], NDArray[Any]]
#: The index of the photo that was mixed into another one, and the share of the latter.
Mixed = tuple[int, float]


class UnreadablePhotosError(ImageError):
    """Several photos cannot be read. `failures` has an error for each of them."""

    def __init__(self, failures: Mapping[str, ImageError]) -> None:
        self.failures = dict(failures)
        super().__init__(f"{len(self.failures)} photos cannot be read: {shown_names(list(self.failures))}")


class ImageFolder(Expected, EpochData):
    """The photos of a folder that has one folder for each class, as data for `Trainer.fit` and `Trainer.evaluate`.

    Threads decode photos two batches ahead while the network computes. The content of an epoch depends only on the seed
    and the epoch's number, not on threads or earlier reads. `paths` has the files, and `targets` the class number of
    each; `classes`, `class_to_idx` and `samples` are like those of torchvision's ImageFolder.

    Args:
        path: the folder. Classes are numbered by the order of their names.
        size: (height, width) of the inputs, or one number for both.
        preprocess: how photos become inputs (`mpscnn.preprocess`). Use the model's own settings if it has any.
        augment: train on other random variants of the photos in each epoch: True, or an `Augmentation` with their
            range.
        seed: the random seed of the order and the variants.
        threads: the number of threads that decode; "auto": all that the process may use.
        channels: the number of channels of the inputs: 3, or 1 for gray.
        transform: a function that is called with each photo of a training epoch, as an upright Pillow image, and
            returns a Pillow image or an array as for `mpscnn.photo.open_photo`. Threads call it at the same time, and
            the seed does not determine its random numbers. Preprocessing and `augment` follow.

    Raises:
        ImageError: the folder cannot be read, is split into train, val and test (pass one of them), or has fewer than
            two classes; a class has no photos; photos are next to the class folders; names of classes are not UTF-8 or
            differ only by case or Unicode form; a link leads nowhere or to a folder that contains it; or the folder of
            a class is a link to that of another one.
        ParameterError: an option is out of its range.
    """

    _other_names = (("labels", "names class_names"),)

    @accept_foreign_arguments
    def __init__(
        self,
        path: str | os.PathLike[str],
        size: int | tuple[int, int] = (224, 224),
        *,
        preprocess: str | Mapping[str, Any] = "tensorflow",
        augment: bool | Augmentation = False,
        seed: int = 0,
        threads: int | str = "auto",
        channels: int = 3,
        transform: Callable[[Any], Any] | None = None,
    ) -> None:
        if not is_whole_number(seed) or seed < 0:
            raise ParameterError(f"seed must be a whole number of at least 0, got {seed!r}")
        if threads != "auto" and (not is_whole_number(threads) or int(threads) < 1):
            raise ParameterError(f"threads must be 'auto' or at least 1, got {threads!r}")
        self._augmentation = chosen_augmentation(Augmentation, augment)
        if not is_whole_number(channels) or channels not in (1, 3):
            raise ParameterError(f"channels must be 3, or 1 for gray, got {channels!r}")
        if transform is not None:
            require_arguments("transform", transform, ["photo"])
        extents = input_size("size", size)
        self.path = path_name("path", path, "Trainer.fit takes arrays as (inputs, labels)")
        labels, paths, targets = self._listed()
        self.labels, self.paths = list(labels), list(paths)
        self.targets: NDArray[Any] = targets
        self._reader = PhotoReader(extents, preprocess, int(channels))
        self._seed, self._transform = seed, transform
        self._threads = available_processors() if threads == "auto" else int(threads)

    def _listed(self) -> tuple[Sequence[str], Sequence[str], NDArray[Any]]:
        """Return the labels, the photos and the targets."""
        found = list_class_folders(self.path)
        return found.labels, found.paths, ClassNumbers.of(found.classes, found.labels)

    def __len__(self) -> int:
        """Return the number of photos."""
        return len(self.paths)

    def __repr__(self) -> str:
        height, width, channels = self._reader.shape
        return (
            f"<ImageFolder {self.path!r}: {len(self):,} photos of {len(self.labels)} classes as "
            f"{height} x {width} x {channels}>"
        )

    @property
    def classes(self) -> list[str]:
        """The names of the classes in the order of their numbers, like `labels`."""
        return self.labels

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The number of each class by its name."""
        return {label: number for number, label in enumerate(self.labels)}

    @property
    def samples(self) -> list[tuple[str, int]]:
        """The path and the class number of each photo."""
        return list(zip(self.paths, self.targets.tolist(), strict=True))

    @property
    def settings(self) -> tuple[Any, ...]:
        """The settings that determine how unchanged photos become inputs."""
        return self._reader.settings

    @property
    def variety(self) -> dict[str, Any]:
        """The options that determine the random variants of photos."""
        transform = self._transform
        named = None if transform is None else getattr(transform, "__qualname__", type(transform).__name__)
        return {"augment": repr(self._augmentation), "transform": named}

    @property
    def mixes(self) -> bool:
        """True if photos of a training epoch are mixed with others, so that labels are shares of the classes."""
        return self._augmentation is not None and self._augmentation.mixes > 0

    @property
    def varies_labels(self) -> bool:
        """True if the labels of photos of a training epoch differ from `targets`."""
        return self.mixes

    def split(self, share: float) -> tuple[ImageFolder, ImageFolder]:
        """Split the photos into two parts, for training and for validation. The second one is not augmented.

        Args:
            share: the share of each class for validation, above 0 and below 1. Each part has at least one photo of each
                class. The seed decides which.

        Raises:
            ParameterError: the share is out of its range. ImageError: a class has only one photo.
        """
        if not is_finite_number(share) or not 0 < share < 1:
            raise ParameterError(
                f"the share for validation must be a number above 0 and below 1, got {share!r}"
            )
        counts = np.bincount(np.asarray(self.targets), minlength=len(self.labels))
        few = [label for label, count in zip(self.labels, counts, strict=True) if count < 2]
        if few:
            raise ImageError(
                f"{self.path}: one photo only in {shown_names(few)}; training and validation need one each"
            )
        held = np.zeros(len(self), bool)
        by_class = np.split(np.argsort(np.asarray(self.targets), kind="stable"), np.cumsum(counts)[:-1])
        for number, of_class in enumerate(by_class):
            count = min(max(round(share * len(of_class)), 1), len(of_class) - 1)
            held[np.random.default_rng([self._seed, number]).permutation(of_class)[:count]] = True
        validation = self._with(np.flatnonzero(held))
        validation._augmentation = validation._transform = None
        return self._with(np.flatnonzero(~held)), validation

    def numbered_like(self, other: ImageFolder | Sequence[str]) -> ImageFolder:
        """Return the same photos with the class numbers of another folder or of labels, which may have more classes.

        Raises ImageError for classes that the other folder or the labels do not have.
        """
        labels = list(other.labels) if isinstance(other, ImageFolder) else name_list("labels", other)
        known = {
            label: number for number, label in reversed(list(enumerate(labels)))
        }  # the first of equal names
        unknown = [label for label in self.labels if label not in known]
        if unknown:
            place = other.path if isinstance(other, ImageFolder) else f"the list of {len(labels)} labels"
            raise ImageError(f"{self.path}: {place} has no class {shown_names(unknown)}")
        part = copy(self)
        part.labels = labels
        numbers = np.asarray([known[label] for label in self.labels], np.int64)
        part.targets = ClassNumbers.of(numbers[self.targets], labels)
        return part

    def read_with(self, reader: PhotoReader) -> ImageFolder:
        """Return the same variants of the same photos as the inputs of another network."""
        part = copy(self)
        part._reader = reader
        return part

    def _with(self, chosen: NDArray[np.int64]) -> ImageFolder:
        part = copy(self)
        part.paths, part.targets = [self.paths[i] for i in chosen], self.targets[chosen]
        return part

    def batches(self, size: int, *, epoch: int | None = None, first: int = 0) -> Iterator[Batch]:
        """Yield batches of inputs (n, height, width, channels) and class numbers (n,), without the first `first` ones.

        If the augmentation mixes photos, the labels of an epoch are shares of the classes (n, classes).

        Args:
            size: the number of photos in a batch; the last one may have fewer.
            epoch: the number of the epoch from 0, for shuffled and augmented photos; None: unchanged and in order.

        Raises:
            ParameterError: a number is out of its range. ImageError: a photo cannot be read; the message names it.
        """
        size, first = whole_number("size", size), whole_number("first", first, minimum=0)
        if epoch is not None:
            epoch = whole_number("epoch", epoch, minimum=0, otherwise="None")
        parts = epoch_parts(len(self), size, seed=self._seed, epoch=epoch, first=first)
        return self._loaded(parts, epoch)

    def view(self, number: int, size: int) -> Iterator[Batch]:
        """Yield batches of one variant of each photo, in order. Variant 0 is the unchanged photo.

        Raises:
            ParameterError: a number is out of its range. ImageError: a photo cannot be read; the message names it.
        """
        number, size = whole_number("number", number, minimum=0), whole_number("size", size)
        parts = epoch_parts(len(self), size, seed=self._seed, epoch=None)
        return self._loaded(parts, None if number == 0 else number - 1)

    def views(self, count: int, size: int) -> Iterator[Batch]:
        """Yield batches of the first `count` variants of each photo, in order. Variant 0 is the unchanged photo.

        Each photo is decoded once for all its variants, unless photos are mixed.

        Args:
            count: the number of variants.
            size: the number of photos in a batch; the last one may have fewer.

        Returns:
            Inputs (n, count, height, width, channels), and class numbers (n, count) or shares of the classes (n, count,
            classes).

        Raises:
            ParameterError: a number is out of its range. ImageError: a photo cannot be read; the message names it.
        """
        count, size = whole_number("count", count), whole_number("size", size)
        parts = epoch_parts(len(self), size, seed=self._seed, epoch=None)
        return self._loaded_views(parts, count, size)

    def unreadable(self) -> dict[str, ImageError]:
        """Return the errors of all photos that cannot be read, by path."""

        def tried(index: int) -> ImageError | None:
            try:
                self._read(None, index, np.empty(self._reader.shape, np.float32))
            except ImageError as error:
                return error
            return None

        with ThreadPoolExecutor(self._threads, "mpscnn-photos") as pool:
            errors = pool.map(tried, range(len(self)))
            return {path: error for path, error in zip(self.paths, errors, strict=True) if error is not None}

    def _loaded(self, parts: Sequence[NDArray[np.int64]], epoch: int | None) -> Iterator[Batch]:
        read = partial(self._read, epoch)
        # Python 3.12 does not end the inner generator when the outer one is closed.
        with closing(load_ahead(parts, read, self._reader.shape, self._threads)) as loaded:
            for inputs, chosen, mixed in loaded:
                yield (
                    inputs,
                    self.targets[chosen]
                    if epoch is None or not self.varies_labels
                    else self._shares(chosen, mixed),
                )

    def _loaded_views(self, parts: Sequence[NDArray[np.int64]], count: int, size: int) -> Iterator[Batch]:
        shape = (count, *self._reader.shape)
        ahead = max(2, -(-self._threads // size))
        with closing(load_ahead(parts, self._read_views, shape, self._threads, ahead)) as loaded:
            for inputs, chosen, mixed in loaded:
                labels = np.repeat(self.targets[chosen, None], count, axis=1)
                if self.varies_labels:
                    each = zip(*mixed, strict=True)  # for each variant
                    labels = np.stack([self._shares(chosen, of_variant) for of_variant in each], axis=1)
                yield inputs, labels

    def __iter__(self) -> Iterator[Batch]:
        """Yield batches of 32 unchanged photos in order. `batches` has more options."""
        return self.batches(32)

    def _read(self, epoch: int | None, index: int, row: NDArray[np.float32]) -> Mixed:
        """Read a photo. Return the index of the photo that was mixed into it, and the share of the first one."""
        return self._read_variant(PhotoFile(self.paths[index]), epoch, index, row)

    def _read_views(self, index: int, rows: NDArray[np.float32]) -> list[Mixed]:
        """Read the first variants of a photo."""
        file = PhotoFile(self.paths[index])
        return [
            self._read_variant(file, number - 1 if number else None, index, row)
            for number, row in enumerate(rows)
        ]

    def _read_variant(
        self, file: PhotoFile, epoch: int | None, index: int, row: NDArray[np.float32]
    ) -> Mixed:
        random = np.random.default_rng([self._seed, 0 if epoch is None else epoch + 1, index])
        if epoch is None:
            self._reader.read(file, row, None, random)
            return index, 1.0
        augmentation, transform = self._augmentation, self._transform
        self._reader.read(file, row, augmentation, random, transform)
        kind = augmentation and augmentation.draw_mixing(random)
        if not kind:
            return index, 1.0
        other = int(random.integers(len(self)))
        second = np.empty_like(row)
        self._reader.read(PhotoFile(self.paths[other]), second, augmentation, random, transform)
        return other, mix(row, second, kind, random)

    def _shares(self, chosen: NDArray[np.int64], mixed: Sequence[Mixed]) -> NDArray[np.float32]:
        """Return the shares of the classes (n, classes) of photos that were mixed with others."""
        labels = np.zeros((len(chosen), len(self.labels)), np.float32)
        for row, index, (other, share) in zip(labels, chosen, mixed, strict=True):
            row[self.targets[index]] += share
            row[self.targets[other]] += 1 - share
        return labels
