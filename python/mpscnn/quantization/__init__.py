"""Quantise networks after training: convert float networks to 8-bit integers (docs/precision.md)."""

from typing import TYPE_CHECKING, Any

from mpscnn._private.expected_names import attribute_error, twin_hint
from mpscnn.quantization.post_training import quantize
from mpscnn.quantization.report import QuantizationReport, QuantizedLayer

__all__ = ["QuantizationReport", "QuantizedLayer", "quantize"]


if not TYPE_CHECKING:  # hidden from type checkers, for which every wrong name would be an Any

    def __getattr__(name: str) -> Any:
        raise attribute_error(__name__, name, twin_hint(__name__, name))
