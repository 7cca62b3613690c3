"""Convert elementwise functions, and arithmetic and comparisons of two tensors."""

from __future__ import annotations

from typing import Annotated

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.graph.blocks import cast_to_integers, fold
from mpscnn.converters.reading.graph.builder import FLOAT, Builder
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
        return ops.clip(b, x, 0.0, 6.0)
    if kind == "LeakyRelu":
        return ops.leaky_relu(b, x, alpha=slope)
    if kind == "Elu":
        return ops.elu(b, x)
    if kind not in ("Relu", "Sigmoid", "Tanh"):
        raise UnsupportedError(f"is fused with {kind}, which is not supported")
    return ops.PLAIN[kind.lower()](b, x)


def _one(function: ops.Unary) -> Row:
    def row(b: Builder, x: Name) -> str:
        return function(b, x)

    return row


def _two(function: ops.Binary) -> Row:
    def row(b: Builder, x: Name, y: Name) -> str:
        return function(b, x, y)

    return row


def _activation(kind: str) -> Row:
    def row(b: Builder, x: Name) -> str:
        return activate(b, x, kind, 0.0)

    return row


def _leaky_relu(b: Builder, x: Name, *, alpha: Number = 0.2) -> str:
    return ops.leaky_relu(b, x, alpha=alpha)


@ignores("N", "shape")
def _sum(b: Builder, *x: Name) -> str:
    return fold(b, ops.add, x)


def _selu(b: Builder, x: Name) -> str:
    return ops.selu(b, x, alpha=_SELU_ALPHA, gamma=_SELU_SCALE)


def _prelu(b: Builder, op: Operation, x: Name, slopes: Place) -> str:
    return ops.prelu(b, x, op.weight(slopes, "slopes"))


def _squared_difference(b: Builder, x: Name, y: Name) -> str:
    difference = ops.subtract(b, x, y)
    return ops.multiply(b, difference, difference)


def _square(b: Builder, x: Name) -> str:
    return ops.multiply(b, x, x)


def _logarithm_of_one_more(b: Builder, x: Name) -> str:
    return ops.log1p(b, x)


def _complementary_error(b: Builder, x: Name) -> str:
    return ops.subtract(b, 1.0, ops.erf(b, x))


def _exponential_less_one(b: Builder, x: Name) -> str:
    return ops.expm1(b, x)


def _is_finite(b: Builder, x: Name) -> str:
    """Convert IsFinite: x - x is 0 for finite numbers, and NaN for others."""
    return ops.equal(b, ops.subtract(b, x, x), 0.0)


@ignores("incompatible_shape_error")
def _equal(b: Builder, x: Name, y: Name) -> str:
    return ops.equal(b, x, y)


@ignores("incompatible_shape_error")
def _not_equal(b: Builder, x: Name, y: Name) -> str:
    return ops.logical_not(b, ops.equal(b, x, y))


def _floor_quotient(b: Builder, x: Name, y: Name) -> str:
    if not (b.is_integer(x) or b.is_integer(y)):
        return ops.floor(b, ops.divide(b, x, y))
    if b.constant_of(x) is None or b.constant_of(y) is None:
        raise UnsupportedError("divides integers that the network computes")
    return ops.divide(b, ops.subtract(b, x, ops.modulo(b, x, y)), y)


def _truncated_rest(b: Builder, x: Name, y: Name) -> str:
    """Convert Mod and TruncateMod: the rest of a division, with the sign of the dividend."""
    return ops.modulo(b, x, y, fmod=1)


def _without_nan(b: Builder, x: Name, y: Name) -> str:
    """Convert DivNoNan: x / y, and 0 where y is 0."""
    is_zero = ops.equal(b, y, 0.0)
    return ops.where(b, is_zero, 0.0, ops.divide(b, x, ops.where(b, is_zero, 1.0, y)))


def _where(b: Builder, condition: Name, x: Name, y: Name) -> str:
    return ops.where(b, condition, x, y)


def _select(b: Builder, condition: Name, x: Name, y: Name) -> str:
    if b.rank(condition) == 1 and b.rank(x) > 1:
        raise UnsupportedError("chooses whole images of the batch")
    return _where(b, condition, x, y)


def _clip(
    b: Builder, op: Operation, x: Place, low: Annotated[float, Operand("lower limit")],
    high: Annotated[float, Operand("upper limit")],
) -> str:  # fmt: skip
    """Convert ClipByValue. If the limits are in the wrong order, TensorFlow's results are all the lower limit."""
    return ops.clip(b, op.tensor(x), low, max(low, high))


@ignores("Truncate")
def _cast(b: Builder, op: Operation, x: Name) -> str:
    """Convert Cast. Casts between float types do nothing, because the network's precision is used for all of them."""
    wanted = op.type("DstT")
    if wanted == TEXT:
        raise UnsupportedError("makes texts")
    if wanted == _BOOL:
        return x if b.is_boolean(x) else ops.logical_not(b, ops.equal(b, x, 0.0))
    if wanted in FLOATS:
        return ops.cast(b, x, to=FLOAT) if b.is_boolean(x) or b.is_integer(x) else x
    return cast_to_integers(b, x, _INTEGERS.get(wanted, "int64"))


_PLAIN = (
    *ops.ANGLES, "abs", "ceil", "erf", "exp", "floor", "log", "neg", "reciprocal", "round", "sign",
    "softplus", "softsign", "sqrt",
)  # fmt: skip

ROWS: dict[str, Row] = {
    **{kind: _activation(kind) for kind in ("Relu", "Relu6", "Elu", "Sigmoid", "Tanh")},
    **{name.capitalize(): _one(ops.PLAIN[name]) for name in _PLAIN},
    "AccumulateNV2": _sum,
    "Add": _two(ops.add),
    "AddN": _sum,
    "AddV2": _two(ops.add),
    "Cast": _cast,
    "ClipByValue": _clip,
    "Div": _two(ops.divide),
    "DivNoNan": _without_nan,
    "Equal": _equal,
    "Erfc": _complementary_error,
    "Expm1": _exponential_less_one,
    "FloorDiv": _floor_quotient,
    "FloorMod": _two(ops.modulo),
    "Greater": _two(ops.greater),
    "GreaterEqual": _two(ops.greater_or_equal),
    "Inv": _one(ops.reciprocal),
    "IsFinite": _is_finite,
    "IsNan": _one(ops.is_nan),
    "LeakyRelu": _leaky_relu,
    "Less": _two(ops.less),
    "LessEqual": _two(ops.less_or_equal),
    "Log1p": _logarithm_of_one_more,
    "LogicalAnd": _two(ops.logical_and),
    "LogicalNot": _one(ops.logical_not),
    "LogicalOr": _two(ops.logical_or),
    "LogicalXor": _two(ops.logical_xor),
    "Maximum": _two(ops.maximum),
    "Minimum": _two(ops.minimum),
    "Mod": _truncated_rest,
    "Mul": _two(ops.multiply),
    "NotEqual": _not_equal,
    "Pow": _two(ops.power),
    "Prelu": _prelu,
    "RealDiv": _two(ops.divide),
    "Rint": _one(ops.round_to_even),
    "Rsqrt": _one(ops.inverse_root),
    "Select": _select,
    "SelectV2": _where,
    "Selu": _selu,
    "Square": _square,
    "SquaredDifference": _squared_difference,
    "Sub": _two(ops.subtract),
    "TruncateMod": _truncated_rest,
}
