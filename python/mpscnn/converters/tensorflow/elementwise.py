"""Convert elementwise functions, and arithmetic and comparisons of two tensors."""

from __future__ import annotations

from mpscnn.converters.onnx_graph.blocks import ANGLES, cast_to_integers, fold
from mpscnn.converters.onnx_graph.builder import FLOAT, Builder
from mpscnn.converters.onnx_reader.near_zero import expm1, log1p
from mpscnn.converters.tensorflow.operation import Handler, Operation
from mpscnn.converters.tensorflow.values import FLOATS, TEXT
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


def _one(kind: str) -> Handler:
    return lambda b, op: b.op(kind, op.tensor())


def _two(kind: str) -> Handler:
    return lambda b, op: b.op(kind, op.tensor(0), op.tensor(1))


def _activation(b: Builder, op: Operation) -> str:
    return activate(b, op.tensor(), op.kind, op.real("alpha", 0.2))


def _sum(b: Builder, op: Operation) -> str:
    return fold(b, "Add", op.tensors())


def _squared_difference(b: Builder, op: Operation) -> str:
    difference = b.op("Sub", op.tensor(0), op.tensor(1))
    return b.op("Mul", difference, difference)


def _square(b: Builder, op: Operation) -> str:
    x = op.tensor()
    return b.op("Mul", x, x)


def _is_finite(b: Builder, op: Operation) -> str:
    """Convert IsFinite: x - x is 0 for finite numbers, and NaN for others."""
    x = op.tensor()
    return b.op("Equal", b.op("Sub", x, x), 0.0)


def _floor_quotient(b: Builder, op: Operation) -> str:
    x, y = op.tensor(0), op.tensor(1)
    if not (b.is_integer(x) or b.is_integer(y)):
        return b.op("Floor", b.op("Div", x, y))
    if b.constant_of(x) is None or b.constant_of(y) is None:
        raise UnsupportedError("divides integers that the network computes")
    return b.op("Div", b.op("Sub", x, b.op("Mod", x, y)), y)


def _truncated_rest(b: Builder, op: Operation) -> str:
    """Convert Mod and TruncateMod: the rest of a division, with the sign of the dividend."""
    return b.op("Mod", op.tensor(0), op.tensor(1), fmod=1)


def _without_nan(b: Builder, op: Operation) -> str:
    """Convert DivNoNan: x / y, and 0 where y is 0."""
    x, y = op.tensor(0), op.tensor(1)
    is_zero = b.op("Equal", y, 0.0)
    return b.op("Where", is_zero, 0.0, b.op("Div", x, b.op("Where", is_zero, 1.0, y)))


def _where(b: Builder, op: Operation) -> str:
    condition, x, y = op.tensors(0, 3)
    rank, wanted = b.rank(condition), b.rank(x)
    if op.kind == "Select" and rank == 1 and wanted > 1:
        raise UnsupportedError("chooses whole images of the batch")
    return b.op("Where", condition, x, y)


def _clip(b: Builder, op: Operation) -> str:
    """Convert ClipByValue. If the limits are in the wrong order, TensorFlow's results are all the lower limit."""
    low, high = op.number(1, "lower limit"), op.number(2, "upper limit")
    return b.op("Clip", op.tensor(), low, max(low, high))


def _cast(b: Builder, op: Operation) -> str:
    """Convert Cast. Casts between float types do nothing, because the network's precision is used for all of them."""
    x, wanted = op.tensor(), op.type("DstT")
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
    **{kind: kind for kind in ("Add", "Sub", "Mul", "Div", "Pow", "Equal", "Greater", "Less")},
    "AddV2": "Add", "RealDiv": "Div", "Maximum": "Max", "Minimum": "Min", "FloorMod": "Mod",
    "GreaterEqual": "GreaterOrEqual", "LessEqual": "LessOrEqual", "LogicalAnd": "And", "LogicalOr": "Or",
    "LogicalXor": "Xor",
}  # fmt: skip

HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(("Relu", "Relu6", "LeakyRelu", "Elu", "Sigmoid", "Tanh"), _activation),
    **{kind: _one(kind) for kind in _ONE},
    "Inv": _one("Reciprocal"),
    "IsNan": _one("IsNaN"),
    "LogicalNot": _one("Not"),
    "Rint": _one("Round"),
    **{ours: _two(theirs) for ours, theirs in _TWO.items()},
    "AddN": _sum,
    "AccumulateNV2": _sum,
    "Selu": lambda b, op: b.op("Selu", op.tensor(), alpha=_SELU_ALPHA, gamma=_SELU_SCALE),
    "Prelu": lambda b, op: b.op("PRelu", op.tensor(), op.weight(1, "slopes")),
    "SquaredDifference": _squared_difference,
    "Square": _square,
    "Rsqrt": lambda b, op: b.op("Reciprocal", b.op("Sqrt", op.tensor())),
    "Log1p": lambda b, op: b.op(*log1p(b, op.tensor())),
    "Erfc": lambda b, op: b.op("Sub", 1.0, b.op("Erf", op.tensor())),
    "Expm1": lambda b, op: b.op(*expm1(b, op.tensor())),
    "DivNoNan": _without_nan,
    "FloorDiv": _floor_quotient,
    "Mod": _truncated_rest,
    "TruncateMod": _truncated_rest,
    "IsFinite": _is_finite,
    "NotEqual": lambda b, op: b.op("Not", b.op("Equal", op.tensor(0), op.tensor(1))),
    "Select": _where,
    "SelectV2": _where,
    "ClipByValue": _clip,
    "Cast": _cast,
}
