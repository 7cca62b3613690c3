"""Bring the ranges of a result's channels closer together: cross-layer equalisation (Nagel et al. 2019).

The layers that compute a result divide its channels by factors, and the layers that read the result multiply the
channels by the same factors. All results that are added to each other have the same factors, such as those of the
blocks of a residual network. This changes nothing if the activation in between is none or relu. Relu6 and clamp would
need a separate limit for each channel, which integers do not have, so such results stay unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.graph.integer_layers import PRODUCTS, Node
from mpscnn.graph.network import Network
from mpscnn.quantization.calibration import Seen

_MOST = 6  # a factor is from 2^-6 to 2^6
_LARGEST = float(np.finfo(np.float32).max)


def equalize_weights(network: Network, seen: Mapping[str, Seen]) -> Network | None:
    """Return the network with equalised weights. Results have the same bits, since factors are powers of two.

    Args:
        network: a network from `prepare`.
        seen: the values of this network on some images.

    Returns None if there is nothing to equalise.
    """
    weights = dict(network.weights)
    changed = False
    for stream in _streams(network):
        read = [weights[f"{node['name']}.weight"] for node in stream.readers]
        exponents = _exponents(read, [seen[name].largest for name in stream.results])
        if not exponents.any():
            continue
        changed = True
        factors = np.exp2(exponents)
        for node in stream.writers:
            for role in ("weight", "bias"):
                if (values := weights.get(f"{node['name']}.{role}")) is not None:
                    scaled = values / factors.reshape(-1, *[1] * (values.ndim - 1))
                    weights[f"{node['name']}.{role}"] = scaled.astype(np.float32)
        for node in stream.readers:  # a layer may read the stream to which its result is added
            values = weights[f"{node['name']}.weight"]
            scaled = values * _along_inputs(values, factors)
            weights[f"{node['name']}.weight"] = scaled.astype(np.float32)
    if not changed:
        return None
    result = deepcopy(network)
    result.set_weights(weights, layout="OHWI")
    return result


@dataclass(frozen=True)
class _Stream:
    """Results with the same channels: those that are added to each other or pooled, directly or in steps.

    Args:
        results: the names of the results.
        writers: the layers with weights that compute them.
        readers: the layers with weights that read them.
    """

    results: list[str]
    writers: list[Node]
    readers: list[Node]


def _streams(network: Network) -> Iterator[_Stream]:
    """Yield the streams whose channels may get factors, in the order of the network."""
    structure = network.to_dict()
    nodes: dict[str, Node] = {node["name"]: node for node in structure["nodes"]}
    channels = {name: network[name].shape[-1] for name in network.layer_names()}
    first = {name: name for name in channels}

    def stream_of(name: str) -> str:
        while first[name] != name:
            name = first[name]
        return name

    carriers = {name for name, node in nodes.items() if _carries_channels(node, channels)}
    for name in carriers:
        for source in nodes[name]["inputs"]:
            first[stream_of(source)] = stream_of(name)
    refused = {stream_of(name) for name in (*channels.keys() - nodes.keys(), *structure["outputs"])}
    streams: dict[str, _Stream] = {}
    for name, node in nodes.items():
        stream = streams.setdefault(stream_of(name), _Stream([], [], []))
        stream.results.append(name)
        if name in carriers:
            continue
        if node["operation"] in PRODUCTS and _is_plain(node):
            stream.writers.append(node)
        else:
            refused.add(stream_of(name))
        for source in map(stream_of, node["inputs"]):
            if _reads_channels(node) and source in streams:
                streams[source].readers.append(node)
            else:
                refused.add(source)
    for own, stream in streams.items():
        if own not in refused and stream.readers:
            yield stream


def _is_plain(node: Node) -> bool:
    activation: Mapping[str, Any] = node.get("activation", {"kind": "none"})
    return bool(activation["kind"] == "none" or (activation["kind"] == "relu" and activation["a"] == 0.0))


def _carries_channels(node: Node, channels: Mapping[str, int | None]) -> bool:
    """Return True if a factor for a channel of all operands is the factor of this channel of the result."""
    attributes = node["attributes"]
    same = all(channels[name] == channels[node["name"]] for name in node["inputs"])
    if node["operation"] == "pooling":
        carries = attributes["kind"] in ("average", "max")
    elif node["operation"] == "add":
        limits = attributes["minimum"] <= -_LARGEST and attributes["maximum"] >= _LARGEST
        strides = {attributes[f"{operand}_stride_channels"] for operand in ("primary", "secondary")}
        carries = limits and strides == {1} and attributes["bias"] == 0.0
    else:
        carries = node["operation"] == "reshape"
    return bool(same and carries and _is_plain(node))


def _reads_channels(node: Node) -> bool:
    return node["operation"] == "fully_connected" or (
        node["operation"] == "convolution"
        and (node["attributes"].get("groups", 1) == 1 or _is_depthwise(node))
    )


def _is_depthwise(node: Node) -> bool:
    attributes = node["attributes"]
    groups = attributes.get("groups", 1)
    return bool(groups > 1 and attributes["output_channels"] % groups == 0)


def _along_inputs(weight: NDArray[Any], factors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return for each weight the factor of the input channel that it multiplies."""
    if weight.shape[-1] == len(factors):
        return factors
    each = np.repeat(factors, len(weight) // len(factors))
    return each.reshape(-1, *[1] * (weight.ndim - 1))


def _exponents(
    weights: Sequence[NDArray[Any]], largest: Sequence[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Return an exponent of two for each channel.

    It brings the range of the channel closer to the range of the weights that read it. Weights of a depthwise layer
    have a scale for each channel, so only the ranges of channels matter there.

    Args:
        weights: the weights of the layers that read the results.
        largest: the largest magnitude of each channel, for each of the results.
    """
    count = len(largest[0])
    read = [_read_ranges(one, count) for one in weights if one.shape[-1] == count]
    if any(one.shape[-1] not in (1, count) for one in weights):
        return np.zeros(count)
    share = 0.5 if read else 1.0
    alive = np.all([one > 0.0 for one in [*largest, *read]], axis=0)
    if not alive.any():
        return np.zeros(count)
    logarithms = np.zeros(count)
    logarithms[alive] = share * _mean_logarithm(largest, alive)
    if read:
        logarithms[alive] -= share * _mean_logarithm(read, alive)
    logarithms[alive] -= np.median(logarithms[alive])
    exponents: NDArray[np.float64] = np.clip(np.rint(logarithms), -_MOST, _MOST)
    return exponents


def _read_ranges(weight: NDArray[Any], count: int) -> NDArray[np.float64]:
    """Return the largest magnitude of the weights of each input channel, relative to that of their output."""
    flat = np.abs(weight.astype(np.float64))
    rows = flat.reshape(len(flat), -1).max(axis=1)
    flat /= np.where(rows > 0.0, rows, 1.0).reshape(-1, *[1] * (flat.ndim - 1))
    ranges: NDArray[np.float64] = flat.reshape(-1, count).max(axis=0)
    return ranges


def _mean_logarithm(ranges: Sequence[NDArray[np.float64]], alive: NDArray[np.bool_]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.mean([np.log2(one[alive]) for one in ranges], axis=0)
    return found
