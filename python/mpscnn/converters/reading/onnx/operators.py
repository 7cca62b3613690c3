"""List the rows that convert ONNX' operators to layers, one for each kind, and those that compute constants.

They raise UnsupportedError and WeightsError with only a reason. The caller adds the names of file and node.
"""

from __future__ import annotations

from mpscnn.converters.reading.onnx.arithmetic import ARITHMETIC_OF_CONSTANTS, ARITHMETIC_OF_TENSORS
from mpscnn.converters.reading.onnx.array_ops import (
    ARRAY_OPS,
    ARRAY_OPS_OF_CONSTANTS,
    ARRAY_OPS_OF_TENSORS,
)  # Pad, Expand, DepthToSpace
from mpscnn.converters.reading.onnx.attention import ATTENTION
from mpscnn.converters.reading.onnx.casts import CASTS_OF_CONSTANTS, CASTS_OF_TENSORS
from mpscnn.converters.reading.onnx.constant_operators import OF_CONSTANTS  # Range, NonZero
from mpscnn.converters.reading.onnx.dynamic_quantization import DYNAMIC
from mpscnn.converters.reading.onnx.einsum import EINSUM
from mpscnn.converters.reading.onnx.indexing import (
    INDEXING,
    INDEXING_OF_CONSTANTS,
    INDEXING_OF_TENSORS,
)  # OneHot, TopK, GatherND, ScatterND
from mpscnn.converters.reading.onnx.local_response_norm import RESPONSES
from mpscnn.converters.reading.onnx.logic import LOGIC, LOGIC_OF_CONSTANTS, LOGIC_OF_TENSORS
from mpscnn.converters.reading.onnx.matrices import MATRICES_OF_CONSTANTS, MATRICES_OF_TENSORS
from mpscnn.converters.reading.onnx.neurons import (
    NEURONS,
    NEURONS_OF_CONSTANTS,
    NEURONS_OF_TENSORS,
)  # functions of one element
from mpscnn.converters.reading.onnx.normalizations import (
    NORMALIZATIONS_OF_CONSTANTS,
    NORMALIZATIONS_OF_TENSORS,
)
from mpscnn.converters.reading.onnx.quantizations import QUANTIZATIONS_OF_CONSTANTS, QUANTIZATIONS_OF_TENSORS
from mpscnn.converters.reading.onnx.recurrent import RECURRENT
from mpscnn.converters.reading.onnx.reductions import REDUCTIONS
from mpscnn.converters.reading.onnx.resize import RESIZES
from mpscnn.converters.reading.onnx.shapes import SHAPES
from mpscnn.converters.reading.onnx.slicing import SLICING, SLICING_OF_CONSTANTS, SLICING_OF_TENSORS
from mpscnn.converters.reading.onnx.special_functions import (
    SPECIAL,
    SPECIAL_OF_TENSORS,
)  # Sin, Mod, Hardmax
from mpscnn.converters.reading.onnx.windows import WINDOWS  # convolutions and poolings
from mpscnn.converters.values.rows import Row

UNKNOWN = "mpscnn has no such layer yet"

REFUSED = {
    **dict.fromkeys(["If", "Loop", "Scan"], "control flow, which networks of mpscnn do not have"),
    "NonMaxSuppression": "suppression of boxes is not a layer here",
}
"""The reasons against operators that networks cannot have."""
_OF_ONE_PROCESSOR = "com.microsoft.nchwc."
_REASON_OF_ONE_PROCESSOR = (
    "onnxruntime has written it for one kind of processor: convert the file from before the optimisation, or "
    "optimise it with the level ORT_ENABLE_EXTENDED"
)


_OF_BOTH: dict[str, Row] = {
    **ARRAY_OPS,
    **INDEXING,
    **LOGIC,
    **NEURONS,
    **REDUCTIONS,
    **SHAPES,
    **SLICING,
    **SPECIAL,
}

ROWS: dict[str, Row] = {
    **_OF_BOTH,
    **ARITHMETIC_OF_TENSORS,
    **ARRAY_OPS_OF_TENSORS,
    **ATTENTION,
    **CASTS_OF_TENSORS,
    **DYNAMIC,
    **EINSUM,
    **INDEXING_OF_TENSORS,
    **LOGIC_OF_TENSORS,
    **MATRICES_OF_TENSORS,
    **NEURONS_OF_TENSORS,
    **NORMALIZATIONS_OF_TENSORS,
    **QUANTIZATIONS_OF_TENSORS,
    **RECURRENT,
    **RESIZES,
    **RESPONSES,
    **SLICING_OF_TENSORS,
    **SPECIAL_OF_TENSORS,
    **WINDOWS,
}
"""The rows of operators of whose operands the network computes some."""

ROWS_OF_CONSTANTS: dict[str, Row] = {
    **_OF_BOTH,
    **ARITHMETIC_OF_CONSTANTS,
    **ARRAY_OPS_OF_CONSTANTS,
    **CASTS_OF_CONSTANTS,
    **INDEXING_OF_CONSTANTS,
    **LOGIC_OF_CONSTANTS,
    **MATRICES_OF_CONSTANTS,
    **NEURONS_OF_CONSTANTS,
    **NORMALIZATIONS_OF_CONSTANTS,
    **OF_CONSTANTS,
    **QUANTIZATIONS_OF_CONSTANTS,
    **SLICING_OF_CONSTANTS,
}
"""The rows of operators whose operands are all constants. The network has no layers for `OF_CONSTANTS`."""


def reason_against(kind: str) -> str:
    """Return why an operator that is not in the table cannot be converted."""
    if kind.startswith(_OF_ONE_PROCESSOR):
        return _REASON_OF_ONE_PROCESSOR
    return REFUSED.get(kind, UNKNOWN)
