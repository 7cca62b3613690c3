"""Train a detector or a segmenter on folders of photos, for `mpscnn.train` and for the command `mpscnn train`."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.arguments import input_size, is_finite_number, path_name
from mpscnn.apps.train.photo_training import (
    DEFAULT_SHARE,
    Backbone,
    FolderTraining,
    require_other_teacher,
    stretching,
)
from mpscnn.apps.train.scene_report import SceneReport, scene_report
from mpscnn.errors import ParameterError, UnsupportedError
from mpscnn.graph.network import Network
from mpscnn.model import Model, load
from mpscnn.opening_models import model_task
from mpscnn.training.own_loss import Loss
from mpscnn.training.photo_views import chosen_augmentation
from mpscnn.training.run_folder import RunChoices
from mpscnn.training.scenes.feature_maps import feature_maps
from mpscnn.training.scenes.labelled import LabelledPhoto, left_out_photos, object_notes
from mpscnn.training.scenes.masks import MaskedPhoto, MaskedPhotos, read_masks
from mpscnn.training.scenes.networks import detector_of, segmenter_of
from mpscnn.training.scenes.photos import MaskPhotos, ObjectPhotos
from mpscnn.training.scenes.source import read_objects
from mpscnn.training.scenes.tasks import DetectorTask, SceneTask, SegmenterTask
from mpscnn.training.scenes.taught import add_found
from mpscnn.training.scenes.training import SceneOptions, SceneTraining
from mpscnn.training.scenes.views import SceneAugmentation
from mpscnn.training.split_folders import TRAIN, VALIDATION, require_held_out, split_by_folder
from mpscnn.vision.photo import open_photo

#: The sides of a classifier's input, if it becomes a detector or segmenter: the smaller one for classifiers of small
#: photos, whose last feature map has a stride below 16.
_SIZE, _SMALL_SIZE, _LARGE_STRIDE = 320, 160, 4
#: The largest number of photos that are opened for their sizes before training.
_MAX_OPENED = 64
_Photo = TypeVar("_Photo", LabelledPhoto, MaskedPhoto)


@dataclass(frozen=True)
class SceneSource:
    """Where the photos and their labels are.

    Args:
        photos: the folder with the photos; None: that of a data.yaml in `labels`.
        labels: the annotations of objects, or the folder of masks.
        validation: the share of photos for validation, which do not train; None: 0.2, or `validation_labels`.
        validation_labels: annotations of other photos in the folder, for validation.
    """

    photos: str | os.PathLike[str] | None
    labels: str | os.PathLike[str]
    validation: float | None = None
    validation_labels: str | os.PathLike[str] | None = None


@dataclass(frozen=True)
class SceneData:
    """The settings of the network and of its inputs.

    Args:
        task: "detect" or "segment".
        size: (height, width) of the input, or one number; None: the default.
        architecture: "lraspp" or "deeplab", for segmenters on a classifier.
        augment: train on other random views in each epoch: True, False, or a `SceneAugmentation`.
        loss: as for `mpscnn.Trainer`, of a kind of the task; None: the task's own.
        teacher: a detector whose finds are learned beside the labelled objects, for "detect".
    """

    task: Literal["detect", "segment"]
    size: int | tuple[int, int] | None = None
    architecture: str = "lraspp"
    augment: bool | SceneAugmentation = True
    loss: Loss | None = None
    teacher: str | os.PathLike[str] | Network | Model | None = None

    def __post_init__(self) -> None:
        chosen_augmentation(SceneAugmentation, self.augment)


class ScenesTraining(FolderTraining):
    """A training of a detector or a segmenter on photos with objects or masks.

    Args:
        source: the photos and their labels.
        data: the settings of the network and its inputs.
        backbone: the network with which the training starts: a classifier, or one of the task itself.
        run: the folder for the state of the training.
        options: the settings that determine the result.
        choices: how the training runs.

    Raises:
        ParameterError: annotations or masks are missing or wrong, which the message names, an option is wrong, or a
            photo for validation also trains.
        ImageError: a photo or a mask cannot be read.
        UnsupportedError: the network is neither a classifier nor one of the task.
    """

    def __init__(
        self,
        source: SceneSource,
        data: SceneData,
        backbone: Backbone,
        run: Path,
        options: SceneOptions,
        choices: RunChoices,
    ) -> None:
        super().__init__()
        self.backbone, self._data, self._seed, self._threads = backbone, data, options.seed, choices.threads
        self._left_out = 0
        self._notes: list[str] = []
        teacher, self._teacher = data.teacher, ""
        if isinstance(teacher, (Network, Model)):
            self._teacher = teacher.name
        elif teacher is not None:
            self._teacher = os.fspath(teacher)
            require_other_teacher(self._teacher, run)
        make = self._detector if data.task == "detect" else self._segmenter
        self.trained: SceneTraining = SceneTraining(make(source), run, options=options, choices=choices)
        self._kind = self.trained.task.phase

    def summary(self) -> list[str]:
        """Return lines about the photos and the network."""
        task = self.trained.task
        height, width = task.network.input.shape[1:3]
        lines = [
            f"{len(task.training):,} photos to train with and {len(task.validation):,} for validation, "
            f"{len(task.labels)} classes, {task.network.name} of {width} x {height} pixels, "
            f"trained from {self.backbone.network.name}"
        ]
        if self._left_out:
            lines.append(f"{self._left_out:,} photos have no annotations and are left out")
        return lines + self._notes

    def report(self) -> SceneReport:
        """Return how well the best weights so far do on the photos for validation."""
        return scene_report(self.trained, time.monotonic() - self._started)

    def _helper(self) -> str:
        return f" with the teacher {self._teacher}" if self._teacher else ""

    # ---- Tasks ----

    def _detector(self, source: SceneSource) -> SceneTask:
        read = read_objects(source.photos, source.labels)
        objects = read.learned()
        held = None
        if source.validation_labels is not None:
            others = read_objects(source.photos, source.validation_labels, trains=False)
            held = others.learned().numbered_like(objects.labels, str(source.validation_labels))
        held_photos = (
            objects.photos_of(VALIDATION) if held is None else held.photos_of(VALIDATION) or held.photos
        )
        if source.photos is not None:
            listed = [photo.path for one in (objects, held) if one is not None for photo in one.photos]
            self._left_out = left_out_photos(Path(source.photos), listed)
        self._notes = object_notes([*read.photos, *(() if held is None else others.photos)])
        training, held_photos = self._split(source, objects.photos_of(TRAIN) or objects.photos, held_photos)
        size = self._size()
        boxes = _fractions(training)
        if not len(boxes):
            raise ParameterError(f"{source.labels}: the photos for training have no objects")
        if not any(len(photo.classes) for photo in held_photos):
            raise ParameterError(
                f"{source.labels}: the {len(held_photos):,} photos for validation have no objects, so the mAP is "
                "undefined and no epoch is the best one: choose others by validation=, or by another seed"
            )
        if (teacher := self._data.teacher) is not None:
            training, count = add_found(training, objects.labels, _opened(teacher), self._teacher)
            self._notes.append(f"the teacher {self._teacher} adds {count:,} objects to the photos that train")
        network = self._prepared(detector_of(self.backbone.network, len(objects.labels), size, boxes))
        parts = [
            ObjectPhotos(objects.with_photos(photos), *self._reading(network), **self._viewing(augmented))
            for photos, augmented in ((training, True), (held_photos, False))
        ]
        return DetectorTask(network, objects.labels, *parts, loss=self._data.loss)

    def _segmenter(self, source: SceneSource) -> SceneTask:
        photos = None if source.photos is None else Path(source.photos)
        masked = read_masks(photos, Path(path_name("masks", source.labels)))
        if source.validation_labels is not None:
            raise ParameterError("validation: segmenters take a share of the photos, no other masks")
        training, held = self._split(source, masked.photos, masked.held)
        network = self._prepared(
            segmenter_of(self.backbone.network, len(masked.labels), self._size(), self._data.architecture)
        )
        rows, columns = (int(extent or 0) for extent in network.outputs[0].shape[1:3])
        parts = [
            MaskPhotos(
                MaskedPhotos(masked.labels, tuple(chosen)),
                *self._reading(network),
                output_size=(rows, columns),
                **self._viewing(augmented),
            )
            for chosen, augmented in ((training, True), (held, False))
        ]
        return SegmenterTask(network, masked.labels, *parts, loss=self._data.loss)

    def _split(
        self, source: SceneSource, photos: Sequence[_Photo], held: Sequence[_Photo] | None
    ) -> tuple[list[_Photo], list[_Photo]]:
        """Return the photos for training and for validation, which have no photo in common."""
        parts = self._parts(source, photos, held)
        require_held_out(*((photo.path for photo in part) for part in parts))
        return parts

    def _parts(
        self, source: SceneSource, photos: Sequence[_Photo], held: Sequence[_Photo] | None
    ) -> tuple[list[_Photo], list[_Photo]]:
        """Return the photos for training and for validation. The seed decides which are for validation."""
        folder = Path(os.fspath(source.photos or Path(source.labels).parent))
        parts = (
            split_by_folder(folder, photos) if held is None else {TRAIN: list(photos), VALIDATION: list(held)}
        )
        if parts is not None:
            if source.validation is not None:
                raise ParameterError("validation: the photos in val are for validation; leave the share out")
            return parts[TRAIN], parts[VALIDATION]
        share = DEFAULT_SHARE if source.validation is None else source.validation
        if not is_finite_number(share) or not 0 < share < 1:
            raise ParameterError(
                f"the share for validation must be a number above 0 and below 1, got {share!r}"
            )
        if len(photos) < 2:
            raise ParameterError("there is only one photo; training and validation need one each")
        count = min(max(round(share * len(photos)), 1), len(photos) - 1)
        order = np.random.default_rng([self._seed, len(photos)]).permutation(len(photos))
        chosen = set(order[:count].tolist())
        return (
            [photo for number, photo in enumerate(photos) if number not in chosen],
            [photo for number, photo in enumerate(photos) if number in chosen],
        )

    def _size(self) -> tuple[int, int]:
        network, size = self.backbone.network, self._data.size
        given = None if size is None else input_size("size", size)
        extents = network.inputs[0].shape[1:3] if len(network.inputs) == 1 else ()
        if len(extents) != 2 or None in extents:
            raise UnsupportedError(
                f"network {network.name!r}: photos need one input (n, height, width, channels) of a fixed size"
            )
        own = (int(extents[0] or 0), int(extents[1] or 0))
        outputs = [output.shape for output in network.outputs]
        if model_task(network.detection is not None, outputs) != "classification":
            if given not in (None, own):
                raise ParameterError(
                    f"size: network {network.name!r} has the size {own[0]} x {own[1]}, which cannot be changed"
                )
            return own
        if given is not None:
            return given
        side = _SIZE if feature_maps(network, own).halvings >= _LARGE_STRIDE else _SMALL_SIZE
        return side, side

    def _prepared(self, network: Network) -> Network:
        """Give the network a preprocessing that stretches whole photos."""
        network.preprocess = stretching(self.backbone.network.preprocess, int(network.input.shape[3] or 3))
        return network

    def _reading(self, network: Network) -> tuple[tuple[int, int], Any]:
        height, width = (int(extent or 0) for extent in network.input.shape[1:3])
        return (height, width), network.preprocess

    def _viewing(self, augmented: bool) -> dict[str, Any]:
        chosen = chosen_augmentation(SceneAugmentation, self._data.augment)
        return {
            "augmentation": chosen if augmented else None,
            "channels": int(self.backbone.network.input.shape[3] or 3),
            "seed": self._seed,
            "threads": self._threads,
        }


def _opened(teacher: str | os.PathLike[str] | Network | Model) -> Model:
    """Return a model that finds objects on photos. Raises the errors of `mpscnn.load`."""
    return teacher if isinstance(teacher, Model) else load(teacher)


def _fractions(photos: Sequence[LabelledPhoto]) -> NDArray[np.float64]:
    """Return the boxes of photos as fractions.

    Photos are opened for their sizes, if the annotations do not state them. If these are many, a part of them is enough
    for the sizes of the anchors.
    """
    unknown = [photo for photo in photos if photo.size == (0, 0) and len(photo.boxes)]
    boxes = [np.zeros((0, 4))]
    for photo in photos:
        if photo.size != (0, 0):
            boxes.append(photo.boxes if photo.size is None else photo.boxes / np.tile(photo.size, 2))
    for photo in unknown[:: -(-len(unknown) // _MAX_OPENED) or 1]:
        size = open_photo(photo.path).size
        boxes.append(photo.boxes_in_pixels(size) / np.tile(size, 2))
    return np.concatenate(boxes)
