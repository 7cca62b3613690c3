"""Convert Caffe's layers to operators of ONNX: one function for each type, and the types that are refused."""

from __future__ import annotations

from mpscnn.converters.caffe.elements import ELEMENTS
from mpscnn.converters.caffe.file import CaffeLayer
from mpscnn.converters.caffe.moves import MOVES
from mpscnn.converters.caffe.normalizations import NORMALIZATIONS
from mpscnn.converters.caffe.parameters import Handler, same
from mpscnn.converters.caffe.products import PRODUCTS
from mpscnn.converters.caffe.windows import WINDOWS
from mpscnn.converters.layer_names import shown
from mpscnn.converters.onnx_builder.builder import Builder
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
"""The reason by Caffe's name for the type."""


def _nothing(b: Builder, layer: CaffeLayer) -> list[str]:
    for bottom in layer.bottoms:
        b.tensor(bottom)
    return []


def refusal_of(layer: CaffeLayer) -> str | None:
    """Return why layers of this type cannot be converted; None if they can."""
    if layer.kind in HANDLERS:
        return None
    if not layer.kind:
        return "it is written in Caffe's oldest format: upgrade the file with Caffe's upgrade_net_proto_text"
    return REFUSED.get(layer.kind, "mpscnn has no such layer yet")


HANDLERS: dict[str, Handler] = {
    **ELEMENTS,
    **MOVES,
    **NORMALIZATIONS,
    **PRODUCTS,
    **WINDOWS,
    "Dropout": same,
    "Silence": _nothing,
    "Split": same,
}
"""The converters by Caffe's name for the type."""

SEVERAL = frozenset({"Dropout", "Silence", "Slice", "Split"})
"""The types with other than one result. Further results of other types are never computed."""


def refuse_twice(layers: list[CaffeLayer], origin: str) -> None:
    """Raise UnsupportedError where two layers with weights have one name. Caffe gives both the same weights."""
    seen: set[str] = set()
    for layer in layers:
        if layer.blobs and layer.name in seen:
            raise UnsupportedError(
                f"{origin}: two layers are called {shown(layer.name)}, which is not supported"
            )
        seen.add(layer.name)
