"""Replace operators of ONNX that other operators of ONNX compute together, as its specification describes them."""

from __future__ import annotations

from mpscnn.converters.onnx_reader.expansions import Expansion, Row


def _thresholded_relu(e: Expansion) -> None:
    """ThresholdedRelu: x where it is above alpha, otherwise 0."""
    x = e.input(0)
    e.end("Where", e.op("Greater", x, e.node.number("alpha", 1.0)), x, 0.0)


def _shrink(e: Expansion) -> None:
    """Shrink: numbers beyond lambd on either side move towards 0 by a bias, and the others become 0."""
    x = e.input(0)
    limit, bias = e.node.number("lambd", 0.5), e.node.number("bias", 0.0)
    above, below = e.op("Greater", x, limit), e.op("Less", x, -limit)
    lowered, raised = e.op("Sub", x, bias), e.op("Add", x, bias)
    e.end("Where", above, lowered, e.op("Where", below, raised, 0.0))


def _mean_variance_norm(e: Expansion) -> None:
    """MeanVarianceNormalization: (x - mean) / (deviation + 1e-9) over axes."""
    axes = {"axes": e.node.integers("axes", [0, 2, 3])}
    centred = e.op("Sub", e.input(0), e.op("ReduceMean", e.input(0), **axes))
    variance = e.op("ReduceMean", e.op("Mul", centred, centred), **axes)
    e.end("Div", centred, e.op("Add", e.op("Sqrt", variance), 1e-9))


def _hyperbolic(sign: str) -> Row:
    """Return the row of Sinh or Cosh: the sum or difference of half of both exponentials."""

    def write(e: Expansion) -> None:
        powers = [e.op("Exp", e.input(0)), e.op("Exp", e.op("Neg", e.input(0)))]
        e.end(sign, *(e.op("Mul", one, 0.5) for one in powers))

    return write


def _area_sine(e: Expansion) -> None:
    """Asinh: the sign of x times ln(|x| + sqrt(x^2 + 1))."""
    x = e.input(0)
    magnitude = e.op("Abs", x)
    root = e.op("Sqrt", e.op("Add", e.op("Mul", x, x), 1.0))
    e.end("Mul", e.op("Sign", x), e.op("Log", e.op("Add", magnitude, root)))


def _area_cosine(e: Expansion) -> None:
    """Acosh: ln(x + sqrt(x^2 - 1))."""
    x = e.input(0)
    root = e.op("Sqrt", e.op("Sub", e.op("Mul", x, x), 1.0))
    e.end("Log", e.op("Add", x, root))


def _area_tangent(e: Expansion) -> None:
    """Atanh: ln((1 + x) / (1 - x)) / 2."""
    x = e.input(0)
    e.end("Mul", e.op("Log", e.op("Div", e.op("Add", 1.0, x), e.op("Sub", 1.0, x))), 0.5)


COMPOSED: dict[str, Row] = {
    "Acosh": _area_cosine,
    "Asinh": _area_sine,
    "Atanh": _area_tangent,
    "Cosh": _hyperbolic("Add"),
    "MeanVarianceNormalization": _mean_variance_norm,
    "Scatter": lambda e: e.end("ScatterElements", *e.node.inputs, **e.kept("axis")),
    "Shrink": _shrink,
    "Sinh": _hyperbolic("Sub"),
    "Tan": lambda e: e.end("Div", e.op("Sin", e.input(0)), e.op("Cos", e.input(0))),
    "ThresholdedRelu": _thresholded_relu,
}
"""The rows of these operators."""
