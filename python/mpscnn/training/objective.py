"""Compute the loss of a trainer: convert labels, compute the divisor, and evaluate it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn.errors import ParameterError
from mpscnn.graph.class_numbers import REPLACE_HEAD
from mpscnn.graph.network import Network
from mpscnn.graph.training_arrays import BOX_NUMBERS, to_loss_weights, to_targets
from mpscnn.runtime.options import CompileOptions
from mpscnn.runtime.program import compile_graph
from mpscnn.training.detector_labels import DetectorLabels, assigned_scores
from mpscnn.training.own_loss import OwnLoss

#: Losses whose labels must be from 0 to 1. Only whole numbers are checked, because a check of floats would take time.
_OF_SHARES = ("sigmoid_cross_entropy", "sigmoid_focal", "hinge", "log")
#: Losses that several operations of the core compute, and the ones that add the losses of a pixel's classes.
_COMPOSED = ("focal", "sigmoid_focal", "dice")
_OF_PIXELS = ("softmax_cross_entropy", "focal")
#: Losses that compare the classes of an element, and the losses that compute a softmax or a sigmoid themselves.
_OF_CLASSES = ("softmax_cross_entropy", "categorical_cross_entropy", "focal")
_WITH_SOFTMAX = ("softmax_cross_entropy", "focal", "dice")
_WITH_SIGMOID = ("sigmoid_cross_entropy", "sigmoid_focal")
#: Settings of the multibox loss that are not parameters of its operation.
_OF_NETWORKS = ("kind", "boxes", "scores")


def loss_of_core(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings without those for matching objects with anchors, which is done in Python."""
    matching = {"iou_threshold"} if settings["kind"] == "multibox" else set()
    return {name: value for name, value in settings.items() if name not in matching}


def require_fitting_end(network: Network, kind: str) -> None:
    """Raise ParameterError if a loss trains nothing, or if a function that it computes is the network's end already."""
    if len(network.outputs) != 1:
        return
    (output,) = network.outputs
    if output.shape[-1] == 1 and kind in _OF_CLASSES:
        raise ParameterError(
            f"loss {kind!r} compares the numbers of several classes, and the network {network.name!r} has one: take "
            "loss='sigmoid_cross_entropy' for two classes, or 'mean_squared_error' for numbers"
        )
    end = network.last_function
    if end == "softmax" and kind in _WITH_SOFTMAX:
        # The core computes these losses from the input of a softmax that is the last layer.
        last = next(node for node in network.to_dict()["nodes"] if node["name"] == output.name)
        end = None if last["operation"] == "softmax" else end
    if end in ("softmax", "sigmoid") and kind in (*_WITH_SOFTMAX, *_WITH_SIGMOID):
        fit = "log" if end == "sigmoid" else "categorical_cross_entropy"
        raise ParameterError(
            f"loss {kind!r} applies a function to the results of the network {network.name!r}, which ends in a {end} "
            f"already: take loss={fit!r}, or train the network without this end"
        )


class Objective:
    """The loss that a trainer minimizes.

    Args:
        network: the trained network.
        settings: the loss's settings, from `loss_settings`.
        described: the core's description, with the shape "prediction" and the layers "prediction_layers".
        weighted: whether losses have weights.
        own: the loss of the user's, if it has no settings.
    """

    def __init__(
        self,
        network: Network,
        settings: Mapping[str, Any],
        described: Mapping[str, Any],
        *,
        weighted: bool,
        own: OwnLoss | None = None,
    ) -> None:
        self._settings, self._weighted, self._own = settings, weighted, own
        self.compared_channels: int | None = None
        """The accuracy compares so many of the first channels; None: all."""
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
        return int((counts.any(-1) if self._settings["kind"] in _OF_PIXELS else counts).sum())

    def answers(
        self, prediction: NDArray[np.float32], targets: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the scores and the true classes."""
        if self._detector is not None:
            return assigned_scores(prediction, targets)
        return prediction[..., : self.compared_channels], targets[..., : self.compared_channels]

    def value(self, prediction: NDArray[np.float32], targets: NDArray[np.float32], weights: Any) -> float:
        """Return the loss of a batch, computed by the same operation as in training."""
        arrays = {"prediction": prediction, "labels": targets}
        if weights is not None:
            arrays["weights"] = to_loss_weights(weights, prediction.shape)
        if self._own is not None:
            return self._own.value(*arrays.values())
        if self._settings["kind"] in _COMPOSED:
            return self._composed_value(arrays)
        measure = Network(input={name: array.shape[1:] for name, array in arrays.items()}, name="loss")
        operation, settings = "loss", loss_of_core(self._settings)
        if self._detector is not None:
            operation = "multibox_loss"
            settings = {name: value for name, value in settings.items() if name not in _OF_NETWORKS}
        measure.output(measure.layer(operation, measure.inputs, settings))
        program = measure.compile(device="cpu", precision="float32")
        result = program.session(threads=1).run(list(arrays.values()))
        return float(np.asarray(result).item())

    def _composed_value(self, arrays: Mapping[str, NDArray[np.float32]]) -> float:
        """Return a loss that the core composes of operations, for a network that only passes on its input."""
        same = Network(input={"prediction": arrays["prediction"].shape[1:]}, name="loss")
        same.output(same.layer("neuron", same.inputs, {"kind": "none"}))
        options = {"loss": loss_of_core(self._settings), "weighted": "weights" in arrays}
        graph = _core.gradient_graph(same.graph, json.dumps(options), False)
        program = compile_graph(graph, ["training.loss"], CompileOptions(device="cpu", precision="float32"))
        given = {"training.step": np.zeros((1, 1), np.float32)}
        for name, array in arrays.items():
            given[name if name == "prediction" else f"training.{name}"] = array
        named = {name: given[name] for name in program.inputs}
        return float(np.asarray(program.session(threads=1).run(named)).item())
