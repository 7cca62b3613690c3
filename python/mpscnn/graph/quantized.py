"""Tell whether a network has 8-bit integers, and remove the quantisation of its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import numpy as np

from mpscnn._private.literals import StoredTypeName
from mpscnn.errors import ParameterError
from mpscnn.graph.structure import NetworkStructure

_KEY = "quantization"


def _has_quantization(structure: Mapping[str, Any]) -> bool:
    return any(_KEY in entry for entry in (*structure["inputs"], *structure["nodes"]))


def has_integer_tensors(network: NetworkStructure) -> bool:
    """Return True if inputs or results of layers have the scale of integers, in which precision int8 computes."""
    return _has_quantization(network.to_dict())


def has_integers(network: NetworkStructure) -> bool:
    """Return True if any weights, inputs or layers of the network are 8-bit integers."""
    return has_integer_tensors(network) or any(
        network.graph.get_weight(spec["layer"], "weight")[0].dtype == np.uint8
        for spec in network.weight_specs()
        if spec["set"] and spec["role"] == "weight"
    )


def has_rounded_weights(network: NetworkStructure) -> bool:
    """Return True if a file with dtype "uint8" rounds weights: floats of layers that are not kept in float32."""
    kept = {node["name"] for node in network.to_dict()["nodes"] if node.get("keep_float32")}
    return any(
        network.graph.get_weight(spec["layer"], "weight")[0].dtype != np.uint8
        for spec in network.weight_specs()
        if spec["set"] and spec["role"] == "weight" and spec["layer"] not in kept
    )


def stored_type(network: NetworkStructure, dtype: str | None, floats: str) -> str:
    """Return the type of weights in a written file: `dtype`, or by default "uint8" for a quantised network.

    `floats` is the default for other networks.
    """
    if dtype is not None:
        return dtype
    return "uint8" if has_integers(network) else floats


def require_stored_type(dtype: object) -> None:
    """Raise ParameterError for a type that the weights of no written file can have."""
    if dtype not in get_args(StoredTypeName):
        integers = isinstance(dtype, str) and "int" in dtype
        raise ParameterError(
            f"dtype must be 'float32', 'float16' or 'uint8', got {dtype!r}"
            + "; uint8 is the type of 8-bit weights, and also of the networks of integers that mpscnn.quantize makes"
            * integers
        )


def unquantized(structure: Mapping[str, Any]) -> dict[str, Any]:
    """Return the structure of a network (`Network.to_dict`) without the quantisation of inputs and layers."""
    return {
        **structure,
        **{
            part: [{key: value for key, value in entry.items() if key != _KEY} for entry in structure[part]]
            for part in ("inputs", "nodes")
        },
    }
