"""Define the layer methods that change only the shape."""

from __future__ import annotations

from collections.abc import Sequence

from mpscnn._private.arguments import whole_numbers
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor


class ReshapeLayers(LayerMaker):
    """Methods that change only the shape."""

    def reshape(self, x: Tensor, shape: Sequence[int], *, name: str | None = None) -> Tensor:
        """Change the shape; the elements keep their order.

        `shape` has no batch. 0 means the extent of x on the same axis, which may be free. One extent may be -1.
        """
        return self.layer("reshape", [x], {"shape": whole_numbers("reshape: shape", shape)}, name=name)

    def flatten(self, x: Tensor, *, name: str | None = None) -> Tensor:
        """Flatten an image: (n, h, w, c) -> (n, h * w * c)."""
        return self.layer("reshape", [x], {"shape": [-1]}, name=name, default="flatten")
