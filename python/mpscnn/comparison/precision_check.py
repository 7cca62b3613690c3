"""Measure the effect of a lower precision on each layer: `mpscnn.check_precision`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mpscnn._private.arguments import is_finite_number
from mpscnn._private.literals import PrecisionName
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn._private.report import Column, Report
from mpscnn.comparison.native_engine import NativeEngine, whole_layers
from mpscnn.comparison.precision_table import image_arrays
from mpscnn.comparison.trace import Array
from mpscnn.errors import ParameterError, ShapeError
from mpscnn.graph.network import Network
from mpscnn.graph.slicing import separate_layers
from mpscnn.runtime.program import named_results
from mpscnn.runtime.slow_precision import on_trial

#: The largest finite number and the smallest normal number of each precision.
_LIMITS = {
    "float16": (65504.0, 2.0**-14),
    "bfloat16": ((2 - 2.0**-7) * 2.0**127, 2.0**-126),
}


@dataclass(frozen=True)
class LayerPrecision:
    """The effect of a lower precision on one layer, which includes its batch normalization and activation.

    Args:
        name: the layer's name.
        largest: the largest magnitude of its results in float32.
        overflows: the number of results beyond the precision's range, in all images together.
        lost: the share of the results other than zero that lose digits because they are so small (subnormal in
            float16), or become zero.
        weight_largest: the largest magnitude of its weights; 0 without weights.
        weights_lost: the share of its weights that are too small in the same way.
        error: the L2 norm of its results' difference from float32, divided by the norm of the float32 results. The
            whole network is in the lower precision.
        own_error: the same if only this layer is in the lower precision, and reads float32 results.
        kept: whether the layer stays in float32.
    """

    name: str
    largest: float
    overflows: int
    lost: float
    weight_largest: float
    weights_lost: float
    error: float
    own_error: float
    kept: bool


@dataclass(frozen=True)
class PrecisionReport(Report):
    """The effect of a lower precision on a network. Printing it shows a table.

    Args:
        name: the network's name.
        precision: "float16" or "bfloat16".
        images: the number of images.
        layers: the effect on each layer, in order.
        tolerance: the allowed error of the network's outputs.
        error: the largest error of the unchanged network's outputs.
        keep: layers to keep in float32: all whose results or weights overflow, then those with the largest `own_error`,
            until the network's outputs are within the tolerance. Empty if none is needed.
        kept_error: the largest error of the network's outputs with these layers in float32.
    """

    name: str
    precision: PrecisionName
    images: int
    layers: tuple[LayerPrecision, ...]
    tolerance: float
    error: float
    keep: tuple[str, ...]
    kept_error: float

    def _entries(self) -> tuple[LayerPrecision, ...]:
        return self.layers

    def _columns(self) -> tuple[Column, ...]:
        def treatment(layer: LayerPrecision) -> str:
            return "float32" if layer.kept else ("keep" if layer.name in self.keep else "")

        return (
            Column("layer", lambda layer: layer.name),
            Column("largest", lambda layer: f"{layer.largest:.4g}", right=True),
            Column("overflows", lambda layer: f"{layer.overflows:,}" if layer.overflows else "", right=True),
            Column("lost", lambda layer: _share(layer.lost), right=True),
            Column(
                "weights",
                lambda layer: f"{layer.weight_largest:.3g}" if layer.weight_largest else "",
                right=True,
            ),
            Column("lost", lambda layer: _share(layer.weights_lost), right=True),
            Column("error", lambda layer: f"{layer.error:.2g}", right=True),
            Column("own error", lambda layer: f"{layer.own_error:.2g}", right=True),
            Column("", treatment),
        )

    def _dropped(self) -> tuple[str, ...]:
        return "lost", "weights", "overflows", "largest"

    def _sentences(self) -> list[str]:
        return [self.verdict()]

    def verdict(self) -> str:
        """Return the outcome in a sentence or two."""
        allowed = f"allowed {self.tolerance:.2g}"
        images = "1 image" if self.images == 1 else f"{self.images} images"
        found = f"{self.precision}: error of the results {self.error:.2g}, {allowed}, over {images}"
        if not self.keep and self.precision != "float16" and not self.error <= self.tolerance:
            return f"{found}, which is beyond it; layers can be kept in float32 in float16 only"
        if not self.keep:
            return f"{found}; nothing needs to stay float32"
        reached = "" if self.kept_error <= self.tolerance else ", which is not enough"
        layers = "1 layer" if len(self.keep) == 1 else f"{len(self.keep)} layers"
        return f"{found}; with {layers} in float32 it is {self.kept_error:.2g}{reached}"

    def __repr__(self) -> str:
        return f"{self.table()}\n\n{self.verdict()}"


@dataclass
class _Seen:
    """The measurements of one layer so far."""

    largest: float = 0.0
    overflows: int = 0
    small: int = 0
    nonzero: int = 0
    squares: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("right", "error", "own"), 0.0))

    def ratio(self, kind: str) -> float:
        error, right = self.squares[kind], self.squares["right"]
        return math.sqrt(error / right) if right else (0.0 if error == 0.0 else math.inf)


@accept_foreign_arguments
def check_precision(
    network: Network,
    images: Any,
    *,
    precision: PrecisionName = "float16",
    tolerance: float = 0.01,
    device: str = "cpu",
) -> PrecisionReport:
    """Measure what a lower precision does to each layer of a network, and which layers to keep in float32.

    Args:
        network: the network with its weights. Layers that it keeps in float32 (`Network.keep_float32`) stay so.
        images: a list of inputs of a network with one input, (n, height, width, channels) or (n, features), or photos
            as for `compare_precisions`.
        precision: "float16" or "bfloat16". Only float16 can keep layers in float32.
        tolerance: the allowed L2 norm of the error of the network's outputs, relative to their norm.
        device: the device that computes in the lower precision.

    Raises:
        ParameterError: another precision, no images, images that are not finite numbers, or a tolerance that is not
            above 0.
        ShapeError: the images do not fit, or the network has several inputs.
        UnsupportedError: the device does not support the precision.
    """
    if precision not in _LIMITS:
        raise ParameterError(f"check_precision: precision must be float16 or bfloat16, got {precision!r}")
    if not isinstance(network, Network):
        raise ParameterError(f"check_precision: expected a Network, got {type(network).__name__}")
    if not is_finite_number(tolerance) or not tolerance > 0.0:
        raise ParameterError(f"check_precision: tolerance must be above 0, got {tolerance!r}")
    if len(network.inputs) != 1:
        raise ShapeError(
            f"check_precision: network {network.name!r} has {len(network.inputs)} inputs, expected one"
        )
    given = [
        np.ascontiguousarray(image, np.float32) for image in image_arrays("check_precision", network, images)
    ]
    nodes = whole_layers(network)
    weights = _folded_weights(network, nodes)
    kept = {node["name"] for node in network.to_dict()["nodes"] if node.get("keep_float32")}
    kept = {node["name"] for node in nodes if not kept.isdisjoint([node["name"], *node["parts"]])}
    # A network with weights beyond the precision's range cannot be compiled. So these layers are kept from the
    # beginning.
    maximum = _LIMITS[precision][0]
    needed = [name for name, values in weights.items() if _largest(values) > maximum and name not in kept]
    trial = network.restructured(network.to_dict())
    trial.keep_float32(needed)
    seen = _measured(trial, given, precision, device)
    layers = tuple(
        _layer(name, seen[name], values, precision, name in kept) for name, values in weights.items()
    )
    error = _output_error(trial, given, precision, device)
    keep, kept_error = tuple(needed), error
    if precision == "float16":
        keep, kept_error = _to_keep(trial, given, layers, needed, tolerance, error, device)
    return PrecisionReport(
        network.name,
        precision,
        sum(map(len, given)),
        layers,
        tolerance,
        math.inf if needed else error,
        keep,
        kept_error,
    )


def _measured(
    network: Network, images: Sequence[Array], precision: PrecisionName, device: str
) -> dict[str, _Seen]:
    right = NativeEngine(network, network.name)
    lower = NativeEngine(network, network.name, device=device, precision=precision)
    separate = _SeparateLayers(network, precision, device)
    maximum, normal = _LIMITS[precision]
    seen = {node["name"]: _Seen() for node in whole_layers(network)}
    for image in images:
        exact = {value.name: value.array for value in right.trace([image]).values}
        found = {value.name: value.array for value in lower.trace([image]).values}
        alone = separate.run(image, exact)
        for name, entry in seen.items():
            values = np.abs(exact[name])
            entry.largest = max(entry.largest, float(values.max(initial=0.0)))
            entry.overflows += int(np.count_nonzero(values > maximum))
            entry.nonzero += int(np.count_nonzero(values))
            entry.small += int(np.count_nonzero((values > 0.0) & (values < normal)))
            entry.squares["right"] += _squares(exact[name])
            entry.squares["error"] += _squares(found[name] - exact[name])
            entry.squares["own"] += _squares(alone[name] - exact[name])
    return seen


def _squares(values: Array) -> float:
    found = float(np.square(values.astype(np.float64)).sum())
    return math.inf if math.isnan(found) else found


class _SeparateLayers:
    """Runs each layer separately in the lower precision, on float32 inputs."""

    def __init__(self, network: Network, precision: PrecisionName, device: str) -> None:
        separate = separate_layers(network, [node["name"] for node in whole_layers(network)])
        self._inputs = [tensor.name for tensor in separate.inputs]
        with on_trial():
            self._session = separate.compile(device=device, precision=precision).session()

    def run(self, image: Array, results: dict[str, Array]) -> dict[str, Array]:
        """Return the result of each layer. `results` are those of all layers in float32."""
        given = {name: results.get(name.removesuffix(" given"), image) for name in self._inputs}
        return named_results(self._session, given)


def _folded_weights(network: Network, layers: Sequence[dict[str, Any]]) -> dict[str, Array]:
    """Return the weights of each layer as compiled, with folded batch normalizations."""
    given = network.weights
    nodes = {node["name"]: node for node in network.to_dict()["nodes"]}
    folded = {}
    for layer in layers:
        names = [*layer["parts"], layer["name"]]
        found = [given[f"{name}.weight"] for name in names if f"{name}.weight" in given]
        weights = found[0].astype(np.float64) if found else np.zeros(0)
        for name in names:
            if found and nodes[name]["operation"] == "batch_normalization":
                variance = given[f"{name}.variance"].astype(np.float64)
                scale = given.get(f"{name}.gamma", 1.0) / np.sqrt(
                    variance + nodes[name]["attributes"]["epsilon"]
                )
                weights = weights * scale.reshape(-1, *[1] * (weights.ndim - 1))
        folded[layer["name"]] = weights.astype(np.float32)
    return folded


def _largest(values: Array) -> float:
    return float(np.abs(values).max(initial=0.0))


def _layer(name: str, seen: _Seen, weights: Array, precision: PrecisionName, kept: bool) -> LayerPrecision:
    normal = _LIMITS[precision][1]
    nonzero = np.count_nonzero(weights)
    small = np.count_nonzero((weights != 0.0) & (np.abs(weights) < normal))
    return LayerPrecision(
        name,
        seen.largest,
        seen.overflows,
        seen.small / seen.nonzero if seen.nonzero else 0.0,
        _largest(weights),
        small / nonzero if nonzero else 0.0,
        seen.ratio("error"),
        seen.ratio("own"),
        kept,
    )


def _output_error(network: Network, images: Sequence[Array], precision: PrecisionName, device: str) -> float:
    """Return the largest error of the network's outputs."""
    names = [tensor.name for tensor in network.outputs]
    with on_trial():
        sessions = [
            network.compile(device="cpu", precision="float32").session(),
            network.compile(device=device, precision=precision).session(),
        ]
    seen = {name: _Seen() for name in names}
    for image in images:
        right, found = (named_results(session, image) for session in sessions)
        for name in names:
            seen[name].squares["right"] += _squares(right[name])
            seen[name].squares["error"] += _squares(found[name] - right[name])
    return max(entry.ratio("error") for entry in seen.values())


def _to_keep(
    network: Network,
    images: Sequence[Array],
    layers: Sequence[LayerPrecision],
    needed: Sequence[str],
    tolerance: float,
    error: float,
    device: str,
) -> tuple[tuple[str, ...], float]:
    """Return `PrecisionReport.keep`, and the error with these layers in float32.

    `network` keeps the `needed` layers already.
    """
    free = [layer for layer in layers if not layer.kept and layer.name not in needed]
    chosen = [layer.name for layer in free if layer.overflows]
    worst = [layer.name for layer in sorted(free, key=lambda layer: -layer.own_error) if not layer.overflows]
    keep = list(needed)
    while True:
        if not chosen and not error <= tolerance:
            # Each trial doubles the number of layers in float32, so a few trials suffice for any network.
            count = max(1, len(keep))
            chosen, worst = worst[:count], worst[count:]
        if not chosen:
            break
        keep += chosen
        network.keep_float32(chosen)
        error = _output_error(network, images, "float16", device)
        chosen = []
    order = {layer.name: number for number, layer in enumerate(layers)}
    return tuple(sorted(keep, key=order.__getitem__)), error


def _share(share: float) -> str:
    return f"{share:.1%}" if share else ""
