"""List the functions that convert ONNX' operators to layers, one for each kind.

They raise UnsupportedError and WeightsError with only a reason. The caller adds the names of file and node.
"""

from __future__ import annotations

from mpscnn.converters.onnx_reader.arithmetic import ARITHMETIC
from mpscnn.converters.onnx_reader.array_ops import ARRAY_OPS
from mpscnn.converters.onnx_reader.attention import ATTENTION
from mpscnn.converters.onnx_reader.context import Handler
from mpscnn.converters.onnx_reader.einsum import EINSUM
from mpscnn.converters.onnx_reader.indexing import INDEXING
from mpscnn.converters.onnx_reader.local_response_norm import RESPONSES
from mpscnn.converters.onnx_reader.logic import LOGIC
from mpscnn.converters.onnx_reader.matrices import MATRICES
from mpscnn.converters.onnx_reader.neurons import NEURONS
from mpscnn.converters.onnx_reader.quantizations import QUANTIZATIONS
from mpscnn.converters.onnx_reader.recurrent import RECURRENT
from mpscnn.converters.onnx_reader.reductions import REDUCTIONS
from mpscnn.converters.onnx_reader.resize import RESIZES
from mpscnn.converters.onnx_reader.slicing import PARTS
from mpscnn.converters.onnx_reader.windows import WINDOWS

UNKNOWN = "mpscnn has no such layer yet"

_REASONS = {
    **dict.fromkeys(["If", "Loop", "Scan"], "control flow, which networks of mpscnn do not have"),
    "NonMaxSuppression": "suppression of boxes is not a layer here",
}


OPERATORS: dict[str, Handler] = {
    **WINDOWS,
    **NEURONS,
    **ARITHMETIC,
    **LOGIC,
    **MATRICES,
    **ATTENTION,
    **EINSUM,
    **ARRAY_OPS,
    **PARTS,
    **INDEXING,
    **RECURRENT,
    **REDUCTIONS,
    **RESPONSES,
    **RESIZES,
    **QUANTIZATIONS,
}


def reason_against(kind: str) -> str:
    """Return why an operator that is not in the table cannot be converted."""
    return _REASONS.get(kind, UNKNOWN)
