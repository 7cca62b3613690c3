"""Rename the layers of known architectures to the names that `mpscnn.models` uses, for files of any framework."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from mpscnn.converters.finishing.renaming import rename_layers
from mpscnn.converters.values.integer_limits import Grid, activation_limits
from mpscnn.errors import ShapeError
from mpscnn.graph.network import Network
from mpscnn.graph.settings import copy_origin, copy_settings
from mpscnn.models import deeplab_v3, deeplab_v3_plus, mobilenet_v1, mobilenet_v2
from mpscnn.models.deeplab import ARTICLE_RATES
from mpscnn.models.mobilenet import first_convolution

_RELU = {"kind": "relu", "a": 0.0, "b": 0.0, "c": 0.0}
_SIX = 6.0
_RELU6 = {"kind": "relun", "a": 0.0, "b": _SIX, "c": 0.0}
_NO_LIMIT = 1e38
_MULTIPLIERS = (0.25, 0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
_USUAL = 1.0


def with_library_names(network: Network) -> Network:
    """Return the network with the layer names of `mpscnn.models`, if it is or contains a known architecture.

    All other networks are returned unchanged.
    """
    size = _image_size(network)
    if size is None or len(network.layer_names()) == len(network.inputs):
        return network
    try:
        named = _named(network, size)
    except ShapeError:  # the library's architectures have no images of this size
        return network
    copy_settings(network, named)
    copy_origin(network, named)
    return named


def _named(network: Network, size: tuple[int, int]) -> Network:
    readings = _readings(network)
    if not _has_first_convolution(network, size, readings):
        return network
    signatures = [_signature(network, reading) for reading in readings]
    for candidate in _candidates(network, size):
        if _signature(candidate, {}) in signatures:
            return _renamed(network, candidate)
    for reading in readings:
        if (named := _with_backbone_names(network, size, reading)) is not network:
            return named
    return network


def _has_first_convolution(network: Network, size: tuple[int, int], readings: Sequence[Reading]) -> bool:
    """Return whether a layer is the first one of a MobileNet, with which all architectures of this module begin.

    Most networks have none, and then no architecture need be built.
    """
    known: dict[int, tuple[Any, ...]] = {}
    shapes = _shapes(network)
    for node in network.to_dict()["nodes"]:
        shape = shapes[node["name"]]
        if len(shape) != 4 or shape[3] is None or "output_channels" not in node["attributes"]:
            continue
        channels = shape[3]
        if channels not in known:
            first = Network(input=(*size, 3))
            first_convolution(first, first.input, channels)
            (conv1,) = first.to_dict()["nodes"]
            known[channels] = _meaning(conv1, _shapes(first)[conv1["name"]], {})
        if any(_meaning(node, shape, reading) == known[channels] for reading in readings):
            return True
    return False


def _image_size(network: Network) -> tuple[int, int] | None:
    """Return (height, width) of the network's RGB input; None if no architecture of the library has such an input."""
    if len(network.inputs) != 1:
        return None
    shape = network.inputs[0].shape
    if len(shape) != 4 or shape[3] != 3 or None in shape[1:]:
        return None
    height, width = (int(extent or 0) for extent in shape[1:3])
    return (height, width) if min(height, width) >= 32 else None


# ---- Limits of integers --------------------------------------------------------------------------------------------

Reading = Mapping[str, dict[str, Any] | None]
"""Activations of layers, by the layers' names, to be used in place of those that the network has."""


def _readings(network: Network) -> list[Reading]:
    """Return the activations that a quantized network may have had before quantization.

    A quantized layer clips its result to the range of its integers. If an activation only repeats this range, the
    original layer had no activation, a ReLU, or a ReLU6 whose integers end below 6. ReLU and ReLU6 cannot be told apart
    then, so there are two readings.
    """
    first: dict[str, dict[str, Any] | None] = {}
    second: dict[str, dict[str, Any] | None] = {}
    for node in network.to_dict()["nodes"]:
        ends = _ends_of_integers(node, node.get("activation"))
        if ends is None or not ends[1]:
            continue
        low, high = activation_limits(node["activation"]) or (0.0, 0.0)
        if low == 0.0 and high != _SIX:
            first[node["name"]] = _RELU
            if high < _SIX:
                second[node["name"]] = _RELU6
        elif low != 0.0 and ends[0]:
            first[node["name"]] = None
    return [first, first | second] if second else [first]


def _ends_of_integers(
    node: Mapping[str, Any], activation: Mapping[str, Any] | None
) -> tuple[bool, bool] | None:
    """Return, for the lower and the upper limit of an activation, whether it comes from the range of the integers.

    The result is None for an activation that does more than clip, and for a layer that is not quantized.
    """
    integers = node.get("quantization")
    limits = None if integers is None or activation is None else activation_limits(activation)
    if limits is None:
        return None
    assert integers is not None
    grid = Grid(integers["scale"], integers["zero_point"], np.dtype(integers["type"]))
    low, high = (
        abs(own) >= _NO_LIMIT or abs(own - end) <= grid.step / 2.0
        for own, end in zip(limits, grid.limits, strict=True)
    )
    return low, high


# ---- Whole networks ------------------------------------------------------------------------------------------------


def _candidates(network: Network, size: tuple[int, int]) -> Iterator[Network]:
    if len(network.outputs) != 1:
        return
    result = network.outputs[0].shape
    if result[-1] is None:
        return
    last = network.to_dict()["nodes"][-1]["operation"]
    output = "softmax" if last == "softmax" else "logits"
    common = {"input_size": size, "classes": int(result[-1]), "output": output}
    layers = _layers(network)
    for build in _classifiers() if len(result) == 2 else _segmenters():
        usual = build(depth_multiplier=_USUAL, **common)
        yield usual
        if _layers(usual) == layers:
            others = (width for width in _MULTIPLIERS if width != _USUAL)
            yield from (build(depth_multiplier=width, **common) for width in others)


def _layers(network: Network) -> list[str]:
    """Return the operations that an architecture has with every multiplier.

    With a small one, more blocks have equal numbers of channels at both ends, and so a sum of them.
    """
    operations = (node["operation"] for node in _nodes_in_order(network))
    return [operation for operation in operations if operation != "add"]


def _classifiers() -> Iterator[Callable[..., Network]]:
    yield mobilenet_v2
    yield mobilenet_v1
    yield partial(mobilenet_v1, shallow=True)


def _segmenters() -> Iterator[Callable[..., Network]]:
    for stride in (16, 8):
        yield partial(deeplab_v3, output_stride=stride)
        yield partial(deeplab_v3, output_stride=stride, atrous_rates=ARTICLE_RATES[stride])
        yield partial(deeplab_v3_plus, output_stride=stride)


def _signature(network: Network, reading: Reading) -> list[Any]:
    """Return the layers' operations and connections without names. Activations of `reading` replace the network's."""
    nodes = _nodes_in_order(network)
    names = [tensor.name for tensor in network.inputs] + [node["name"] for node in nodes]
    number = {name: i for i, name in enumerate(names)}
    shapes = _shapes(network)

    def inputs(node: dict[str, Any]) -> list[int]:
        given = [number[name] for name in node["inputs"]]
        return sorted(given) if node["operation"] == "add" else given

    return [(inputs(node), *_meaning(node, shapes[node["name"]], reading)) for node in nodes]


def _shapes(network: Network) -> dict[str, tuple[int | None, ...]]:
    return {name: tuple(network.graph.shape(i)) for i, name in enumerate(network.layer_names())}


def _meaning(node: Mapping[str, Any], shape: tuple[int | None, ...], reading: Reading) -> tuple[Any, ...]:
    """Return what a layer computes from its inputs: operation, attributes, activation and shape of the result."""
    # A reshape's attributes are left out because files write them differently, as [-1] or [1001]. Its shape is
    # compared.
    attributes = None if node["operation"] == "reshape" else node["attributes"]
    return node["operation"], attributes, reading.get(node["name"], node.get("activation")), shape


def _nodes_in_order(network: Network) -> list[dict[str, Any]]:
    """Return the layers in topological order, depth first from the outputs, because files list branches in any order.

    Layers that only change the quantization are left out.
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
    if node["operation"] != "neuron":
        return False
    return node["attributes"]["kind"] == "none" or _ends_of_integers(node, node["attributes"]) == (True, True)


def _renamed(network: Network, named: Network) -> Network:
    pairs = list(zip(_nodes_in_order(network), _nodes_in_order(named), strict=True))
    names = {source["name"]: target["name"] for source, target in pairs}
    own = network.to_dict()
    has_limits = any(source.get("activation") != target.get("activation") for source, target in pairs)
    if has_limits or any(map(_changes_integers_only, own["nodes"])):
        return network.restructured(rename_layers(own, names), names)
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


def _with_backbone_names(network: Network, size: tuple[int, int], reading: Reading) -> Network:
    """Rename the layers that form a MobileNet inside a detector, or inside a classifier without its last layers."""
    if not any(node["attributes"].get("groups", 1) > 1 for node in network.to_dict()["nodes"]):
        return network  # every MobileNet has depthwise convolutions
    numbers: dict[Any, int] = {}
    layers = _layers_by_meaning(network, numbers, reading)
    for multiplier in _MULTIPLIERS:
        for build in _classifiers():
            base = build(depth_multiplier=multiplier, input_size=size)
            library = _layers_by_meaning(base, numbers, {})
            last = next(
                name for name in ("conv_last", "pointwise13", "pointwise8") if name in base.layer_names()
            )
            shared = [number for number in library if number in layers]
            names = {layers[number]: library[number] for number in shared}
            if last in names.values():
                return _partly_renamed(network, names)
    return network


def _layers_by_meaning(network: Network, numbers: dict[Any, int], reading: Reading) -> dict[int, str]:
    """Return a mapping from the number of a computation to the name of the layer that computes it.

    A computation consists of a layer and all layers before it, without their weights. Layers with equal computations,
    such as parallel branches, cannot be told apart and are left out.

    `numbers` maps computations to their numbers, and new ones are added to it. Several calls share it, so that equal
    computations of two networks get the same number.
    """
    shapes = _shapes(network)
    number_of = {tensor.name: -1 for tensor in network.inputs}
    names: dict[int, list[str]] = {}
    for node in network.to_dict()["nodes"]:
        sources = [number_of[source] for source in node["inputs"]]
        if _changes_integers_only(node):
            number_of[node["name"]] = sources[0]
            continue
        if node["operation"] == "add":
            sources.sort()
        meaning = json.dumps([sources, *_meaning(node, shapes[node["name"]], reading)], sort_keys=True)
        number = numbers.setdefault(meaning, len(numbers))
        number_of[node["name"]] = number
        names.setdefault(number, []).append(node["name"])
    return {number: alike[0] for number, alike in names.items() if len(alike) == 1}


def _partly_renamed(network: Network, names: Mapping[str, str]) -> Network:
    """Return the network with some layers renamed, or unchanged if another layer already has one of the new names."""
    kept = {name: names.get(name, name) for name in [network.input.name, *network.layer_names()]}
    if len(set(kept.values())) < len(kept):
        return network
    structure = network.to_dict()
    structure["outputs"] = [kept[name] for name in structure["outputs"]]
    for node in structure["nodes"]:
        node["name"], node["inputs"] = kept[node["name"]], [kept[source] for source in node["inputs"]]
    return network.restructured(structure, kept)
