"""Convert layers of neural networks that read or write elements at positions: tables, sorting and scattering."""

from __future__ import annotations

from typing import Annotated

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.coreml.neural.layer import StoredWeight
from mpscnn.converters.reading.coreml.neural.row_calls import Number, Weight, numbered, stated
from mpscnn.converters.reading.coreml.program.operations import ROWS
from mpscnn.converters.reading.graph.blocks import cast_to_int
from mpscnn.converters.reading.graph.builder import Builder
from mpscnn.converters.values.rows import Name, Row
from mpscnn.errors import UnsupportedError, WeightsError

# ---- Tables --------------------------------------------------------------------------------------------------------


def _words(
    b: Builder,
    positions: str,
    weights: StoredWeight | None,
    bias: StoredWeight | None,
    rows: int,
    features: int,
) -> str:
    """Look up rows of a table, and add a bias to each of them."""
    table = b.weight("table", stated(weights, "weights").blob((features, rows)).array().T)
    found = ops.gather(b, table, cast_to_int(b, positions), axis=0)
    return found if bias is None else ops.add(b, found, b.weight("bias", bias.blob((features,))))


def _embedding(
    b: Builder, x: Name, *, weights: Weight | None = None, input_dim: int = 0, output_channels: int = 0,
    has_bias: bool = False, bias: Weight | None = None,
) -> str:  # fmt: skip
    """Convert Embedding of old files. Each image is one index, and its row of the table becomes the channels."""
    if b.rank(x) != 4 or b.extents(x)[1:] != (1, 1, 1):
        raise UnsupportedError(f"its input is {b.extents(x)}; supported is one index for each image")
    biases = stated(bias, "bias") if has_bias else None
    found = _words(b, ops.reshape(b, x, [0, 1]), weights, biases, input_dim, output_channels)
    return ops.reshape(b, found, [0, output_channels, 1, 1])


def _embedding_nd(
    b: Builder, x: Name, *, weights: Weight | None = None, vocab_size: int = 0, embedding_size: int = 0,
    has_bias: bool = False, bias: Weight | None = None,
) -> str:  # fmt: skip
    """Convert EmbeddingND, whose last axis of extent 1 becomes the features."""
    extents = b.extents(x)
    if extents[-1] != 1:
        raise WeightsError(f"damaged: its input is {extents}; expected 1 as the last extent")
    indices = ops.squeeze(b, x, [len(extents) - 1])
    biases = stated(bias, "bias") if has_bias else None
    return _words(b, indices, weights, biases, vocab_size, embedding_size)


# ---- Order and sums ------------------------------------------------------------------------------------------------


def _arg_sort(b: Builder, x: Name, *, axis: int = 0, descending: bool = False) -> str:
    made: str = ROWS["argsort"](b, x, axis, ascending=not descending)
    return made


def _top_k(
    b: Builder, x: Name, count: Name | None = None, *, axis: int = 0, k: int = 0, use_bottom_k: bool = False
) -> list[str]:
    if count is not None:
        raise UnsupportedError("its number of elements is an input")
    made: list[str] = ROWS["topk"](b, x, k, axis, ascending=use_bottom_k)
    return made


def _cum_sum(
    b: Builder, x: Name, along: Name | None = None, *, axis: int = 0, exclude_final_sum: bool = False,
    reverse: bool = False,
) -> str:  # fmt: skip
    if along is not None:
        raise UnsupportedError("its axis is an input")
    made: str = ROWS["cumsum"](b, x, axis, exclude_final_sum, reverse)
    return made


# ---- Positions -----------------------------------------------------------------------------------------------------


def _along_axis(kind: str) -> Row:
    operation = ROWS[kind]

    def row(b: Builder, x: Name, indices: Name, *, axis: int = 0) -> str:
        made: str = operation(b, x, indices, axis)
        return made

    return row


def _gather_nd(b: Builder, x: Name, indices: Name) -> str:
    made: str = ROWS["gather_nd"](b, x, indices)
    return made


def _one_hot(
    b: Builder, indices: Name, places: Name | None = None, *, one_hot_vector_size: int = 0, axis: int = 0,
    on_value: Number = 0.0, off_value: Number = 0.0,
) -> str:  # fmt: skip
    if places is not None:
        raise UnsupportedError("its number of places is an input")
    made: str = ROWS["one_hot"](b, indices, one_hot_vector_size, axis, on_value, off_value)
    return made


Mode = Annotated[str, numbered("update", "add", "sub", "mul", "div", "max", "min", but=("sub", "div"))]


def _scattered(kind: str) -> Row:
    operation = ROWS[kind]

    def row(
        b: Builder, data: Name, indices: Name, updates: Name, *, axis: int = 0, mode: Mode = "update"
    ) -> str:
        made: str = operation(b, data, indices, updates, axis, mode)
        return made

    return row


def _scatter_nd(b: Builder, data: Name, indices: Name, updates: Name, *, mode: Mode = "update") -> str:
    made: str = ROWS["scatter_nd"](b, data, indices, updates, mode)
    return made


INDEXING: dict[str, Row] = {
    "argSort": _arg_sort,
    "cumSum": _cum_sum,
    "embedding": _embedding,
    "embeddingND": _embedding_nd,
    "gather": _along_axis("gather"),
    "gatherAlongAxis": _along_axis("gather_along_axis"),
    "gatherND": _gather_nd,
    "oneHot": _one_hot,
    "scatter": _scattered("scatter"),
    "scatterAlongAxis": _scattered("scatter_along_axis"),
    "scatterND": _scatter_nd,
    "topK": _top_k,
}
