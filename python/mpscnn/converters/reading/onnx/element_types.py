"""Find out which type of elements a tensor has, judging by the nodes that compute it."""

from __future__ import annotations

from mpscnn.converters.reading.onnx.context import Context
from mpscnn.converters.reading.onnx.node import Node
from mpscnn.converters.reading.onnx.tensors import element_type, type_number

_WIDEST = "int64"
_BITS = {"bool": 1, **{f"{sign}int{bits}": bits for sign in ("", "u") for bits in (8, 16, 32, 64)}}
# Operators whose first operand does not have the type of the result, and the operand that has it.
_OPERAND_OF_TYPE = {"CastLike": 1, "OneHot": 2, "Where": 1}
_OF_TRUTHS = frozenset(
    {"And", "Equal", "Greater", "GreaterOrEqual", "IsInf", "IsNaN", "Less", "LessOrEqual", "Not", "Or", "Xor"}
)
_OF_POSITIONS = frozenset({"ArgMax", "ArgMin"})
_WITH_POSITIONS = frozenset({"MaxPool", "TopK"})  # the second result has positions


def type_of_elements(c: Context, name: str) -> str:
    """Return ONNX' name of the type of a tensor's elements; that of the widest integers if nothing states it."""
    known, way = c.known.types, []
    while name not in known:
        way.append(name)
        node = c.file.makers.get(name)
        found = _own_type(c, name, node)
        if found:
            known[name] = found
        elif node is not None:
            name = node.inputs[_OPERAND_OF_TYPE.get(node.kind, 0)]
    known.update(dict.fromkeys(way, known[name]))
    return known[name]


def _own_type(c: Context, name: str, node: Node | None) -> str | None:
    """Return the type that a constant, an input or a kind of node has; None: it is that of an operand."""
    constant = c.constants.find(name)
    if constant is not None:
        return element_type(type_number(constant.low.dtype))
    if node is None:
        stated = c.file.stated.get(name)
        return _WIDEST if stated is None else stated.type
    if node.kind in _OF_TRUTHS:
        return "bool"
    if node.kind == "Cast":
        return element_type(node.integer("to"))
    is_last = len(node.inputs) <= _OPERAND_OF_TYPE.get(node.kind, 0)
    has_positions = node.kind in _OF_POSITIONS or (
        node.kind in _WITH_POSITIONS and node.outputs[:1] != [name]
    )
    return _WIDEST if has_positions or is_last else None


def holds_all(target: str, given: str) -> bool:
    """Return True if a type of integers has all numbers of another type."""
    if target not in _BITS or given not in _BITS:
        return False
    if given == "bool" or target == given:
        return True
    if target == "bool":
        return False
    loses_sign = target.startswith("u") and not given.startswith("u")
    needs_sign = given.startswith("u") and not target.startswith("u")
    return not loses_sign and _BITS[target] >= _BITS[given] + needs_sign


def wraps(kind: str, element: str) -> bool:
    """Return True if results of Add, Sub, Max or Min may leave a type of integers within the numbers of float32."""
    if kind in ("Max", "Min"):
        return False
    return _BITS.get(element, 64) < 32 or (kind == "Sub" and element.startswith("u"))
