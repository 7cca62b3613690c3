"""Comparisons, choices, and what they give: 1 where something holds, else 0."""

from __future__ import annotations

import numpy as np

from mpscnn.converters.affine import affine
from mpscnn.converters.broadcast import align, constant_along
from mpscnn.converters.layout import Value
from mpscnn.converters.onnx_reader.context import Context, Handler
from mpscnn.converters.onnx_reader.file import Node
from mpscnn.errors import UnsupportedError
from mpscnn.graph.layer_arguments import Activation

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
    both = align(c.arranger, x, _constant_like(c, node, x, ""))
    y = c.network.not_equal(both.first, both.second, name=c.layer_name(node))
    return both.result(y).as_whole_numbers()


def _operands(c: Context, node: Node, names: list[str], *, whole_numbers: bool = False) -> list[Value]:
    """Values of the network; constants become such, as large as the first one that is not constant."""
    model = next(
        (c.value(name, whole_numbers=whole_numbers) for name in names if not c.is_constant(name)), None
    )
    if model is None:
        raise UnsupportedError("of constants alone it is not supported")
    return [
        _constant_like(c, node, model, name)
        if c.is_constant(name)
        else c.value(name, whole_numbers=whole_numbers)
        for name in names
    ]


def _constant_like(c: Context, node: Node, x: Value, name: str) -> Value:
    """A constant that is repeated along x; zeros without a name. It is added to 0 times whether x equals itself."""
    values = c.constants.real(name, "its operand") if name else np.zeros((), np.float32)
    if not np.isfinite(values).all():
        raise UnsupportedError("its operand is a constant that is not finite")
    itself = x.holding(c.network.equal(x.tensor, x.tensor, name=c.layer_name(node, "/itself")))
    if values.ndim > x.rank:
        raise UnsupportedError(f"a constant of shape {values.shape} and {x.shown}, which it would repeat")
    suffix, numbers = constant_along(x, values)
    if not suffix:
        number: Activation = {"kind": "linear", "b": float(numbers[0])}
        return itself.holding(c.neuron(itself.tensor, number, c.layer_name(node, "/constant")))
    tensor, rest, tail = c.arranger.channels_last(itself, suffix)
    y = affine(c.network, tensor, scale=0.0, offset=numbers, name=c.layer_name(node, "/constant"))
    return x.lying(y, rest + tail)


def _comparison(c: Context, node: Node) -> None:
    both = align(c.arranger, *_operands(c, node, node.inputs))
    compare = getattr(c.network, _COMPARISONS[node.kind])
    y = both.result(compare(both.first, both.second, name=c.layer_name(node)))
    c.result(node, y.as_whole_numbers())


def _junction(c: Context, node: Node) -> None:
    both = align(c.arranger, *_operands(c, node, node.inputs, whole_numbers=True))
    join = getattr(c.network, _JUNCTIONS[node.kind])
    c.result(node, both.result(join(both.first, both.second, name=c.layer_name(node))).as_whole_numbers())


def _not(c: Context, node: Node) -> None:
    x = c.value(node.inputs[0], whole_numbers=True)
    y = c.neuron(x.tensor, {"kind": "linear", "a": -1.0, "b": 1.0}, c.layer_name(node))
    c.result(node, x.holding(y))


def _where(c: Context, node: Node) -> None:
    """The first tensor where the condition is not 0, else the second: of two sums one is 0."""
    condition, *choices = _operands(c, node, node.inputs, whole_numbers=True)
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
