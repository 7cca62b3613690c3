"""Prepare a network for integers: merge normalizations and activations into the layers before them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn.errors import WeightsError
from mpscnn.graph.integer_layers import PRODUCTS, Node
from mpscnn.graph.network import Network
from mpscnn.graph.settings import copy_settings
from mpscnn.runtime.library import operations

_TAKES_ACTIVATION = {entry["name"] for entry in operations() if entry["takes_activation"]}


def is_limit(neuron: Mapping[str, Any]) -> bool:
    """Return True if an activation is only a limit, which integers can express: none, relu, relu6 and clamp."""
    if neuron["kind"] in ("relu", "relun"):
        return bool(neuron["a"] == 0.0)
    return neuron["kind"] in ("none", "clamp")


def prepare(network: Network, keep_float32: Sequence[str] = ()) -> tuple[Network, dict[str, str]]:
    """Return a network that computes the same with as few separate results as possible. Each result gets its own scale.

    Batch normalizations become part of the convolution or dense layer before them, or a depthwise 1x1 convolution.
    Relu, relu6 and clamp become the activation of the layer before them. Dropout is removed. A merged layer has the
    first layer's name, or the last layer's if its result is an output of the network. It stays in float32 if one of its
    layers does. Any other activation becomes a separate layer, unless the layer that applies it is kept in float32. The
    activation then keeps the name, and the layer before it becomes "name/linear".

    Returns the network, and for each layer of the given network the layer or input that now has its result.

    Raises WeightsError if weights are missing, or if merged weights are not finite, for example because a
    normalization's variance is too small.
    """
    preparation = _Preparation(network, keep_float32)
    return preparation.run()


class _Preparation:
    def __init__(self, network: Network, keep_float32: Sequence[str]) -> None:
        self._network = network
        self._structure = network.to_dict()
        self._keep_float32 = set(keep_float32)
        self._before_activation: dict[
            str, str
        ] = {}  # by new names: layers whose activation became a separate layer
        missing = [spec for spec in network.weight_specs() if spec["required"] and not spec["set"]]
        if missing:
            first = missing[0]
            raise WeightsError(f"layer {first['layer']!r}: {first['role']} is missing; load weights first")
        self._weights: dict[str, NDArray[Any]] = dict(network.weights)
        self._uses: Counter[str] = Counter(self._structure["outputs"])
        for node in self._structure["nodes"]:
            self._uses.update(node["inputs"])
        self._kept: dict[str, Node] = {}
        self._alias: dict[str, str] = {}
        self._became = {name: name for name in network.layer_names()}
        self._names_of = {name: [name] for name in self._became}
        """The given layers that each layer has become, the inverse of `_became`."""

    def run(self) -> tuple[Network, dict[str, str]]:
        for node in self._apart():
            node["inputs"] = [self._alias.get(name, name) for name in node["inputs"]]
            if not (self._leave_out(node) or self._fold(node) or self._attach(node)):
                self._keep(node)
        structure = {**self._structure, "nodes": list(self._kept.values())}
        result = Network.from_graph(_core.Graph.from_json(json.dumps(structure)))
        names = {f"{spec['layer']}.{spec['role']}" for spec in result.weight_specs()}
        kept = {name: self._weights[name] for name in names if name in self._weights}
        result.set_weights(kept, layout="OHWI")
        copy_settings(self._network, result)
        result.notes = list(self._network.notes)
        return result, self._became

    def _apart(self) -> Iterator[Node]:
        """Yield the nodes, with activations as separate layers where needed."""
        roles: dict[str, list[str]] = {}
        for layer, _, role in (key.rpartition(".") for key in self._weights):
            roles.setdefault(layer, []).append(role)
        for node in self._structure["nodes"]:
            name, activation = node["name"], _activation(node)
            stays = node.get("keep_float32") or name in self._keep_float32 or node["operation"] == "neuron"
            if stays or is_limit(activation):
                yield node
                continue
            linear = f"{name}/linear"
            while linear in self._became:
                linear += "_"
            del node["activation"]
            for role in roles.get(name, []):
                if role != "slope":  # the slope belongs to the activation
                    self._weights[f"{linear}.{role}"] = self._weights.pop(f"{name}.{role}")
            self._uses[linear] = 1
            self._before_activation[linear] = name
            yield {**node, "name": linear}
            yield {"name": name, "operation": "neuron", "inputs": [linear], "attributes": dict(activation)}

    def _keep(self, node: Node) -> None:
        if node["operation"] == "batch_normalization":
            self._as_convolution(node)
        self._kept[node["name"]] = node

    def _is_output(self, name: str) -> bool:
        return name in self._structure["outputs"]

    def _sole_producer(self, node: Node) -> Node | None:
        """Return the layer whose result only this node reads; None if this node cannot be merged into it."""
        if len(node["inputs"]) != 1:
            return None
        producer = self._kept.get(node["inputs"][0])
        if producer is None or self._uses[producer["name"]] != 1:
            return None
        return None if _activation(producer)["kind"] != "none" else producer

    def _leave_out(self, node: Node) -> bool:
        """Remove a node that changes nothing: dropout outside of training, or an empty activation.

        Return True if removed.
        """
        idle = node["operation"] == "dropout" and not node["attributes"]["training"]
        idle |= node["operation"] == "neuron" and node["attributes"]["kind"] == "none"
        if not idle or self._is_output(node["name"]):
            return False
        (source,) = node["inputs"]
        self._alias[node["name"]] = source
        self._rename(node["name"], source)
        self._uses[source] += self._uses[node["name"]] - 1
        return True

    def _merge(self, node: Node, producer: Node) -> None:
        """Merge `node` into `producer`. Outputs of the network keep their names."""
        source, name = producer["name"], node["name"]
        self._uses[source] = self._uses[name]
        if node.get("keep_float32"):
            producer["keep_float32"] = True
        if not self._is_output(name):
            self._alias[name] = source
            self._rename(name, source)
            return
        self._rename(source, name)
        del self._kept[source]
        producer["name"] = name
        self._kept[name] = producer
        for role in ("weight", "bias", "slope"):
            if (values := self._weights.pop(f"{source}.{role}", None)) is not None:
                self._weights[f"{name}.{role}"] = values

    def _rename(self, before: str, after: str) -> None:
        names = self._names_of.pop(before, [])
        self._became.update(dict.fromkeys(names, after))
        self._names_of.setdefault(after, []).extend(names)

    def _fold(self, node: Node) -> bool:
        producer = self._sole_producer(node)
        if (
            node["operation"] != "batch_normalization"
            or producer is None
            or producer["operation"] not in PRODUCTS
        ):
            return False
        scale, shift = self._scale_and_shift(node)
        name = producer["name"]
        weight = self._weights[f"{name}.weight"]
        bias = self._weights.get(f"{name}.bias", np.zeros(len(weight)))
        self._set(node, f"{name}.weight", weight * scale.reshape(-1, *[1] * (weight.ndim - 1)))
        self._set(node, f"{name}.bias", bias * scale + shift)
        if "activation" in node:
            producer["activation"] = node["activation"]
            self._take_slope(node, producer)
        self._merge(node, producer)
        return True

    def _attach(self, node: Node) -> bool:
        producer = self._sole_producer(node)
        if node["operation"] != "neuron" or producer is None or not is_limit(node["attributes"]):
            return False
        if producer["operation"] not in _TAKES_ACTIVATION:
            return False
        producer["activation"] = node["attributes"]
        self._merge(node, producer)
        return True

    def _as_convolution(self, node: Node) -> None:
        """Convert a batch normalization to a depthwise convolution if no convolution or dense layer is before it."""
        name: str = node["name"]
        given = self._before_activation.get(name, name)
        if len(node["inputs"]) != 1 or len(self._network[given].shape) != 4:
            return
        scale, shift = self._scale_and_shift(node)
        for role in ("mean", "variance", "gamma", "beta"):
            self._weights.pop(f"{name}.{role}", None)
        node["operation"] = "convolution"
        node["attributes"] = {
            "output_channels": len(scale),
            "groups": len(scale),
            "kernel_height": 1,
            "kernel_width": 1,
        }
        self._set(node, f"{name}.weight", scale.reshape(-1, 1, 1, 1))
        self._set(node, f"{name}.bias", shift)

    def _scale_and_shift(self, node: Node) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        mean, variance, gamma, beta = (
            np.asarray(self._weights.get(f"{node['name']}.{role}", neutral), np.float64)
            for role, neutral in (("mean", 0.0), ("variance", 1.0), ("gamma", 1.0), ("beta", 0.0))
        )
        scale = gamma / np.sqrt(variance + node["attributes"]["epsilon"])
        return scale, beta - mean * scale

    def _set(self, node: Node, name: str, values: NDArray[np.float64]) -> None:
        with np.errstate(over="ignore"):
            narrow = values.astype(np.float32)
        if not np.isfinite(narrow).all():
            raise WeightsError(
                f"layer {node['name']!r}: folding it gives weights that are not finite in float32; is its variance "
                "too small, or one of its weights not finite?"
            )
        self._weights[name] = narrow

    def _take_slope(self, node: Node, producer: Node) -> None:
        if (slope := self._weights.pop(f"{node['name']}.slope", None)) is not None:
            self._weights[f"{producer['name']}.slope"] = slope


def _activation(node: Node) -> Mapping[str, Any]:
    found: Mapping[str, Any] = node.get("activation", {"kind": "none"})
    return found
