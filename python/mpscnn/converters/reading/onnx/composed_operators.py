"""Replace operators of ONNX that other operators of ONNX compute together, as its specification describes them."""

from __future__ import annotations

from collections.abc import Callable

from mpscnn.converters.reading.onnx.expansions import Expansion
from mpscnn.converters.reading.onnx.near_zero import Last, acosh, asinh, atanh, cosh, sinh
from mpscnn.converters.values.rows import Ints, Name, Row


def _thresholded_relu(e: Expansion, x: Name, *, alpha: float = 1.0) -> None:
    """ThresholdedRelu: x where it is above alpha, otherwise 0."""
    e.end("Where", e.op("Greater", x, alpha), x, 0.0)


def _shrink(e: Expansion, x: Name, *, lambd: float = 0.5, bias: float = 0.0) -> None:
    """Shrink: numbers beyond lambd on either side move towards 0 by a bias, and the others become 0.

    With a negative lambd a number may be beyond it on both sides. It then counts as below, as in onnxruntime.
    """
    above, below = e.op("Greater", x, lambd), e.op("Less", x, -lambd)
    lowered, raised = e.op("Sub", x, bias), e.op("Add", x, bias)
    e.end("Where", below, raised, e.op("Where", above, lowered, 0.0))


def _mean_variance_norm(e: Expansion, x: Name, *, axes: Ints = (0, 2, 3)) -> None:
    """MeanVarianceNormalization: (x - mean) / (deviation + 1e-9) over axes."""
    centred = e.op("Sub", x, e.op("ReduceMean", x, axes=axes))
    variance = e.op("ReduceMean", e.op("Mul", centred, centred), axes=axes)
    e.end("Div", centred, e.op("Add", e.op("Sqrt", variance), 1e-9))


def _composed(function: Callable[[Expansion, str], Last]) -> Row:
    """Return the row of a function of one operand."""

    def row(e: Expansion, x: Name) -> None:
        e.end(*function(e, x))

    return row


def _tangent(e: Expansion, x: Name) -> None:
    e.end("Div", e.op("Sin", x), e.op("Cos", x))


def _gated_swish(e: Expansion, gate: Name, value: Name, *, alpha: float = 1.0) -> None:
    """SwiGLU: a value times the Swish of its gate."""
    e.end("Mul", e.op("Swish", gate, alpha=alpha), value)


def _scatter(e: Expansion, x: Name, indices: Name, updates: Name, *, axis: int = 0) -> None:
    e.end("ScatterElements", x, indices, updates, axis=axis)


COMPOSED: dict[str, Row] = {
    "Acosh": _composed(acosh),
    "Asinh": _composed(asinh),
    "Atanh": _composed(atanh),
    "Cosh": _composed(cosh),
    "MeanVarianceNormalization": _mean_variance_norm,
    "Scatter": _scatter,
    "Shrink": _shrink,
    "Sinh": _composed(sinh),
    "SwiGLU": _gated_swish,
    "Tan": _tangent,
    "ThresholdedRelu": _thresholded_relu,
}
"""The rows of these operators."""
