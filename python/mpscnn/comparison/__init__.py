"""Two models, files, engines or precisions on the same input, layer by layer: `mpscnn.compare`."""

from mpscnn.comparison.compared import ComparedLayer, Comparison
from mpscnn.comparison.side_by_side import compare

__all__ = ["ComparedLayer", "Comparison", "compare"]
