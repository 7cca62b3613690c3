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
from mpscnn.converters.onnx_graph import Graph
from mpscnn.errors import UnsupportedError

STAND_IN = "caffe.Refused"
"""No operator of ONNX' own."""

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


def _nothing(g: Graph, layer: CaffeLayer) -> None:
    for bottom in layer.bottoms:
        g.tensor(bottom)


def unknown(_: Graph, layer: CaffeLayer) -> None:
    """For a type that is not in the table."""
    if not layer.kind:
        raise UnsupportedError(
            "it is written in Caffe's oldest format: upgrade the file with Caffe's upgrade_net_proto_text"
        )
    raise UnsupportedError("mpscnn has no such layer yet")


def stand_in(g: Graph, layer: CaffeLayer) -> None:
    """In place of a layer that is refused, an operator that ONNX' reader refuses, together with all others."""
    read = [g.tensor(bottom) for bottom in layer.bottoms if g.has(bottom)]
    g.node(STAND_IN, layer.name, read, [g.result(top, None) for top in layer.tops])


def _refuse(_: Graph, layer: CaffeLayer) -> None:
    raise UnsupportedError(REFUSED[layer.kind])


HANDLERS: dict[str, Handler] = {
    **ELEMENTS,
    **MOVES,
    **NORMALIZATIONS,
    **PRODUCTS,
    **WINDOWS,
    **dict.fromkeys(REFUSED, _refuse),
    "Dropout": same,
    "Silence": _nothing,
    "Split": same,
}
"""The converters by Caffe's name for the type."""


def refuse_twice(layers: list[CaffeLayer], origin: str) -> None:
    """Raise UnsupportedError where two layers with weights have one name. Caffe gives both the same weights."""
    seen: set[str] = set()
    for layer in layers:
        if layer.blobs and layer.name in seen:
            raise UnsupportedError(
                f"{origin}: two layers are called {shown(layer.name)}, which is not supported"
            )
        seen.add(layer.name)
