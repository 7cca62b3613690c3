"""The goals of a training on a table of labels: the network's end, and the measure of an epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.literals import ScoresName
from mpscnn.training.label_measures import average_precision, best_threshold, determination
from mpscnn.vision.answers import KINDS

#: The losses of each task. The first one is the default.
LOSSES: dict[str, tuple[str, ...]] = {
    "classify": ("softmax_cross_entropy", "focal"),
    "tags": ("sigmoid_cross_entropy", "sigmoid_focal"),
    "number": ("mean_squared_error", "mean_absolute_error", "huber"),
    "keypoints": ("mean_squared_error", "mean_absolute_error", "huber"),
}
Values = NDArray[np.float32]


@dataclass(frozen=True)
class Goal:
    """The goal of a training on a table of labels.

    Args:
        task: "tags", "number" or "keypoints".
        parts: the units of numbers, or the names of points; empty for tags.
        mean, deviation: of each column of the training photos, (columns,). Numbers are learned without their unit, and
            the last layer of the result multiplies by the deviation and adds the mean. 0 and 1 for tags.
    """

    task: str
    parts: tuple[str, ...]
    mean: Values
    deviation: Values

    @classmethod
    def of(cls, task: str, parts: Sequence[str], values: Values) -> Goal:
        """Return the goal of labels. `values` are those of the photos that train."""
        columns = values.astype(np.float64)
        if task == "tags":
            return cls(
                task, (), np.zeros(columns.shape[1], np.float32), np.ones(columns.shape[1], np.float32)
            )
        mean, deviation = np.nanmean(columns, 0), np.nanstd(columns, 0)
        return cls(task, tuple(parts), mean.astype(np.float32), deviation.astype(np.float32))

    @property
    def end(self) -> ScoresName:
        """The function in which the result ends. Training computes it in the loss."""
        return "sigmoid" if self.task == "tags" else "as is"

    def scaled(self, values: Values) -> Values:
        """Return labels as the loss compares them."""
        return np.asarray((values - self.mean) / self.deviation, np.float32)

    def answered(self, outputs: Values) -> Values:
        """Return what the result answers, given the outputs of the network in training."""
        if self.task == "tags":
            return np.asarray(1 / (1 + np.exp(-outputs.astype(np.float64))), np.float32)
        return outputs * self.deviation + self.mean

    def score(self, found: Values, true: Values) -> float:
        """Return the number by which epochs are compared, at most 1: the mean over labels. 0 if none is known."""
        of_column = average_precision if self.task == "tags" else determination
        columns = [of_column(*pair) for pair in zip(found.T, true.T, strict=True)]
        known = [value for value in columns if value is not None]
        return sum(known) / len(known) if known else 0.0

    def answers(self, found: Values, true: Values) -> dict[str, Any]:
        """Return `Network.answers`. The thresholds of tags are those with the best F1 on the photos for validation."""
        if self.task != "tags":
            return {"kind": self.task, KINDS[self.task]: list(self.parts)}
        pairs = zip(found.T, true.T, strict=True)
        return {"kind": "tags", "thresholds": [best_threshold(*pair) for pair in pairs]}

    def with_units(self, weights: Mapping[str, Values], layer: str) -> dict[str, Values]:
        """Return weights whose last layer computes numbers in their unit."""
        weight, bias = weights[f"{layer}.weight"], weights[f"{layer}.bias"]
        scale = self.deviation.reshape(-1, *[1] * (weight.ndim - 1))
        return {
            **weights,
            f"{layer}.weight": np.asarray(weight * scale, np.float32),
            f"{layer}.bias": np.asarray(bias * self.deviation + self.mean, np.float32),
        }
