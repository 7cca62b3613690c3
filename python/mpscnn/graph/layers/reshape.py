"""Layers that move values and compute nothing."""

from __future__ import annotations

from collections.abc import Sequence

from mpscnn._private.arguments import whole_numbers
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor


class ReshapeLayers(LayerMaker):
    """Layers that move values and compute nothing."""

    def reshape(self, x: Tensor, shape: Sequence[int], *, name: str | None = None) -> Tensor:
        """Same elements in the same order.

        `shape` is without the batch. 0 is x's extent on the same axis, which may be free; one extent may be -1.
        """
        return self.layer("reshape", [x], {"shape": whole_numbers("reshape: shape", shape)}, name=name)

    def flatten(self, x: Tensor, *, name: str | None = None) -> Tensor:
        """(n, h, w, c) -> (n, h * w * c)."""
        return self.layer("reshape", [x], {"shape": [-1]}, name=name, default="flatten")
