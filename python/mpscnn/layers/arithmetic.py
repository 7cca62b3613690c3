"""Elementwise arithmetic of two tensors."""

from __future__ import annotations

from mpscnn.layer_arguments import Activation
from mpscnn.layers.layer_maker import LayerMaker, Tensor


class ArithmeticLayers(LayerMaker):
    """Elementwise arithmetic of two tensors."""

    def add(self, a: Tensor, b: Tensor, *, activation: Activation = None, name: str | None = None) -> Tensor:
        """Elementwise sum of two tensors of one shape."""
        return self.layer("add", [a, b], {}, activation=activation, name=name, default="add")
