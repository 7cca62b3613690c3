"""Add batch normalizations to a network for its training, and merge them into its weights afterwards."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.errors import StateError
from mpscnn.graph.network import Network
from mpscnn.graph.settings import copy_settings
from mpscnn.runtime.program import named_results

Weights = dict[str, NDArray[np.float32]]
_EPSILON = 1e-3


class Normalized:
    """A network with a batch normalization after each convolution, for training.

    Networks of files have their normalizations merged into the convolutions. Deep networks learn faster with them. A
    normalization of a convolution that has weights gets its statistics on some photos, so that the network computes the
    same as before in inference. Convolutions whose results have one pixel get none, because a batch has too few of
    these for its statistics.

    Args:
        network: the network, with all weights except those of `new` layers, which become random.
        new: layers without weights.
        last: the convolutions whose results are the outputs. They get no normalization.
        photos: batches of inputs, for the statistics.
        seed: the random seed of the weights of new layers.
    """

    def __init__(
        self,
        network: Network,
        *,
        new: Iterable[str],
        last: Iterable[str],
        photos: Iterable[NDArray[np.float32]],
        seed: int,
    ) -> None:
        self._plain = network
        self._new = set(new)
        network.initialize_weights(seed, layers=sorted(self._new))
        self._normalized = [
            node["name"]
            for node in network.to_dict()["nodes"]
            if node["operation"] == "convolution"
            and node["name"] not in set(last)
            and node.get("activation", {}).get("kind") != "prelu"
            and (shape := network[node["name"]].shape)[1:3] != (1, 1)
            and len(shape) == 4
        ]
        self.network = self._with_normalizations()
        self._set_weights(photos)

    def frozen(self, trained_layers: int | None) -> tuple[str, ...]:
        """Return the layers to freeze so that of the layers that had weights only the last ones are trained.

        Args:
            trained_layers: the number of trained layers; None: all are.
        """
        if trained_layers is None:
            return ()
        weighted = {spec["layer"] for spec in self._plain.weight_specs()} - self._new
        known = [node["name"] for node in self._plain.to_dict()["nodes"] if node["name"] in weighted]
        kept = known[: max(len(known) - trained_layers, 0)]
        return (*kept, *(_norm(layer) for layer in kept if layer in self._normalized))

    def merged(self, trained: Network) -> Network:
        """Return the network without normalizations that computes the same as the trained network in inference.

        Raises StateError if merged weights are not finite.
        """
        weights = trained.weights
        result = self._plain.copy()
        copy_settings(trained, result)
        values: Weights = {}
        for spec in self._plain.weight_specs():
            name = f"{spec['layer']}.{spec['role']}"
            if spec["layer"] not in self._normalized and name in weights:
                values[name] = np.asarray(weights[name], np.float32)
        for layer in self._normalized:
            norm = _norm(layer)
            mean, variance, gamma, beta = (
                np.asarray(weights[f"{norm}.{role}"], np.float64)
                for role in ("mean", "variance", "gamma", "beta")
            )
            scale = gamma / np.sqrt(variance + _EPSILON)
            weight = np.asarray(weights[f"{layer}.weight"], np.float64)
            scaled = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
            values[f"{layer}.weight"] = scaled.astype(np.float32)
            values[f"{layer}.bias"] = (beta - mean * scale).astype(np.float32)
            if not all(np.isfinite(values[f"{layer}.{role}"]).all() for role in ("weight", "bias")):
                raise StateError(
                    f"layer {layer!r}: merging its normalization gives weights that are not finite"
                )
        result.load_weights(values, layout="OHWI")
        return result

    def _with_normalizations(self) -> Network:
        nodes: list[dict[str, Any]] = []
        structure = self._plain.to_dict()
        for node in structure["nodes"]:
            node = dict(node)
            node["inputs"] = [_norm(name) if name in self._normalized else name for name in node["inputs"]]
            nodes.append(node)
            if node["name"] in self._normalized:
                norm: dict[str, Any] = {
                    "name": _norm(node["name"]),
                    "operation": "batch_normalization",
                    "inputs": [node["name"]],
                    "attributes": {"epsilon": _EPSILON, "fixed": False},
                }
                if "activation" in node:
                    norm["activation"] = node.pop("activation")
                nodes.append(norm)
        result = self._plain.restructured(structure | {"nodes": nodes})
        copy_settings(self._plain, result)
        return result

    def _set_weights(self, photos: Iterable[NDArray[np.float32]]) -> None:
        """Give the normalizations weights, and remove the biases before them, which these would subtract again."""
        weights: Weights = {}
        plain = {name: np.asarray(value, np.float32) for name, value in self._plain.weights.items()}
        known = [layer for layer in self._normalized if layer not in self._new]
        statistics = _statistics(self._plain, known, photos)
        for layer in self._normalized:
            norm, bias = _norm(layer), plain.get(f"{layer}.bias")
            mean, variance = statistics.get(layer, (None, None))
            if mean is None or variance is None:
                count = len(plain[f"{layer}.weight"])
                mean, variance = np.zeros(count), np.full(count, 1 - _EPSILON)
                gamma, beta = np.ones(count), np.zeros(count)
            else:
                gamma, beta = np.sqrt(variance + _EPSILON), mean
                mean = mean - (0 if bias is None else bias)
            for role, value in (("mean", mean), ("variance", variance), ("gamma", gamma), ("beta", beta)):
                weights[f"{norm}.{role}"] = np.asarray(value, np.float32)
            if bias is not None:
                weights[f"{layer}.bias"] = np.zeros_like(bias)
        self.network.set_weights(weights, layout="OHWI")


def _norm(layer: str) -> str:
    return f"{layer}/norm"


def _statistics(
    network: Network, layers: list[str], photos: Iterable[NDArray[np.float32]]
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return the mean and the variance of the results of layers before their activations, by channel."""
    if not layers:
        return {}
    structure = network.to_dict()
    nodes: list[dict[str, Any]] = []
    chosen = set(layers)
    for node in structure["nodes"]:
        node = dict(node)
        node["inputs"] = [f"{name}/active" if name in chosen else name for name in node["inputs"]]
        nodes.append(node)
        if node["name"] in chosen:
            activation = node.pop("activation", {"kind": "none"})
            nodes.append(
                {
                    "name": f"{node['name']}/active",
                    "operation": "neuron",
                    "inputs": [node["name"]],
                    "attributes": activation,
                }
            )
    probe = network.restructured(structure | {"nodes": nodes, "outputs": layers})
    session = probe.compile(device="cpu", precision="float32", outputs=layers).session()
    sums = {layer: [np.zeros(1), np.zeros(1)] for layer in layers}
    batches = 0
    for inputs in photos:
        found = named_results(session, inputs)
        batches += 1
        for layer in layers:
            values = np.asarray(found[layer], np.float64)
            mean = values.mean((0, 1, 2))
            sums[layer][0] = sums[layer][0] + mean
            sums[layer][1] = sums[layer][1] + (values**2).mean((0, 1, 2))
    result = {}
    for layer, (total, squares) in sums.items():
        mean = total / batches
        result[layer] = mean, np.maximum(squares / batches - mean**2, 0)
    return result
