"""Replace operators on integers by those of ONNX between DequantizeLinear and QuantizeLinear.

The pairs are converted as those of other quantized files: precision "int8" computes in the integers.
Products of integers without scales (MatMulInteger, ConvInteger) are exact products of floats.
"""

from __future__ import annotations

from collections.abc import Sequence, Set

import numpy as np

from mpscnn.converters.layer_names import LayerNames
from mpscnn.converters.onnx_reader.expansions import (
    ALIGNED,
    CHANNELS_FIRST,
    CHANNELS_LAST,
    JOINT_SOFTMAX,
    ROWS_FROM_FRONT,
    TRANSPOSED,
    Expansion,
    Row,
)
from mpscnn.converters.onnx_reader.node import Node

_FLOAT = 1  # the number of float32 in ONNX
_WINDOW = (
    "auto_pad",
    "count_include_pad",
    "dilations",
    "group",
    "kernel_shape",
    "pads",
    "strides",
    "ceil_mode",
)
EXACT = "mpscnn.Exact"
"""An operator that ONNX lacks: it keeps sums of products of integers in float32, because float16 cannot hold them."""


def _real(e: Expansion, first: int, axis: int | None = None) -> str:
    """Return the numbers of three operands: integers, scale and zero point."""
    attributes = {} if axis is None else {"axis": axis}
    given = [e.input(first), e.input(first + 1), e.node.input(first + 2)]
    return e.op("DequantizeLinear", *given, **attributes)


def _end(e: Expansion, y: str, scale: int) -> None:
    """Write the quantization of a result. The scale and zero point are operands."""
    e.end("QuantizeLinear", y, e.input(scale), e.node.input(scale + 1))


def _conv(e: Expansion) -> None:
    """QLinearConv. The integers of its bias have the product of both scales as their scale."""
    last = e.node.flag("channels_last", default=False)
    x, weight, bias = _real(e, 0), _real(e, 3, axis=0), None
    if e.node.input(8) is not None:
        scale = e.op("Mul", e.input(1), e.input(4))
        bias = e.op("DequantizeLinear", e.input(8), scale, axis=0)
    y = e.op("Conv", _first(e, x, last), weight, bias, **e.kept(*_WINDOW))
    _end(e, e.op(CHANNELS_LAST, y) if last else y, 6)


def _first(e: Expansion, x: str, last: bool) -> str:
    return e.op(CHANNELS_FIRST, x) if last else x


def _gemm(e: Expansion) -> None:
    """QGemm. Without a scale its result is floats."""
    alpha, transposed = e.node.number("alpha", 1.0), e.node.flag("transB", default=False)
    a, b, c = _real(e, 0), _real(e, 3, axis=0 if transposed else 1), None
    if e.node.input(6) is not None:
        scale = e.op("Mul", e.op("Mul", e.input(1), e.input(4)), alpha)
        c = e.op("Mul", e.op("Cast", e.input(6), to=_FLOAT), scale)
    attributes = e.kept("transA", "transB", alpha=alpha)
    if e.node.input(7) is None:
        e.end("Gemm", a, b, c, **attributes)
    else:
        _end(e, e.op("Gemm", a, b, c, **attributes), 7)


def _of_two(kind: str) -> Row:
    return lambda e: _end(e, e.op(kind, _real(e, 0), _real(e, 3)), 6)


def _of_one(kind: str, *names: str) -> Row:
    """Return the row of a function of one tensor, with some of its attributes."""

    def write(e: Expansion) -> None:
        last = e.node.flag("channels_last", default=False)
        y = e.op(kind, _first(e, _real(e, 0), last), **e.kept(*names))
        _end(e, e.op(CHANNELS_LAST, y) if last else y, 3)

    return write


def _softmax(e: Expansion) -> None:
    """QLinearSoftmax. It has the axes of ONNX' softmax of the opset that it states."""
    is_joint = e.node.integer("opset", 13) < 13
    _end(e, e.op(JOINT_SOFTMAX if is_joint else "Softmax", _real(e, 0), axis=e.node.integer("axis", -1)), 3)


def _concat(e: Expansion) -> None:
    parts = [_real(e, first) for first in range(2, len(e.node.inputs), 3)]
    _end(e, e.op("Concat", *parts, axis=e.node.integer("axis")), 0)


# ---- Products of integers ------------------------------------------------------------------------------------------


def _difference(e: Expansion, place: int, zero: int, axis: int) -> str:
    """Return an operand minus its zero point, as floats. Several zero points belong to an axis."""
    x = e.op("Cast", e.input(place), to=_FLOAT)
    if e.node.input(zero) is None:
        return x
    offset = e.op("Cast", e.input(zero), to=_FLOAT)
    return e.op("Sub", x, e.op(ALIGNED, offset, x, axis=axis))


def _matmul_integer(e: Expansion) -> None:
    y = e.op("MatMul", _difference(e, 0, 2, -2), _difference(e, 1, 3, -1))
    e.end(EXACT, y, e.input(0), e.input(1))


def _conv_integer(e: Expansion) -> None:
    weight = _difference(e, 1, 3, 0)
    y = e.op("Conv", _difference(e, 0, 2, 1), weight, **e.kept(*_WINDOW))
    e.end(EXACT, y, e.input(0), e.input(1))


def _matmul_to_float(e: Expansion) -> None:
    """MatMulIntegerToFloat: a product of integers times both scales, and a bias."""
    whole = e.op("MatMulInteger", e.input(0), e.input(1), e.node.input(4), e.node.input(5))
    _end_scaled(e, whole, e.op("Mul", e.input(2), e.input(3)), 6)


def _dynamic_matmul(e: Expansion) -> None:
    """DynamicQuantizeMatMul: the same, where the first operand is quantized to 8 bits by its own range."""
    x, scale, zero = e.ops("DynamicQuantizeLinear", [e.input(0)], 3)
    whole = e.op("MatMulInteger", x, e.input(1), zero, e.node.input(3))
    _end_scaled(e, whole, e.op("Mul", scale, e.input(2)), 4)


def _end_scaled(e: Expansion, whole: str, scale: str, bias: int) -> None:
    real = e.op("Cast", whole, to=_FLOAT)
    if e.node.input(bias) is None:
        e.end("Mul", real, scale)
    else:
        e.end("Add", e.op("Mul", real, scale), e.input(bias))


_POOL = ("auto_pad", "ceil_mode", "count_include_pad", "dilations", "kernel_shape", "pads", "strides")

QUANTIZED: dict[str, Row] = {
    "ConvInteger": _conv_integer,
    "MatMulInteger": _matmul_integer,
    "QLinearConv": _conv,
    "QLinearMatMul": lambda e: _end(e, e.op("MatMul", _real(e, 0, axis=-2), _real(e, 3, axis=-1)), 6),
    **{
        f"com.microsoft.{kind}": row
        for kind, row in {
            "DequantizeLinear": lambda e: e.end("DequantizeLinear", *e.node.inputs, **e.kept("axis")),
            "DynamicQuantizeMatMul": _dynamic_matmul,
            "MatMulIntegerToFloat": _matmul_to_float,
            "QGemm": _gemm,
            "QLinearAdd": _of_two("Add"),
            "QLinearAveragePool": _of_one("AveragePool", *_POOL),
            "QLinearConcat": _concat,
            "QLinearConv": _conv,
            "QLinearGlobalAveragePool": _of_one("GlobalAveragePool"),
            "QLinearLeakyRelu": _of_one("LeakyRelu", "alpha"),
            "QLinearMul": _of_two("Mul"),
            "QLinearReduceMean": _of_one("ReduceMean", "axes", "keepdims"),
            "QLinearSigmoid": _of_one("Sigmoid"),
            "QLinearSoftmax": _softmax,
            "QLinearWhere": lambda e: _end(e, e.op("Where", e.input(0), _real(e, 1), _real(e, 4)), 7),
            "QuantizeLinear": lambda e: e.end("QuantizeLinear", *e.node.inputs, **e.kept("axis")),
        }.items()
    },
}
"""The rows of operators on integers, of ONNX and of onnxruntime."""

# ---- Operators between that move integers --------------------------------------------------------------------------

_MOVES = frozenset(
    {
        CHANNELS_FIRST, CHANNELS_LAST, ROWS_FROM_FRONT, TRANSPOSED, "Concat", "DepthToSpace", "Expand", "Flatten",
        "Gather", "GlobalMaxPool", "Identity", "MaxPool", "ReduceMax", "ReduceMin", "Reshape", "Resize", "Slice",
        "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze", "Upsample",
    }
)  # fmt: skip
"""Operators whose results are some of their operands' integers."""


class Moves:
    """Puts DequantizeLinear and QuantizeLinear around operators that move the integers of a QuantizeLinear.

    The integers must have one scale and one zero point, because a move may change the axis that has several.

    Args:
        nodes: the nodes of a graph, in topological order.
        names: makes the names of new tensors.
        single: the names of the constants of one number that are not results of nodes.
    """

    def __init__(self, nodes: Sequence[Node], names: LayerNames, single: Set[str]) -> None:
        self._nodes = nodes
        self._unique = names.unique
        self._single = {"", *single, *(node.outputs[0] for node in nodes if _is_one_number(node))}
        self._grids: dict[str, tuple[str, ...]] = {}

    def run(self) -> list[Node]:
        """Return all nodes."""
        result = []
        for node in self._nodes:
            if node.kind == "QuantizeLinear" and self._single.issuperset(node.inputs[1:3]):
                self._grids[node.outputs[0]] = tuple(node.inputs[1:3])
            grid = self._grid(node)
            result += [node] if grid is None else self._around(node, grid)
        return result

    def _grid(self, node: Node) -> tuple[str, ...] | None:
        """Return the scale and zero point of a node's operands and results; None for other nodes."""
        if node.kind not in _MOVES or not node.inputs or (node.kind != "Split" and len(node.outputs) > 1):
            return None
        if node.kind in ("Resize", "Upsample") and node.text("mode", "nearest") != "nearest":
            return None
        moved = node.inputs if node.kind == "Concat" else node.inputs[:1]
        grids = {self._grids.get(name) for name in moved}
        return grids.pop() if len(grids) == 1 else None

    def _around(self, node: Node, grid: tuple[str, ...]) -> list[Node]:
        count = len(node.inputs) if node.kind == "Concat" else 1
        made: list[Node] = []
        for place in range(count):
            name = self._unique(f"{node.inputs[place]}/real")
            made.append(Node("DequantizeLinear", [node.inputs[place], *grid], [name], {}, name))
        given = [*(one.outputs[0] for one in made), *node.inputs[count:]]
        moved = [self._unique(f"{name}/moved") if name else "" for name in node.outputs]
        made.append(Node(node.kind, given, moved, node.attributes, node.name, node.layer))
        for name, real in zip(node.outputs, moved, strict=True):
            if name:
                made.append(Node("QuantizeLinear", [real, *grid], [name], {}, name))
                self._grids[name] = grid
        return made


def _is_one_number(node: Node) -> bool:
    """Return True for a Constant of one number."""
    if node.kind != "Constant":
        return False
    value = node.attributes.get("value")
    if value is None:
        return node.has("value_float") or node.has("value_int")
    return all(
        one == 1 for one in (value.shape if isinstance(value, np.ndarray) else getattr(value, "dims", ()))
    )


def moved_as_numbers(nodes: Sequence[Node], names: LayerNames, single: Set[str]) -> list[Node]:
    """Return the nodes, with the numbers of integers around operators that move them; see `Moves`."""
    return Moves(nodes, names, single).run()
