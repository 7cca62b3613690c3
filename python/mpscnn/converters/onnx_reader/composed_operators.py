"""Replace operators of ONNX that other operators of ONNX compute together, as its specification describes them."""

from __future__ import annotations

from mpscnn.converters.onnx_reader.expansions import Expansion
from mpscnn.converters.rows import Ints, Name, Row


def _thresholded_relu(e: Expansion, x: Name, *, alpha: float = 1.0) -> None:
    """ThresholdedRelu: x where it is above alpha, otherwise 0."""
    e.end("Where", e.op("Greater", x, alpha), x, 0.0)


def _shrink(e: Expansion, x: Name, *, lambd: float = 0.5, bias: float = 0.0) -> None:
    """Shrink: numbers beyond lambd on either side move towards 0 by a bias, and the others become 0."""
    above, below = e.op("Greater", x, lambd), e.op("Less", x, -lambd)
    lowered, raised = e.op("Sub", x, bias), e.op("Add", x, bias)
    e.end("Where", above, lowered, e.op("Where", below, raised, 0.0))


def _mean_variance_norm(e: Expansion, x: Name, *, axes: Ints = (0, 2, 3)) -> None:
    """MeanVarianceNormalization: (x - mean) / (deviation + 1e-9) over axes."""
    centred = e.op("Sub", x, e.op("ReduceMean", x, axes=axes))
    variance = e.op("ReduceMean", e.op("Mul", centred, centred), axes=axes)
    e.end("Div", centred, e.op("Add", e.op("Sqrt", variance), 1e-9))


def _hyperbolic(sign: str) -> Row:
    """Return the row of Sinh or Cosh: the sum or difference of half of both exponentials."""

    def row(e: Expansion, x: Name) -> None:
        powers = [e.op("Exp", x), e.op("Exp", e.op("Neg", x))]
        e.end(sign, *(e.op("Mul", one, 0.5) for one in powers))

    return row


def _area_sine(e: Expansion, x: Name) -> None:
    """Asinh: the sign of x times ln(|x| + sqrt(x^2 + 1))."""
    magnitude = e.op("Abs", x)
    root = e.op("Sqrt", e.op("Add", e.op("Mul", x, x), 1.0))
    e.end("Mul", e.op("Sign", x), e.op("Log", e.op("Add", magnitude, root)))


def _area_cosine(e: Expansion, x: Name) -> None:
    """Acosh: ln(x + sqrt(x^2 - 1))."""
    root = e.op("Sqrt", e.op("Sub", e.op("Mul", x, x), 1.0))
    e.end("Log", e.op("Add", x, root))


def _area_tangent(e: Expansion, x: Name) -> None:
    """Atanh: ln((1 + x) / (1 - x)) / 2."""
    e.end("Mul", e.op("Log", e.op("Div", e.op("Add", 1.0, x), e.op("Sub", 1.0, x))), 0.5)


def _tangent(e: Expansion, x: Name) -> None:
    e.end("Div", e.op("Sin", x), e.op("Cos", x))


def _scatter(e: Expansion, x: Name, indices: Name, updates: Name, *, axis: int = 0) -> None:
    e.end("ScatterElements", x, indices, updates, axis=axis)


COMPOSED: dict[str, Row] = {
    "Acosh": _area_cosine,
    "Asinh": _area_sine,
    "Atanh": _area_tangent,
    "Cosh": _hyperbolic("Add"),
    "MeanVarianceNormalization": _mean_variance_norm,
    "Scatter": _scatter,
    "Shrink": _shrink,
    "Sinh": _hyperbolic("Sub"),
    "Tan": _tangent,
    "ThresholdedRelu": _thresholded_relu,
}
"""The rows of these operators."""
