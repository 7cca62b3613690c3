"""Convert the weights of a prepared network to integers, and set the scales of its tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.graph.integer_layers import PROBABILITIES, PRODUCTS, Node, Scale, keeps_integers
from mpscnn.graph.network import Network
from mpscnn.graph.slicing import separate_layers
from mpscnn.quantization.calibration import Seen
from mpscnn.quantization.ranges import best_scale
from mpscnn.quantization.weights import IntegerWeights, integer_weights


def is_kept(node: Node) -> bool:
    """Return True if a layer stays in float32."""
    return bool(node.get("keep_float32", False))


def choose_scales(network: Network, seen: Mapping[str, Seen]) -> dict[str, Scale]:
    """Return the scales of the input and of each layer with the smallest mean squared error over the images."""
    nodes = network.to_dict()["nodes"]
    first = {name: name for name in network.layer_names()}
    for node in nodes:
        if node["operation"] == "reshape" or (keeps_integers(node) and not is_kept(node)):
            first[node["name"]] = first[node["inputs"][0]]
    members: dict[str, list[str]] = {}
    for name, own in first.items():
        members.setdefault(own, []).append(name)
    softmax = {node["name"] for node in nodes if node["operation"] == "softmax" and not is_kept(node)}
    found = {
        own: PROBABILITIES if own in softmax else best_scale([seen[name].histogram for name in names])
        for own, names in members.items()
    }
    return {name: found[own] for name, own in first.items()}


def quantize_network(network: Network, seen: Mapping[str, Seen], *, correct_bias: bool) -> Network:
    """Return the network with integers. Scales of tensors follow from the images, those of weights from the weights.

    Args:
        network: a network from `prepare`.
        seen: the values of this network on some images.
        correct_bias: whether biases compensate the change of each channel's mean by rounding the weights.
    """
    result = deepcopy(network)
    scales = choose_scales(network, seen)
    for name, scale in scales.items():
        result.quantize(name, "int8", scale.scale, scale.zero_point)
    given = network.weights
    for node in network.to_dict()["nodes"]:
        if node["operation"] not in PRODUCTS or is_kept(node):
            continue
        name, source = node["name"], node["inputs"][0]
        weight = given[f"{name}.weight"]
        bias = given.get(f"{name}.bias", np.zeros(len(weight), np.float32)).astype(np.float64)
        made = integer_weights(weight, bias, scales[source], scales[name])
        if correct_bias:
            bias = bias - _mean_error(node, made, weight, seen[source].mean)
            made = integer_weights(weight, bias, scales[source], scales[name])
        made.set_in(result, name)
    return result


def _mean_error(
    node: Node, made: IntegerWeights, weight: NDArray[Any], mean: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return how much rounding the weights changes each output, as a mean over images and pixels, ignoring borders."""
    error = made.numbers() - weight
    if node["operation"] == "fully_connected":
        return np.asarray(error.reshape(len(error), -1) @ mean.reshape(-1))
    outputs, inputs = error.shape[0], error.shape[3]
    group = np.arange(outputs) // (outputs // node["attributes"]["groups"])
    read = mean[group[:, None] * inputs + np.arange(inputs)]
    return np.asarray((error.sum(axis=(1, 2)) * read).sum(axis=1))


def separate_integer_layers(network: Network) -> tuple[Network, Sequence[str]]:
    """Return a network that computes each layer separately, and for each of its inputs the result that it replaces."""
    separated = separate_layers(network)
    stated = network.to_dict()
    integers = {entry["name"]: entry["quantization"] for entry in [*stated["inputs"], *stated["nodes"]]}
    sources = [tensor.name.removesuffix(" given") for tensor in separated.inputs]
    for tensor, source in zip(separated.inputs, sources, strict=True):
        own = integers[source]
        separated.quantize(tensor, own["type"], own["scale"], own["zero_point"])
    return separated, sources
