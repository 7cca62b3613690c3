"""Convert layers of neural networks that read or write elements at positions: tables, sorting and scattering."""

from __future__ import annotations

from mpscnn.converters.reading.coreml.neural.as_operation import as_operation
from mpscnn.converters.reading.coreml.neural.layer import Handler, Layer
from mpscnn.converters.reading.onnx_graph.blocks import cast_to_int
from mpscnn.converters.reading.onnx_graph.builder import Builder
from mpscnn.errors import UnsupportedError, WeightsError


def _words(b: Builder, layer: Layer, rows: int, features: int, positions: str) -> str:
    """Look up rows of a table, and add a bias to each of them."""
    table = b.weight("table", layer.weight("weights", (features, rows)).array().T)
    found = b.op("Gather", table, cast_to_int(b, positions), axis=0)
    return (
        b.op("Add", found, b.weight("bias", layer.weight("bias", (features,)))) if layer.p.hasBias else found
    )


def _embedding(b: Builder, layer: Layer) -> str:
    """Convert Embedding of old files. Each image is one index, and its row of the table becomes the channels."""
    rows, features = int(layer.p.inputDim), int(layer.p.outputChannels)
    if b.rank(layer.x) != 4 or b.extents(layer.x)[1:] != (1, 1, 1):
        raise UnsupportedError(f"its input is {b.extents(layer.x)}; supported is one index for each image")
    found = _words(b, layer, rows, features, b.op("Reshape", layer.x, [0, 1]))
    return b.op("Reshape", found, [0, features, 1, 1])


def _embedding_nd(b: Builder, layer: Layer) -> str:
    """Convert EmbeddingND, whose last axis of extent 1 becomes the features."""
    extents = b.extents(layer.x)
    if extents[-1] != 1:
        raise WeightsError(f"damaged: its input is {extents}; expected 1 as the last extent")
    indices = b.op("Squeeze", layer.x, [len(extents) - 1])
    return _words(b, layer, int(layer.p.vocabSize), int(layer.p.embeddingSize), indices)


_MODES = ("mode", ("update", "add", "sub", "mul", "div", "max", "min"))
_ONE_HOT = {
    "one_hot_vector_size": "oneHotVectorSize",
    "axis": "axis",
    "on_value": "onValue",
    "off_value": "offValue",
}
_SCATTERED = "data indices updates"

INDEXING: dict[str, Handler] = {
    "argSort": as_operation("argsort", axis="axis", ascending="!descending"),
    "cumSum": as_operation(
        "cumsum", axis="axis", exclusive="excludeFinalSum", reverse="reverse", more="its axis is an input"
    ),
    "embedding": _embedding,
    "embeddingND": _embedding_nd,
    "gather": as_operation("gather", "x indices", axis="axis"),
    "gatherAlongAxis": as_operation("gather_along_axis", "x indices", axis="axis"),
    "gatherND": as_operation("gather_nd", "x indices"),
    "oneHot": as_operation("one_hot", "indices", "its number of places is an input", **_ONE_HOT),
    "scatter": as_operation("scatter", _SCATTERED, mode=_MODES, axis="axis"),
    "scatterAlongAxis": as_operation("scatter_along_axis", _SCATTERED, mode=_MODES, axis="axis"),
    "scatterND": as_operation("scatter_nd", _SCATTERED, mode=_MODES),
    "topK": as_operation(
        "topk", k="K", axis="axis", ascending="useBottomK", more="its number of elements is an input"
    ),
}
