"""The position of a trainer: steps, epochs, and the losses and accuracy of the present epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.arguments import is_finite_number
from mpscnn.errors import ParameterError

if TYPE_CHECKING:
    from mpscnn.training.objective import Objective


@dataclass(frozen=True)
class Evaluated:
    """The results of an evaluation: the loss over all data, and the share of elements whose class is right.

    The true class is the one with the largest number in the label (argmax). For detectors, the accuracy is over the
    anchors with an object; NaN if there are none.
    """

    loss: float
    accuracy: float


@dataclass
class Tally:
    """Sums of the losses and right answers of batches."""

    loss: float = 0.0
    right: int = 0
    answers: int = 0
    batches: int = 0
    counted: int = 0

    @classmethod
    def stored(cls, numbers: Mapping[str, Any]) -> Tally:
        """Return the sums from a checkpoint. Raises TypeError if they are invalid."""
        if not all(is_finite_number(number) for number in numbers.values()):
            raise TypeError(f"no tally: {numbers}")
        return cls(**numbers)

    def add(self, loss: float, counted: int, prediction: NDArray[Any], targets: NDArray[Any]) -> None:
        """Add a batch: its loss, the loss's divisor, and its predictions, from which the accuracy is computed.

        If the loss is a sum, `counted` is 0. Predictions with only one class are not counted.
        """
        self.batches += 1
        self.loss += loss * max(counted, 1)
        self.counted += counted
        if prediction.shape[-1] < 2:
            return
        right = prediction.argmax(-1) == targets.argmax(-1)
        self.right += int(right.sum())
        self.answers += right.size

    def evaluated(self) -> Evaluated:
        """Return the evaluation of all batches together."""
        if not self.batches:
            raise ParameterError("the data has no batch (an iterator gives its batches only once)")
        accuracy = self.right / self.answers if self.answers else float("nan")
        return Evaluated(self.loss / max(self.counted, 1), accuracy)


@dataclass(frozen=True)
class Step:
    """A step that the core computes. Its loss is NaN until then."""

    targets: NDArray[np.float32]
    prediction: NDArray[np.float32]
    weights: Any
    of_epoch: bool
    loss: NDArray[np.float64]


@dataclass(frozen=True)
class TrainingProgress:
    """The position of a trainer.

    It is one immutable object, so that an exception of a signal handler never leaves half of a change.
    """

    steps: int = 0
    epoch: int = 0
    batch: int = 0  # number of the next batch in the epoch
    tally: Tally = field(default_factory=Tally)  # sums over the epoch's batches
    made: Step | None = None  # a step that is not counted yet, or was interrupted

    def counted(self, objective: Objective) -> TrainingProgress:
        """Return the position with the last step counted, if the core has completed it."""
        step = self.made
        if step is None:
            return self
        if np.isnan(step.loss[0]):
            return replace(self, made=None)
        if not step.of_epoch:
            return replace(self, steps=self.steps + 1, made=None)
        tally, counted = replace(self.tally), objective.counted(step.targets, step.weights)
        tally.add(float(step.loss[0]), counted, *objective.answers(step.prediction, step.targets))
        return TrainingProgress(self.steps + 1, self.epoch, self.batch + 1, tally)
