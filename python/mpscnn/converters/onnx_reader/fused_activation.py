"""Fuse the activation after a node into the node's layer."""

from __future__ import annotations

from mpscnn.converters.onnx_reader.context import Context
from mpscnn.converters.onnx_reader.neurons import node_activation
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.onnx_reader.patterns import match_activation
from mpscnn.converters.onnx_reader.quantizations import merge_integer_limits
from mpscnn.errors import UnsupportedError
from mpscnn.graph.layer_arguments import Activation


def fuse_activation(c: Context, node: Node) -> Activation:
    """Return the activation that becomes part of a node's layer: the single consumer of the node's result.

    If the result is then quantized, the activation also clips it to the range of the integers. `Context.put` sets the
    layer as the result of the activation's node.
    """
    name = node.outputs[0]
    activation, result = _activation_after(c, c.ends.get(name, name))
    c.ends[name] = result
    return merge_integer_limits(c, activation, result)


def _activation_after(c: Context, name: str) -> tuple[Activation, str]:
    if found := match_activation(c, name):
        activation, result, nodes = found
        c.merged.update(map(id, nodes))
        return activation, result
    user = c.only_user(name)
    function = None if user is None else _function_or_none(c, user)
    if user is None or function is None or user.inputs[0] != name:
        return None, name
    c.merged.add(id(user))
    return function, user.outputs[0]


def begins_activation(c: Context, node: Node) -> bool:
    """Convert an activation that the file writes as several nodes, if `node` is the first of them."""
    name = next((name for name in node.inputs if name in c.values), None)
    found = match_activation(c, name, node) if name is not None and len(c.file.nodes) > 1 else None
    if name is None or found is None:
        return False
    activation, result, nodes = found
    c.merged.update(map(id, nodes))
    c.begin(nodes[-1])
    c.values[result] = c.value(name).map(activation)
    return True


def _function_or_none(c: Context, node: Node) -> Activation:
    """Return the activation of a node; None on errors, which the conversion of the node itself reports later."""
    try:
        return node_activation(c, node)
    except (UnsupportedError, ValueError):
        return None
