"""Giving known architectures the layer names of `mpscnn.models`, whatever framework a file comes from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from mpscnn.errors import ShapeError
from mpscnn.graph.network import Network
from mpscnn.models import deeplab_v3, deeplab_v3_plus, mobilenet_v1, mobilenet_v2
from mpscnn.models.deeplab import ARTICLE_RATES

_MULTIPLIERS = (0.25, 0.35, 0.5, 0.75, 1.0, 1.3, 1.4)


def with_library_names(network: Network) -> Network:
    """The same network with the names of the library's architecture it is an instance of or built on, or as it was."""
    size = _image_size(network)
    if size is None or len(network.layer_names()) == len(network.inputs):
        return network
    try:
        named = _named(network, size)
    except ShapeError:  # the library's architectures have no images of this size
        return network
    named.detection, named.preprocess, named.notes = network.detection, network.preprocess, network.notes
    named.labels = network.labels
    return named


def _named(network: Network, size: tuple[int, int]) -> Network:
    signature = _signature(network)
    for candidate in _candidates(network, size):
        if _signature(candidate) == signature:
            return _renamed(network, candidate)
    return _with_backbone_names(network, size)


def _image_size(network: Network) -> tuple[int, int] | None:
    """(height, width) of the photo that the network takes; None where the library has no network for it."""
    if len(network.inputs) != 1:
        return None
    shape = network.inputs[0].shape
    if len(shape) != 4 or shape[3] != 3 or None in shape[1:]:
        return None
    height, width = (int(extent or 0) for extent in shape[1:3])
    return (height, width) if min(height, width) >= 32 else None


# ---- Whole networks ------------------------------------------------------------------------------------------------


def _candidates(network: Network, size: tuple[int, int]) -> Iterator[Network]:
    if len(network.outputs) != 1:
        return
    result = network.outputs[0].shape
    if result[-1] is None:
        return
    last = network.to_dict()["nodes"][-1]["operation"]
    output = "softmax" if last == "softmax" else "logits"
    for multiplier in _MULTIPLIERS:
        common: dict[str, Any] = {
            "depth_multiplier": multiplier,
            "input_size": size,
            "classes": int(result[-1]),
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

    return [(inputs(node), *_meaning(node, shapes[node["name"]])) for node in nodes]


def _meaning(node: Mapping[str, Any], shape: tuple[int | None, ...]) -> tuple[Any, ...]:
    """What a layer computes of its inputs."""
    # Of a reshape the shape tells all: [-1] or [1001].
    attributes = None if node["operation"] == "reshape" else node["attributes"]
    return node["operation"], attributes, node.get("activation"), shape


def _nodes_in_order(network: Network) -> list[dict[str, Any]]:
    """Each layer behind what it needs, depth first from the outputs: files may list parallel branches in any order.

    Layers that only change how integers stand for numbers are passed by.
    """
    given = network.to_dict()["nodes"]
    passed = {node["name"]: node["inputs"][0] for node in given if _changes_integers_only(node)}

    def computed(name: str) -> str:
        while name in passed:
            name = passed[name]
        return name

    nodes = {
        node["name"]: node | {"inputs": [computed(name) for name in node["inputs"]]}
        for node in given
        if node["name"] not in passed
    }
    ordered: dict[str, dict[str, Any]] = {}
    waiting = [(computed(tensor.name), False) for tensor in reversed(network.outputs)]
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


def _changes_integers_only(node: Mapping[str, Any]) -> bool:
    return bool(node["operation"] == "neuron" and node["attributes"]["kind"] == "none")


def _with_names(structure: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """A network's structure with other names for some of its layers."""
    nodes = [
        node
        | {
            "name": names.get(node["name"], node["name"]),
            "inputs": [names.get(name, name) for name in node["inputs"]],
        }
        for node in structure["nodes"]
    ]
    return structure | {"nodes": nodes, "outputs": [names.get(name, name) for name in structure["outputs"]]}


def _renamed(network: Network, named: Network) -> Network:
    pairs = zip(_nodes_in_order(network), _nodes_in_order(named), strict=True)
    names = {source["name"]: target["name"] for source, target in pairs}
    own = network.to_dict()
    if any(map(_changes_integers_only, own["nodes"])):
        return network.restructured(_with_names(own, names), names)
    structure = named.to_dict() | {"name": network.name}
    integers = {names[node["name"]]: node["quantization"] for node in own["nodes"] if "quantization" in node}
    for node in structure["nodes"]:
        if node["name"] in integers:
            node["quantization"] = integers[node["name"]]
    for entry, source in zip(structure["inputs"], own["inputs"], strict=True):
        if "quantization" in source:
            entry["quantization"] = source["quantization"]
    return network.restructured(structure, names)


# ---- Networks on a MobileNet ---------------------------------------------------------------------------------------


def _with_backbone_names(network: Network, size: tuple[int, int]) -> Network:
    """Detectors, and classifiers without their end: the names of the layers that are those of a MobileNet."""
    numbers: dict[Any, int] = {}
    layers = _layers_by_meaning(network, numbers)
    for multiplier in _MULTIPLIERS:
        common: dict[str, Any] = {"depth_multiplier": multiplier, "input_size": size}
        for base in _classifiers(common):
            library = _layers_by_meaning(base, numbers)
            last = next(
                name for name in ("conv_last", "pointwise13", "pointwise8") if name in base.layer_names()
            )
            shared = [number for number in library if number in layers]
            names = {layers[number]: library[number] for number in shared}
            if last in names.values():
                return _partly_renamed(network, names)
    return network


def _layers_by_meaning(network: Network, numbers: dict[Any, int]) -> dict[int, str]:
    """Layers by a number that says what they compute of the photo, weights aside; of several alike none.

    `numbers` are those given so far: the same layer of another network gets the same one.
    """
    shapes = {name: tuple(network.graph.shape(i)) for i, name in enumerate(network.layer_names())}
    number_of = {tensor.name: -1 for tensor in network.inputs}
    names: dict[int, list[str]] = {}
    for node in network.to_dict()["nodes"]:
        sources = [number_of[source] for source in node["inputs"]]
        if node["operation"] == "add":
            sources.sort()
        meaning = json.dumps([sources, *_meaning(node, shapes[node["name"]])], sort_keys=True)
        number = numbers.setdefault(meaning, len(numbers))
        number_of[node["name"]] = number
        names.setdefault(number, []).append(node["name"])
    return {number: alike[0] for number, alike in names.items() if len(alike) == 1}


def _partly_renamed(network: Network, names: Mapping[str, str]) -> Network:
    """The same network, unless another of its layers has one of the names already."""
    kept = {name: names.get(name, name) for name in [network.input.name, *network.layer_names()]}
    if len(set(kept.values())) < len(kept):
        return network
    structure = network.to_dict()
    structure["outputs"] = [kept[name] for name in structure["outputs"]]
    for node in structure["nodes"]:
        node["name"], node["inputs"] = kept[node["name"]], [kept[source] for source in node["inputs"]]
    return network.restructured(structure, kept)
