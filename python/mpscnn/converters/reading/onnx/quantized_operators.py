"""Replace operators on integers by those of ONNX between DequantizeLinear and QuantizeLinear.

The pairs are converted as those of other quantized files: precision "int8" computes in the integers.
Products of integers without scales (MatMulInteger, ConvInteger) are exact products of floats.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Annotated, Any

import numpy as np

from mpscnn.converters.opening.layer_names import LayerNames
from mpscnn.converters.reading.onnx.expansions import (
    ALIGNED,
    CHANNELS_FIRST,
    CHANNELS_LAST,
    JOINT_SOFTMAX,
    ROWS_FROM_FRONT,
    TRANSPOSED,
    Expansion,
    written_as,
)
from mpscnn.converters.reading.onnx.node import Node, OwnKind
from mpscnn.converters.values.rows import Name, Row, Stated

_FLOAT = 1  # the number of float32 in ONNX
EXACT = OwnKind("Exact")
"""An operator that ONNX lacks: it keeps sums of products of integers in float32, because float16 cannot hold them."""

Optional = Name | None


def _real(e: Expansion, x: str, scale: str, zero: str | None, axis: int | None = None) -> str:
    """Return the numbers of integers, their scale and their zero point."""
    attributes = {} if axis is None else {"axis": axis}
    return e.op("DequantizeLinear", x, scale, zero, **attributes)


def _conv(
    e: Expansion, x: Name, x_scale: Name, x_zero: Optional, w: Name, w_scale: Name, w_zero: Optional,
    scale: Name, zero: Optional, bias: Optional = None, *, channels_last: bool = False, **window: Any,
) -> None:  # fmt: skip
    """QLinearConv. The integers of its bias have the product of both scales as their scale."""
    image, weight, offset = _real(e, x, x_scale, x_zero), _real(e, w, w_scale, w_zero, axis=0), None
    if bias is not None:
        offset = e.op("DequantizeLinear", bias, e.op("Mul", x_scale, w_scale), axis=0)
    y = e.op("Conv", _first(e, image, channels_last), weight, offset, **window)
    e.end("QuantizeLinear", e.op(CHANNELS_LAST, y) if channels_last else y, scale, zero)


def _first(e: Expansion, x: str, channels_last: bool) -> str:
    return e.op(CHANNELS_FIRST, x) if channels_last else x


def _gemm(
    e: Expansion, a: Name, a_scale: Name, a_zero: Optional, b: Name, b_scale: Name, b_zero: Optional,
    bias: Optional = None, scale: Optional = None, zero: Optional = None, *, alpha: float = 1.0,
    a_turned: Annotated[bool, Stated("transA")] = False, b_turned: Annotated[bool, Stated("transB")] = False,
) -> None:  # fmt: skip
    """QGemm. Without a scale its result is floats."""
    operands = _real(e, a, a_scale, a_zero), _real(e, b, b_scale, b_zero, axis=0 if b_turned else 1)
    term = None
    if bias is not None:
        by = e.op("Mul", e.op("Mul", a_scale, b_scale), alpha)
        term = e.op("Mul", e.op("Cast", bias, to=_FLOAT), by)
    settings = {"alpha": alpha, "transA": a_turned, "transB": b_turned}
    if scale is None:
        e.end("Gemm", *operands, term, **settings)
    else:
        e.end("QuantizeLinear", e.op("Gemm", *operands, term, **settings), scale, zero)


def _of_two(kind: str) -> Row:
    def row(
        e: Expansion, a: Name, a_scale: Name, a_zero: Optional, b: Name, b_scale: Name, b_zero: Optional,
        scale: Name, zero: Optional = None,
    ) -> None:  # fmt: skip
        y = e.op(kind, _real(e, a, a_scale, a_zero), _real(e, b, b_scale, b_zero))
        e.end("QuantizeLinear", y, scale, zero)

    return row


def _of_one(kind: str) -> Row:
    """Return the row of a function of one tensor, whose settings are those of ONNX' operator."""

    def row(
        e: Expansion, x: Name, x_scale: Name, x_zero: Optional, scale: Name, zero: Optional = None,
        *, channels_last: bool = False, **settings: Any,
    ) -> None:  # fmt: skip
        y = e.op(kind, _first(e, _real(e, x, x_scale, x_zero), channels_last), **settings)
        e.end("QuantizeLinear", e.op(CHANNELS_LAST, y) if channels_last else y, scale, zero)

    return row


def _softmax(
    e: Expansion, x: Name, x_scale: Name, x_zero: Optional, scale: Name, zero: Optional = None, *, axis: int = -1,
    opset: int = 13,
) -> None:  # fmt: skip
    """QLinearSoftmax. It has the axes of ONNX' softmax of the opset that it states."""
    y = e.op(JOINT_SOFTMAX if opset < 13 else "Softmax", _real(e, x, x_scale, x_zero), axis=axis)
    e.end("QuantizeLinear", y, scale, zero)


def _concat(e: Expansion, scale: Name, zero: Optional, *given: Name, axis: int) -> None:
    numbers = [*given, None]  # the last zero point may be left out
    parts = [
        _real(e, given[first], given[first + 1], numbers[first + 2]) for first in range(0, len(given), 3)
    ]
    e.end("QuantizeLinear", e.op("Concat", *parts, axis=axis), scale, zero)


def _where(
    e: Expansion, condition: Name, a: Name, a_scale: Name, a_zero: Optional, b: Name, b_scale: Name,
    b_zero: Optional, scale: Name, zero: Optional = None,
) -> None:  # fmt: skip
    y = e.op("Where", condition, _real(e, a, a_scale, a_zero), _real(e, b, b_scale, b_zero))
    e.end("QuantizeLinear", y, scale, zero)


def _matmul(
    e: Expansion, a: Name, a_scale: Name, a_zero: Optional, b: Name, b_scale: Name, b_zero: Optional,
    scale: Name, zero: Optional = None,
) -> None:  # fmt: skip
    y = e.op("MatMul", _real(e, a, a_scale, a_zero, axis=-2), _real(e, b, b_scale, b_zero, axis=-1))
    e.end("QuantizeLinear", y, scale, zero)


# ---- Products of integers ------------------------------------------------------------------------------------------


def _difference(e: Expansion, x: str, zero: str | None, axis: int) -> str:
    """Return an operand minus its zero point, as floats. Several zero points belong to an axis."""
    y = e.op("Cast", x, to=_FLOAT)
    if zero is None:
        return y
    offset = e.op("Cast", zero, to=_FLOAT)
    return e.op("Sub", y, e.op(ALIGNED, offset, y, axis=axis))


def _matmul_integer(e: Expansion, a: Name, b: Name, a_zero: Optional = None, b_zero: Optional = None) -> None:
    y = e.op("MatMul", _difference(e, a, a_zero, -2), _difference(e, b, b_zero, -1))
    e.end(EXACT, y, a, b)


def _conv_integer(
    e: Expansion, x: Name, w: Name, x_zero: Optional = None, w_zero: Optional = None, **window: Any
) -> None:
    weight = _difference(e, w, w_zero, 0)
    e.end(EXACT, e.op("Conv", _difference(e, x, x_zero, 1), weight, **window), x, w)


def _matmul_to_float(
    e: Expansion, a: Name, b: Name, a_scale: Name, b_scale: Name, a_zero: Optional = None,
    b_zero: Optional = None, bias: Optional = None,
) -> None:  # fmt: skip
    """MatMulIntegerToFloat: a product of integers times both scales, and a bias."""
    whole = e.op("MatMulInteger", a, b, a_zero, b_zero)
    _end_scaled(e, whole, e.op("Mul", a_scale, b_scale), bias)


def _dynamic_matmul(
    e: Expansion, a: Name, b: Name, b_scale: Name, b_zero: Optional = None, bias: Optional = None
) -> None:
    """DynamicQuantizeMatMul: the same, where the first operand is quantized to 8 bits by its own range."""
    x, scale, zero = e.ops("DynamicQuantizeLinear", [a], 3)
    whole = e.op("MatMulInteger", x, b, zero, b_zero)
    _end_scaled(e, whole, e.op("Mul", scale, b_scale), bias)


def _end_scaled(e: Expansion, whole: str, scale: str, bias: str | None) -> None:
    real = e.op("Cast", whole, to=_FLOAT)
    if bias is None:
        e.end("Mul", real, scale)
    else:
        e.end("Add", e.op("Mul", real, scale), bias)


_OF_MICROSOFT: dict[str, Row] = {
    "DequantizeLinear": written_as("DequantizeLinear"),
    "DynamicQuantizeMatMul": _dynamic_matmul,
    "MatMulIntegerToFloat": _matmul_to_float,
    "QGemm": _gemm,
    "QLinearAdd": _of_two("Add"),
    "QLinearAveragePool": _of_one("AveragePool"),
    "QLinearConcat": _concat,
    "QLinearConv": _conv,
    "QLinearGlobalAveragePool": _of_one("GlobalAveragePool"),
    "QLinearLeakyRelu": _of_one("LeakyRelu"),
    "QLinearMul": _of_two("Mul"),
    "QLinearReduceMean": _of_one("ReduceMean"),
    "QLinearSigmoid": _of_one("Sigmoid"),
    "QLinearSoftmax": _softmax,
    "QLinearWhere": _where,
    "QuantizeLinear": written_as("QuantizeLinear"),
}

QUANTIZED: dict[str, Row] = {
    "ConvInteger": _conv_integer,
    "MatMulInteger": _matmul_integer,
    "QLinearConv": _conv,
    "QLinearMatMul": _matmul,
    **{f"com.microsoft.{kind}": row for kind, row in _OF_MICROSOFT.items()},
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
