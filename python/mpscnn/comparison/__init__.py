"""Compare two models, files, engines or precisions on the same input, layer by layer."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

# The modules are imported when their names are used, because the process of another engine needs only a part of them.
_MODULES = {
    "layer_comparison": ("ComparedLayer", "Comparison"),
    "precision_check": ("LayerPrecision", "PrecisionReport", "check_precision"),
    "precision_table": ("PrecisionFigures", "PrecisionTable", "compare_precisions"),
    "side_by_side": ("compare",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


if not TYPE_CHECKING:  # hidden from type checkers, for which every wrong name would be an Any

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
