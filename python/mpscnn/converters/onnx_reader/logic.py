"""Convert comparisons, logical operators and Where. Truth values are 1 and 0 in the network."""

from __future__ import annotations

import math

from mpscnn.converters.onnx_reader.attention_masks import mask_where
from mpscnn.converters.onnx_reader.context import Context, Handler
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.tensor import FileTensor

_COMPARISONS = {
    "Equal": "equal",
    "Greater": "greater",
    "GreaterOrEqual": "greater_equal",
    "Less": "less",
    "LessOrEqual": "less_equal",
}
_JUNCTIONS = {"And": "multiply", "Or": "maximum", "Xor": "not_equal"}


def are_truths(c: Context, name: str) -> bool:
    """Return True if all elements of a tensor are 0 or 1, judging by the nodes that compute it."""
    way = []
    while name not in c.known.truths:
        way.append(name)
        node = c.file.makers.get(name)
        if node is None or node.kind not in ("Cast", "Identity"):
            c.known.truths[name] = node is not None and node.kind in (
                *_COMPARISONS,
                *_JUNCTIONS,
                "IsNaN",
                "Not",
            )
        else:
            name = node.inputs[0]
    c.known.truths |= dict.fromkeys(way, c.known.truths[name])
    return c.known.truths[name]


def _comparison(c: Context, node: Node) -> FileTensor:
    return _compared(c, node.inputs, _COMPARISONS[node.kind])


def _compared(c: Context, names: list[str], method: str) -> FileTensor:
    a, b = c.tensors(names, whole_numbers=True)
    return a.combine(method, b).mark_as_integers()


def _junction(c: Context, node: Node) -> FileTensor:
    a, b = c.tensors(node.inputs, whole_numbers=True)
    return a.combine(_JUNCTIONS[node.kind], b).mark_as_integers()


def _not(c: Context, node: Node) -> FileTensor:
    maker = c.file.makers.get(node.inputs[0])
    if maker is not None and maker.kind == "Equal":
        return _compared(c, maker.inputs, "not_equal")
    return c.x(node, whole_numbers=True).linear(-1.0, 1.0)


def _where(c: Context, node: Node) -> FileTensor:
    """Convert Where to a sum of two masked tensors: at each position one of the two is 0.

    A constant of minus infinity is not masked: it is added where the condition chooses it.
    """
    condition, *both = node.inputs
    choices = [*zip(both, ("mask", "mask_out"), strict=True)]
    infinite = next((method for name, method in choices if _is_number(c, name, -math.inf)), None)
    choices = [one for one in choices if one[1] != infinite]
    # A constant 0 adds nothing to the sum, so it is left out.
    choices = [one for one in choices if not _is_number(c, one[0], 0.0)] or choices[:1]
    rank = c.rank_of(node.inputs, whole_numbers=True)
    mask = c.tensor(condition, rank, whole_numbers=True)
    suffix = "/part" if len(choices) == 2 or infinite else ""
    first, *others = (
        mask.combine(method, c.tensor(name, rank, whole_numbers=True), suffix) for name, method in choices
    )
    if infinite:
        return mask_where(c, node, first, condition, is_true=infinite == "mask")
    return first + others[0] if others else first


def _is_number(c: Context, name: str, number: float) -> bool:
    """Return True if a tensor is a constant with this number as its single element."""
    if not c.is_constant(name):
        return False
    values = c.constants.real_view(name, "its operand")
    return values.size == 1 and bool((values == number).all())


def _is_nan(c: Context, node: Node) -> FileTensor:
    """Compare numbers with themselves: only NaN differs."""
    x = c.x(node, whole_numbers=True).mark_as_floats()
    return x.combine("not_equal", x).mark_as_integers()


LOGIC: dict[str, Handler] = {
    **dict.fromkeys(_COMPARISONS, _comparison),
    **dict.fromkeys(_JUNCTIONS, _junction),
    "IsNaN": _is_nan,
    "Not": _not,
    "Where": _where,
}
