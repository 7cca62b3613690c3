"""Comparisons, choices, and what they give: 1 where something holds, else 0."""

from __future__ import annotations

import numpy as np

from mpscnn.converters.broadcast import align
from mpscnn.converters.layout import Value
from mpscnn.converters.onnx_reader.context import Context, Handler
from mpscnn.converters.onnx_reader.file import Node
from mpscnn.errors import UnsupportedError

_COMPARISONS = {
    "Equal": "equal",
    "Greater": "greater",
    "GreaterOrEqual": "greater_equal",
    "Less": "less",
    "LessOrEqual": "less_equal",
}
_JUNCTIONS = {"And": "multiply", "Or": "maximum", "Xor": "not_equal"}


def as_booleans(c: Context, node: Node, x: Value) -> Value:
    """1 where x is not 0; NaN is not."""
    name = c.layer_name(node, "/zero")
    extents = (1,) * (len(x.tensor.shape) - 1)
    zero = c.network.constant(x.tensor, extents, name=name)
    c.set_weight(name, "value", np.zeros(extents, np.float32))
    return x.holding(c.network.not_equal(x.tensor, zero, name=c.layer_name(node))).as_whole_numbers()


def _operands(c: Context, names: list[str], *, whole_numbers: bool = False) -> list[Value]:
    """Values of the network, and constants with as many axes."""
    model = next(
        (c.value(name, whole_numbers=whole_numbers) for name in names if not c.is_constant(name)), None
    )
    if model is None:
        raise UnsupportedError("of constants alone it is not supported")
    return [
        c.constant(name, model.rank) if c.is_constant(name) else c.value(name, whole_numbers=whole_numbers)
        for name in names
    ]


def _comparison(c: Context, node: Node) -> None:
    both = align(c.arranger, *_operands(c, node.inputs))
    compare = getattr(c.network, _COMPARISONS[node.kind])
    y = both.result(compare(both.first, both.second, name=c.layer_name(node)))
    c.result(node, y.as_whole_numbers())


def _junction(c: Context, node: Node) -> None:
    both = align(c.arranger, *_operands(c, node.inputs, whole_numbers=True))
    join = getattr(c.network, _JUNCTIONS[node.kind])
    c.result(node, both.result(join(both.first, both.second, name=c.layer_name(node))).as_whole_numbers())


def _not(c: Context, node: Node) -> None:
    x = c.value(node.inputs[0], whole_numbers=True)
    y = c.neuron(x.tensor, {"kind": "linear", "a": -1.0, "b": 1.0}, c.layer_name(node))
    c.result(node, x.holding(y))


def _where(c: Context, node: Node) -> None:
    """The first tensor where the condition is not 0, else the second: of two sums one is 0."""
    condition, *choices = _operands(c, node.inputs, whole_numbers=True)
    parts = []
    for value, choose in zip(choices, (c.network.mask, c.network.mask_out), strict=True):
        both = align(c.arranger, condition, value)
        parts.append(both.result(choose(both.first, both.second, name=c.layer_name(node, "/part"))))
    both = align(c.arranger, *parts)
    c.result(node, both.result(c.network.add(both.first, both.second, name=c.layer_name(node))))


LOGIC: dict[str, Handler] = {
    **dict.fromkeys(_COMPARISONS, _comparison),
    **dict.fromkeys(_JUNCTIONS, _junction),
    "Not": _not,
    "Where": _where,
}
