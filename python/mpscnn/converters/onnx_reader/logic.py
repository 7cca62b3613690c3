"""Comparisons, choices, and what they give: 1 where something holds, else 0."""

from __future__ import annotations

from mpscnn.converters.broadcast import align
from mpscnn.converters.layout import Value
from mpscnn.converters.onnx_reader.context import Context, Handler
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.special_values import one_number
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
    zero = one_number(c.network, 0.0, x.tensor, c.layer_name(node, "/zero"))
    return x.holding(c.network.not_equal(x.tensor, zero, name=c.layer_name(node))).as_whole_numbers()


def are_truths(c: Context, name: str) -> bool:
    """Return True if a tensor has no other numbers than 0 and 1, as far as the nodes that make it say."""
    way = []
    while name not in c.truths:
        way.append(name)
        node = c.file.makers.get(name)
        if node is None or node.kind not in ("Cast", "Identity"):
            c.truths[name] = node is not None and node.kind in (*_COMPARISONS, *_JUNCTIONS, "Not")
        else:
            name = node.inputs[0]
    c.truths |= dict.fromkeys(way, c.truths[name])
    return c.truths[name]


def _rank(c: Context, names: list[str], *, whole_numbers: bool) -> int:
    """Return the number of axes for constants: that of the first computed operand."""
    for name in names:
        if not c.is_constant(name):
            return c.value(name, whole_numbers=whole_numbers).rank
    raise UnsupportedError("of constants alone it is not supported")


def _operand(c: Context, name: str, rank: int, *, whole_numbers: bool) -> Value:
    """Return a value of the network, or a constant."""
    return c.constant(name, rank) if c.is_constant(name) else c.value(name, whole_numbers=whole_numbers)


def _operands(c: Context, names: list[str], *, whole_numbers: bool = False) -> list[Value]:
    rank = _rank(c, names, whole_numbers=whole_numbers)
    return [_operand(c, name, rank, whole_numbers=whole_numbers) for name in names]


def _comparison(c: Context, node: Node) -> None:
    if not _is_negated(c, node):
        _compare(c, node, node.inputs, _COMPARISONS[node.kind])


def _compare(c: Context, node: Node, operands: list[str], method: str) -> None:
    both = align(c.arranger, *_operands(c, operands))
    y = both.result(getattr(c.network, method)(both.first, both.second, name=c.layer_name(node)))
    c.result(node, y.as_whole_numbers())


def _is_negated(c: Context, node: Node) -> bool:
    """Return True if only Not reads that two tensors are equal: they are compared there."""
    (result,) = node.outputs
    users = c.file.users.get(result, [])
    return (
        node.kind == "Equal"
        and bool(users)
        and result not in c.results
        and all(user.kind == "Not" for user in users)
    )


def _junction(c: Context, node: Node) -> None:
    both = align(c.arranger, *_operands(c, node.inputs, whole_numbers=True))
    join = getattr(c.network, _JUNCTIONS[node.kind])
    c.result(node, both.result(join(both.first, both.second, name=c.layer_name(node))).as_whole_numbers())


def _not(c: Context, node: Node) -> None:
    maker = c.file.makers.get(node.inputs[0])
    if maker is not None and maker.kind == "Equal" and _is_negated(c, maker):
        _compare(c, node, maker.inputs, "not_equal")
        return
    x = c.value(node.inputs[0], whole_numbers=True)
    y = c.neuron(x.tensor, {"kind": "linear", "a": -1.0, "b": 1.0}, c.layer_name(node))
    c.result(node, x.holding(y))


def _where(c: Context, node: Node) -> None:
    """The first tensor where the condition is not 0, else the second: of two sums one is 0."""
    choices = [(node.inputs[1], c.network.mask), (node.inputs[2], c.network.mask_out)]
    # Zeros add nothing to the sum.
    choices = [one for one in choices if not _is_zero(c, one[0])] or choices[:1]
    rank = _rank(c, node.inputs, whole_numbers=True)
    condition = _operand(c, node.inputs[0], rank, whole_numbers=True)
    parts = []
    for name, choose in choices:
        both = align(c.arranger, condition, _operand(c, name, rank, whole_numbers=True))
        layer = c.layer_name(node, "/part" if len(choices) == 2 else "")
        parts.append(both.result(choose(both.first, both.second, name=layer)))
    if len(parts) == 1:
        c.result(node, parts[0])
        return
    both = align(c.arranger, *parts)
    c.result(node, both.result(c.network.add(both.first, both.second, name=c.layer_name(node))))


def _is_zero(c: Context, name: str) -> bool:
    """Return True if it is one number, 0."""
    if not c.is_constant(name):
        return False
    values = c.constants.real(name, "its operand")
    return values.size == 1 and not values.any()


LOGIC: dict[str, Handler] = {
    **dict.fromkeys(_COMPARISONS, _comparison),
    **dict.fromkeys(_JUNCTIONS, _junction),
    "Not": _not,
    "Where": _where,
}
