"""Find out which TensorFlow Lite operators on integers without a scale can be computed in floats.

The engine computes in floats. An operator whose result is plain integers is converted only if the float results are
integers, too, as with moves, comparisons, counts and sums. Other operators would need integer rounding or overflow.
"""

from __future__ import annotations

from mpscnn.converters.reading.tflite.file import FileOperator, TfliteFile
from mpscnn.errors import UnsupportedError

_OF_ANY_TYPE = frozenset(
    {
        "ARG_MAX", "ARG_MIN", "BATCH_TO_SPACE_ND", "BROADCAST_TO", "CAST", "CONCATENATION", "DENSIFY", "DEPTH_TO_SPACE",
        "EXPAND_DIMS", "GATHER", "GATHER_ND", "MAX_POOL_2D", "MIRROR_PAD", "ONE_HOT", "PACK", "PAD", "PADV2",
        "RANK", "REDUCE_MAX", "REDUCE_MIN", "RESHAPE", "RESIZE_NEAREST_NEIGHBOR", "REVERSE_V2", "SCATTER_ND",
        "SELECT", "SELECT_V2", "SHAPE", "SLICE", "SPACE_TO_BATCH_ND", "SPACE_TO_DEPTH", "SPLIT", "SPLIT_V", "SQUEEZE",
        "STRIDED_SLICE", "TILE", "TOPK_V2", "TRANSPOSE", "UNPACK", "ZEROS_LIKE",
    }
)  # fmt: skip
_OF_INTEGERS = frozenset({"ABS", "CUMSUM", "NEG", "SIGN", "SUM"})
_OF_TRUTH_VALUES = frozenset(
    {
        "EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "LOGICAL_AND", "LOGICAL_NOT", "LOGICAL_OR",
        "NOT_EQUAL", "REDUCE_ALL", "REDUCE_ANY",
    }
)  # fmt: skip


def refuse_unscaled_integers(file: TfliteFile, operator: FileOperator) -> None:
    """Raise UnsupportedError for an operator on plain integers that cannot be computed in floats."""
    for index in operator.outputs:
        result = file.tensors[index]
        own = {"b": _OF_TRUTH_VALUES, "i": _OF_INTEGERS, "u": _OF_INTEGERS}.get(result.dtype.kind)
        if own is not None and result.quantization is None and operator.kind not in _OF_ANY_TYPE | own:
            raise UnsupportedError(f"computes with {result.dtype} numbers, which is not supported")
