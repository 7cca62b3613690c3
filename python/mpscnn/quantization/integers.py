"""Convert the weights of a prepared network to integers, and set the scales of its tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.graph.integer_layers import PROBABILITIES, PRODUCTS, Node, Scale, keeps_integers
from mpscnn.graph.network import Network
from mpscnn.graph.slicing import separate_layers
from mpscnn.quantization.calibration import Seen
from mpscnn.quantization.ranges import best_scale


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


def quantize_network(
    network: Network,
    seen: Mapping[str, Seen],
    *,
    correct_bias: bool,
    scales: Mapping[str, Scale],
) -> Network:
    """Return the network with integers. Scales of weights follow from the weights.

    Args:
        network: a network from `prepare`.
        seen: the values of this network on some images.
        correct_bias: whether biases compensate the change of each channel's mean by rounding the weights.
        scales: the scales of the tensors, from `choose_scales`.
    """
    result = deepcopy(network)
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


_MOST = 127
#: The largest magnitude of a sum of products and the bias.
_MAX_SUM = 2.0**31 - 1.0
#: The largest magnitude of a bias, which leaves room for the products.
_MAX_BIAS = 2.0**30
_STORED_ZERO = 128  # model files store weights as uint8
#: For an output whose weights are all 0: the minimum scale of the products, relative to the scale of the result.
_FINER = 2.0**-8


@dataclass(frozen=True)
class IntegerWeights:
    """The arguments of `Network.set_quantized_weight`. All scales are float32 numbers, one for each output."""

    values: NDArray[np.uint8]
    scales: NDArray[np.float32]
    bias: NDArray[np.int32]
    bias_scales: NDArray[np.float32]

    def set_in(self, network: Network, layer: str) -> None:
        """Set these weights in a layer."""
        outputs = len(self.scales)
        zeros = np.full(outputs, _STORED_ZERO, np.float32)
        network.set_quantized_weight(f"{layer}.weight", self.values, self.scales, zeros)
        none = np.zeros(outputs, np.float32)
        network.set_quantized_weight(f"{layer}.bias", self.bias, self.bias_scales, none)

    def numbers(self) -> NDArray[np.float64]:
        """Return the numbers that the integers represent."""
        steps = self.values.astype(np.float64) - _STORED_ZERO
        return steps * self.scales.astype(np.float64).reshape(-1, *[1] * (steps.ndim - 1))


def integer_weights(
    weight: NDArray[np.floating], bias: NDArray[np.floating], source: Scale, result: Scale
) -> IntegerWeights:
    """Return symmetric 8-bit weights from -127 to 127 for each output, and the bias with the scale of the products.

    Args:
        weight: [out][...].
        bias: (out,).
        source: the scale of the layer's input.
        result: the scale of the layer's result.

    The scale of an output is the largest magnitude of its weights, divided by 127. It is larger if all weights of the
    output are 0, if they are so small that the bias would not fit into 32 bits, or if sums of many products would not.
    """
    flat = np.asarray(weight, np.float64).reshape(len(weight), -1)
    bias = np.asarray(bias, np.float64)
    largest = np.abs(flat).max(axis=1, initial=0.0)
    # Both scales, and the product of the weights' scale with the input's, must be normal float32 numbers.
    minimum = np.maximum(np.abs(bias) / (_MAX_BIAS * source.scale), 2.0**-60)
    dead = largest == 0.0
    minimum = np.where(dead, np.maximum(minimum, _FINER * result.scale / source.scale), minimum)
    scales = np.maximum(largest / _MOST, minimum).astype(np.float32)
    for _ in range(2):
        wide = scales.astype(np.float64)
        steps = np.clip(np.rint(flat / wide[:, None]), -_MOST, _MOST)
        bias_steps = np.rint(bias / (wide * source.scale))
        sums = 255.0 * np.abs(steps).sum(axis=1) + np.abs(bias_steps)
        if (sums <= _MAX_SUM).all():
            break
        # Larger scales of weights keep the sums of many products within 32 bits.
        scales = (wide * np.maximum(sums / (_MAX_SUM * 0.99), 1.0)).astype(np.float32)
    values = (steps + _STORED_ZERO).astype(np.uint8).reshape(weight.shape)
    bias_scales = (scales.astype(np.float64) * source.scale).astype(np.float32)
    return IntegerWeights(values, scales, bias_steps.astype(np.int32), bias_scales)
