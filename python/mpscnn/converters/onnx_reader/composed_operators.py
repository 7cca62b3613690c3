"""Replace operators of ONNX that other operators of ONNX compute together, as its specification describes them."""

from __future__ import annotations

from mpscnn.converters.onnx_reader.expansions import Expansion, Row


def _thresholded_relu(e: Expansion) -> None:
    """ThresholdedRelu: x where it is above alpha, otherwise 0."""
    x, zero = e.input(0), e.constant(0.0)
    above = e.add("Greater", [x, e.constant(e.node.number("alpha", 1.0))])
    e.end("Where", [above, x, zero])


def _shrink(e: Expansion) -> None:
    """Shrink: numbers beyond lambd on either side move towards 0 by a bias, and the others become 0."""
    x, zero = e.input(0), e.constant(0.0)
    limit, bias = e.node.number("lambd", 0.5), e.node.number("bias", 0.0)
    above, below = e.add("Greater", [x, e.constant(limit)]), e.add("Less", [x, e.constant(-limit)])
    lowered, raised = e.add("Sub", [x, e.constant(bias)]), e.add("Add", [x, e.constant(bias)])
    e.end("Where", [above, lowered, e.add("Where", [below, raised, zero])])


def _mean_variance_norm(e: Expansion) -> None:
    """MeanVarianceNormalization: (x - mean) / (deviation + 1e-9) over axes."""
    axes = {"axes": e.node.integers("axes", [0, 2, 3])}
    centred = e.add("Sub", [e.input(0), e.add("ReduceMean", [e.input(0)], axes)])
    variance = e.add("ReduceMean", [e.add("Mul", [centred, centred])], axes)
    e.end("Div", [centred, e.add("Add", [e.add("Sqrt", [variance]), e.constant(1e-9)])])


def _tangent(e: Expansion) -> None:
    e.end("Div", [e.add("Sin", [e.input(0)]), e.add("Cos", [e.input(0)])])


def _hyperbolic(sign: str) -> Row:
    """Return the row of Sinh or Cosh: the sum or difference of half of both exponentials."""

    def write(e: Expansion) -> None:
        powers = [e.add("Exp", [e.input(0)]), e.add("Exp", [e.add("Neg", [e.input(0)])])]
        e.end(sign, [e.add("Mul", [one, e.constant(0.5)]) for one in powers])

    return write


def _area_sine(e: Expansion) -> None:
    """Asinh: the sign of x times ln(|x| + sqrt(x^2 + 1))."""
    x = e.input(0)
    magnitude = e.add("Abs", [x])
    root = e.add("Sqrt", [e.add("Add", [e.add("Mul", [x, x]), e.constant(1.0)])])
    e.end("Mul", [e.add("Sign", [x]), e.add("Log", [e.add("Add", [magnitude, root])])])


def _area_cosine(e: Expansion) -> None:
    """Acosh: ln(x + sqrt(x^2 - 1))."""
    x = e.input(0)
    root = e.add("Sqrt", [e.add("Sub", [e.add("Mul", [x, x]), e.constant(1.0)])])
    e.end("Log", [e.add("Add", [x, root])])


def _area_tangent(e: Expansion) -> None:
    """Atanh: ln((1 + x) / (1 - x)) / 2."""
    x, one = e.input(0), e.constant(1.0)
    quotient = e.add("Div", [e.add("Add", [one, x]), e.add("Sub", [one, x])])
    e.end("Mul", [e.add("Log", [quotient]), e.constant(0.5)])


COMPOSED: dict[str, Row] = {
    "Acosh": _area_cosine,
    "Asinh": _area_sine,
    "Atanh": _area_tangent,
    "Cosh": _hyperbolic("Add"),
    "MeanVarianceNormalization": _mean_variance_norm,
    "Scatter": lambda e: e.end("ScatterElements", e.node.inputs, e.kept("axis")),
    "Shrink": _shrink,
    "Sinh": _hyperbolic("Sub"),
    "Tan": _tangent,
    "ThresholdedRelu": _thresholded_relu,
}
"""The rows of these operators."""
