"""Convert Caffe's layers to operators of ONNX: one row for each type, and the types that are refused."""

from __future__ import annotations

from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.caffe.array_ops import ARRAY_OPS
from mpscnn.converters.reading.caffe.detection import KINDS
from mpscnn.converters.reading.caffe.elementwise import ELEMENTWISE
from mpscnn.converters.reading.caffe.file import CaffeLayer
from mpscnn.converters.reading.caffe.linear_and_reductions import LINEAR_AND_REDUCTIONS
from mpscnn.converters.reading.caffe.normalizations import NORMALIZATIONS
from mpscnn.converters.reading.caffe.row_calls import Number
from mpscnn.converters.reading.caffe.windows import WINDOWS
from mpscnn.converters.reading.graph.builder import Builder
from mpscnn.converters.values.rows import Name, Row
from mpscnn.errors import UnsupportedError

_REASONS = {
    "recurrent layers are not supported": "LSTM LSTMUnit RNN Recurrent",
    "holds code of Python, which is never executed": "Python",
    "changes the batch": "BatchReindex Filter",
    "lookups of words are not supported": "Embed",
    "weights without a layer are not supported": "Parameter",
    "spatial pyramid pooling is not supported: write its poolings as separate layers": "SPP",
    "im2col is not supported": "Im2col",
    "writes files": "HDF5Output",
}
REFUSED = {kind: reason for reason, kinds in _REASONS.items() for kind in kinds.split()}
"""The reason why a type of layers is not supported, by Caffe's name of the type."""


def _silence(*x: Name) -> list[str]:
    del x
    return []


def _copies(b: Builder, layer: CaffeLayer, x: Name) -> list[str]:
    """Make each result of the layer a copy of its input."""
    return [ops.identity(b, x) for _ in layer.tops]


def _dropout(
    b: Builder, layer: CaffeLayer, x: Name, *, dropout_ratio: Number = 0.5, scale_train: bool = True
) -> list[str]:
    """Convert Dropout. It scales in inference by the share of elements that are kept, unless training scales."""
    return _copies(b, layer, x) if scale_train else [b.linear(x, 1.0 - dropout_ratio, 0.0)]


def unsupported_reason(layer: CaffeLayer) -> str | None:
    """Return the reason why a layer's type or one of its parameters is not supported; None if they are."""
    if layer.kind in ROWS or layer.kind in KINDS:
        return f"its parameter {quote_name(layer.unknown[0])} is not supported" if layer.unknown else None
    if not layer.kind:
        return "it is written in Caffe's oldest format: upgrade the file with Caffe's upgrade_net_proto_text"
    return REFUSED.get(layer.kind, "mpscnn has no such layer yet")


ROWS: dict[str, Row] = {
    **ELEMENTWISE,
    **ARRAY_OPS,
    **NORMALIZATIONS,
    **LINEAR_AND_REDUCTIONS,
    **WINDOWS,
    "Dropout": _dropout,
    "Silence": _silence,
    "Split": _copies,
}
"""The rows of layers, by Caffe's name of the type."""

SEVERAL = frozenset({"Dropout", "Silence", "Slice", "Split"})
"""The types that may have no result or several. For all other types, only the first result is computed."""


def refuse_twice(layers: list[CaffeLayer], origin: str) -> None:
    """Raise UnsupportedError if two layers with weights have the same name, because in Caffe they share weights."""
    seen: set[str] = set()
    for layer in layers:
        if layer.blobs and layer.name in seen:
            raise UnsupportedError(
                f"{origin}: two layers are called {quote_name(layer.name)}, which is not supported"
            )
        seen.add(layer.name)
