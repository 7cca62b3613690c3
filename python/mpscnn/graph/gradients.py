"""Compute gradients of a network, and check them against finite differences."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn._private.arguments import is_finite_number, whole_number
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn.errors import ParameterError, ShapeError, UnsupportedError
from mpscnn.graph.class_numbers import require_same_classes
from mpscnn.graph.training_arrays import (
    is_object_list,
    loss_settings,
    prediction_shape,
    to_array,
    to_inputs,
    to_targets,
)
from mpscnn.runtime.options import CompileOptions
from mpscnn.runtime.program import compile_graph

if TYPE_CHECKING:
    from mpscnn.graph.structure import NetworkStructure

_SUFFIX = ".gradient"
#: `check_gradients` divides a gradient's error by the gradient's norm. If the norm is below a minimum, it divides by
#: the minimum: the slope at which one step changes the loss by this share of the loss. The share is 100 times the
#: rounding error of a loss in float32, so differences that are caused by rounding alone count as an error of at most
#: about 1%.
_LOSS_ERROR = 3e-5


class Differentiated:
    """The gradient computation of a network, compiled once. Each call may use other weights."""

    def __init__(
        self,
        network: NetworkStructure,
        settings: dict[str, Any],
        *,
        of_output: bool,
        threads: int | Literal["auto"],
    ) -> None:
        self._network = network
        graph = _core.gradient_graph(network.graph, json.dumps(settings), of_output)
        program = compile_graph(graph, [], CompileOptions(device="cpu", precision="float32"))
        self._session = program.session(threads=threads)
        self._inputs = program.inputs
        self.prediction = self._inputs["training.labels"][1:]
        self._has_loss = not of_output
        self.weights = {name: np.asarray(value, np.float32) for name, value in network.weights.items()}

    def targets(self, inputs: Mapping[str, NDArray[Any]], labels: Any) -> NDArray[np.float32]:
        """Return the labels in the prediction's shape. They determine its free extents."""
        batch = len(next(iter(inputs.values())))
        if is_object_list(labels):
            raise ParameterError(
                "gradients take a detector's labels as `Detector.targets` makes them of objects"
            )
        shape = prediction_shape(batch, self.prediction, labels)
        require_same_classes(labels, self._network, shape)
        return to_targets(labels, shape)

    def __call__(
        self,
        inputs: Mapping[str, NDArray[Any]],
        labels: NDArray[np.float32],
        weights: Mapping[str, NDArray[Any]],
    ) -> tuple[float | None, dict[str, NDArray[np.float32]]]:
        """Return the loss and the gradients by the names of inputs and weights."""
        given: dict[str, NDArray[Any]] = {**inputs, "training.labels": labels}
        for name, shape in self._inputs.items():
            if name in given:
                continue
            if name == "training.step":
                given[name] = np.zeros((1, 1), np.float32)
            elif name.endswith(".statistics"):
                layer = name.removesuffix(".statistics")
                given[name] = np.stack([weights[f"{layer}.{row}"] for row in ("mean", "variance")])
            else:
                given[name] = weights[name]
            given[name] = np.ascontiguousarray(given[name], np.float32).reshape(shape)
        results = self._session.run(given)
        if not isinstance(results, dict):
            raise UnsupportedError("gradients: no input and no weight has a gradient here")
        loss = float(results["training.loss"].item()) if self._has_loss else None
        found = {}
        for name, value in results.items():
            if name.endswith(_SUFFIX):
                name = name.removesuffix(_SUFFIX)
                found[name] = value if name in inputs else value.reshape(weights[name].shape)
        return loss, found


def _named_inputs(network: NetworkStructure, x: Any) -> dict[str, NDArray[Any]]:
    return {tensor.name: array for tensor, array in zip(network.inputs, to_inputs(network, x), strict=True)}


def gradients(
    network: NetworkStructure,
    x: Any,
    labels: Any = None,
    *,
    loss: str | Mapping[str, Any] = "softmax_cross_entropy",
    output_gradient: Any = None,
    seed: int = 0,
    threads: int | Literal["auto"] = "auto",
) -> tuple[float | None, dict[str, NDArray[np.float32]]]:
    """Compute gradients. See `Network.gradients`."""
    if (labels is None) == (output_gradient is None):
        given = "none of them" if labels is None else "both"
        raise ParameterError(f"gradients need either labels or output_gradient, got {given}")
    inputs = _named_inputs(network, x)
    settings: dict[str, Any] = {"seed": whole_number("seed", seed, minimum=0, maximum=2**63 - 1)}
    if labels is not None:
        settings["loss"] = loss_settings(network, loss)
    else:
        # Unlike a cross entropy, the mean squared error does not absorb a final softmax.
        settings["loss"] = {"kind": "mean_squared_error"}
    both = Differentiated(network, settings, of_output=labels is None, threads=threads)
    if labels is None:
        targets = to_array("output_gradient", output_gradient)
        shape = prediction_shape(len(next(iter(inputs.values()))), both.prediction, targets)
        if targets.dtype.kind != "f" or targets.shape != shape:
            raise ShapeError(
                f"output_gradient must be floats of the shape {shape}, got {targets.dtype} of the shape {targets.shape}"
            )
        targets = np.ascontiguousarray(targets, np.float32)
    else:
        targets = both.targets(inputs, labels)
    return both(inputs, targets, both.weights)


@dataclass(frozen=True)
class GradientCheck:
    """The error of one gradient, found by comparing it with a finite difference of the loss.

    Both give the slope of the loss in one direction: `slope` from the gradient, `difference` from two losses.
    `error` is the distance between them, divided by the norm of the gradient. If that norm is very small, the distance
    is divided by a minimum instead, which is far above the slopes that rounding alone causes.
    """

    name: str
    slope: float
    difference: float
    error: float


@accept_foreign_arguments
def check_gradients(
    network: NetworkStructure,
    x: Any,
    labels: Any,
    *,
    loss: str | Mapping[str, Any] = "softmax_cross_entropy",
    step: float = 3e-3,
    seed: int = 0,
) -> list[GradientCheck]:
    """Compare each gradient of `Network.gradients` with a finite difference of the loss along one direction.

    The direction is the sum of the gradient's direction and a random one, which alone could be almost orthogonal to the
    gradient.

    Losses are computed in float32, so errors of about 1e-3 come from the differences themselves. Activations with kinks
    (relu) and maxima add more if a step crosses a kink.

    Args:
        network: a network with one output and all its weights.
        x: the inputs, a list for several.
        labels: class numbers (n,), or floats of the prediction's shape.
        loss: as for `Trainer`, without "iou_threshold".
        step: the step of the differences relative to the norm of the changed array. For an array whose root mean square
            is below 0.1, the step is as long as if it were 0.1.
        seed: the random seed of the directions and of dropout.

    Returns:
        One entry for each input and weight that has a gradient, the largest error first.
    """
    if not is_finite_number(step) or not step > 0:
        raise ParameterError(f"step must be a finite number above 0, got {step!r}")
    inputs = {name: array.astype(np.float32) for name, array in _named_inputs(network, x).items()}
    seed = whole_number("seed", seed, minimum=0, maximum=2**63 - 1)
    settings = {"seed": seed, "loss": loss_settings(network, loss)}
    both = Differentiated(network, settings, of_output=False, threads="auto")
    targets = both.targets(inputs, labels)
    _, found = both(inputs, targets, both.weights)
    random = np.random.default_rng(seed)
    checks = []
    for name, gradient in found.items():
        own = inputs if name in inputs else both.weights
        value = own[name]
        direction = random.normal(size=value.shape)
        norm = float(np.linalg.norm(gradient))
        if norm > 0:  # a random direction alone could be almost orthogonal to the gradient
            direction *= -1 if (direction * gradient).sum() < 0 else 1
            direction = direction / np.linalg.norm(direction) + gradient / norm
        direction /= np.linalg.norm(direction)
        reach = step * max(float(np.linalg.norm(value)), 0.1 * value.size**0.5)
        losses = []
        for sign in (1, -1):
            changed = (value + sign * reach * direction).astype(np.float32)
            moved = {**own, name: changed}
            result, _ = both(
                moved if own is inputs else inputs, targets, both.weights if own is inputs else moved
            )
            assert result is not None
            losses.append(result)
        slope = float((gradient.astype(np.float64) * direction).sum())
        difference = (losses[0] - losses[1]) / (2 * reach)
        # Slopes that come from rounding alone are far below this one.
        minimum = max(_LOSS_ERROR * abs(losses[0]) / reach, 1e-30)
        checks.append(GradientCheck(name, slope, difference, abs(slope - difference) / max(norm, minimum)))
    return sorted(checks, key=lambda check: -check.error)
