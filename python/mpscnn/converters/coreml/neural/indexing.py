"""Convert layers of neural networks that read or write elements at positions: tables, sorting and scattering."""

from __future__ import annotations

from mpscnn.converters.coreml.neural.layer import Handler, Layer
from mpscnn.converters.onnx_builder.builder import Builder
from mpscnn.converters.onnx_builder.indexing import (
    cast_to_float,
    cast_to_int,
    embedding_lookup,
    one_hot,
    scatter,
    scatter_slices,
    top_k,
)
from mpscnn.errors import UnsupportedError, WeightsError


def _top_k(b: Builder, layer: Layer) -> list[str]:
    p = layer.p
    if len(layer.inputs) == 2:
        raise UnsupportedError("its number of elements is an input")
    values, positions = top_k(b, layer.x, int(p.axis), int(p.K), largest=not p.useBottomK)
    return [values, cast_to_float(b, positions)]


def _sorted(b: Builder, layer: Layer) -> str:
    _, positions = top_k(b, layer.x, int(layer.p.axis), None, largest=bool(layer.p.descending))
    return cast_to_float(b, positions)


def _gather(b: Builder, layer: Layer) -> str:
    x, places = layer.two()
    return b.op("Gather", x, cast_to_int(b, places), axis=int(layer.p.axis))


def _gather_nd(b: Builder, layer: Layer) -> str:
    x, places = layer.two()
    return b.op("GatherND", x, cast_to_int(b, places))


def _gather_along(b: Builder, layer: Layer) -> str:
    x, positions = layer.two()
    return b.op("GatherElements", x, cast_to_int(b, positions), axis=int(layer.p.axis))


def _running_sums(b: Builder, layer: Layer) -> str:
    p = layer.p
    if len(layer.inputs) == 2:
        raise UnsupportedError("its axis is an input")
    settings = {"exclusive": bool(p.excludeFinalSum), "reverse": bool(p.reverse)}
    return b.op("CumSum", layer.x, [int(p.axis)], **settings)


def _one_hot(b: Builder, layer: Layer) -> str:
    p = layer.p
    if len(layer.inputs) == 2:
        raise UnsupportedError("its number of places is an input")
    return one_hot(b, layer.x, int(p.oneHotVectorSize), int(p.axis), float(p.onValue), float(p.offValue))


def _words(b: Builder, layer: Layer, rows: int, features: int, positions: str) -> str:
    table = layer.weight("weights", (features, rows)).array().T
    bias = b.weight("bias", layer.weight("bias", (features,))) if layer.p.hasBias else None
    return embedding_lookup(b, positions, b.weight("table", table), bias)


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


_MODES = ("update", "add", "sub", "mul", "div", "max", "min")


def _mode(layer: Layer) -> str:
    if not 0 <= layer.p.mode < len(_MODES):
        raise WeightsError(f"damaged: its mode is {layer.p.mode}")
    return _MODES[layer.p.mode]


INDEXING: dict[str, Handler] = {
    "argSort": _sorted,
    "cumSum": _running_sums,
    "embedding": _embedding,
    "embeddingND": _embedding_nd,
    "gather": _gather,
    "gatherAlongAxis": _gather_along,
    "gatherND": _gather_nd,
    "oneHot": _one_hot,
    "scatter": lambda b, layer: scatter_slices(b, layer.three(), _mode(layer), int(layer.p.axis)),
    "scatterAlongAxis": lambda b, layer: scatter(
        b, "ScatterElements", layer.three(), _mode(layer), int(layer.p.axis)
    ),
    "scatterND": lambda b, layer: scatter(b, "ScatterND", layer.three(), _mode(layer)),
    "topK": _top_k,
}
