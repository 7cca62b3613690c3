"""List the functions that convert ONNX' operators to layers, one for each kind.

They raise UnsupportedError and WeightsError with only a reason. The caller adds the names of file and node.
"""

from __future__ import annotations

from mpscnn.converters.onnx_reader.arithmetic import ARITHMETIC
from mpscnn.converters.onnx_reader.array_ops import ARRAY_OPS
from mpscnn.converters.onnx_reader.attention import ATTENTION
from mpscnn.converters.onnx_reader.constants import ROWS
from mpscnn.converters.onnx_reader.context import Context, Handler, Made
from mpscnn.converters.onnx_reader.dynamic_quantization import DYNAMIC
from mpscnn.converters.onnx_reader.einsum import EINSUM
from mpscnn.converters.onnx_reader.indexing import INDEXING
from mpscnn.converters.onnx_reader.local_response_norm import RESPONSES
from mpscnn.converters.onnx_reader.logic import LOGIC
from mpscnn.converters.onnx_reader.matrices import MATRICES
from mpscnn.converters.onnx_reader.neurons import NEURONS
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.onnx_reader.operands import Row
from mpscnn.converters.onnx_reader.quantizations import QUANTIZATIONS
from mpscnn.converters.onnx_reader.recurrent import RECURRENT
from mpscnn.converters.onnx_reader.reductions import REDUCTIONS
from mpscnn.converters.onnx_reader.resize import RESIZES
from mpscnn.converters.onnx_reader.slicing import SLICING
from mpscnn.converters.onnx_reader.special_functions import SPECIAL
from mpscnn.converters.onnx_reader.windows import WINDOWS

UNKNOWN = "mpscnn has no such layer yet"

_REASONS = {
    **dict.fromkeys(["If", "Loop", "Scan"], "control flow, which networks of mpscnn do not have"),
    "NonMaxSuppression": "suppression of boxes is not a layer here",
}


def _of_values(row: Row) -> Handler:
    """Return the function of an operator that also serves constants, for operands that the network computes."""

    def convert(c: Context, node: Node) -> Made:
        return row(c.operands(node))

    return convert


OPERATORS: dict[str, Handler] = {
    **{kind: _of_values(row) for kind, row in ROWS.items()},
    **WINDOWS,
    **NEURONS,
    **SPECIAL,
    **ARITHMETIC,
    **LOGIC,
    **MATRICES,
    **ATTENTION,
    **EINSUM,
    **ARRAY_OPS,
    **SLICING,
    **INDEXING,
    **RECURRENT,
    **REDUCTIONS,
    **RESPONSES,
    **RESIZES,
    **QUANTIZATIONS,
    **DYNAMIC,
}


def reason_against(kind: str) -> str:
    """Return why an operator that is not in the table cannot be converted."""
    return _REASONS.get(kind, UNKNOWN)
