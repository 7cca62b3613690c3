"""Define the layer method for concatenation."""

from __future__ import annotations

from collections.abc import Sequence

from mpscnn.errors import ParameterError
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor


class ConcatenationLayers(LayerMaker):
    """The method that concatenates tensors."""

    def concat(self, tensors: Sequence[Tensor], *, axis: int = -1, name: str | None = None) -> Tensor:
        """Concatenate tensors along `axis`, which must not be the batch."""
        if not isinstance(tensors, Sequence):
            raise ParameterError(f"concat: expected several tensors, got {type(tensors).__name__}")
        return self.layer("concatenation", list(tensors), {"axis": axis}, name=name, default="concat")
