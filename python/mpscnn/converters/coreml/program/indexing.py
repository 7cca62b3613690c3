"""Convert operations of programs that read or write elements at positions."""

from __future__ import annotations

from mpscnn.converters.coreml.program.operation import Handler, Operation
from mpscnn.converters.onnx_builder.builder import Builder
from mpscnn.converters.onnx_builder.indexing import (
    cast_to_int,
    one_hot,
    scatter,
    scatter_slices,
    top_k,
)
from mpscnn.errors import UnsupportedError


def _top_k(b: Builder, op: Operation) -> list[str]:
    """Convert topk. Its results are sorted also where the program allows any order."""
    count, axis = op.integer("k", 1), op.integer("axis", -1)
    values, positions = top_k(b, op.tensor("x"), axis, count, largest=not op.flag("ascending", False))
    return [values, positions] if op.flag("return_indices", True) else [values]


def _sorted(b: Builder, op: Operation) -> str:
    axis, ascending = op.integer("axis", -1), op.flag("ascending", False)
    return top_k(b, op.tensor("x"), axis, None, largest=not ascending)[1]


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
    depth, axis = op.integer("one_hot_vector_size"), op.integer("axis", -1)
    on, off = op.number("on_value", 1.0), op.number("off_value", 0.0)
    return one_hot(b, op.tensor("indices"), depth, axis, on, off)


def _operands(op: Operation) -> list[str]:
    return [op.tensor(name) for name in ("data", "indices", "updates")]


INDEXING: dict[str, Handler] = {
    "argsort": _sorted,
    "cumsum": _running_sums,
    "gather": _gather,
    "gather_along_axis": lambda b, op: b.op(
        "GatherElements", op.tensor("x"), cast_to_int(b, op.tensor("indices")), axis=op.integer("axis", 0)
    ),
    "gather_nd": _gather_nd,
    "one_hot": _one_hot,
    "scatter": lambda b, op: scatter_slices(b, _operands(op), op.text("mode", "add"), op.integer("axis", 0)),
    "scatter_along_axis": lambda b, op: scatter(
        b, "ScatterElements", _operands(op), op.text("mode", "add"), op.integer("axis", 0)
    ),
    "scatter_nd": lambda b, op: scatter(b, "ScatterND", _operands(op), op.text("mode", "add")),
    "topk": _top_k,
}
