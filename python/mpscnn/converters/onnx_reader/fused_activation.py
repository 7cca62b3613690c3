"""The activation after a layer, which becomes a part of it."""

from __future__ import annotations

from mpscnn.converters.onnx_reader.context import Context
from mpscnn.converters.onnx_reader.neurons import function_of
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.onnx_reader.patterns import by_parts
from mpscnn.converters.onnx_reader.quantizations import within_integers
from mpscnn.errors import UnsupportedError
from mpscnn.graph.layer_arguments import Activation


def ending(c: Context, node: Node) -> Activation:
    """Return the activation after a node's result that nothing else reads. It becomes a part of the node's layer.

    Limits of integers that this becomes are a part of it. `Context.put` sets what the activation gives.
    """
    name = node.outputs[0]
    activation, result = _activation_after(c, c.ends.get(name, name))
    c.ends[name] = result
    return within_integers(c, activation, result)


def _activation_after(c: Context, name: str) -> tuple[Activation, str]:
    if found := by_parts(c, name):
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
    """Convert an activation of several nodes as a layer, if the node is the first of them."""
    name = next((name for name in node.inputs if name in c.values), None)
    found = by_parts(c, name, node) if name is not None and len(c.file.nodes) > 1 else None
    if name is None or found is None:
        return False
    activation, result, nodes = found
    c.merged.update(map(id, nodes))
    c.begin(nodes[-1])
    c.values[result] = c.value(name).map(activation)
    return True


def _function_or_none(c: Context, node: Node) -> Activation:
    """Return the node's own conversion reports what cannot be read."""
    try:
        return function_of(c, node)
    except (UnsupportedError, ValueError):
        return None
