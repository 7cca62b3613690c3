"""Record the epochs of a training in a folder, keep the best weights, and continue a stopped training."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from math import isnan, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.files import exists
from mpscnn.errors import WeightsError
from mpscnn.graph.network import Network
from mpscnn.training.batches import Data, EpochData
from mpscnn.training.history import Epoch, History
from mpscnn.training.optimizers import Optimizer
from mpscnn.training.own_loss import Loss, own_loss
from mpscnn.training.run_folder import RunChoices, RunFolder
from mpscnn.training.trainer import Trainer

#: The measures of training and of validation photos, in phases in which they differ (`History.measures`). A phase may
#: be a part of such a training: "tags, last layer".
_MEASURES = {
    "tags": ("accuracy", "mAP"),
    "number": ("accuracy", "R2"),
    "keypoints": ("accuracy", "R2"),
    "detector": ("anchor accuracy", "mAP at IoU 0.5"),
    "segmenter": ("pixel accuracy", "mean IoU"),
}
#: The files with the records of a phase, its best weights, and the state of its trainer.
HISTORY, BEST, CHECKPOINT = "history.json", "best.npz", "checkpoint.npz"
Weights = dict[str, NDArray[np.float32]]
#: A log states the remaining time of a phase if it is at least so long, and of features after the first seconds.
_LATE_SHARE = 10  # the last tenth of the epochs
_LONG_SECONDS, _FIRST_SECONDS = 60, 20
#: A function that measures a trainer's weights after an epoch. It returns the accuracy, which counts first, the loss,
#: and a function that returns the weights.
Judge = Callable[[Trainer, Epoch], tuple[float, float, Callable[[], Weights]]]


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


def _record(entry: Any) -> Record:
    """Return a record that a file states. Raises TypeError if it is none."""
    record = Record(**entry)
    for one in fields(record):
        value = getattr(record, one.name)
        if type(value).__name__ != one.type and not (one.type == "float" and type(value) is int):
            raise TypeError(f"{one.name} is {type(value).__name__}, not {one.type}")
    return record


def record_text(record: Record, total: int) -> str:
    """Return the numbers of an epoch of a phase as a line. `total` is the largest number of epochs.

    The best epoch is the one with the best measure of the validation, and among equal ones with the lowest loss. Both
    numbers end the line. In a terminal of 80 columns there is then no room for a classifier's accuracy on the training
    photos, which the report's curves show.
    """
    best = " (best)" if record.best else ""
    line = f"{record.phase} {record.epoch}/{total}: loss {record.loss:.4f}, "
    if (names := _measures(record.phase)) is None:
        measured = f"validation {record.validation_accuracy:.2%}"
    else:
        training, validation = names
        accuracy = "" if isnan(record.accuracy) else f"{training} {record.accuracy:.2%}, "
        measured = f"{accuracy}validation {validation} {record.validation_accuracy:.2%}"
    return f"{line}{measured}, loss {record.validation_loss:.4f}{best}"


def _measures(phase: str) -> tuple[str, str] | None:
    return _MEASURES.get(phase.partition(",")[0])


def history_of(records: Sequence[Record]) -> History:
    """Return the records of all phases as a history. Its epochs are counted through all phases."""
    named = ("loss", "accuracy", "validation_loss", "validation_accuracy", "learning_rate", "seconds")
    epochs = tuple(
        Epoch(number, *(getattr(record, name) for name in named)) for number, record in enumerate(records, 1)
    )
    best = max((n for n, one in enumerate(records, 1) if one.best), default=None)
    measures = _measures(records[0].phase) if records else None
    phases = tuple(record.phase for record in records)
    return History(epochs, best, measures or ("accuracy", "accuracy"), phases)


def convergence(records: Sequence[Record]) -> str:
    """Return a sentence that says whether more epochs would help, from the last phase of a training.

    A training has not converged if its best epoch is one of the last tenth of the epochs, and the validation loss was
    still falling there. The text is empty if the last phase has fewer than two epochs.
    """
    phase = [record for record in records if record.phase == records[-1].phase]
    if len(phase) < 2:
        return ""
    best = max(n for n, record in enumerate(phase) if record.best) if any(one.best for one in phase) else -1
    late = len(phase) - max(1, len(phase) // _LATE_SHARE)
    losses = [record.validation_loss for record in phase]
    lowest = min(range(len(losses)), key=losses.__getitem__)
    if best >= late and lowest >= late:
        return (
            f"not converged: the validation loss still falls in epoch {phase[lowest].epoch} of {phase[-1].epoch}; more "
            "epochs would help"
        )
    if best < 0:
        return "no epoch of the last phase improved the result"
    if best == len(phase) - 1:
        return f"epoch {phase[best].epoch} of {phase[-1].epoch} is the best one; more epochs may help"
    return f"stopped improving at epoch {phase[best].epoch} of {phase[-1].epoch}"


@dataclass(frozen=True)
class Progress:
    """The progress within a phase, and the epoch that has just ended, if any."""

    phase: str
    done: int
    total: int
    record: Record | None = None


class LogLines:
    """Makes the lines of a log: one for each epoch, and once in each long phase the time that remains."""

    def __init__(self) -> None:
        self._phase, self._is_told = "", False
        self._start = self._last = time.monotonic()

    def lines(self, progress: Progress) -> list[str]:
        """Return the lines about a step of the training."""
        now, record = time.monotonic(), progress.record
        if progress.phase != self._phase:
            self._phase, self._is_told, self._start = progress.phase, False, self._last
        self._last = now
        lines = [] if record is None else [record_text(record, progress.total)]
        if not self._is_told and (record is not None or now - self._start >= _FIRST_SECONDS):
            self._is_told = True
            left = progress.total - progress.done
            done = (
                progress.done if record is None else 1
            )  # a resumed training has completed other epochs before
            seconds = (now - self._start) / done * left
            if seconds >= _LONG_SECONDS:
                what = "photos" if record is None else "epochs"
                lines.append(f"{progress.phase}: {left:,} more {what} take up to {seconds / 60:.0f} min")
        return lines


@dataclass
class Best:
    """The weights of the best epoch so far, with its validation accuracy and loss."""

    weights: Weights = field(default_factory=dict)
    accuracy: float = -float("inf")
    loss: float = float("inf")


class RecordedTraining(ABC):
    """Base class of trainings step by step. The progress is stored in a folder, from which a stopped one continues.

    Args:
        labels: the names of the classes.
        run: the folder.
        description: all that determines the result.
        patience: a phase ends after this many epochs without improvement; None: it never ends early.
        choices: how the training runs.

    Raises the errors of `RunFolder.open`.
    """

    def __init__(
        self,
        labels: Sequence[str],
        run: RunFolder,
        description: Mapping[str, Any],
        patience: int | None,
        choices: RunChoices,
    ) -> None:
        self.labels = list(labels)
        self.history: list[Record] = []
        self._run, self._patience = run, patience
        self._device, self._threads = choices.device, choices.threads
        self._best = Best()
        run.open(description, choices)

    @property
    def has_result(self) -> bool:
        """True if there are trained weights."""
        return bool(self._best.weights)

    @property
    @abstractmethod
    def result(self) -> Network:
        """The network with the best weights so far, and its labels and settings."""

    @abstractmethod
    def run(self) -> Iterator[Progress]:
        """Run all phases. Yields the progress after each step."""

    def remove(self) -> None:
        """Remove the run's files, and its folder if nothing else is in it."""
        self._run.remove()

    def _train(
        self,
        phase: str,
        network: Callable[[], Network],
        data: EpochData,
        judge: Judge,
        *,
        epochs: int,
        batch_size: int,
        loss: Loss,
        optimizer: Optimizer,
        validation_data: Data | None = None,
        is_stored: bool = True,
        needs_best: bool = True,
        compared_channels: int | None = None,
        **options: Any,
    ) -> Iterator[Progress]:
        """Train until the last epoch, or until there were too many epochs without an improvement.

        Args:
            network: returns the network, unless there is a checkpoint.
            judge: measures the weights of an epoch.
            is_stored: whether epochs are stored, so that the phase continues from the last one.
            needs_best: whether a stopped phase must have the best epoch.
            compared_channels: the number of the first channels of predictions whose classes the accuracy compares.
            options: other arguments of `Trainer`.
        """
        checkpoint, waited = self._run / CHECKPOINT, 0
        where: dict[str, Any] = {"optimizer": optimizer, "device": self._device, "threads": self._threads}
        if is_stored and exists(checkpoint):
            trainer = Trainer.resume(checkpoint, loss=own_loss(loss), **where)
            done = trainer.steps // -(-len(data) // batch_size)
            waited = self._restore(HISTORY, BEST, done, needs_best=needs_best)
        else:
            trainer = Trainer(network(), loss=loss, **where, **options)
        trainer._objective.compared_channels = compared_channels
        if self._ends_after(waited):
            return
        for epoch in trainer.iter_epochs(
            data, epochs=epochs, batch_size=batch_size, validation_data=validation_data
        ):
            record = self._recorded(phase, epoch, *judge(trainer, epoch))
            waited = 0 if record.best else waited + 1
            if is_stored:
                # The order matters: if the process stops in between, everything exists that the checkpoint's epoch
                # needs.
                self._store(phase, HISTORY, BEST if record.best else None)
                trainer.save(checkpoint)
            yield Progress(phase, epoch.index, epochs, record)
            if self._ends_after(waited):
                return

    def _ends_after(self, waited: int) -> bool:
        return self._patience is not None and waited >= self._patience

    def _recorded(
        self, phase: str, epoch: Epoch, accuracy: float, loss: float, weights: Callable[[], Weights]
    ) -> Record:
        """Return the record of an epoch. If it is the best so far, its weights are kept."""
        better = (accuracy, -loss) > (self._best.accuracy, -self._best.loss)
        if better:
            self._best = Best(weights(), accuracy, loss)
        # Numbers and coordinates have no share of right answers.
        right = nan if phase.partition(",")[0] in ("number", "keypoints") else epoch.accuracy
        numbers = epoch.loss, right, loss, accuracy, better, epoch.learning_rate, epoch.seconds
        self.history.append(Record(phase, epoch.index, *numbers))
        return self.history[-1]

    def _store(self, phase: str, name: str, weights: str | None) -> None:
        """Write the best weights so far, and then the records of a phase, to files."""
        if weights is not None:
            self._run.write_weights(weights, self._best.weights)
        self._run.write_json(name, [asdict(record) for record in self.history if record.phase == phase])

    def _restore(self, name: str, weights: str, epochs: int | None = None, *, needs_best: bool = True) -> int:
        """Restore the records of a file and the best weights. Return the number of epochs since the best one.

        Args:
            name, weights: the files.
            epochs: restore only this number of records; None: all.
            needs_best: whether one of them must be the best. Otherwise it may be in an earlier phase.

        Raises WeightsError if a file is damaged.
        """
        try:
            records = [_record(entry) for entry in self._run.read_json(name)][:epochs]
        except TypeError as error:
            raise WeightsError(f"{self._run / name}: is damaged: {error}") from error
        self.history += records
        waited = next((number for number, one in enumerate(reversed(records)) if one.best), None)
        if waited is None:
            if needs_best:
                raise WeightsError(f"{self._run / name}: is damaged: no epoch is the best")
            return len(records)
        best = records[-1 - waited]
        self._best = Best(self._run.read_weights(weights), best.validation_accuracy, best.validation_loss)
        return waited
