"""Convert elementwise functions, and arithmetic and comparisons of two tensors."""

from __future__ import annotations

from typing import Annotated

from mpscnn.converters.reading.onnx.near_zero import expm1, log1p
from mpscnn.converters.reading.onnx_graph.blocks import ANGLES, cast_to_integers, fold
from mpscnn.converters.reading.onnx_graph.builder import FLOAT, Builder
from mpscnn.converters.reading.tensorflow.operation import Number, Operation, Place
from mpscnn.converters.reading.tensorflow.values import FLOATS, TEXT
from mpscnn.converters.values.rows import Name, Operand, Row, ignores
from mpscnn.errors import UnsupportedError

_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805
_BOOL = 10
# NumPy's names of TensorFlow's integer types with 8 or 16 bits, by their numbers.
_INTEGERS = {4: "uint8", 5: "int16", 6: "int8", 17: "uint16"}


def activate(b: Builder, x: str, kind: str, slope: float) -> str:
    """Apply an activation, given by the name of its operator."""
    if kind == "Relu6":
        return b.op("Clip", x, 0.0, 6.0)
    if kind == "LeakyRelu":
        return b.op("LeakyRelu", x, alpha=slope)
    if kind not in ("Relu", "Elu", "Sigmoid", "Tanh"):
        raise UnsupportedError(f"is fused with {kind}, which is not supported")
    return b.op(kind, x)


def _one(kind: str) -> Row:
    def row(b: Builder, x: Name) -> str:
        return b.op(kind, x)

    return row


def _two(kind: str) -> Row:
    def row(b: Builder, x: Name, y: Name) -> str:
        return b.op(kind, x, y)

    return row


def _activation(kind: str) -> Row:
    def row(b: Builder, x: Name) -> str:
        return activate(b, x, kind, 0.0)

    return row


def _leaky_relu(b: Builder, x: Name, *, alpha: Number = 0.2) -> str:
    return b.op("LeakyRelu", x, alpha=alpha)


@ignores("N", "shape")
def _sum(b: Builder, *x: Name) -> str:
    return fold(b, "Add", x)


def _selu(b: Builder, x: Name) -> str:
    return b.op("Selu", x, alpha=_SELU_ALPHA, gamma=_SELU_SCALE)


def _prelu(b: Builder, op: Operation, x: Name, slopes: Place) -> str:
    return b.op("PRelu", x, op.weight(slopes, "slopes"))


def _squared_difference(b: Builder, x: Name, y: Name) -> str:
    difference = b.op("Sub", x, y)
    return b.op("Mul", difference, difference)


def _square(b: Builder, x: Name) -> str:
    return b.op("Mul", x, x)


def _inverse_root(b: Builder, x: Name) -> str:
    return b.op("Reciprocal", b.op("Sqrt", x))


def _logarithm_of_one_more(b: Builder, x: Name) -> str:
    return b.op(*log1p(b, x))


def _complementary_error(b: Builder, x: Name) -> str:
    return b.op("Sub", 1.0, b.op("Erf", x))


def _exponential_less_one(b: Builder, x: Name) -> str:
    return b.op(*expm1(b, x))


def _is_finite(b: Builder, x: Name) -> str:
    """Convert IsFinite: x - x is 0 for finite numbers, and NaN for others."""
    return b.op("Equal", b.op("Sub", x, x), 0.0)


@ignores("incompatible_shape_error")
def _equal(b: Builder, x: Name, y: Name) -> str:
    return b.op("Equal", x, y)


@ignores("incompatible_shape_error")
def _not_equal(b: Builder, x: Name, y: Name) -> str:
    return b.op("Not", b.op("Equal", x, y))


def _floor_quotient(b: Builder, x: Name, y: Name) -> str:
    if not (b.is_integer(x) or b.is_integer(y)):
        return b.op("Floor", b.op("Div", x, y))
    if b.constant_of(x) is None or b.constant_of(y) is None:
        raise UnsupportedError("divides integers that the network computes")
    return b.op("Div", b.op("Sub", x, b.op("Mod", x, y)), y)


def _truncated_rest(b: Builder, x: Name, y: Name) -> str:
    """Convert Mod and TruncateMod: the rest of a division, with the sign of the dividend."""
    return b.op("Mod", x, y, fmod=1)


def _without_nan(b: Builder, x: Name, y: Name) -> str:
    """Convert DivNoNan: x / y, and 0 where y is 0."""
    is_zero = b.op("Equal", y, 0.0)
    return b.op("Where", is_zero, 0.0, b.op("Div", x, b.op("Where", is_zero, 1.0, y)))


def _where(b: Builder, condition: Name, x: Name, y: Name) -> str:
    return b.op("Where", condition, x, y)


def _select(b: Builder, condition: Name, x: Name, y: Name) -> str:
    if b.rank(condition) == 1 and b.rank(x) > 1:
        raise UnsupportedError("chooses whole images of the batch")
    return _where(b, condition, x, y)


def _clip(
    b: Builder, op: Operation, x: Place, low: Annotated[float, Operand("lower limit")],
    high: Annotated[float, Operand("upper limit")],
) -> str:  # fmt: skip
    """Convert ClipByValue. If the limits are in the wrong order, TensorFlow's results are all the lower limit."""
    return b.op("Clip", op.tensor(x), low, max(low, high))


@ignores("Truncate")
def _cast(b: Builder, op: Operation, x: Name) -> str:
    """Convert Cast. Casts between float types do nothing, because the network's precision is used for all of them."""
    wanted = op.type("DstT")
    if wanted == TEXT:
        raise UnsupportedError("makes texts")
    if wanted == _BOOL:
        return x if b.is_boolean(x) else b.op("Not", b.op("Equal", x, 0.0))
    if wanted in FLOATS:
        return b.op("Cast", x, to=FLOAT) if b.is_boolean(x) or b.is_integer(x) else x
    return cast_to_integers(b, x, _INTEGERS.get(wanted, "int64"))


_ONE = (
    *ANGLES, "Abs", "Ceil", "Erf", "Exp", "Floor", "Log", "Neg", "Reciprocal", "Round", "Sign", "Softplus", "Softsign",
    "Sqrt",
)  # fmt: skip
_TWO = {
    **{kind: kind for kind in ("Add", "Sub", "Mul", "Div", "Pow", "Greater", "Less")},
    "AddV2": "Add", "RealDiv": "Div", "Maximum": "Max", "Minimum": "Min", "FloorMod": "Mod",
    "GreaterEqual": "GreaterOrEqual", "LessEqual": "LessOrEqual", "LogicalAnd": "And", "LogicalOr": "Or",
    "LogicalXor": "Xor",
}  # fmt: skip

ROWS: dict[str, Row] = {
    **{kind: _activation(kind) for kind in ("Relu", "Relu6", "Elu", "Sigmoid", "Tanh")},
    **{kind: _one(kind) for kind in _ONE},
    **{ours: _two(theirs) for ours, theirs in _TWO.items()},
    "AccumulateNV2": _sum,
    "AddN": _sum,
    "Cast": _cast,
    "ClipByValue": _clip,
    "DivNoNan": _without_nan,
    "Equal": _equal,
    "Erfc": _complementary_error,
    "Expm1": _exponential_less_one,
    "FloorDiv": _floor_quotient,
    "Inv": _one("Reciprocal"),
    "IsFinite": _is_finite,
    "IsNan": _one("IsNaN"),
    "LeakyRelu": _leaky_relu,
    "Log1p": _logarithm_of_one_more,
    "LogicalNot": _one("Not"),
    "Mod": _truncated_rest,
    "NotEqual": _not_equal,
    "Prelu": _prelu,
    "Rint": _one("Round"),
    "Rsqrt": _inverse_root,
    "Select": _select,
    "SelectV2": _where,
    "Selu": _selu,
    "Square": _square,
    "SquaredDifference": _squared_difference,
    "TruncateMod": _truncated_rest,
}
