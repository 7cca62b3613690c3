"""Giving known architectures the layer names of `mpscnn.models`, whatever framework a file comes from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mpscnn.models import deeplab_v3, deeplab_v3_plus, mobilenet_v1, mobilenet_v2
from mpscnn.models.deeplab import ARTICLE_RATES
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
    if len(image) != 4 or image[3] != 3 or None in (*image[1:], result[-1]):
        return
    height, width, classes = (int(extent or 0) for extent in (*image[1:3], result[-1]))
    if min(height, width) < 32:
        return
    last = network.to_dict()["nodes"][-1]["operation"]
    output = "softmax" if last == "softmax" else "logits"
    for multiplier in _MULTIPLIERS:
        common: dict[str, Any] = {
            "depth_multiplier": multiplier,
            "input_size": (height, width),
            "classes": classes,
            "output": output,
        }
        yield from _classifiers(common) if len(result) == 2 else _segmenters(common)


def _classifiers(common: dict[str, Any]) -> Iterator[Network]:
    yield mobilenet_v2(**common)
    yield mobilenet_v1(**common)
    yield mobilenet_v1(**common, shallow=True)


def _segmenters(common: dict[str, Any]) -> Iterator[Network]:
    for stride in (16, 8):
        yield deeplab_v3(**common, output_stride=stride)
        yield deeplab_v3(**common, output_stride=stride, atrous_rates=ARTICLE_RATES[stride])
        yield deeplab_v3_plus(**common, output_stride=stride)


def _signature(network: Network) -> list[Any]:
    """What the layers compute and how they are connected, without names."""
    nodes = _nodes_in_order(network)
    names = [tensor.name for tensor in network.inputs] + [node["name"] for node in nodes]
    number = {name: i for i, name in enumerate(names)}
    shapes = {name: tuple(network.graph.shape(i)) for i, name in enumerate(network.layer_names())}

    def inputs(node: dict[str, Any]) -> list[int]:
        given = [number[name] for name in node["inputs"]]
        return sorted(given) if node["operation"] == "add" else given

    return [
        (
            node["operation"],
            inputs(node),
            None if node["operation"] == "reshape" else node["attributes"],  # [-1] or [1001]: the shape tells
            node.get("activation"),
            shapes[node["name"]],
        )
        for node in nodes
    ]


def _nodes_in_order(network: Network) -> list[dict[str, Any]]:
    """Each layer behind what it needs, depth first from the outputs: files may list parallel branches in any order."""
    nodes = {node["name"]: node for node in network.to_dict()["nodes"]}
    ordered: dict[str, dict[str, Any]] = {}
    waiting = [(tensor.name, False) for tensor in reversed(network.outputs)]
    while waiting:
        name, inputs_done = waiting.pop()
        if name in ordered or name not in nodes:
            continue
        if inputs_done:
            ordered[name] = nodes[name]
        else:
            waiting.append((name, True))
            waiting += [(source, False) for source in reversed(nodes[name]["inputs"])]
    return list(ordered.values())


def _renamed(network: Network, named: Network) -> Network:
    pairs = zip(_nodes_in_order(network), _nodes_in_order(named), strict=True)
    names = {source["name"]: target["name"] for source, target in pairs}
    return network.restructured(named.to_dict() | {"name": network.name}, names)
