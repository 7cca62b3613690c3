"""Giving known architectures the layer names of `mpscnn.models`, whatever framework a file comes from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mpscnn.models import mobilenet_v1, mobilenet_v2
from mpscnn.network import Network

_MULTIPLIERS = (0.25, 0.35, 0.5, 0.75, 1.0, 1.3, 1.4)


def with_library_names(network: Network) -> Network:
    """The same network with the names of the library's architecture it is an instance of, or as it was."""
    signature = _signature(network)
    for candidate in _candidates(network):
        if _signature(candidate) == signature:
            return _renamed(network, candidate)
    return network


def _candidates(network: Network) -> Iterator[Network]:
    if len(network.inputs) != 1 or len(network.outputs) != 1:
        return
    image, result = network.inputs[0].shape, network.outputs[0].shape
    if len(image) != 4 or len(result) != 2 or image[3] != 3 or None in (*image[1:], result[1]):
        return
    height, width, classes = (int(extent or 0) for extent in (*image[1:3], result[1]))
    if min(height, width) < 32:
        return
    output = "softmax" if network.to_dict()["nodes"][-1]["operation"] == "softmax" else "logits"
    for multiplier in _MULTIPLIERS:
        common: dict[str, Any] = {
            "depth_multiplier": multiplier,
            "input_size": (height, width),
            "classes": classes,
            "output": output,
        }
        yield mobilenet_v2(**common)
        yield mobilenet_v1(**common)
        yield mobilenet_v1(**common, shallow=True)


def _signature(network: Network) -> list[Any]:
    """What the layers compute and how they are connected, without names."""
    structure = network.to_dict()
    number = {entry["name"]: i for i, entry in enumerate([*structure["inputs"], *structure["nodes"]])}

    def inputs(node: dict[str, Any]) -> list[int]:
        given = [number[name] for name in node["inputs"]]
        return sorted(given) if node["operation"] == "add" else given

    return [
        (
            node["operation"],
            inputs(node),
            None if node["operation"] == "reshape" else node["attributes"],  # [-1] or [1001]: the shape tells
            node.get("activation"),
            tuple(network.graph.shape(number[node["name"]])),
        )
        for node in structure["nodes"]
    ]


def _renamed(network: Network, named: Network) -> Network:
    structure = named.to_dict()
    pairs = zip(network.to_dict()["nodes"], structure["nodes"], strict=True)
    names = {source["name"]: target["name"] for source, target in pairs}
    return network.restructured(structure | {"name": network.name}, names)
