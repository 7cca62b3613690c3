"""Optimise an exported module without losing small numbers, such as the epsilon 1e-8 of a division.

onnxscript takes an added number of at most 1e-8 for 0, and a factor that differs from 1 by at most 1e-5 for 1, and
removes the operator. It changes only operators of ONNX's own domain. So operators with such numbers are moved to
another domain while it runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["optimize_exactly"]

_DOMAIN = "mpscnn.exact"
# The number with which an operator changes nothing, and the distance up to which onnxscript takes a number for it.
_NEUTRAL = {"Add": (0.0, 1e-8), "Sub": (0.0, 1e-8), "Mul": (1.0, 1e-5), "Div": (1.0, 1e-5)}
_MARGIN = 2.0
_MOVES = frozenset({"Cast", "CastLike", "Expand", "Identity", "Reshape", "Squeeze", "Unsqueeze"})
_MAX_STEPS = 16


def optimize_exactly(program: Any) -> None:
    """Optimise a `torch.onnx.ONNXProgram` in place. No number is rounded to 0 or 1."""
    for node in _nodes(program.model):
        if node.domain == "" and node.op_type in _NEUTRAL and _is_nearly_neutral(node):
            node.domain = _DOMAIN
    program.optimize()
    for node in _nodes(program.model):
        if node.domain == _DOMAIN:
            node.domain = ""


def _nodes(model: Any) -> Iterator[Any]:
    yield from model.graph
    for function in model.functions.values():
        yield from function


def _is_nearly_neutral(node: Any) -> bool:
    """Return True if an operand is close to the number that changes nothing, but is another number."""
    neutral, distance = _NEUTRAL[node.op_type]
    numbers = (_number(value) for value in node.inputs)
    return any(number is not None and 0.0 < abs(number - neutral) <= _MARGIN * distance for number in numbers)


def _number(value: Any, steps: int = _MAX_STEPS) -> float | None:
    """Return the only element of a constant, which may be computed from others; None for other values."""
    from onnxscript import ir

    tensor = None if value is None else ir.convenience.get_const_tensor(value)
    if tensor is not None:
        return float(tensor.numpy().reshape(-1)[0]) if tensor.size == 1 else None
    maker = None if value is None else value.producer()
    if maker is None or steps == 0:
        return None
    if maker.op_type in _MOVES:
        return _number(maker.inputs[0], steps - 1)
    if maker.op_type == "Mul":
        first, second = (_number(operand, steps // 2) for operand in maker.inputs)
        return None if first is None or second is None else first * second
    return None
