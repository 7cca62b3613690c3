"""Train a classifier on your photos: first a new last layer on a backbone's features, then the last blocks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.arguments import whole_number
from mpscnn.errors import ImageError, WeightsError
from mpscnn.graph.network import Network
from mpscnn.training.backbone import Backbone, as_arrays
from mpscnn.training.class_weights import ClassWeight, class_weights
from mpscnn.training.feature_store import StoredFeatures, store_features
from mpscnn.training.history import Epoch, History
from mpscnn.training.image_folder import ImageFolder, UnreadablePhotosError
from mpscnn.training.optimizers import Adam
from mpscnn.training.own_loss import Loss, loss_text, own_loss, require_loss
from mpscnn.training.run_folder import RunChoices, RunFolder, fingerprint
from mpscnn.training.schedules import cosine, warm_up
from mpscnn.training.trainer import Trainer

__all__ = [
    "ClassifierOptions",
    "ClassifierTraining",
    "Progress",
    "Record",
    "history_of",
    "record_text",
    "records_of",
]

_FORMAT = "mpscnn classifier run 2"
_LABELS = "training_labels.npy"
_RESULTS = (_LABELS, "history.json", "head.json", "head.npz", "best.npz", "checkpoint.npz")
_HEAD_EPOCHS, _HEAD_RATE = 60, 1e-3
# The largest batch for training the last layer, and the minimum number of steps in an epoch. The last layer needs
# hundreds of steps at its learning rate. So if there are few photos, batches are smaller.
_HEAD_MAX_BATCH, _HEAD_EPOCH_STEPS = 32, 12
_RATE = 2e-4
#: The names of losses of networks that end in a softmax.
_LOSSES = ("softmax_cross_entropy", "focal")

Phase = Literal["features", "last layer", "last blocks", "detector", "segmenter"]
#: The measure of validation photos, in phases in which it is not the accuracy.
_MEASURES = {"detector": "mAP at 0.5 ", "segmenter": "mean IoU "}
Weights = dict[str, NDArray[np.float32]]


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
        class_weight: the weights of the losses of classes (`mpscnn.training.class_weights`); None: all weigh 1.
        loss: as for `mpscnn.Trainer`: "softmax_cross_entropy", "focal" or a loss of the user's.
    """

    epochs: int = 15
    batch_size: int = 32
    views: int = 4
    trained_layers: int = 7
    patience: int | None = 5
    seed: int = 0
    class_weight: ClassWeight = None
    loss: Loss = "softmax_cross_entropy"

    def __post_init__(self) -> None:
        require_loss(self.loss, _LOSSES, "a classifier")
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

    def ends_after(self, waited: int) -> bool:
        """Return True if a phase ends after this many epochs without improvement."""
        return self.patience is not None and waited >= self.patience


@dataclass(frozen=True)
class Record:
    """The results of one epoch in a phase, and whether it was the best so far."""

    phase: str
    epoch: int
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float
    best: bool
    learning_rate: float
    seconds: float


def record_text(record: Record, total: int) -> str:
    """Return the numbers of an epoch of a phase as a line. `total` is the largest number of epochs."""
    measure, best = _MEASURES.get(record.phase, ""), " (best)" if record.best else ""
    return (
        f"{record.phase} {record.epoch}/{total}: loss {record.loss:.4f}, accuracy {record.accuracy:.2%}, "
        f"validation {measure}{record.validation_accuracy:.2%}{best}"
    )


def history_of(records: Sequence[Record]) -> History:
    """Return the records of all phases as a history. Its epochs are counted through all phases."""
    epochs = tuple(
        Epoch(
            number,
            record.loss,
            record.accuracy,
            record.validation_loss,
            record.validation_accuracy,
            record.learning_rate,
            record.seconds,
        )
        for number, record in enumerate(records, 1)
    )
    return History(epochs, max((n for n, one in enumerate(records, 1) if one.best), default=None))


@dataclass(frozen=True)
class Progress:
    """The progress within a phase, and the epoch that has just ended, if any."""

    phase: Phase
    done: int
    total: int
    record: Record | None = None


@dataclass
class Best:
    """The weights of the best epoch so far, with its validation accuracy and loss."""

    weights: Weights = field(default_factory=dict)
    accuracy: float = -1.0
    loss: float = float("inf")


class ClassifierTraining:
    """Trains a classifier step by step. The progress is stored in a folder, from which a stopped training continues.

    Args:
        training, validation: photos of the same classes.
        network: the backbone: a classifier of photos (`mpscnn.training.backbone.Backbone`).
        folder: the folder for the progress. It is created if needed.
        options: the settings that determine the result.
        choices: how the training runs.

    Raises:
        UnsupportedError: the network has no last layer to replace.
        ParameterError: with `resume`, the folder has no training, or one with other photos, another backbone or other
            options; without `resume` and `restart`, the folder has a training that would be lost.
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
    ) -> None:
        self.labels = list(training.labels)
        self.validation = validation
        self.options = options
        self.history: list[Record] = []
        self._training = training
        self._backbone = Backbone(network, options.trained_layers)
        self._device, self._threads = choices.device, choices.threads
        self._best = Best()
        self._weights = (
            None
            if options.class_weight is None
            else class_weights(options.class_weight, training.targets, len(self.labels), self.labels)
        )
        self._stored = {
            part: {
                name: folder / f"{part}_{kind}.npy"
                for kind, name in {"cut": self._backbone.cut, "features": self._backbone.features}.items()
            }
            for part in ("training", "validation")
        }
        self._labels = folder / _LABELS if training.mixes else None
        stored = [path.name for part in self._stored.values() for path in part.values()]
        self._run = RunFolder(folder, (*_RESULTS, *stored))
        description = {"format": _FORMAT, "fingerprint": self._fingerprint()}
        self._run.open(description, choices)

    # ---- Results --------------------------------------------------------------------------------------

    @property
    def has_result(self) -> bool:
        """True if there are trained weights."""
        return bool(self._best.weights)

    @property
    def result(self) -> Network:
        """The network with the best weights so far, its labels and preprocessing."""
        network = self._backbone.joined(len(self.labels), self._best.weights)
        network.labels = self.labels
        return network

    def tail(self) -> Network:
        """Return the last blocks and the new last layer, with the best weights so far."""
        head = as_arrays(self._backbone.head(len(self.labels)))
        network = self._backbone.tail(len(self.labels), head)
        network.set_weights(self._best.weights, layout="OHWI")
        return network

    def predictions(self) -> NDArray[np.float32]:
        """Return the probabilities (photos, classes) of the validation photos with the best weights so far."""
        session = self.tail().compile(device=self._device, precision="float32").session(threads=self._threads)
        data = self._data("validation", self._backbone.cut)
        return np.concatenate([np.asarray(session.run(inputs)) for inputs, _ in data.batches(64)])

    def remove(self) -> None:
        """Remove the run's files, and its folder if nothing else is in it."""
        self._run.remove()

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
            if all(path.exists() for path in filter(None, (*paths.values(), labels))):
                continue
            done, total = 0, len(photos) * views
            for count in store_features(
                photos,
                network,
                paths,
                views=views,
                device=self._device,
                threads=self._threads,
                labels=labels,
            ):
                done += count
                yield Progress("features", done, total)

    def _train_head(self) -> Iterator[Progress]:
        """Train the last layer alone. This takes seconds, so it starts again if it was interrupted."""
        if self._restore_head():
            return
        name = self._backbone.features
        batch = max(1, min(_HEAD_MAX_BATCH, len(self._training) // _HEAD_EPOCH_STEPS))
        steps = _HEAD_EPOCHS * -(-len(self._training) // batch)
        trainer = Trainer(
            self._backbone.head(len(self.labels)),
            loss=self.options.loss,
            optimizer=Adam(cosine(_HEAD_RATE, steps)),
            device=self._device,
            threads=self._threads,
            seed=self.options.seed,
            weighted=self._weights is not None,
        )
        self._best = Best()
        data, held = self._data("training", name), self._data("validation", name)
        waited = 0
        for epoch in trainer.iter_epochs(data, epochs=_HEAD_EPOCHS, batch_size=batch, validation_data=held):
            record = self._judged("last layer", epoch, trainer)
            waited = 0 if record.best else waited + 1
            yield Progress("last layer", epoch.index, _HEAD_EPOCHS, record)
            if self.options.ends_after(waited):
                break
        self._keep_head()

    def _train_tail(self) -> Iterator[Progress]:
        options, name = self.options, self._backbone.cut
        epochs = options.epochs
        optimizer = Adam(self._tail_rate())
        checkpoint = self._run / "checkpoint.npz"
        if checkpoint.exists():
            trainer = Trainer.resume(
                checkpoint,
                loss=own_loss(options.loss),
                optimizer=optimizer,
                device=self._device,
                threads=self._threads,
            )
            waited = self._restore(trainer.steps // self._steps_of_epoch())
        else:
            trainer = Trainer(
                self.tail(),
                loss=options.loss,
                optimizer=optimizer,
                device=self._device,
                threads=self._threads,
                seed=options.seed,
                weighted=self._weights is not None,
            )
            waited = 0
        if options.ends_after(waited):
            return
        data, held = self._data("training", name), self._data("validation", name)
        for epoch in trainer.iter_epochs(
            data, epochs=epochs, batch_size=options.batch_size, validation_data=held
        ):
            record = self._judged("last blocks", epoch, trainer)
            waited = 0 if record.best else waited + 1
            # The order matters: if the process stops in between, everything exists that the checkpoint's epoch needs.
            self._keep(record.best)
            trainer.save(checkpoint)
            yield Progress("last blocks", epoch.index, epochs, record)
            if options.ends_after(waited):
                return

    def _steps_of_epoch(self) -> int:
        return -(-len(self._training) // self.options.batch_size)

    def _tail_rate(self) -> Callable[[int], float]:
        steps = self.options.epochs * self._steps_of_epoch()
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
        )

    def _judged(self, phase: Phase, epoch: Epoch, trainer: Trainer) -> Record:
        """Return the record of an epoch. If it is the best so far, its weights are kept."""
        assert epoch.validation_loss is not None
        assert epoch.validation_accuracy is not None
        accuracy, loss = epoch.validation_accuracy, epoch.validation_loss
        better = (accuracy, -loss) > (self._best.accuracy, -self._best.loss)
        if better:
            self._best = Best(as_arrays(trainer.network), accuracy, loss)
        record = Record(
            phase,
            epoch.index,
            epoch.loss,
            epoch.accuracy,
            loss,
            accuracy,
            better,
            epoch.learning_rate,
            epoch.seconds,
        )
        self.history.append(record)
        return record

    # ---- The run's folder -----------------------------------------------------------------------------

    def _fingerprint(self) -> str:
        """Return a hash of everything that determines the result."""
        files = (
            (photo, f"{os.path.relpath(photo, photos.path)!r} {label}")
            for photos in (self._training, self.validation)
            for photo, label in zip(photos.paths, photos.targets.tolist(), strict=True)
        )
        read = repr((self._training.settings, self.validation.settings))
        options = {**vars(self.options), "loss": loss_text(self.options.loss)}
        settings = [options, self.labels, read]
        return fingerprint(files, settings, self._backbone.network)

    def _of_phase(self, phase: Phase) -> list[Record]:
        return [record for record in self.history if record.phase == phase]

    def _keep(self, best: bool) -> None:
        if best:
            self._run.write_weights("best.npz", self._best.weights)
        self._run.write_json("history.json", [asdict(record) for record in self._of_phase("last blocks")])

    def _keep_head(self) -> None:
        self._run.write_weights("head.npz", self._best.weights)
        self._run.write_json("head.json", [asdict(record) for record in self._of_phase("last layer")])

    def _restore_head(self) -> bool:
        """Restore the last layer if its phase was complete. Return whether it was.

        Otherwise the phase runs again from the beginning.
        """
        path = self._run / "head.json"
        if not path.exists():
            return False
        records = records_of(self._run, "head.json")
        best = next((record for record in reversed(records) if record.best), None)
        if best is None:
            raise WeightsError(f"{path}: is damaged: no epoch is the best")
        self.history += records
        self._best = Best(self._run.read_weights("head.npz"), best.validation_accuracy, best.validation_loss)
        return True

    def _restore(self, epochs: int) -> int:
        """Restore the records and best weights of the first `epochs` epochs.

        Return the number of epochs since the best one.
        """
        records = records_of(self._run, "history.json")[:epochs]
        self.history += records
        bests = [number for number, record in enumerate(records) if record.best]
        if not bests:
            return len(records)
        best = records[bests[-1]]
        self._best = Best(self._run.read_weights("best.npz"), best.validation_accuracy, best.validation_loss)
        return len(records) - 1 - bests[-1]


def records_of(run: RunFolder, name: str) -> list[Record]:
    """Return the records of a file of a run. Raises WeightsError if it is damaged."""
    try:
        return [Record(**entry) for entry in run.read_json(name)]
    except TypeError as error:
        raise WeightsError(f"{run / name}: is damaged: {error}") from error
