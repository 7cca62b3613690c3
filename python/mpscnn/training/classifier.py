"""Train a classifier on your photos: first a new last layer on a backbone's features, then the last blocks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.arguments import whole_number
from mpscnn._private.files import exists
from mpscnn._private.literals import ScoresName
from mpscnn._private.npy_file import map_array
from mpscnn.errors import ImageError, ParameterError, WeightsError
from mpscnn.graph.class_head import class_layer
from mpscnn.graph.network import Network
from mpscnn.graph.training_arrays import loss_kind
from mpscnn.training.backbone import Backbone, as_arrays
from mpscnn.training.distillation import Distillation, Teacher
from mpscnn.training.feature_store import StoredFeatures, store_features
from mpscnn.training.fit_data import ClassWeight, class_weights
from mpscnn.training.goals import LOSSES, Goal
from mpscnn.training.history import Epoch
from mpscnn.training.image_folder import ImageFolder, UnreadablePhotosError
from mpscnn.training.labelled_folder import LabelledFolder
from mpscnn.training.optimizers import Adam
from mpscnn.training.own_loss import Loss, loss_text, require_loss
from mpscnn.training.recorded import BEST, CHECKPOINT, HISTORY, Best, Progress, RecordedTraining
from mpscnn.training.run_folder import RunChoices, RunFolder, describe_run
from mpscnn.training.schedules import cosine, warm_up
from mpscnn.training.trainer import Trainer

_FORMAT = "mpscnn classifier run 4"
_LABELS = "training_labels.npy"
_RESULTS = (_LABELS, HISTORY, "head.json", "head.npz", BEST, CHECKPOINT)
_HEAD_EPOCHS, _HEAD_RATE = 60, 1e-3
# The largest batch for training the last layer, and the minimum number of steps in an epoch. The last layer needs
# hundreds of steps at its learning rate. So if there are few photos, batches are smaller.
_HEAD_MAX_BATCH, _HEAD_EPOCH_STEPS = 32, 12
_RATE = 2e-4
_KNOWN = {"reduction": "sum_by_nonzero_weights"}


@dataclass(frozen=True)
class ClassifierOptions:
    """The settings that determine the result, besides the photos and the backbone.

    Args:
        epochs: the largest number of epochs for the last blocks.
        batch_size: the batch size for the last blocks.
        views: the number of variants of each photo. The first one is the unchanged photo.
        trained_layers: the last blocks have at least this many layers with weights, or all if the network has fewer; 0:
            only the last layer is trained.
        patience: a phase ends after this many epochs without improvement; None: it never ends early.
        seed: the random seed of the order, the variants and the split.
        class_weight: the weights of the losses of classes (`mpscnn.training.fit_data`); None: all weigh 1.
        loss: as for `mpscnn.Trainer`: one of the task's `LOSSES` or a loss of the user's.
        task: "classify", or what a table of labels has: "tags", "number" or "keypoints".
        temperature, teacher_share: as for `Distillation`, if there is a teacher.
    """

    epochs: int = 15
    batch_size: int = 32
    views: int = 4
    trained_layers: int = 7
    patience: int | None = 5
    seed: int = 0
    class_weight: ClassWeight = None
    loss: Loss = "softmax_cross_entropy"
    task: str = "classify"
    temperature: float = 4.0
    teacher_share: float = 0.9

    def __post_init__(self) -> None:
        Distillation(self.temperature, self.teacher_share)  # raises errors for wrong values
        who = "a classifier" if self.task == "classify" else f"a network for task={self.task!r}"
        require_loss(self.loss, LOSSES[self.task], who)
        if self.task != "classify" and self.class_weight is not None:
            raise ParameterError(f"class_weight: is for classes, got task={self.task!r}; leave it out")
        for name, minimum in {
            "epochs": 0,
            "batch_size": 1,
            "views": 1,
            "trained_layers": 0,
            "seed": 0,
        }.items():
            whole_number(name, getattr(self, name), minimum=minimum)
        if self.patience is not None:
            whole_number("early_stopping", self.patience, otherwise="None")


class ClassifierTraining(RecordedTraining):
    """Trains a classifier step by step.

    Args:
        training, validation: photos of the same classes.
        network: the backbone: a classifier of photos (`mpscnn.training.backbone.Backbone`).
        folder: the folder for the progress. It is created if needed.
        options: the settings that determine the result.
        choices: how the training runs.
        teacher: a classifier whose answers also train the network.

    Raises:
        UnsupportedError: the network has no last layer to replace.
        ParameterError: there is a teacher and another loss; with `resume`, the folder has no training, or one with
            other photos, another backbone or other options; without `resume` and `restart`, the folder has a training
            that would be lost.
        WeightsError: the folder or its description cannot be written or, with `resume`, read.
    """

    def __init__(
        self,
        training: ImageFolder,
        validation: ImageFolder,
        network: Network,
        folder: Path,
        *,
        options: ClassifierOptions,
        choices: RunChoices,
        teacher: Teacher | None = None,
    ) -> None:
        self.validation, self.options = validation, options
        self._teacher, self._distillation = teacher, Distillation(options.temperature, options.teacher_share)
        if teacher is not None and options.task != "classify":
            raise ParameterError(f"teacher: is for classes, got task={options.task!r}; leave it out")
        if teacher is not None and options.loss != "softmax_cross_entropy":
            raise ParameterError(
                f"loss: a teacher has its own loss, got {loss_text(options.loss)!r} too; leave one of them out"
            )
        self._training = training
        self.goal = (
            Goal.of(options.task, training.table.parts, training.targets)
            if isinstance(training, LabelledFolder)
            else None
        )
        if self.goal is not None and self.goal.task != "tags" and training.mixes:
            raise ParameterError(
                "augment: mixup and cutmix are for classes and tags: mixed photos have no number"
            )
        self._end: ScoresName = "softmax" if self.goal is None else "as is"  # the loss has the sigmoid
        self._backbone = Backbone(network, options.trained_layers, keeps_places=options.task == "keypoints")
        labels = list(training.labels)
        self._weights = (
            None
            if options.class_weight is None
            else class_weights(options.class_weight, training.targets, len(labels), labels)
        )
        self._stored = {
            part: {
                name: folder / f"{part}_{kind}.npy"
                for kind, name in {"cut": self._backbone.cut, "features": self._backbone.features}.items()
            }
            for part in ("training", "validation")
        }
        self._labels = folder / _LABELS if training.varies_labels else None
        self._taught = {part: folder / f"{part}_teacher.npy" for part in self._stored if teacher is not None}
        stored = [path.name for part in self._stored.values() for path in part.values()]
        stored += [path.name for path in self._taught.values()]
        run = RunFolder(folder, (*_RESULTS, *stored))
        super().__init__(labels, run, self._description(labels), options.patience, choices)

    # ---- Results --------------------------------------------------------------------------------------

    @property
    def result(self) -> Network:
        """The network with the best weights so far, its labels and preprocessing."""
        if self.goal is None:
            network = self._backbone.joined(len(self.labels), self._best.weights)
            network.labels = self.labels
            return network
        layer = class_layer(self._backbone.network)
        weights = self.goal.with_units(self._best.weights, layer)
        title = f"{self.goal.task}_of_photos"
        network = self._backbone.joined(len(self.labels), weights, self.goal.end, title)
        network.labels, network.scores = self.labels, self.goal.end
        network.answers = self.goal.answers(self.predictions(), self.validation.targets)
        return network

    def tail(self) -> Network:
        """Return the last blocks and the new last layer, with the best weights so far."""
        head = as_arrays(self._backbone.head(len(self.labels), self._end))
        network = self._backbone.tail(len(self.labels), head, self._end)
        network.set_weights(self._best.weights, layout="OHWI")
        return network

    def predictions(self) -> NDArray[np.float32]:
        """Return the probabilities or numbers (photos, labels) of the validation photos with the best weights."""
        return self._answers(self.tail(), self._backbone.cut)

    def _answers(self, network: Network, layer: str) -> NDArray[np.float32]:
        """Return what a network that reads a layer answers for the validation photos."""
        session = network.compile(device=self._device, precision="float32").session(threads=self._threads)
        data = self._data("validation", layer)
        found = np.concatenate([np.asarray(session.run(inputs)) for inputs, *_ in data.batches(64)])
        return found if self.goal is None else self.goal.answered(found)

    def teacher_answers(self) -> NDArray[np.float32] | None:
        """Return the teacher's softened probabilities (photos, classes) of the validation photos, if there is one."""
        return None if self._teacher is None else map_array(self._taught["validation"], WeightsError)[0]

    # ---- Training -------------------------------------------------------------------------------------

    def run(self) -> Iterator[Progress]:
        """Run all phases. Yields the progress after each step.

        Raises:
            ImageError: a photo cannot be read; the message names it. UnreadablePhotosError: several cannot.
            StateError: a loss is not finite.
            WeightsError: the progress cannot be written, files of a resumed training are damaged, or a feature is not
                finite or beyond float16's range. Files that were written before are kept.
        """
        try:
            yield from self._compute_features()
            yield from self._ask_teacher()
        except ImageError as error:
            unread = {**self._training.unreadable(), **self.validation.unreadable()}
            if len(unread) < 2:
                raise
            raise UnreadablePhotosError(dict(sorted(unread.items()))) from error
        yield from self._train_head()
        if self.options.trained_layers and self.options.epochs:
            yield from self._train_tail()

    def _compute_features(self) -> Iterator[Progress]:
        network = self._backbone.extractor()
        for part, photos, views in (
            ("training", self._training, self.options.views),
            ("validation", self.validation, 1),
        ):
            paths, labels = self._stored[part], self._labels if part == "training" else None
            if all(exists(path) for path in filter(None, (*paths.values(), labels))):
                continue
            done, total = 0, len(photos) * views
            for count in store_features(
                photos, network, paths, views=views, device=self._device, threads=self._threads, labels=labels
            ):
                done += count
                yield Progress("features", done, total)

    def _ask_teacher(self) -> Iterator[Progress]:
        for part, path in self._taught.items():
            photos, views = (
                (self._training, self.options.views) if part == "training" else (self.validation, 1)
            )
            if self._teacher is None or exists(path):
                continue
            done, total = 0, len(photos) * views
            for count in self._teacher.store_answers(
                photos,
                path,
                self.options.temperature,
                views=views,
                device=self._device,
                threads=self._threads,
            ):
                done += count
                yield Progress("teacher", done, total)

    def _train_head(self) -> Iterator[Progress]:
        """Train the last layer alone. This takes seconds, so it starts again if it was interrupted."""
        if exists(self._run / "head.json"):
            self._restore("head.json", "head.npz")
            return
        batch = max(1, min(_HEAD_MAX_BATCH, len(self._training) // _HEAD_EPOCH_STEPS))
        steps = _HEAD_EPOCHS * -(-len(self._training) // batch)
        self._best = Best()
        yield from self._train_layers(
            self._phase("last layer"),
            lambda: self._backbone.head(len(self.labels), self._end),
            self._backbone.features,
            epochs=_HEAD_EPOCHS,
            batch_size=batch,
            optimizer=Adam(cosine(_HEAD_RATE, steps)),
            is_stored=False,
        )
        self._store(self._phase("last layer"), "head.json", "head.npz")

    def _train_tail(self) -> Iterator[Progress]:
        yield from self._train_layers(
            self._phase("last blocks"),
            self.tail,
            self._backbone.cut,
            epochs=self.options.epochs,
            batch_size=self.options.batch_size,
            optimizer=Adam(self._tail_rate()),
            needs_best=False,
        )

    def _train_layers(
        self, phase: str, network: Callable[[], Network], layer: str, **options: Any
    ) -> Iterator[Progress]:
        """Train on the stored results of a layer, and judge epochs by the accuracy on the photos for validation."""

        def judge(trainer: Trainer, epoch: Epoch) -> Any:
            score = epoch.validation_accuracy
            if self.goal is not None:
                score = self.goal.score(self._answers(trainer.network, layer), self.validation.targets)
            return score, epoch.validation_loss, partial(as_arrays, trainer.network)

        loss = self.options.loss
        if self.goal is not None and isinstance(loss, (str, Mapping)):
            # Labels that are not known do not count, so the loss is the mean over those that are.
            loss = {**_KNOWN, **({"kind": loss_kind(loss)} if isinstance(loss, str) else loss)}
        classes, taught = len(self.labels), self._teacher is not None
        if taught:
            loss = self._distillation.loss(classes)
        return self._train(
            phase,
            (lambda: self._distillation.student(network())) if taught else network,
            self._data("training", layer),
            judge,
            validation_data=self._data("validation", layer),
            loss=loss,
            seed=self.options.seed,
            weighted=taught or self._weights is not None or self.goal is not None,
            compared_channels=classes if taught else None,
            **options,
        )

    def _phase(self, part: str) -> str:
        """Return the name of a phase. Phases of tags, numbers and points have other measures than those of classes."""
        return part if self.goal is None else f"{self.goal.task}, {part}"

    def _tail_rate(self) -> Callable[[int], float]:
        steps = self.options.epochs * -(-len(self._training) // self.options.batch_size)
        warm = max(steps // 20, 1)
        return warm_up(warm, cosine(_RATE, max(steps - warm, 1)))

    def _data(self, part: str, layer: str) -> StoredFeatures:
        training = part == "training"
        photos = self._training if training else self.validation
        return StoredFeatures(
            self._stored[part][layer],
            photos.targets,
            seed=self.options.seed,
            class_weights=self._weights if training else None,
            labels=self._labels if training else None,
            taught=(self._distillation, self._taught[part]) if self._teacher is not None else None,
            scaled=None if self.goal is None else self.goal.scaled,
        )

    def _description(self, labels: list[str]) -> dict[str, Any]:
        """Return all that determines the result."""
        files = (
            (photo, f"{os.path.relpath(photo, photos.path)!r} {label}")
            for photos in (self._training, self.validation)
            for photo, label in zip(photos.paths, photos.targets.tolist(), strict=True)
        )
        options = {**vars(self.options), "loss": loss_text(self.options.loss), **self._training.variety}
        options["teacher"] = None if self._teacher is None else self._teacher.description()
        options["early_stopping"] = options.pop("patience")
        reading = (labels, self._training.settings, self.validation.settings)
        return {"format": _FORMAT, **describe_run(files, options, self._backbone.network, reading)}
