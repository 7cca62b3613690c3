"""List the functions that convert the ONNX operators that mpscnn's ONNX writer uses to operations of Core AI."""

from __future__ import annotations

from mpscnn.converters.coreai_writer.array_ops import ARRAY_OPS
from mpscnn.converters.coreai_writer.functions import FUNCTIONS
from mpscnn.converters.coreai_writer.operator import Handler
from mpscnn.converters.coreai_writer.recurrent import RECURRENT
from mpscnn.converters.coreai_writer.reductions import REDUCTIONS
from mpscnn.converters.coreai_writer.windows import WINDOWS

OPERATORS: dict[str, Handler] = {**ARRAY_OPS, **FUNCTIONS, **RECURRENT, **REDUCTIONS, **WINDOWS}
"""The functions that convert operators, by ONNX' name."""
