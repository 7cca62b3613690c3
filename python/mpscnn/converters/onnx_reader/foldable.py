"""List the ONNX operators that constant folding computes, and the cost of computing each.

The cost is counted before a node is computed, and `converters.budget` limits the sum of all costs. Most operators are
computed by the package onnx. Operators that the package computes one element at a time, or wrongly for some opsets, are
computed in the module `constant_folding`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.broadcast_views import is_filled
from mpscnn.converters.budget import Cost
from mpscnn.converters.onnx_reader.constant_folding import FOLDED, fits_along
from mpscnn.converters.onnx_reader.file import element_type
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.errors import UnsupportedError, WeightsError

Array = NDArray[Any]
Operands = Sequence[Array | None]
CostOf = Callable[[Node, list[Array]], Cost]

# The cost of an element in operations: for simple operators, functions such as exp, and operators in Python code.
_CHEAP, _FUNCTION, _IN_PYTHON = 2, 16, 512
_RESULT = 64  # the minimum cost of a node, in elements and operations

# The operands, by position, that have an element for each axis and become Python lists.
LISTS = {
    **dict.fromkeys(["ConstantOfShape"], (0,)),
    **dict.fromkeys(["Expand", "Reshape", "Squeeze", "Tile", "Unsqueeze"], (1,)),
    **dict.fromkeys([f"Reduce{kind}" for kind in ("L1", "L2", "Max", "Mean", "Min", "Prod", "Sum")], (1,)),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
}
_MAX_AXES = 64  # the maximum number of axes of NumPy's arrays


def fold_cost(node: Node, operands: Operands) -> Cost:
    """Return the cost of computing a node of a kind in `FOLDABLE`.

    Raises:
        UnsupportedError: the result is text. WeightsError: a list is longer than arrays have axes. ValueError,
            LookupError and the like: its operands contradict each other.
    """
    for place in LISTS.get(node.kind, ()):
        listed = operands[place] if place < len(operands) else None
        if listed is not None and listed.size > max(_MAX_AXES, len(node.outputs)):
            raise WeightsError(
                f"damaged: there are {listed.size} numbers in its operand {place + 1}, which has one for each axis"
            )
    return FOLDABLE[node.kind](node, [array for array in operands if array is not None])


def _elementwise(weight: int) -> CostOf:
    """Return the cost function of elementwise operators, whose result has the broadcast shape of the operands."""

    def cost(_: Node, arrays: list[Array]) -> Cost:
        count = math.prod(np.broadcast_shapes(*(array.shape for array in arrays)))
        return Cost(_RESULT + count, _RESULT + weight * count * len(arrays))

    return cost


def _cast(node: Node, arrays: list[Array]) -> Cost:
    target = element_type(node.integer("to")) if node.kind == "Cast" else arrays[1].dtype.name
    if target == "string":
        raise UnsupportedError("makes text of numbers, which is not supported")
    return Cost(_RESULT + arrays[0].size, _FUNCTION * arrays[0].size)


def _view(node: Node, arrays: list[Array]) -> Cost:
    """Return the cost of an operator that only changes the shape. Arrays that are not contiguous are copied."""
    copied = node.kind in ("Flatten", "Reshape") and not arrays[0].flags.c_contiguous
    count = arrays[0].size if copied and not is_filled(arrays[0]) else 0
    return Cost(_RESULT + count, _RESULT + _CHEAP * count)


def _all_operands(weight: int) -> CostOf:
    """Return the cost function of operators whose results are no larger than all operands together."""

    def cost(_: Node, arrays: list[Array]) -> Cost:
        count = sum(array.size for array in arrays)
        return Cost(_RESULT + count, _RESULT + weight * count)

    return cost


def _small(_: Node, __: list[Array]) -> Cost:
    return Cost(_RESULT, _RESULT)


def _constant(node: Node, _: list[Array]) -> Cost:
    lists = (value for value in node.attributes.values() if isinstance(value, (list, tuple)))
    return Cost(_RESULT + sum(map(len, lists)), _RESULT)


def _constant_of_shape(_: Node, arrays: list[Array]) -> Cost:
    return Cost.filled(_product(arrays[0].reshape(-1)))


def _expand(_: Node, arrays: list[Array]) -> Cost:
    target = tuple(max(int(extent), 1) for extent in arrays[1].reshape(-1))
    count = math.prod(np.broadcast_shapes(arrays[0].shape, target))
    return Cost.filled(count) if arrays[0].size == 1 else Cost(count, _CHEAP * count)


def _range(_: Node, arrays: list[Array]) -> Cost:
    start, limit, step = (float(array.reshape(-1)[0]) for array in arrays)
    count = max(math.ceil((limit - start) / step), 0)
    return Cost(_RESULT + 2 * count, _CHEAP * count)


def _tile(_: Node, arrays: list[Array]) -> Cost:
    count = int(arrays[0].size) * _product(arrays[1].reshape(-1))
    return Cost(_RESULT + count, _CHEAP * count)


def _pad(node: Node, arrays: list[Array]) -> Cost:
    values = arrays[0]
    pads = node.integers("pads") if len(arrays) == 1 else [int(side) for side in arrays[1].reshape(-1)]
    if node.input(3) is not None or len(pads) != 2 * values.ndim or min(pads, default=0) < 0:
        raise UnsupportedError("pads some axes of a constant only, or cuts it")
    sides = zip(pads[: values.ndim], pads[values.ndim :], strict=True)
    count = math.prod(
        extent + before + after for extent, (before, after) in zip(values.shape, sides, strict=True)
    )
    return Cost(_RESULT + values.size + 2 * count, _RESULT + _FUNCTION * count)


def _gather(node: Node, arrays: list[Array]) -> Cost:
    extent = max(int(arrays[0].shape[node.integer("axis", 0)]), 1)
    count = int(arrays[1].size) * (int(arrays[0].size) // extent)
    return Cost(_RESULT + count, _RESULT + _CHEAP * count)


def _gather_elements(_: Node, arrays: list[Array]) -> Cost:
    count = arrays[1].size * max(arrays[1].ndim, 1)
    return Cost(_RESULT + count, _FUNCTION * count)


def _gather_nd(_: Node, arrays: list[Array]) -> Cost:
    data, indices = arrays
    places = max(int(indices.shape[-1]), 1)
    count = indices.size // places * math.prod(data.shape[places:]) + indices.size
    return Cost(_RESULT + count, _RESULT + _FUNCTION * count)


def _scatter(_: Node, arrays: list[Array]) -> Cost:
    data, indices, updates = arrays
    count = indices.size * max(indices.ndim, 1) + updates.size
    return Cost(_RESULT + data.size + count, data.size + 4 * _FUNCTION * count)


def _non_zero(_: Node, arrays: list[Array]) -> Cost:
    count = arrays[0].size * max(arrays[0].ndim, 1)
    return Cost(_RESULT + count, _CHEAP * count)


def _product_of_matrices(_: Node, arrays: list[Array]) -> Cost:
    first, second = arrays
    rows = first.shape[-2:-1]
    columns = second.shape[-1:] if second.ndim > 1 else ()
    batches = np.broadcast_shapes(first.shape[:-2], second.shape[:-2])
    count = math.prod((*batches, *rows, *columns))
    # Each element costs a multiplication and an addition. The operands may be copied to make them contiguous.
    return Cost(_RESULT + count + first.size + second.size, _CHEAP * max(count, 1) * max(first.shape[-1], 1))


def _quantized(node: Node, arrays: list[Array]) -> Cost:
    """Return the cost of QuantizeLinear and DequantizeLinear. Raises WeightsError for scales that do not fit."""
    values = arrays[0]
    for array in arrays[1:]:
        fits_along(node, values, array)
    return Cost(_RESULT + 4 * values.size, _FUNCTION * values.size)


def _batch_normalization(_: Node, arrays: list[Array]) -> Cost:
    values = arrays[0]
    return Cost(_RESULT + 2 * values.size, _FUNCTION * values.size)


def _product(extents: Array) -> int:
    return math.prod(max(int(extent), 1) for extent in extents)


_SIMPLE = (
    *("Abs", "Add", "And", "BitShift", "Ceil", "Clip", "Div", "Equal", "Floor", "Greater"),
    *("GreaterOrEqual", "IsInf", "IsNaN", "Less", "LessOrEqual", "Max", "Min", "Mul", "Neg", "Not"),
    *("Or", "PRelu", "Reciprocal", "Relu", "Round", "Sign", "Sqrt", "Sub", "Where", "Xor"),
)
_FUNCTIONS = ("Cos", "Exp", "Log", "Mod", "Pow", "Sigmoid", "Sin", "Tanh")
ELEMENTWISE = frozenset({*_SIMPLE, *_FUNCTIONS, "Cast", "Erf"})
"""Operators that compute each element of the result from elements at the same place of the broadcast operands."""

FOLDABLE: dict[str, CostOf] = {
    **dict.fromkeys(_SIMPLE, _elementwise(_CHEAP)),
    **dict.fromkeys([*_FUNCTIONS, "Softmax"], _elementwise(_FUNCTION)),
    "Erf": _elementwise(_IN_PYTHON),
    **dict.fromkeys(["Cast", "CastLike"], _cast),
    **dict.fromkeys(
        ["Flatten", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"], _view
    ),
    **dict.fromkeys(["Concat", "CumSum", "Trilu"], _all_operands(_CHEAP)),
    **dict.fromkeys(
        [
            *("ArgMax", "ArgMin", "ReduceL1", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin"),
            *("ReduceProd", "ReduceSum"),
        ],
        _all_operands(2 * _CHEAP),
    ),
    **dict.fromkeys(["Shape", "Size"], _small),
    "BatchNormalization": _batch_normalization,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    **dict.fromkeys(["DequantizeLinear", "QuantizeLinear"], _quantized),
    "Expand": _expand,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "MatMul": _product_of_matrices,
    "NonZero": _non_zero,
    "Pad": _pad,
    "Range": _range,
    **dict.fromkeys(["ScatterElements", "ScatterND"], _scatter),
    "Tile": _tile,
}
"""Functions that return the cost of a node, by operator. They get the operands that are not left out."""

assert FOLDED.keys() <= FOLDABLE.keys()
