"""Define the rules for layers that compute in 8-bit integers (precision "int8")."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn.errors import ParameterError, UnsupportedError
from mpscnn.graph.network import Network
from mpscnn.graph.quantized import unquantized
from mpscnn.graph.settings import copy_settings
from mpscnn.graph.slicing import shape_of_input

Node = dict[str, Any]
"""A layer as in `Network.to_dict`."""

#: Layers whose weights have the output channels on the first axis.
PRODUCTS = ("convolution", "fully_connected")
#: Layers whose outputs have the same scale and zero point as their inputs.
_SAME_INTEGERS = {
    "channel_shuffle", "gather", "padding", "pooling", "reshape", "resize", "slice", "tile", "transpose",
}  # fmt: skip
#: The smallest and largest int8.
LOWEST, HIGHEST = -128, 127


@dataclass(frozen=True)
class Scale:
    """The scale and zero point of int8 values: number = (integer - zero_point) * scale."""

    scale: float
    zero_point: int

    def integers(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the nearest integers."""
        steps = np.rint(np.asarray(values, np.float64) / self.scale) + self.zero_point
        limited: NDArray[np.float64] = np.clip(steps, LOWEST, HIGHEST)
        return limited

    def rounded(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the numbers that the nearest integers represent."""
        numbers: NDArray[np.float64] = (self.integers(values) - self.zero_point) * self.scale
        return numbers


#: The fixed scale and zero point of a softmax.
PROBABILITIES = Scale(1.0 / 256.0, -128)


def keeps_integers(node: Node) -> bool:
    """Return True if a layer's output has the scale and zero point of its input.

    The output of a global average pooling has its own.
    """
    if node["operation"] == "pooling" and node["attributes"].get("global"):
        return bool(node["attributes"]["kind"] != "average")
    return node["operation"] in _SAME_INTEGERS


def without_integers(network: Network) -> Network:
    """Return the same layers and weights without quantisation; the network itself if it is not quantised."""
    structure = network.to_dict()
    plain = unquantized(structure)
    if plain == structure:
        return network
    result = network.restructured(plain)
    copy_settings(network, result)
    return result


def refused_layers(
    network: Network, scales: Mapping[str, Scale] | None = None, dtype: str = "int8"
) -> dict[str, str]:
    """Return the layers that the engine does not compute in integers, with the reasons.

    The function compiles the network with arbitrary scales, and collects the errors.

    Args:
        network: as for `prepare`, or one whose layers without integers are kept in float32.
        scales: scales of the inputs and layers that have int8 values; None: arbitrary ones for all.
        dtype: the type of the integers.
    """
    structure = network.to_dict()
    trial = _with_trial_integers(_of_structure(structure), scales, dtype)
    try:
        trial.compile(device="cpu", precision="int8")
    except (ParameterError, UnsupportedError):
        pass
    else:
        return {}
    refused = {}
    for node in structure["nodes"]:
        read = {name: f"{name} given" for name in node["inputs"]}
        alone = structure | {
            "inputs": [{"name": read[name], "shape": shape_of_input(network[name])} for name in read],
            "nodes": [node | {"inputs": [read[name] for name in node["inputs"]]}],
            "outputs": [node["name"]],
        }
        try:
            _with_trial_integers(_of_structure(alone), scales, dtype).compile(device="cpu", precision="int8")
        except (ParameterError, UnsupportedError) as error:
            refused[node["name"]] = str(error)
    return refused


def _of_structure(structure: Mapping[str, Any]) -> Network:
    return Network.from_graph(_core.Graph.from_json(json.dumps(dict(structure))))


def _with_trial_integers(network: Network, scales: Mapping[str, Scale] | None, dtype: str) -> Network:
    shift = 0 if dtype == "int8" else -LOWEST
    for name in network.layer_names():
        own = PROBABILITIES if scales is None else scales.get(name.removesuffix(" given"))
        if own is not None:
            network.quantize(name, dtype, own.scale, own.zero_point + shift)
    for spec in network.weight_specs():
        name, shape = f"{spec['layer']}.{spec['role']}", tuple(spec["shape"])
        if spec["role"] == "weight":
            network.set_quantized_weight(name, np.zeros(shape, np.uint8), [1.0], [0.0])
        elif spec["role"] == "bias":
            network.set_quantized_weight(name, np.zeros(shape, np.int32), [1.0], [0.0])
        else:
            network.graph.set_weight(spec["layer"], spec["role"], np.ones(shape, np.float32))
    return network
