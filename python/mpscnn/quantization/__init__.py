"""Quantise networks after training: convert float networks to 8-bit integers (docs/precision.md)."""

from mpscnn._private.other_names import explain_unknown_names
from mpscnn.quantization.post_training import quantize
from mpscnn.quantization.report import QuantizationReport, QuantizedLayer

__all__ = ["QuantizationReport", "QuantizedLayer", "quantize"]

explain_unknown_names(__name__)
