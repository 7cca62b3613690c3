"""How large the result of an ONNX node can be, before it is computed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.onnx_reader.file import Node

Operands = Sequence[NDArray[Any] | None]

# Results as large as the operands' common shape.
_ELEMENTWISE = frozenset(
    {
        *("Abs", "Add", "And", "BitShift", "Cast", "CastLike", "Ceil", "Clip", "Cos", "Div"),
        *("Equal", "Erf", "Exp", "Floor", "Greater", "GreaterOrEqual", "Identity", "IsInf"),
        *("IsNaN", "Less", "LessOrEqual", "Log", "Max", "Min", "Mod", "Mul", "Neg", "Not", "Or"),
        *("PRelu", "Pow", "Reciprocal", "Relu", "Round", "Sigmoid", "Sign", "Sin", "Softmax"),
        *("Sqrt", "Sub", "Tanh", "Where", "Xor"),
    }
)
# No larger than all operands together.
_NO_LARGER = frozenset(
    {
        *("ArgMax", "ArgMin", "BatchNormalization", "Concat", "CumSum", "DequantizeLinear"),
        *("Flatten", "QuantizeLinear", "ReduceL1", "ReduceL2", "ReduceMax", "ReduceMean"),
        *("ReduceMin", "ReduceProd", "ReduceSum", "Reshape", "ScatterElements", "ScatterND"),
        *("Shape", "Size", "Slice", "Split", "Squeeze", "Transpose", "Trilu", "Unsqueeze"),
    }
)
_OTHERS = frozenset(
    {
        "Constant",
        "ConstantOfShape",
        "Expand",
        "Gather",
        "GatherElements",
        "MatMul",
        "NonZero",
        "Range",
        "Tile",
    }
)


def is_computed(node: Node) -> bool:
    """Whether an operator is computed where its operands are constants."""
    return node.kind in _ELEMENTWISE or node.kind in _NO_LARGER or node.kind in _OTHERS


def most_elements(node: Node, operands: Operands) -> int:
    """Elements of all results together, and what computing them takes; of operators that `is_computed` names."""
    arrays = [array for array in operands if array is not None]
    given = sum(array.size for array in arrays)
    if node.kind in _ELEMENTWISE:
        return 1 + _product(np.broadcast_shapes(*(array.shape for array in arrays)))
    if node.kind in _NO_LARGER:
        return 64 + given
    if node.kind in ("ConstantOfShape", "Expand"):
        target = tuple(max(int(extent), 1) for extent in arrays[-1].reshape(-1))
        return _product(np.broadcast_shapes(arrays[0].shape, target) if node.kind == "Expand" else target)
    if node.kind == "Range":
        start, limit, step = (float(array.reshape(-1)[0]) for array in arrays)
        return max(math.ceil((limit - start) / step), 0)
    if node.kind == "Tile":
        return int(arrays[0].size) * _product([int(one) for one in arrays[1].reshape(-1)])
    if node.kind == "Gather":
        extent = max(int(arrays[0].shape[node.integer("axis", 0)]), 1)
        return int(arrays[1].size) * (int(arrays[0].size) // extent)
    if node.kind == "GatherElements":
        return int(arrays[1].size)
    if node.kind == "NonZero":
        return given * max(arrays[0].ndim, 1)
    if node.kind == "MatMul":
        return _product(arrays[0].shape[:-1]) * _product(arrays[1].shape)
    return sum(len(value) if isinstance(value, (list, tuple)) else 1 for value in node.attributes.values())


def _product(extents: Sequence[int]) -> int:
    return int(math.prod(max(int(extent), 1) for extent in extents))
