"""Run the loop over epochs of `mpscnn.Trainer`."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mpscnn._private.arguments import whole_number
from mpscnn._private.callables import require_arguments
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn._private.progress_line import TextLine, draw_bar
from mpscnn.errors import ParameterError
from mpscnn.training.batches import Data, batch_count, batches, pair_with_labels
from mpscnn.training.callbacks import call_all, callback_list, end_all
from mpscnn.training.early_stopping import EarlyStopping, Watch, stopping_among
from mpscnn.training.fit_data import ClassWeight, split_validation
from mpscnn.training.history import Epoch, History, epoch_text
from mpscnn.training.optimizers import Optimizer, Schedule, learning_rate_at
from mpscnn.training.progress import Evaluated, TrainingProgress

if TYPE_CHECKING:
    from mpscnn._private.fork_safe_lock import ForkSafeLock
    from mpscnn.graph.network import Network


class EpochLoop(ABC):
    """Base class of the trainer: it passes over data for several epochs."""

    _original: Network
    _optimizer: Optimizer
    _options: dict[str, Any]
    _position: TrainingProgress
    _lock: ForkSafeLock
    _made: list[Epoch]
    _weighs_classes: bool = False

    @property
    @abstractmethod
    def _current_position(self) -> TrainingProgress:
        """The present position, which includes the last step."""

    @abstractmethod
    def _step(self, inputs: Any, labels: Any, weights: Any, *, of_epoch: bool = False) -> float:
        """Train on one batch, and return its loss."""

    @abstractmethod
    def _require_same_classes(self, data: Any) -> list[str] | None:
        """Return the names of the data's classes, if it states them.

        Raises ParameterError if the network has other classes.
        """

    @abstractmethod
    def _weighted_by_class(self, data: Data, class_weight: ClassWeight) -> Data:
        """Return the data with the weights of its classes, and make the trainer weighted."""

    @abstractmethod
    def evaluate(self, data: Data) -> Evaluated:
        """Return the loss and the accuracy with the present weights."""

    @abstractmethod
    def _state(self) -> Any:
        """Return everything that a checkpoint stores."""

    @abstractmethod
    def _return_to(self, state: Any) -> None:
        """Restore the state that `_state` returned."""

    @accept_foreign_arguments
    def fit(
        self,
        data: Data,
        labels: Any = None,
        *,
        epochs: int = 1,
        batch_size: int = 64,
        validation_data: Data | None = None,
        callbacks: Any = (),
        early_stopping: EarlyStopping | int | None = None,
        progress: bool | None = None,
        validation_split: float | None = None,
        class_weight: ClassWeight = None,
    ) -> History:
        """Train for `epochs` more epochs, and return their losses, accuracies, learning rates and seconds.

        Arrays are shuffled in each epoch, by the seed; other iterables keep their order. If a trainer was resumed
        within an epoch, or an error interrupted it there, the first epoch continues with the same batches. With
        `accumulate`, gradients may be added across the end of an epoch, and those left at the end wait for further
        steps. After an error or Ctrl-C, `history` has the finished epochs.

        Args:
            data: (inputs, labels) or (inputs, labels, weights of the losses) as arrays of one length; or an iterable of
                such tuples for each batch, such as a DataLoader of PyTorch; or an `ImageFolder`. The names of an
                `ImageFolder`'s classes become the network's labels, and so do the `classes` of data sets of PyTorch.
            labels: the labels, if `data` is only an array of inputs.
            epochs: the number of further passes over the data.
            batch_size: the batch size for arrays and folders; the last batch of an epoch may be smaller.
            validation_data: data for an evaluation after each epoch.
            callbacks: one or several functions that are called with each `Epoch`. If one returns True, the training
                ends. A SummaryWriter of TensorBoard, the module mlflow and callbacks of Keras are taken, too.
            early_stopping: `mpscnn.EarlyStopping`, or its patience in epochs. At the end the weights are those of the
                best epoch, unless `restore_best` is False.
            progress: whether to show a progress line on stderr; None: in a terminal or a notebook.
            validation_split: instead of `validation_data`, the share of the data for validation: the last elements of
                arrays, as in Keras, or a share of each class of an `ImageFolder`.
            class_weight: the weights of the losses of classes: "balanced", for rare classes to count as much as
                frequent ones, or a mapping from class numbers (or labels of an `ImageFolder`) to weights. The trainer
                is `weighted` from then on, and `step` takes weights.

        Raises:
            ParameterError: an unknown option, all epochs together have fewer batches than one update of the weights
                needs, early stopping watches an accuracy, which the network does not have, or the data has other
                classes than the network (`Network.replace_head`).
            StateError: the loss is not finite.
        """
        data = pair_with_labels(data, labels)
        if validation_split is not None:
            if validation_data is not None:
                raise ParameterError("validation_split and validation_data exclude each other: give one")
            data, validation_data = split_validation(data, validation_split)
        data = self._training_data(data, None, validation_data)
        if class_weight is not None or self._weighs_classes:
            data = self._weighted_by_class(data, {} if class_weight is None else class_weight)
        last = self._current_position.epoch + whole_number("epochs", epochs, minimum=0)
        callbacks, early_stopping = stopping_among(callbacks, early_stopping)
        watch = Watch(early_stopping, validated=validation_data is not None)
        called = callback_list(callbacks)
        line = ProgressLine(last, batch_count(data, batch_size), progress)
        made: list[Epoch] = []
        best: tuple[int, Any] | None = None
        try:
            for epoch in self._epochs(data, last, batch_size, validation_data, line.batch):
                line.epoch(epoch)
                made.append(epoch)
                if watch.better(epoch):
                    best = epoch.index, self._state()
                asked_to_end = call_all(called, epoch)
                if asked_to_end or watch.ended:
                    break
        finally:
            line.end()
        end_all(called)
        if best is None or watch.stopping is None or not watch.stopping.restore_best:
            return History(tuple(made))
        if best[0] != made[-1].index:
            self._return_to(best[1])
        return History(tuple(made), best[0])

    @accept_foreign_arguments
    def iter_epochs(
        self,
        data: Data,
        labels: Any = None,
        *,
        epochs: int,
        batch_size: int = 64,
        validation_data: Data | None = None,
    ) -> Iterator[Epoch]:
        """Yield each epoch of a training, for code that does something between epochs.

        The training runs while you iterate, until the trainer has completed `epochs` epochs in total. So the same loop
        continues an interrupted training, also with a trainer from a checkpoint. Arguments and errors are those of
        `fit`.
        """
        whole_number("epochs", epochs, minimum=0)
        data = self._training_data(data, labels, validation_data)
        return self._epochs(data, epochs, batch_size, validation_data)

    def _training_data(self, data: Data, labels: Any, validation_data: Data | None) -> Data:
        """Return the data with the labels. Its classes become the labels of the network, if it states them.

        Raises ParameterError if the network has other classes than the data or the validation data.
        """
        data = pair_with_labels(data, labels)
        names = self._require_same_classes(data)
        self._require_same_classes(validation_data)
        self._original.labels = names or self._original.labels
        return data

    def _epochs(
        self,
        data: Data,
        epochs: int,
        batch_size: int,
        validation_data: Data | None,
        on_batch: Callable[[int, int, float], None] = lambda *_: None,
    ) -> Iterator[Epoch]:
        each = batch_count(data, batch_size)
        now = self._current_position
        if each and now.epoch < epochs:
            self._require_updates(epochs, now.steps + (epochs - now.epoch) * each - now.batch)
        while (now := self._current_position).epoch < epochs:
            start = time.perf_counter()
            given = batches(
                self._original,
                data,
                batch_size,
                shuffle=np.random.default_rng([self._options["seed"], now.epoch]),
                epoch=now.epoch,
                first=now.batch,
            )
            for number, (inputs, labels, weights) in enumerate(given, now.batch + 1):
                loss = self._step(inputs, labels, weights, of_epoch=True)
                on_batch(now.epoch + 1, number, loss)
            now = self._current_position
            done = now.tally.evaluated()
            if now.epoch + 1 >= epochs:
                self._require_updates(epochs, now.steps)
            checked = self.evaluate(validation_data) if validation_data is not None else None
            with self._lock:
                self._position = TrainingProgress(self._current_position.steps, now.epoch + 1)
            epoch = Epoch(
                now.epoch + 1,
                done.loss,
                done.accuracy,
                checked.loss if checked else None,
                checked.accuracy if checked else None,
                learning_rate_at(self._optimizer, max(now.steps - 1, 0) // self._options["accumulate"]),
                time.perf_counter() - start,
            )
            self._made.append(epoch)
            yield epoch

    @property
    def history(self) -> History:
        """All epochs that this object has trained. Checkpoints do not store them."""
        return History(tuple(self._made))

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step. It can be set to a number or a function of the step."""
        return learning_rate_at(self._optimizer, self._updates)

    @learning_rate.setter
    def learning_rate(self, rate: float | Schedule) -> None:
        if callable(rate):
            require_arguments("learning_rate", rate, ["step"])
        optimizer = replace(self._optimizer, learning_rate=rate)
        learning_rate_at(optimizer, self._updates)  # raises an error for an invalid rate
        self._optimizer = optimizer

    lr = learning_rate

    @property
    def _updates(self) -> int:
        """The number of times that the weights have changed."""
        return int(self._current_position.steps // self._options["accumulate"])

    def _require_updates(self, epochs: int, steps: int) -> None:
        """Raise ParameterError if this many steps in all epochs would not change the weights."""
        accumulate = self._options["accumulate"]
        if steps < accumulate:
            raise ParameterError(
                f"accumulate is {accumulate}, and up to epoch {epochs} there are only {steps} batches: no weight "
                "would change; take a smaller accumulate, smaller batches or more epochs"
            )


class ProgressLine:
    """A line on stderr that shows the progress of each batch. Lines of finished epochs stay.

    Args:
        last: the number of the last epoch.
        batches: the number of batches in an epoch; 0: unknown.
        shown: whether to show the line; None: if stderr is a terminal or a notebook.
    """

    def __init__(self, last: int, batches: int, shown: bool | None) -> None:
        self._line = TextLine(shown=shown)
        self._last, self._batches = last, batches

    def batch(self, epoch: int, done: int, loss: float) -> None:
        """Show the progress of a batch, at most ten times a second."""
        known = self._batches
        count = f"{draw_bar(done, known)} {done}/{known}" if known else f"batch {done}"
        self._line.tick(lambda: f"epoch {epoch}/{self._last}  {count}  loss {loss:.4f}")

    def epoch(self, epoch: Epoch) -> None:
        """Show a finished epoch."""
        self._line.keep(f"epoch {epoch.index}/{self._last}  {epoch_text(epoch)}")

    def end(self) -> None:
        """End the line, so that the next output begins on a new one."""
        self._line.end()
