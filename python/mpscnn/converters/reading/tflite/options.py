"""List the options of TensorFlow Lite's operators by their names in the schema, to read and to write them.

The schema is tensorflow/compiler/mlir/lite/schema/schema.fbs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mpscnn.converters.reading.tflite.flatbuffer import Table
from mpscnn.converters.reading.tflite.flatbuffer_builder import Fields, Number
from mpscnn.converters.reading.tflite.names import ENUMERATIONS

INTEGERS = "[i]"
"""The kind of an option that is a list of 32-bit integers."""
_MAX_INTEGERS = 9  # one more than a tensor may have axes


@dataclass(frozen=True)
class Option:
    """An option: the number of its field, its kind, and its value if the table leaves it out.

    Kinds are format characters of `struct`, names of `ENUMERATIONS`, whose values have names, and `INTEGERS`.
    """

    number: int
    kind: str
    default: Any

    def read(self, table: Table) -> Any:
        """Return the value in a table that has the option."""
        if self.kind == INTEGERS:
            return [int(one) for one in table.numbers(self.number, "<i4")[:_MAX_INTEGERS]]
        if self.kind not in ENUMERATIONS:
            return table.number(self.number, self.kind)
        names, value = ENUMERATIONS[self.kind], table.integer(self.number, "b")
        return names[value] if 0 <= value < len(names) else f"{self.kind} {value}"

    def written(self, value: Any) -> Number:
        """Return a value as a field of a table."""
        if self.kind in ENUMERATIONS:
            return Number("b", ENUMERATIONS[self.kind].index(value))
        return Number(self.kind, value)


@dataclass(frozen=True)
class Options:
    """The options of an operator: the number of their table, and the options by name."""

    table: int
    fields: Mapping[str, Option]

    def read(self, table: Table) -> Iterator[tuple[str, Any]]:
        """Yield the names and values of the options that a table has. Those that are not known get a name, too."""
        names = list(self.fields)
        for number in table.fields():
            if number < len(names):
                yield names[number], self.fields[names[number]].read(table)
            else:
                yield f"option {number}", table.integer(number, "B")

    def written(self, values: Mapping[str, Any]) -> Fields:
        """Return the table with these values. Options that are left out have the schema's default."""
        return {self.fields[name].number: self.fields[name].written(value) for name, value in values.items()}


def _options(table: int, /, **kinds: str) -> Options:
    """Return options whose fields have the numbers 0, 1, 2, ..., in the order of the arguments.

    A kind may end with the default, such as "i=1".
    """
    made = {}
    for number, (name, stated) in enumerate(kinds.items()):
        kind, _, default = stated.partition("=")
        if kind in ENUMERATIONS:
            made[name] = Option(number, kind, ENUMERATIONS[kind][0])
        else:
            made[name] = Option(number, kind, [] if kind == INTEGERS else int(default or 0))
    return Options(table, made)


_FUSED = {"fused_activation_function": "activation"}
_WINDOW = {"padding": "padding", "stride_w": "i", "stride_h": "i"}
_DILATION = {"dilation_w_factor": "i=1", "dilation_h_factor": "i=1"}
_SUM = {**_FUSED, "pot_scale_int16": "?=1"}
_POOLING = _options(5, **_WINDOW, filter_width="i", filter_height="i", **_FUSED)
_REDUCTION = _options(27, keep_dims="?")

NO_OPTIONS = Options(0, {})
OPTIONS: dict[str, Options] = {
    "ADD": _options(11, **_SUM),
    "ARG_MAX": _options(40, output_type="b"),
    "ARG_MIN": _options(57, output_type="b"),
    "AVERAGE_POOL_2D": _POOLING,
    "BATCH_MATMUL": _options(101, adj_x="?", adj_y="?", asymmetric_quantize_inputs="?"),
    "CAST": _options(37, in_data_type="b", out_data_type="b"),
    "CONCATENATION": _options(10, axis="i", **_FUSED),
    "CONV_2D": _options(1, **_WINDOW, **_FUSED, **_DILATION, quantized_bias_type="b"),
    "CUMSUM": _options(102, exclusive="?", reverse="?"),
    "DEPTHWISE_CONV_2D": _options(2, **_WINDOW, depth_multiplier="i", **_FUSED, **_DILATION),
    "DEPTH_TO_SPACE": _options(94, block_size="i"),
    "DIV": _options(29, **_FUSED),
    "FAKE_QUANT": _options(58, min="f", max="f", num_bits="i", narrow_range="?"),
    "FULLY_CONNECTED": _options(
        8, **_FUSED, weights_format="format", keep_num_dims="?", asymmetric_quantize_inputs="?",
        quantized_bias_type="b",
    ),
    "GATHER": _options(23, axis="i", batch_dims="i"),
    "GELU": _options(116, approximate="?"),
    "L2_NORMALIZATION": _options(12, **_FUSED),
    "L2_POOL_2D": _POOLING,
    "LEAKY_RELU": _options(75, alpha="f"),
    "LOCAL_RESPONSE_NORMALIZATION": _options(13, radius="i", bias="f", alpha="f", beta="f"),
    "MAX_POOL_2D": _POOLING,
    "MEAN": _REDUCTION,
    "MIRROR_PAD": _options(77, mode="mode"),
    "MUL": _options(21, **_FUSED),
    "ONE_HOT": _options(61, axis="i"),
    "PACK": _options(59, values_count="i", axis="i"),
    "REDUCE_ALL": _REDUCTION,
    "REDUCE_ANY": _REDUCTION,
    "REDUCE_MAX": _REDUCTION,
    "REDUCE_MIN": _REDUCTION,
    "REDUCE_PROD": _REDUCTION,
    "RESHAPE": _options(17, new_shape=INTEGERS),
    "RESIZE_BILINEAR": _options(15, new_height="i", new_width="i", align_corners="?", half_pixel_centers="?"),
    "RESIZE_NEAREST_NEIGHBOR": _options(74, align_corners="?", half_pixel_centers="?"),
    "SHAPE": _options(55, out_type="b"),
    "SOFTMAX": _options(9, beta="f"),
    "SPACE_TO_DEPTH": _options(19, block_size="i"),
    "SPLIT": _options(35, num_splits="i"),
    "SPLIT_V": _options(79, num_splits="i"),
    "SQUEEZE": _options(30, squeeze_dims=INTEGERS),
    "STRIDED_SLICE": _options(
        32, begin_mask="i", end_mask="i", ellipsis_mask="i", new_axis_mask="i", shrink_axis_mask="i", offset="?"
    ),
    "SUB": _options(28, **_SUM),
    "SUM": _REDUCTION,
    "SVDF": _options(6, rank="i", **_FUSED, asymmetric_quantize_inputs="?"),
    "TRANSPOSE_CONV": _options(49, **_WINDOW, **_FUSED, quantized_bias_type="b"),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _options(
        71, **_FUSED, cell_clip="f", proj_clip="f", time_major="?", asymmetric_quantize_inputs="?",
        diagonal_recurrent_tensors="?",
    ),
    "UNPACK": _options(64, num="i", axis="i"),
}  # fmt: skip
"""The options by operator. The tables of operators that are not listed have no fields."""
