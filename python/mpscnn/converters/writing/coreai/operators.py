"""List the functions that convert the ONNX operators that mpscnn's ONNX writer uses to operations of Core AI."""

from __future__ import annotations

from typing import Any

from mpscnn.converters.writing.convention import Write
from mpscnn.converters.writing.coreai.array_ops import ARRAY_OPS
from mpscnn.converters.writing.coreai.functions import FUNCTIONS
from mpscnn.converters.writing.coreai.operator import Operator
from mpscnn.converters.writing.coreai.recurrent import RECURRENT
from mpscnn.converters.writing.coreai.reductions import REDUCTIONS
from mpscnn.converters.writing.coreai.windows import WINDOWS

OPERATORS: dict[str, Write[Operator, Any]] = {**ARRAY_OPS, **FUNCTIONS, **RECURRENT, **REDUCTIONS, **WINDOWS}
"""The functions that convert operators, by ONNX' name."""
