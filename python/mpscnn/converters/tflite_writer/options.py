"""List the options of TensorFlow Lite's operators, with the numbers of the schema.

The numbers are those of tensorflow/compiler/mlir/lite/schema/schema.fbs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mpscnn.converters.tflite.flatbuffer_builder import Fields, Number
from mpscnn.converters.tflite.names import activation_number

PADDINGS = {"same": 0, "valid": 1}


@dataclass(frozen=True)
class Options:
    """The options of an operator: the number of their table, and number and kind of each option.

    Kinds are those of `flatbuffer_builder.Number`; "activation" is the name of a fused activation.
    """

    table: int
    fields: Mapping[str, tuple[int, str]]

    def written(self, values: Mapping[str, Any]) -> Fields:
        """Return the table with these values. Options that are left out have the schema's default."""
        made = {}
        for name, value in values.items():
            number, kind = self.fields[name]
            if kind == "activation":
                kind, value = "b", activation_number(value)
            made[number] = Number(kind, value)
        return made


def _options(table: int, **kinds: str) -> Options:
    """Return options whose fields have the numbers 0, 1, 2, ..., in the order of the arguments."""
    return Options(table, {name: (number, kind) for number, (name, kind) in enumerate(kinds.items())})


_ACTIVATION = {"activation": "activation"}
_WINDOW = {"padding": "b", "stride_x": "i", "stride_y": "i"}
_DILATION = {"dilation_x": "i", "dilation_y": "i"}
_POOLING = _options(5, **_WINDOW, width="i", height="i", **_ACTIVATION)
_REDUCTION = _options(27, keeps_axes="?")

OPTIONS: dict[str, Options] = {
    "ADD": _options(11, **_ACTIVATION),
    "ARG_MAX": _options(40, type="b"),
    "ARG_MIN": _options(57, type="b"),
    "AVERAGE_POOL_2D": _POOLING,
    "BATCH_MATMUL": _options(101, turns_first="?", turns_second="?"),
    "CAST": _options(37, source="b", target="b"),
    "CONCATENATION": _options(10, axis="i", **_ACTIVATION),
    "CONV_2D": _options(1, **_WINDOW, **_ACTIVATION, **_DILATION),
    "DEPTHWISE_CONV_2D": _options(2, **_WINDOW, multiplier="i", **_ACTIVATION, **_DILATION),
    "DEPTH_TO_SPACE": _options(94, block="i"),
    "DIV": _options(29, **_ACTIVATION),
    "FULLY_CONNECTED": _options(8, **_ACTIVATION, format="b", keeps_axes="?"),
    "GATHER": _options(23, axis="i", batches="i"),
    "GELU": _options(116, approximates="?"),
    "L2_NORMALIZATION": _options(12, **_ACTIVATION),
    "LEAKY_RELU": _options(75, slope="f"),
    "LOCAL_RESPONSE_NORMALIZATION": _options(13, radius="i", bias="f", alpha="f", beta="f"),
    "MAX_POOL_2D": _POOLING,
    "MEAN": _REDUCTION,
    "MIRROR_PAD": _options(77, mode="b"),
    "MUL": _options(21, **_ACTIVATION),
    "PACK": _options(59, count="i", axis="i"),
    "REDUCE_MAX": _REDUCTION,
    "REDUCE_MIN": _REDUCTION,
    "REDUCE_PROD": _REDUCTION,
    "RESIZE_BILINEAR": Options(15, {"aligns_corners": (2, "?"), "half_pixel_centers": (3, "?")}),
    "RESIZE_NEAREST_NEIGHBOR": _options(74, aligns_corners="?", half_pixel_centers="?"),
    "SHAPE": _options(55, type="b"),
    "SOFTMAX": _options(9, beta="f"),
    "SPLIT": _options(35, count="i"),
    "STRIDED_SLICE": _options(
        32, begin_mask="i", end_mask="i", ellipsis_mask="i", new_axis_mask="i", shrink_axis_mask="i"
    ),
    "SUB": _options(28, **_ACTIVATION),
    "SUM": _REDUCTION,
    "TRANSPOSE_CONV": _options(49, **_WINDOW, **_ACTIVATION),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _options(
        71, **_ACTIVATION, cell_limit="f", projection_limit="f", time_major="?"
    ),
}
"""The options by operator. Operators that are not listed have none that matter."""

#: The versions of operators whose first version does not know 8-bit integers, other than 2.
_VERSIONS_OF_INTEGERS = {
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "FULLY_CONNECTED": 4,
    "HARD_SWISH": 1,
    "QUANTIZE": 1,
    "RESHAPE": 1,
}


def version_of(kind: str, *, of_integers: bool) -> int:
    """Return the version of an operator, which runtimes compare with the versions that they know."""
    if kind == "BROADCAST_TO":  # LiteRT does not know its first version
        return 2
    return _VERSIONS_OF_INTEGERS.get(kind, 2) if of_integers else 1
