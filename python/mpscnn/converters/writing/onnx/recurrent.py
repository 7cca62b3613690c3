"""Write recurrent layers as ONNX nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.values import gates
from mpscnn.converters.writing.onnx.builder import Value
from mpscnn.converters.writing.onnx.layer import Layer
from mpscnn.errors import UnsupportedError

Array = NDArray[np.float32]


def projections(nodes: Sequence[Mapping[str, Any]], outputs: Sequence[str]) -> set[str]:
    """Return the names of convolutions that are merged into the node of the recurrent layer after them.

    ONNX' LSTM and GRU include the product of the input and its weights, which is a separate layer in mpscnn.
    """
    reads = [name for node in nodes for name in node["inputs"]] + list(outputs)
    first = {node["inputs"][0] for node in nodes if node["operation"] in ("lstm", "gru")}
    return {
        node["name"]
        for node in nodes
        if node["name"] in first and reads.count(node["name"]) == 1 and _is_product(node)
    }


def _is_product(node: Mapping[str, Any]) -> bool:
    attributes = node["attributes"]
    ones = ("kernel_height", "kernel_width", "stride_y", "stride_x", "groups")
    pads = ("pad_top", "pad_bottom", "pad_left", "pad_right")
    return (
        node["operation"] == "convolution"
        and "activation" not in node
        and all(attributes[name] == 1 for name in ones)
        and (attributes["padding"] != "explicit" or not any(attributes[name] for name in pads))
    )


def lstm(layer: Layer) -> str:
    """Write an LSTM: its hidden states, then its last cell state."""
    weight, bias = _input_part(layer, 4)
    matrix = layer.required("weight")
    zeros = np.zeros_like(bias)
    parts = [
        gates.reorder_gates(values, gates.MPSCNN["LSTM"], gates.ONNX["LSTM"])
        for values in (weight, matrix, bias, zeros)
    ]
    states, _, cell = _node(layer, "LSTM", parts, ("gate", "candidate", "output"), {}, results=3)
    units = layer.shape[3]
    last = layer.add("Reshape", cell, layer.constant([1, 1, -1, units], "cell"))
    return _image(layer, layer.add("Concat", states, last, axis=0))


def gru(layer: Layer) -> str:
    """Write a GRU: its hidden states."""
    weight, bias = _input_part(layer, 3)
    state_bias = np.zeros_like(bias)
    after = bool(layer.attributes["reset_after"])
    if after:
        state_bias[2 * layer.shape[3] :] = layer.required("bias")
    parts = [weight, layer.required("weight"), bias, state_bias]
    attributes = {"linear_before_reset": int(after)}
    (states,) = _node(layer, "GRU", parts, ("gate", "candidate"), attributes, results=1)
    return _image(layer, states)


def _input_part(layer: Layer, count: int) -> tuple[Array, Array]:
    """Return the input weight and bias for the node. Without a merged product they are the identity matrix and 0."""
    rows = count * layer.shape[3]
    if layer.product is None:
        return np.eye(rows, dtype=np.float32), np.zeros(rows, np.float32)
    bias = layer.product.weight("bias")
    weight = layer.product.required("weight").reshape(rows, -1)
    return weight, np.zeros(rows, np.float32) if bias is None else bias


def _node(
    layer: Layer,
    operation: str,
    parts: Sequence[Array],
    functions: Sequence[str],
    attributes: dict[str, Any],
    *,
    results: int,
) -> list[str]:
    """Add the node. Its input is (steps, sequences, channels), with the sequences of all images together."""
    weight, matrix, first, second = parts
    given = [_sequences(layer, value) for value in layer.inputs]
    constants = [
        layer.constant(values[None], role)
        for values, role in (
            (weight, "input"), (matrix, "recurrent"), (np.concatenate([first, second]), "biases"),
        )
    ]  # fmt: skip
    inputs = [given[0], *constants, *([""] if len(given) > 1 else []), *given[1:]]
    attributes |= _functions(layer, functions)
    if layer.attributes["reverse"]:
        attributes["direction"] = "reverse"
    return layer.builder.add_several(
        operation, inputs, layer.name, results, hidden_size=layer.shape[3], **attributes
    )


def _sequences(layer: Layer, value: Value) -> str:
    _, rows, _, channels = value.shape
    name = layer.add("Transpose", value.name, perm=(2, 0, 3, 1))
    return layer.add("Reshape", name, layer.constant([rows, -1, channels], "sequences"))


def _image(layer: Layer, states: str) -> str:
    _, rows, sequences, units = layer.shape
    name = layer.add("Reshape", states, layer.constant([rows, -1, sequences, units], "image"))
    return layer.add("Transpose", name, perm=(1, 3, 0, 2))


def _functions(layer: Layer, roles: Sequence[str]) -> dict[str, Any]:
    names, given = [], {"a": [], "b": []}  # type: ignore[var-annotated]
    for gate in roles:
        name, parameters = _function(layer, gate)
        names.append(name)
        for parameter in parameters:
            given[parameter].append(layer.attributes[f"{gate}_{parameter}"])
    attributes: dict[str, Any] = {"activations": names}
    for parameter, role in (("a", "activation_alpha"), ("b", "activation_beta")):
        if given[parameter]:
            attributes[role] = given[parameter]
    return attributes


def _function(layer: Layer, gate: str) -> tuple[str, str]:
    """Return ONNX' name of a function, the one with the fewest parameters, and the parameters that attributes state."""
    kind = layer.attributes[gate]
    for name in sorted(gates.ONNX_FUNCTIONS, key=lambda name: len(gates.ONNX_PARAMETERS.get(name, ""))):
        function, stated = gates.ONNX_FUNCTIONS[name], gates.ONNX_PARAMETERS.get(name, "")
        fixed = set(function) - {"kind", *stated}
        if kind == function["kind"] and all(layer.attributes[f"{gate}_{p}"] == function[p] for p in fixed):
            return name, stated
    raise UnsupportedError(f"layer {layer.name!r}: ONNX' recurrent layers have no function {kind!r}")
