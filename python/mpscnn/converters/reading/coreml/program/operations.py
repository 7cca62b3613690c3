"""Convert the operations of Core ML's programs: one function for each kind, and the kinds that are refused."""

from __future__ import annotations

from mpscnn.converters.reading.coreml.program.array_ops import ARRAY_OPS
from mpscnn.converters.reading.coreml.program.blocks import BLOCKS
from mpscnn.converters.reading.coreml.program.elementwise import ELEMENTWISE
from mpscnn.converters.reading.coreml.program.indexing import INDEXING
from mpscnn.converters.reading.coreml.program.linear_and_reductions import LINEAR_AND_REDUCTIONS
from mpscnn.converters.reading.coreml.program.recurrent import RECURRENT
from mpscnn.converters.reading.coreml.program.windows import WINDOWS
from mpscnn.converters.values.rows import Row

_REASONS = {
    "sequences of several lengths are not supported": "reverse_sequence",
    "control flow is not supported": "cond while_loop",
    "lists of tensors are not supported": "list_gather list_length list_read list_scatter list_write make_list",
    "states, values that are kept between runs, are not supported": "read_state coreml_update_state slice_update "
    "write_state",
    "random numbers are not supported": "random_bernoulli random_categorical random_normal random_uniform",
    "its numbers are quantised while it runs, which is not supported": "conv_quantized",
    "suppression of boxes within a network is not supported: write it as a part of a pipeline, after the network": (
        "non_maximum_suppression"
    ),
    "the shape of its result depends on what the network computes, which is not supported": "non_zero range_1d "
    "reshape_like fill_like",
    "mpscnn has no such layer": "affine band_part crop_resize resample sliding_windows",
}
REFUSED = {kind: reason for reason, kinds in _REASONS.items() for kind in kinds.split()}
"""The reason why an operation is not supported, by Core ML's name."""

ROWS: dict[str, Row] = {
    **ELEMENTWISE,
    **ARRAY_OPS,
    **BLOCKS,
    **INDEXING,
    **LINEAR_AND_REDUCTIONS,
    **RECURRENT,
    **WINDOWS,
}
"""The functions that convert operations, by Core ML's name."""
