"""Data for the training of detectors and segmenters: photos with objects or masks, as inputs and labels."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.arguments import whole_number
from mpscnn.errors import ParameterError
from mpscnn.runtime.library import available_processors
from mpscnn.training.batches import EpochData, epoch_parts
from mpscnn.training.loading import load_ahead
from mpscnn.training.photo_views import PhotoReader
from mpscnn.training.scenes.labelled import LabelledObjects, LabelledPhoto
from mpscnn.training.scenes.masks import MaskedPhoto, MaskedPhotos
from mpscnn.training.scenes.views import SceneAugmentation, choose_view, upright, whole_view
from mpscnn.vision.photo import Photo, open_photo
from mpscnn.vision.segmentation import UNSEEN


class ScenePhotos(EpochData):
    """Photos with labels of their parts. Each photo is stretched to the size of the network's input.

    The contents of an epoch depend only on the seed and the epoch's number.

    Args:
        count: the number of photos.
        size: (height, width) of the inputs.
        preprocess: how photos become inputs; its "fit" is replaced by "stretch".
        channels: 3, or 1 for gray.
        augmentation: the range of random views; None: whole photos.
        seed: the random seed of the order and the views.
        threads: the number of threads that decode; "auto": all that the process may use.
    """

    def __init__(
        self,
        count: int,
        size: tuple[int, int],
        preprocess: str | Mapping[str, Any],
        *,
        channels: int = 3,
        augmentation: SceneAugmentation | None = None,
        seed: int = 0,
        threads: int | str = "auto",
    ) -> None:
        self._count = count
        self._reader = PhotoReader(size, preprocess, channels)
        self._augmentation, self._seed = augmentation, whole_number("seed", seed, minimum=0)
        self._threads = available_processors() if threads == "auto" else int(threads)

    @property
    def settings(self) -> tuple[Any, ...]:
        """The settings that determine how whole photos become inputs."""
        return self._reader.settings

    @property
    def variety(self) -> dict[str, Any]:
        """The options that determine the size and the random views of photos."""
        return {"size": self._reader.shape[:2], "augment": repr(self._augmentation)}

    def __len__(self) -> int:
        """Return the number of photos."""
        return self._count

    def batches(self, size: int, *, epoch: int | None = None, first: int = 0) -> Iterator[tuple[Any, ...]]:
        """Yield batches as `EpochData.batches` does. Without an epoch, photos are whole and in order."""
        parts = epoch_parts(self._count, size, seed=self._seed, epoch=epoch, first=first)
        read = partial(self._read, epoch)
        # Python 3.12 does not end the inner generator when the outer one is closed.
        with closing(load_ahead(parts, read, self._reader.shape, self._threads)) as loaded:
            for inputs, _, labels in loaded:
                yield (inputs, *self._collected(labels))

    def _read(self, epoch: int | None, index: int, row: NDArray[np.float32]) -> Any:
        """Write a photo into `row`, and return its labels."""
        if epoch is None or self._augmentation is None:
            return self._scene(index, row, None, np.random.default_rng(0))
        random = np.random.default_rng([self._seed, epoch + 1, index])
        return self._scene(index, row, self._augmentation, random)

    @abstractmethod
    def _scene(
        self,
        index: int,
        row: NDArray[np.float32],
        augmentation: SceneAugmentation | None,
        random: np.random.Generator,
    ) -> Any:
        """Write a view of a photo into `row`, and return its labels."""

    @abstractmethod
    def _collected(self, labels: Sequence[Any]) -> tuple[Any, ...]:
        """Return the labels of a batch, and weights of their losses if they have some."""

    def _show(
        self,
        photo: Photo,
        boxes: NDArray[np.float64],
        row: NDArray[np.float32],
        augmentation: SceneAugmentation | None,
        random: np.random.Generator,
    ) -> Any:
        """Write a view of the photo into `row`, and return the view."""
        if augmentation is None:
            self._reader.convert(photo, row)
            return whole_view(photo.size)
        view = choose_view(photo.size, boxes, augmentation, random)
        self._reader.convert(view.photo(photo), row)
        if view.mirrored:
            row[:] = row[:, ::-1].copy()
        self._reader.relight(row, augmentation, random)
        return view


class ObjectPhotos(ScenePhotos):
    """Photos with objects, see `ScenePhotos`. The labels of a batch are a mapping for each photo (`Trainer.step`)."""

    def __init__(self, objects: LabelledObjects, *arguments: Any, **options: Any) -> None:
        super().__init__(len(objects.photos), *arguments, **options)
        self.objects = objects

    def _scene(
        self,
        index: int,
        row: NDArray[np.float32],
        augmentation: SceneAugmentation | None,
        random: np.random.Generator,
    ) -> dict[str, NDArray[Any]]:
        labelled = self.objects.photos[index]
        photo = opened_as_labelled(labelled)
        boxes = labelled.boxes_in_pixels(photo.size)
        view = self._show(photo, boxes, row, augmentation, random)
        parts, seen = view.boxes(boxes)
        return {"boxes": parts, "classes": labelled.classes[seen]}

    def _collected(self, labels: Sequence[Any]) -> tuple[Any, ...]:
        return (list(labels),)


class MaskPhotos(ScenePhotos):
    """Photos with masks, see `ScenePhotos`. Weights of 0 leave out the pixels that masks ignore.

    Args:
        output_size: (rows, columns) of the network's output, which is the size of the labels.
    """

    def __init__(
        self, masked: MaskedPhotos, *arguments: Any, output_size: tuple[int, int], **options: Any
    ) -> None:
        super().__init__(len(masked.photos), *arguments, **options)
        self.masked, self._output_size = masked, output_size

    def _scene(
        self,
        index: int,
        row: NDArray[np.float32],
        augmentation: SceneAugmentation | None,
        random: np.random.Generator,
    ) -> NDArray[np.uint8]:
        photo, mask = opened_with_mask(self.masked.photos[index])
        view = self._show(photo, np.zeros((0, 4)), row, augmentation, random)
        points: NDArray[np.uint8] = view.mask(mask, self._output_size)
        return points

    def _collected(self, labels: Sequence[Any]) -> tuple[Any, ...]:
        points = np.stack(labels)
        counted = points != UNSEEN
        return np.where(counted, points, 0).astype(np.int64), counted.astype(np.float32)


def opened_with_mask(masked: MaskedPhoto) -> tuple[Photo, NDArray[np.uint8]]:
    """Return a photo, upright, and its mask. Raises ParameterError if their sizes differ."""
    photo = upright(open_photo(masked.path))
    mask = masked.numbers(photo.size)
    if mask.shape != photo.size[::-1]:
        raise ParameterError(
            f"{masked.mask}: the mask has {mask.shape[1]} x {mask.shape[0]} pixels, its photo {masked.path} "
            f"{photo.size[0]} x {photo.size[1]}"
        )
    return photo, mask


def opened_as_labelled(labelled: LabelledPhoto) -> Photo:
    """Return the photo, turned as it was when it was labelled.

    Some tools show photos upright, others ignore the EXIF orientation. The size in the annotations tells which.
    """
    photo = open_photo(labelled.path)
    stored = photo.pixels.shape[1], photo.pixels.shape[0]
    width, height = labelled.size or (0, 0)
    if (width, height) in ((0, 0), photo.size):
        return upright(photo)
    if (width, height) == stored:
        return open_photo(labelled.path, orientation=1)
    raise ParameterError(
        f"{labelled.place}: says that the photo has {width} x {height} pixels, but {labelled.path} has "
        f"{photo.size[0]} x {photo.size[1]}"
    )
