"""List the functions that convert ONNX' operators to layers, one for each kind.

They raise UnsupportedError and WeightsError with only a reason. The caller adds the names of file and node.
"""

from __future__ import annotations

from mpscnn.converters.onnx_reader.arithmetic import ARITHMETIC
from mpscnn.converters.onnx_reader.array_ops import ARRAY_OPS, TENSOR_OPS  # Pad, Expand, DepthToSpace
from mpscnn.converters.onnx_reader.attention import ATTENTION
from mpscnn.converters.onnx_reader.casts import CASTS
from mpscnn.converters.onnx_reader.constant_operators import OF_CONSTANTS  # Range, NonZero
from mpscnn.converters.onnx_reader.context import Context, Handler, Made
from mpscnn.converters.onnx_reader.dynamic_quantization import DYNAMIC
from mpscnn.converters.onnx_reader.einsum import EINSUM
from mpscnn.converters.onnx_reader.indexing import INDEXING, SELECTIONS  # OneHot, TopK, GatherND, ScatterND
from mpscnn.converters.onnx_reader.local_response_norm import RESPONSES
from mpscnn.converters.onnx_reader.logic import LOGIC
from mpscnn.converters.onnx_reader.matrices import GEMM, MATRICES
from mpscnn.converters.onnx_reader.neurons import NEURONS, ROUNDINGS  # functions of one element
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.onnx_reader.normalizations import NORMALIZATIONS, SOFTMAX_AND_NORM
from mpscnn.converters.onnx_reader.operands import Operands, Row
from mpscnn.converters.onnx_reader.quantizations import QUANTIZATIONS
from mpscnn.converters.onnx_reader.recurrent import RECURRENT
from mpscnn.converters.onnx_reader.reductions import REDUCTIONS
from mpscnn.converters.onnx_reader.resize import RESIZES
from mpscnn.converters.onnx_reader.shapes import SHAPES
from mpscnn.converters.onnx_reader.slicing import SEQUENCES, SLICING
from mpscnn.converters.onnx_reader.special_functions import SPECIAL, TENSOR_FUNCTIONS  # Sin, Mod, Hardmax
from mpscnn.converters.onnx_reader.windows import WINDOWS  # convolutions and poolings

UNKNOWN = "mpscnn has no such layer yet"

_REASONS = {
    **dict.fromkeys(["If", "Loop", "Scan"], "control flow, which networks of mpscnn do not have"),
    "NonMaxSuppression": "suppression of boxes is not a layer here",
}
_OF_ONE_PROCESSOR = "com.microsoft.nchwc."
_REASON_OF_ONE_PROCESSOR = (
    "onnxruntime has written it for one kind of processor: convert the file from before the optimisation, or "
    "optimise it with the level ORT_ENABLE_EXTENDED"
)


ROWS: dict[str, Row] = {
    **SHAPES,
    **REDUCTIONS,
    **NEURONS,
    **SPECIAL,
    **ARITHMETIC,
    **LOGIC,
    **CASTS,
    **ARRAY_OPS,
    **SLICING,
    **INDEXING,
    **MATRICES,
    **SOFTMAX_AND_NORM,
    **QUANTIZATIONS,
}
"""The functions of operators that serve constants and tensors of the network alike."""

HANDLERS: dict[str, Handler] = {
    **WINDOWS,
    **ROUNDINGS,
    **TENSOR_FUNCTIONS,
    **GEMM,
    **ATTENTION,
    **EINSUM,
    **TENSOR_OPS,
    **SEQUENCES,
    **SELECTIONS,
    **RECURRENT,
    **NORMALIZATIONS,
    **RESPONSES,
    **RESIZES,
    **DYNAMIC,
}
"""The functions of other operators: the network computes some of their operands."""

FOLDED: dict[str, Row] = {**ROWS, **OF_CONSTANTS}
"""The functions of operators whose operands may all be constants. The network has no layers for `OF_CONSTANTS`."""


def is_known(kind: str) -> bool:
    """Return True if an operator can be converted to layers."""
    return kind in ROWS or kind in HANDLERS


def convert(c: Context, node: Node) -> Made:
    """Convert a node, some of whose operands the network computes, and return its results."""
    return (
        ROWS[node.kind](Operands(node, c.constants, c)) if node.kind in ROWS else HANDLERS[node.kind](c, node)
    )


def reason_against(kind: str) -> str:
    """Return why an operator that is not in the table cannot be converted."""
    if kind.startswith(_OF_ONE_PROCESSOR):
        return _REASON_OF_ONE_PROCESSOR
    return _REASONS.get(kind, UNKNOWN)
