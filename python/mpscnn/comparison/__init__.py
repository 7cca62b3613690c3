"""Compare two models, files, engines or precisions on the same input, layer by layer."""

from mpscnn.comparison.layer_comparison import ComparedLayer, Comparison
from mpscnn.comparison.precision_check import LayerPrecision, PrecisionReport, check_precision
from mpscnn.comparison.precision_table import PrecisionFigures, PrecisionTable, compare_precisions
from mpscnn.comparison.side_by_side import compare

__all__ = [
    "ComparedLayer",
    "Comparison",
    "LayerPrecision",
    "PrecisionFigures",
    "PrecisionReport",
    "PrecisionTable",
    "check_precision",
    "compare",
    "compare_precisions",
]
