"""Convert operations of programs that read or write elements at positions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mpscnn.converters.coreml.program.operation import Handler, Operation
from mpscnn.converters.onnx_graph.blocks import cast_to_int
from mpscnn.converters.onnx_graph.builder import Builder
from mpscnn.errors import UnsupportedError, WeightsError

_LARGEST = 2**31 - 1


def _ordered(b: Builder, op: Operation, count: int | None) -> list[str]:
    """Return the first elements of an axis in order, and their positions. None: all elements."""
    x, is_ascending = op.tensor("x"), op.flag("ascending", False)
    axis = b.axis(x, op.integer("axis", -1))
    extent = b.extents(x)[axis]
    if count is None:
        if extent is None:
            raise UnsupportedError("orders an axis whose extent is not known")
        count = extent
    if not 0 < count <= _LARGEST or (extent is not None and count > extent):
        raise WeightsError(f"damaged: takes {count} of {extent} elements")
    return b.ops("TopK", [x, [count]], 2, axis=axis, largest=int(not is_ascending))


def _top_k(b: Builder, op: Operation) -> list[str]:
    """Convert topk. Its results are sorted also where the program allows any order."""
    made = _ordered(b, op, op.integer("k", 1))
    return made if op.flag("return_indices", True) else made[:1]


def _places(b: Builder, op: Operation) -> str:
    """Return the indices of a gather as whole numbers."""
    if op.integer("batch_dims", 0):
        raise UnsupportedError("takes other places for each image of the batch")
    return cast_to_int(b, op.tensor("indices"))


def _gather(b: Builder, op: Operation) -> str:
    places, x = _places(b, op), op.tensor("x")
    return b.op("Gather", x, places, axis=op.integer("axis", 0))


def _gather_nd(b: Builder, op: Operation) -> str:
    places = _places(b, op)
    return b.op("GatherND", op.tensor("x"), places)


def _running_sums(b: Builder, op: Operation) -> str:
    exclusive, backwards = op.flag("exclusive", False), op.flag("reverse", False)
    return b.op("CumSum", op.tensor("x"), [op.integer("axis", 0)], exclusive=exclusive, reverse=backwards)


def _one_hot(b: Builder, op: Operation) -> str:
    positions, depth, axis = op.tensor("indices"), op.integer("one_hot_vector_size"), op.integer("axis", -1)
    rank = b.rank(positions)
    if not 0 < depth <= _LARGEST or not -rank - 1 <= axis <= rank:
        raise WeightsError(f"damaged: {depth} places on axis {axis} of {rank + 1}")
    numbers = [op.number("off_value", 0.0), op.number("on_value", 1.0)]
    values = b.weight("values", np.asarray(numbers, np.float32))
    return b.op("OneHot", cast_to_int(b, positions), [depth], values, axis=axis)


# ---- Scattering ----------------------------------------------------------------------------------------------------

_REDUCTIONS = {"update": "none", "add": "add", "mul": "mul", "max": "max", "min": "min"}


def _operands(op: Operation) -> list[str]:
    return [op.tensor(name) for name in ("data", "indices", "updates")]


def _scattered(b: Builder, op: Operation, kind: str, operands: Sequence[str], **axis: int) -> str:
    """Write elements at positions by ONNX' ScatterElements along an axis, or by ScatterND."""
    (x, positions, updates), mode = operands, op.text("mode", "add")
    if mode not in _REDUCTIONS:
        raise UnsupportedError(f"scatters by {mode!r}; supported is 'update', which replaces elements")
    return b.op(kind, x, cast_to_int(b, positions), updates, reduction=_REDUCTIONS[mode], **axis)


def _scatter_along(b: Builder, op: Operation) -> str:
    return _scattered(b, op, "ScatterElements", _operands(op), axis=op.integer("axis", 0))


def _scatter_slices(b: Builder, op: Operation) -> str:
    """Convert scatter: write slices of an axis at the positions of a vector."""
    x, positions, updates = _operands(op)
    axis, extents = b.axis(x, op.integer("axis", 0)), b.fixed_shape(updates)
    if b.rank(positions) != 1 or len(extents) != b.rank(x):
        raise WeightsError(f"damaged: {b.rank(positions)} axes of positions for slices {extents}")
    shape = [-1 if number == axis else 1 for number in range(len(extents))]
    spread = b.op("Expand", b.op("Reshape", cast_to_int(b, positions), shape), extents)
    return _scattered(b, op, "ScatterElements", [x, spread, updates], axis=axis)


INDEXING: dict[str, Handler] = {
    "argsort": lambda b, op: _ordered(b, op, None)[1],
    "cumsum": _running_sums,
    "gather": _gather,
    "gather_along_axis": lambda b, op: b.op(
        "GatherElements", op.tensor("x"), cast_to_int(b, op.tensor("indices")), axis=op.integer("axis", 0)
    ),
    "gather_nd": _gather_nd,
    "one_hot": _one_hot,
    "scatter": _scatter_slices,
    "scatter_along_axis": _scatter_along,
    "scatter_nd": lambda b, op: _scattered(b, op, "ScatterND", _operands(op)),
    "topk": _top_k,
}
