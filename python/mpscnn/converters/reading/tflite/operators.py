"""List the functions that convert TensorFlow Lite's operators, one for each kind, and the kinds that are refused.

They raise UnsupportedError and WeightsError with only a reason. The caller adds the names of file and layer.
"""

from __future__ import annotations

from mpscnn.converters.reading.tflite.arithmetic import ARITHMETIC
from mpscnn.converters.reading.tflite.array_ops import ARRAY_OPS, SHAPES
from mpscnn.converters.reading.tflite.convolutions import CONVOLUTIONS
from mpscnn.converters.reading.tflite.detection import DETECTION
from mpscnn.converters.reading.tflite.indexing import INDEXING
from mpscnn.converters.reading.tflite.logic import LOGIC
from mpscnn.converters.reading.tflite.matrices import MATRICES
from mpscnn.converters.reading.tflite.mediapipe import MEDIAPIPE
from mpscnn.converters.reading.tflite.recurrent import RECURRENT
from mpscnn.converters.reading.tflite.reductions import REDUCTIONS
from mpscnn.converters.reading.tflite.slicing import PARTS
from mpscnn.converters.values.rows import Row

_REASONS = {
    "recurrent layers of this kind are not supported": """
        BIDIRECTIONAL_SEQUENCE_LSTM BIDIRECTIONAL_SEQUENCE_RNN LSTM RNN UNIDIRECTIONAL_SEQUENCE_RNN""",
    "control flow is not supported": "CALL CALL_ONCE IF WHILE",
    "values that are kept between runs are not supported": """
        ASSIGN_VARIABLE HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_LOOKUP HASHTABLE_SIZE READ_VARIABLE
        VAR_HANDLE""",
    "the shape of its result depends on the numbers, which is not supported": "NON_MAX_SUPPRESSION_V4 "
    "NON_MAX_SUPPRESSION_V5 UNIQUE WHERE",
    "tables and indices that the network computes are not supported": """
        DYNAMIC_UPDATE_SLICE EMBEDDING_LOOKUP EMBEDDING_LOOKUP_SPARSE REVERSE_SEQUENCE SEGMENT_SUM SPARSE_TO_DENSE
        UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_MIN UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_SUM""",
    "random numbers are not supported": "MULTINOMIAL RANDOM_STANDARD_NORMAL RANDOM_UNIFORM",
    "integers and their bits are not supported": "BITCAST BITWISE_XOR BUCKETIZE RIGHT_SHIFT",
    "complex numbers are not supported": "COMPLEX_ABS IMAG REAL RFFT2D",
    "3-D layers are not supported": "CONV_3D CONV_3D_TRANSPOSE",
    "text is not supported": "LSH_PROJECTION SKIP_GRAM",
    "mpscnn has no such function": "ATAN2",
    "mpscnn has no such layer": "CONCAT_EMBEDDINGS DELEGATE DILATE MATRIX_DIAG MATRIX_SET_DIAG REDUCE_WINDOW",
}

REFUSED = {kind: reason for reason, kinds in _REASONS.items() for kind in kinds.split()}
"""The reason by TensorFlow Lite's name of the operator."""


def unsupported_reason(kind: str) -> str:
    """Return the reason why an operator is not supported."""
    if kind.startswith("CUSTOM"):
        return "custom operators are not supported"
    if kind.startswith("STABLEHLO"):
        return "operators of StableHLO are not supported: convert the model to TensorFlow Lite's own"
    return REFUSED.get(kind, "mpscnn has no such layer")


ROWS: dict[str, Row] = {
    **ARITHMETIC,
    **ARRAY_OPS,
    **CONVOLUTIONS,
    **DETECTION,
    **INDEXING,
    **LOGIC,
    **MATRICES,
    **MEDIAPIPE,
    **PARTS,
    **RECURRENT,
    **REDUCTIONS,
    **SHAPES,
}
"""The functions that convert operators, by TensorFlow Lite's name of the operator."""
