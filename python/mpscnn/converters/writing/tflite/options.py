"""Write the options of TensorFlow Lite's operators, and state the versions of operators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mpscnn.converters.reading.tflite.flatbuffer_builder import Fields
from mpscnn.converters.reading.tflite.options import OPTIONS

PADDINGS = {"same": "SAME", "valid": "VALID"}

_NAMES = {
    "activation": "fused_activation_function",
    "aligns_corners": "align_corners",
    "approximates": "approximate",
    "batches": "batch_dims",
    "block": "block_size",
    "cell_limit": "cell_clip",
    "dilation_x": "dilation_w_factor",
    "dilation_y": "dilation_h_factor",
    "format": "weights_format",
    "height": "filter_height",
    "keeps_axes": "keep_dims",
    "multiplier": "depth_multiplier",
    "projection_limit": "proj_clip",
    "slope": "alpha",
    "stride_x": "stride_w",
    "stride_y": "stride_h",
    "turns_first": "adj_x",
    "turns_second": "adj_y",
    "width": "filter_width",
}
"""The names of the schema for the names that this package uses."""
_NAMES_OF_OPERATORS = {
    "ARG_MAX": {"type": "output_type"},
    "ARG_MIN": {"type": "output_type"},
    "CAST": {"source": "in_data_type", "target": "out_data_type"},
    "FULLY_CONNECTED": {"keeps_axes": "keep_num_dims"},
    "PACK": {"count": "values_count"},
    "SHAPE": {"type": "out_type"},
    "SPLIT": {"count": "num_splits"},
}


def written_options(kind: str, values: Mapping[str, Any]) -> tuple[int, Fields]:
    """Return the number of an operator's table of options, and the table with these values."""
    names = _NAMES | _NAMES_OF_OPERATORS.get(kind, {})
    options = OPTIONS[kind]
    return options.table, options.written({names.get(name, name): value for name, value in values.items()})


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
