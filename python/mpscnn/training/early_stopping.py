"""Decide when a training ends before its last epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

from mpscnn._private.arguments import is_finite_number, require_bool, whole_number
from mpscnn._private.other_arguments import MONITORS, accept_foreign_arguments
from mpscnn.errors import ParameterError
from mpscnn.training.history import Epoch

MonitorName = Literal["loss", "accuracy", "validation_loss", "validation_accuracy"]


@dataclass(frozen=True)
class EarlyStopping:
    """Ends a training that does not improve any more.

    Args:
        patience: the training ends after this many epochs in a row without an improvement over the best one.
        monitor: the field of `Epoch` that is compared: a loss must fall, an accuracy must rise. None: the validation
            loss, or the training loss without validation data.
        minimum_change: an improvement must be larger than this.
        restore_best: at the end, restore weights, moments and steps to those after the best epoch.
    """

    patience: int = 5
    monitor: MonitorName | None = None
    minimum_change: float = 0.0
    restore_best: bool = True

    def __post_init__(self) -> None:
        whole_number("EarlyStopping: patience", self.patience)
        object.__setattr__(self, "monitor", MONITORS.get(str(self.monitor), self.monitor))
        if self.monitor is not None and self.monitor not in get_args(MonitorName):
            known = ", ".join(map(repr, get_args(MonitorName)))
            raise ParameterError(
                f"EarlyStopping: monitor must be one of {known}, got {self.monitor!r}; in mpscnn.train "
                "'validation_accuracy' is the mAP of a detector and the mean IoU of a segmenter"
            )
        if not is_finite_number(self.minimum_change) or self.minimum_change < 0:
            raise ParameterError(
                f"EarlyStopping: minimum_change must be a number of at least 0, got {self.minimum_change!r}"
            )
        require_bool("EarlyStopping: restore_best", self.restore_best)


EarlyStopping.__init__ = accept_foreign_arguments(EarlyStopping.__init__)  # type: ignore[method-assign]


class Watch:
    """Compares the epochs of one call of `fit`."""

    def __init__(self, stopping: EarlyStopping | int | None, *, validated: bool) -> None:
        if stopping is not None and not isinstance(stopping, EarlyStopping):
            if isinstance(stopping, bool) or not isinstance(stopping, int):
                raise ParameterError(
                    f"early_stopping must be a mpscnn.EarlyStopping or its patience, got {stopping!r}"
                )
            stopping = EarlyStopping(stopping)
        self.stopping = stopping
        self._monitor = (stopping and stopping.monitor) or ("validation_loss" if validated else "loss")
        if self._monitor.startswith("validation") and not validated:
            raise ParameterError(f"early stopping watches {self._monitor!r}, which needs validation_data")
        self._best = float("inf")
        self._waited = 0

    def better(self, epoch: Epoch) -> bool:
        """Return True if an epoch is better than all previous ones. Without early stopping, return False.

        Raises ParameterError if there is no accuracy to compare.
        """
        if self.stopping is None:
            return False
        value = getattr(epoch, self._monitor)
        if self._monitor.endswith("accuracy") and math.isnan(value) and self._best == float("inf"):
            raise ParameterError(
                f"early stopping watches {self._monitor!r}, but the network has no classes, or the data no objects"
            )
        value = -value if self._monitor.endswith("accuracy") else value
        better = bool(
            value < self._best - (0.0 if self._best == float("inf") else self.stopping.minimum_change)
        )
        self._best = value if better else self._best
        self._waited = 0 if better else self._waited + 1
        return better

    @property
    def ended(self) -> bool:
        """True if there were too many epochs without improvement."""
        return self.stopping is not None and self._waited >= self.stopping.patience


def stopping_among(
    callbacks: Any, early_stopping: EarlyStopping | int | None
) -> tuple[Any, EarlyStopping | int | None]:
    """Take an EarlyStopping out of the callbacks, where Keras has it. Return the others, and the EarlyStopping.

    Raises ParameterError if there are two.
    """
    listed = list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]
    found = [one for one in listed if isinstance(one, EarlyStopping)]
    if not found:
        return callbacks, early_stopping
    if early_stopping is not None or len(found) > 1:
        raise ParameterError(
            "callbacks has an EarlyStopping besides another one or early_stopping=: give one"
        )
    return [one for one in listed if one is not found[0]], found[0]
