"""Fuse the activation after a node into the node's layer."""

from __future__ import annotations

from mpscnn.converters.onnx_reader.context import Context
from mpscnn.converters.onnx_reader.neurons import node_activation
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.onnx_reader.quantizations import merge_integer_limits
from mpscnn.errors import UnsupportedError
from mpscnn.graph.layer_arguments import Activation


def fuse_activation(c: Context, node: Node) -> Activation:
    """Return the activation that becomes part of a node's layer: the single consumer of the node's result.

    If the result is then quantized, the activation also clips it to the range of the integers. `Context.put` sets the
    layer as the result of the activation's node.
    """
    name = node.outputs[0]
    activation, result = _activation_after(c, c.merged.ends.get(name, name))
    c.merged.ends[name] = result
    return merge_integer_limits(c, activation, result)


def _activation_after(c: Context, name: str) -> tuple[Activation, str]:
    user = c.only_user(name)
    function = None if user is None else _function_or_none(c, user)
    if user is None or function is None or user.inputs[0] != name:
        return None, name
    c.merged.nodes.add(id(user))
    return function, user.outputs[0]


def _function_or_none(c: Context, node: Node) -> Activation:
    """Return the activation of a node; None on errors, which the conversion of the node itself reports later."""
    try:
        return node_activation(c, node)
    except (UnsupportedError, ValueError):
        return None
