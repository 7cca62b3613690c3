"""Bring the ranges of a result's channels closer together: cross-layer equalisation (Nagel et al. 2019).

The layer that computes a result divides its channels by factors, and the only layer that reads the result multiplies
the channels by the same factors. This changes nothing if the activation between both is none or relu. Relu6 and clamp
would need a separate limit for each channel, which integers do not have, so such pairs stay unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.graph.integer_layers import PRODUCTS, Node
from mpscnn.graph.network import Network
from mpscnn.quantization.calibration import Seen

_MOST = 6  # a factor is from 2^-6 to 2^6


def equalize_weights(network: Network, seen: Mapping[str, Seen]) -> Network | None:
    """Return the network with equalised weights. Results have the same bits, since factors are powers of two.

    Args:
        network: a network from `prepare`.
        seen: the values of this network on some images.

    Returns None if there is no pair of layers to equalise.
    """
    structure = network.to_dict()
    readers: dict[str, list[Node | None]] = {name: [None] for name in structure["outputs"]}
    for node in structure["nodes"]:
        for name in node["inputs"]:
            readers.setdefault(name, []).append(node)
    weights = dict(network.weights)
    changed = False
    for node in structure["nodes"]:
        second = readers.get(node["name"], [None])[0]
        if len(readers.get(node["name"], [])) != 1 or second is None or not _is_pair(node, second):
            continue
        exponents = _exponents(weights[f"{second['name']}.weight"], seen[node["name"]].largest)
        if not exponents.any():
            continue
        changed = True
        factors = np.exp2(exponents)
        for role in ("weight", "bias"):
            if (values := weights.get(f"{node['name']}.{role}")) is not None:
                scaled = values / factors.reshape(-1, *[1] * (values.ndim - 1))
                weights[f"{node['name']}.{role}"] = scaled.astype(np.float32)
        values = weights[f"{second['name']}.weight"]
        weights[f"{second['name']}.weight"] = (values * _along_inputs(values, factors)).astype(np.float32)
    if not changed:
        return None
    result = deepcopy(network)
    result.set_weights(weights, layout="OHWI")
    return result


def _is_pair(first: Node, second: Node) -> bool:
    activation: Mapping[str, Any] = first.get("activation", {"kind": "none"})
    plain = activation["kind"] == "none" or (activation["kind"] == "relu" and activation["a"] == 0.0)
    if not plain or first["operation"] not in PRODUCTS or second["operation"] not in PRODUCTS:
        return False
    return (
        second["operation"] == "fully_connected"
        or second["attributes"]["groups"] == 1
        or _is_depthwise(second)
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


def _exponents(weight: NDArray[Any], largest: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return an exponent of two for each channel.

    It brings the range of the channel closer to the range of the weights that read it. Weights of a depthwise layer
    have a scale for each channel, so only the ranges of channels matter there.
    """
    if weight.shape[-1] == len(largest):
        flat = np.abs(weight.astype(np.float64))
        rows = flat.reshape(len(flat), -1).max(axis=1)
        flat /= np.where(rows > 0.0, rows, 1.0).reshape(-1, *[1] * (flat.ndim - 1))
        read = flat.reshape(-1, flat.shape[-1]).max(axis=0)
        share = 0.5
    elif weight.shape[-1] == 1:
        read = np.ones_like(largest)
        share = 1.0
    else:
        return np.zeros_like(largest)
    alive = (largest > 0.0) & (read > 0.0)
    if not alive.any():
        return np.zeros_like(largest)
    logarithms = np.zeros_like(largest)
    logarithms[alive] = share * np.log2(largest[alive] / read[alive])
    logarithms[alive] -= np.median(logarithms[alive])
    exponents: NDArray[np.float64] = np.clip(np.rint(logarithms), -_MOST, _MOST)
    return exponents
