"""Quantise networks after training: convert float networks to 8-bit integers (docs/precision.md)."""

import sys
from typing import TYPE_CHECKING, Any

from mpscnn._private.expected_names import attribute_error, twin_attribute
from mpscnn.quantization.post_training import quantize
from mpscnn.quantization.report import QuantizationReport, QuantizedLayer

__all__ = ["QuantizationReport", "QuantizedLayer", "quantize"]


if not TYPE_CHECKING:  # hidden from type checkers, for which every wrong name would be an Any

    def __getattr__(name: str) -> Any:
        found, hint = twin_attribute(sys.modules[__name__], __name__, name)
        if found:
            return found[0]
        raise attribute_error(__name__, name, hint)
