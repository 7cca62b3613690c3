"""Compute the loss of a trainer: convert labels, compute the divisor, and evaluate it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.errors import ParameterError
from mpscnn.graph.class_numbers import REPLACE_HEAD
from mpscnn.graph.network import Network
from mpscnn.graph.training_arrays import BOX_NUMBERS, to_loss_weights, to_targets
from mpscnn.training.detector_labels import DetectorLabels, assigned_scores

#: Losses whose labels must be from 0 to 1. Only whole numbers are checked, because a check of floats would take time.
_OF_SHARES = ("sigmoid_cross_entropy", "hinge", "log")
#: Settings of the multibox loss that are not parameters of its operation.
_OF_NETWORKS = ("kind", "boxes", "scores")


def loss_of_core(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings without those for matching objects with anchors, which is done in Python."""
    matching = {"iou_threshold"} if settings["kind"] == "multibox" else set()
    return {name: value for name, value in settings.items() if name not in matching}


class Objective:
    """The loss that a trainer minimizes.

    Args:
        network: the trained network.
        settings: the loss's settings, from `loss_settings`.
        described: the core's description, with the shape "prediction" and the layers "prediction_layers".
        weighted: whether losses have weights.
    """

    def __init__(
        self, network: Network, settings: Mapping[str, Any], described: Mapping[str, Any], *, weighted: bool
    ) -> None:
        self._settings, self._weighted = settings, weighted
        self._detector: DetectorLabels | None = None
        if settings["kind"] == "multibox":
            self._detector = DetectorLabels(
                network,
                described["prediction"],
                described["prediction_layers"],
                settings.get("iou_threshold", 0.5),
            )

    def require_weighted(self, weights: Any) -> None:
        """Raise ParameterError if there are weights of losses without `weighted`, or none with `weighted`."""
        if (weights is not None) != self._weighted:
            raise ParameterError(
                "weights of the losses are for a trainer with weighted=True, and needed there, got "
                + ("weights" if weights is not None else "none; fit(class_weight='balanced') weighs classes")
            )

    def targets(self, labels: Any, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Return the labels in the shape of a prediction."""
        if self._detector is not None:
            return self._detector.targets(labels, shape[0])
        targets = to_targets(labels, shape)
        is_checked = self._settings["kind"] in _OF_SHARES and np.asarray(labels).dtype.kind in "iu"
        if is_checked and not (targets.min(initial=0) >= 0 and targets.max(initial=0) <= 1):
            raise ParameterError(
                f"labels of {self._settings['kind']} must be 0 to 1, got whole numbers outside; {REPLACE_HEAD}"
            )
        return targets

    def counted(self, targets: NDArray[np.float32], weights: Any) -> int:
        """Return the divisor of a batch's loss, so that losses of several batches can be combined."""
        if self._detector is not None:
            # the number of anchors that are assigned to an object
            return int(targets[..., BOX_NUMBERS + 1 :].any(-1).sum())
        reduction = self._settings.get("reduction", "mean")
        if reduction == "sum":
            return 0
        if reduction != "sum_by_nonzero_weights" or weights is None:
            return math.prod(targets.shape[:-1])
        counts = to_loss_weights(weights, targets.shape) != 0
        return int((counts.any(-1) if self._settings["kind"] == "softmax_cross_entropy" else counts).sum())

    def answers(
        self, prediction: NDArray[np.float32], targets: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the scores and the true classes."""
        return (prediction, targets) if self._detector is None else assigned_scores(prediction, targets)

    def value(self, prediction: NDArray[np.float32], targets: NDArray[np.float32], weights: Any) -> float:
        """Return the loss of a batch, computed by the same operation as in training."""
        arrays = {"prediction": prediction, "labels": targets}
        if weights is not None:
            arrays["weights"] = to_loss_weights(weights, prediction.shape)
        measure = Network(input={name: array.shape[1:] for name, array in arrays.items()}, name="loss")
        operation, settings = "loss", loss_of_core(self._settings)
        if self._detector is not None:
            operation = "multibox_loss"
            settings = {name: value for name, value in settings.items() if name not in _OF_NETWORKS}
        measure.output(measure.layer(operation, measure.inputs, settings))
        program = measure.compile(device="cpu", precision="float32")
        result = program.session(threads=1).run(list(arrays.values()))
        return float(np.asarray(result).item())
