"""Convert TensorFlow Lite's comparisons, logical operators, selections and ONE_HOT. Truth values are 1 and 0."""

from __future__ import annotations

from mpscnn.converters.tflite.operation import Handler, Made, Operation
from mpscnn.errors import UnsupportedError

_TWO = {
    "EQUAL": "equal",
    "GREATER": "greater",
    "GREATER_EQUAL": "greater_equal",
    "LESS": "less",
    "LESS_EQUAL": "less_equal",
    "LOGICAL_AND": "and",
    "LOGICAL_OR": "or",
    "NOT_EQUAL": "not_equal",
}


def _compare(o: Operation) -> Made:
    a, b = o.values()
    return a.combine(_TWO[o.kind], b)


def _select(o: Operation) -> Made:
    """Convert SELECT to a sum of two masked tensors: at each position one of the two is 0."""
    ranks = [len(o.stated(place).shape) for place in range(3)]
    if o.kind == "SELECT" and ranks[0] == 1 < max(ranks):
        raise UnsupportedError("chooses between images of the batch")
    condition, first, second = o.tensors()
    return condition.where(lambda: first, lambda: second, o.fused_activation(None))


def _one_hot(o: Operation) -> Made:
    """Convert ONE_HOT: a new axis with `on` at the index and `off` elsewhere."""
    (depth,) = o.integers(1, "its depth")
    on, off = (float(o.real(place, "its numbers").reshape(())) for place in (2, 3))
    return o.x().one_hot(o.integer(0, default=-1), depth, on, off)


LOGIC: dict[str, Handler] = {
    **dict.fromkeys(_TWO, _compare),
    "LOGICAL_NOT": lambda o: o.x().logical_not(),
    "ONE_HOT": _one_hot,
    "SELECT": _select,
    "SELECT_V2": _select,
}
