"""The progress of a trainer: steps, epochs, and the losses and right answers of an epoch's batches."""

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
    """The loss of all data, reduced as the trainer's loss is, and the share of elements whose class is right.

    That is the label's largest class. For detectors, the accuracy over the anchors that have an object; NaN if none
    has.
    """

    loss: float
    accuracy: float


@dataclass
class Tally:
    """Losses and right answers of batches."""

    loss: float = 0.0
    right: int = 0
    answers: int = 0
    batches: int = 0
    counted: int = 0

    @classmethod
    def stored(cls, numbers: Mapping[str, Any]) -> Tally:
        """Return the tally of a checkpoint. Raises TypeError for what is no tally."""
        if not all(is_finite_number(number) for number in numbers.values()):
            raise TypeError(f"no tally: {numbers}")
        return cls(**numbers)

    def add(self, loss: float, counted: int, prediction: NDArray[Any], targets: NDArray[Any]) -> None:
        """A batch with its loss, what that is divided by, and the classes of its answers, if there is more than one.

        A loss that is a sum is divided by nothing, `counted` is 0.
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
    """A step that the core makes. Its loss is NaN until it is made."""

    targets: NDArray[np.float32]
    prediction: NDArray[np.float32]
    weights: Any
    of_epoch: bool
    loss: NDArray[np.float64]


@dataclass(frozen=True)
class Position:
    """The progress of a trainer.

    One object, so that what a signal's handler raises comes before or after a change.
    """

    steps: int = 0
    epoch: int = 0
    batch: int = 0  # of the epoch
    tally: Tally = field(default_factory=Tally)  # of the epoch's batches
    made: Step | None = None  # not counted yet, or not made

    def counted(self, objective: Objective) -> Position:
        """With the step, if it was made."""
        step = self.made
        if step is None:
            return self
        if np.isnan(step.loss[0]):
            return replace(self, made=None)
        if not step.of_epoch:
            return replace(self, steps=self.steps + 1, made=None)
        tally, counted = replace(self.tally), objective.counted(step.targets, step.weights)
        tally.add(float(step.loss[0]), counted, *objective.answers(step.prediction, step.targets))
        return Position(self.steps + 1, self.epoch, self.batch + 1, tally)
