"""Train a detector or a segmenter with checkpoints, and keep the weights of the best epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from mpscnn._private.arguments import is_finite_number, whole_number
from mpscnn.errors import ParameterError
from mpscnn.graph.network import Network
from mpscnn.training.backbone import as_arrays
from mpscnn.training.history import Epoch
from mpscnn.training.optimizers import Adam
from mpscnn.training.own_loss import loss_text
from mpscnn.training.recorded import BEST, CHECKPOINT, HISTORY, Progress, RecordedTraining
from mpscnn.training.run_folder import RunChoices, RunFolder, describe_run
from mpscnn.training.scenes.heads import last_convolutions
from mpscnn.training.scenes.normalized import Normalized
from mpscnn.training.scenes.tasks import SceneTask
from mpscnn.training.schedules import cosine, warm_up
from mpscnn.training.trainer import Trainer

_FORMAT = "mpscnn scene run 2"
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


class SceneTraining(RecordedTraining):
    """Trains a detector or a segmenter epoch by epoch.

    Args:
        task: the network, the photos and the loss.
        folder: the folder for the progress. It is created if needed.
        options: the settings that determine the result.
        choices: how the training runs.

    Raises the errors of `RunFolder.open`. UnsupportedError: the network's outputs are not those of convolutions.
    """

    def __init__(self, task: SceneTask, folder: Path, *, options: SceneOptions, choices: RunChoices) -> None:
        self.task, self.options = task, options
        network = task.network
        self._last = [layer for one in network.outputs for layer in last_convolutions(network, one.name)]
        given = asdict(options)
        given["early_stopping"] = given.pop("patience")
        given |= {"task": task.phase, "loss": loss_text(task.loss), **task.training.variety}
        reading = (task.labels, task.training.settings)
        description = {"format": _FORMAT, **describe_run(task.files(), given, network, reading)}
        super().__init__(
            task.labels,
            RunFolder(folder, (HISTORY, BEST, CHECKPOINT)),
            description,
            options.patience,
            choices,
        )

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

    def run(self) -> Iterator[Progress]:
        """Train. Yields the progress after each epoch.

        Raises:
            ImageError, ParameterError: a photo, a mask or an annotation is wrong; the message names it.
            StateError: a loss is not finite.
            WeightsError: the progress cannot be written, or files of a resumed training are damaged.
        """
        options, task, normalized = self.options, self.task, self._normalized()

        def judge(trainer: Trainer, _: Epoch) -> Any:
            checked = trainer.evaluate(task.validation, batch_size=options.batch_size)
            network = normalized.merged(trainer.network)
            score = task.score(task.measure(network, device=self._device, threads=self._threads))
            return score, checked.loss, partial(as_arrays, network)

        return self._train(
            task.phase,
            lambda: normalized.network,
            task.training,
            judge,
            epochs=options.epochs,
            batch_size=options.batch_size,
            loss=task.loss,
            optimizer=Adam(self._rate()),
            seed=options.seed,
            weighted=task.weighted,
            frozen=normalized.frozen(options.trained_layers),
        )

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

    def _rate(self) -> Callable[[int], float]:
        steps = self.options.epochs * -(-len(self.task.training) // self.options.batch_size)
        warm = max(steps // _WARM_UP_SHARE, 1)
        return warm_up(warm, cosine(self.options.learning_rate, max(steps - warm, 1)))
