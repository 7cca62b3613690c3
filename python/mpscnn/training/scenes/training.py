"""Train a detector or a segmenter with checkpoints, and keep the weights of the best epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from mpscnn._private.arguments import is_finite_number, whole_number
from mpscnn.errors import ParameterError, WeightsError
from mpscnn.graph.network import Network
from mpscnn.training.backbone import as_arrays
from mpscnn.training.classifier import Best, Progress, Record, records_of
from mpscnn.training.history import Epoch
from mpscnn.training.optimizers import Adam
from mpscnn.training.own_loss import loss_text, own_loss
from mpscnn.training.run_folder import RunChoices, RunFolder, fingerprint
from mpscnn.training.scenes.heads import last_convolutions
from mpscnn.training.scenes.normalized import Normalized
from mpscnn.training.scenes.tasks import SceneTask
from mpscnn.training.schedules import cosine, warm_up
from mpscnn.training.trainer import Trainer

__all__ = ["SceneOptions", "SceneTraining"]

_FORMAT = "mpscnn scene run 1"
_HISTORY, _BEST, _CHECKPOINT = _FILES = ("history.json", "best.npz", "checkpoint.npz")
_PHOTOS_FOR_STATISTICS = 32
_WARM_UP_SHARE = 20  # the learning rate rises in this part of all steps


@dataclass(frozen=True)
class SceneOptions:
    """The settings that determine the result, besides the photos and the network.

    Args:
        epochs: the largest number of epochs.
        batch_size: the number of photos in a step.
        learning_rate: the highest learning rate of Adam. It rises at first, and then falls along a cosine.
        patience: the training ends after this many epochs without improvement; None: it never ends early.
        seed: the random seed of new weights, the order and the views.
        trained_layers: only this number of the last layers with weights of the given network are trained, besides all
            new layers; None: all are.
    """

    epochs: int = 40
    batch_size: int = 16
    learning_rate: float = 2e-3
    patience: int | None = 10
    seed: int = 0
    trained_layers: int | None = None

    def __post_init__(self) -> None:
        whole_number("epochs", self.epochs)
        whole_number("batch_size", self.batch_size)
        whole_number("seed", self.seed, minimum=0)
        if self.trained_layers is not None:
            whole_number("trained_layers", self.trained_layers, minimum=0, otherwise="None")
        if self.patience is not None:
            whole_number("early_stopping", self.patience, otherwise="None")
        if not is_finite_number(self.learning_rate) or self.learning_rate <= 0:
            raise ParameterError(f"learning_rate must be above 0, got {self.learning_rate!r}")


class SceneTraining:
    """Trains epoch by epoch. The progress is stored in a folder, from which a stopped training continues.

    Args:
        task: the network, the photos and the loss.
        folder: the folder for the progress. It is created if needed.
        options: the settings that determine the result.
        choices: how the training runs.

    Raises the errors of `RunFolder.open`. UnsupportedError: the network's outputs are not those of convolutions.
    """

    def __init__(
        self,
        task: SceneTask,
        folder: Path,
        *,
        options: SceneOptions,
        choices: RunChoices,
    ) -> None:
        self.task, self.options = task, options
        self.labels = task.labels
        self.history: list[Record] = []
        self._device, self._threads = choices.device, choices.threads
        self._best = Best()
        network = task.network
        self._last = [layer for one in network.outputs for layer in last_convolutions(network, one.name)]
        self._run = RunFolder(folder, _FILES)
        settings = [
            task.phase,
            asdict(options),
            task.labels,
            loss_text(task.loss),
            repr(task.training.settings),
        ]
        description = {"format": _FORMAT, "fingerprint": fingerprint(task.files(), settings, network)}
        self._run.open(description, choices)

    @property
    def has_result(self) -> bool:
        """True if there are trained weights."""
        return bool(self._best.weights)

    @property
    def result(self) -> Network:
        """The network with the best weights so far, its labels, preprocessing and detection."""
        network = self.task.network.copy()
        network.load_weights(self._best.weights, layout="OHWI")
        network.detection, network.preprocess = self.task.network.detection, self.task.network.preprocess
        network.labels = self.labels
        return network

    def measured(self) -> Any:
        """Measure the network with the best weights on the photos for validation, as `SceneTask.measure`."""
        return self.task.measure(self.result, device=self._device, threads=self._threads)

    def remove(self) -> None:
        """Remove the run's files, and its folder if nothing else is in it."""
        self._run.remove()

    def run(self) -> Iterator[Progress]:
        """Train. Yields the progress after each epoch.

        Raises:
            ImageError, ParameterError: a photo, a mask or an annotation is wrong; the message names it.
            StateError: a loss is not finite.
            WeightsError: the progress cannot be written, or files of a resumed training are damaged.
        """
        options = self.options
        normalized = self._normalized()
        trainer = self._trainer(normalized)
        waited = self._waited()
        data, epochs = self.task.training, options.epochs
        for epoch in trainer.iter_epochs(data, epochs=epochs, batch_size=options.batch_size):
            record = self._judged(epoch, trainer, normalized)
            waited = 0 if record.best else waited + 1
            # The order matters: if the process stops in between, everything exists that the checkpoint's epoch needs.
            if record.best:
                self._run.write_weights(_BEST, self._best.weights)
            self._run.write_json(_HISTORY, [asdict(one) for one in self.history])
            trainer.save(self._run / _CHECKPOINT)
            yield Progress(self.task.phase, epoch.index, epochs, record)
            if options.patience is not None and waited >= options.patience:
                return

    def _normalized(self) -> Normalized:
        network = self.task.network
        new = [spec["layer"] for spec in network.weight_specs() if spec["required"] and not spec["set"]]
        batch = min(8, len(self.task.training))
        batches = (inputs for inputs, *_ in self.task.training.batches(batch))
        return Normalized(
            network.copy(),
            new=new,
            last=self._last,
            photos=islice(batches, -(-_PHOTOS_FOR_STATISTICS // batch)),
            seed=self.options.seed,
        )

    def _trainer(self, normalized: Normalized) -> Trainer:
        """Return the trainer, from the checkpoint if there is one. Then the history is that up to the checkpoint."""
        optimizer = Adam(self._rate())
        checkpoint = self._run / _CHECKPOINT
        if not checkpoint.exists():
            return Trainer(
                normalized.network,
                loss=self.task.loss,
                optimizer=optimizer,
                device=self._device,
                threads=self._threads,
                seed=self.options.seed,
                weighted=self.task.weighted,
                frozen=normalized.frozen(self.options.trained_layers),
            )
        trainer = Trainer.resume(
            checkpoint,
            loss=own_loss(self.task.loss),
            optimizer=optimizer,
            device=self._device,
            threads=self._threads,
        )
        self.history = records_of(self._run, _HISTORY)[: trainer.steps // self._steps_of_epoch()]
        best = next((record for record in reversed(self.history) if record.best), None)
        if best is None:
            raise WeightsError(f"{self._run / _HISTORY}: is damaged: no epoch is the best")
        self._best = Best(self._run.read_weights(_BEST), best.validation_accuracy, best.validation_loss)
        return trainer

    def _waited(self) -> int:
        """Return the number of epochs since the best one."""
        return next((number for number, one in enumerate(reversed(self.history)) if one.best), 0)

    def _judged(self, epoch: Epoch, trainer: Trainer, normalized: Normalized) -> Record:
        """Return the record of an epoch. If it is the best so far, its weights are kept."""
        checked = trainer.evaluate(self.task.validation, batch_size=self.options.batch_size)
        network = normalized.merged(trainer.network)
        measured = self.task.measure(network, device=self._device, threads=self._threads)
        score = self.task.score(measured)
        better = (score, -checked.loss) > (self._best.accuracy, -self._best.loss)
        if better:
            self._best = Best(as_arrays(network), score, checked.loss)
        record = Record(
            self.task.phase,
            epoch.index,
            epoch.loss,
            epoch.accuracy,
            checked.loss,
            score,
            better,
            epoch.learning_rate,
            epoch.seconds,
        )
        self.history.append(record)
        return record

    def _steps_of_epoch(self) -> int:
        return -(-len(self.task.training) // self.options.batch_size)

    def _rate(self) -> Callable[[int], float]:
        steps = self.options.epochs * self._steps_of_epoch()
        warm = max(steps // _WARM_UP_SHARE, 1)
        return warm_up(warm, cosine(self.options.learning_rate, max(steps - warm, 1)))
