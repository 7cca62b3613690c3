"""Tensors that are weights."""

from __future__ import annotations

from collections.abc import Sequence

from mpscnn._private.arguments import whole_numbers
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor


class ConstantLayers(LayerMaker):
    """Tensors that are weights."""

    def constant(self, x: Tensor, shape: Sequence[int], *, name: str | None = None) -> Tensor:
        """Return a weight as a tensor (n, *shape), the same for each of the n images of `x`, which says nothing else.

        Elementwise operations repeat its extents of 1: a position embedding is `add(tokens, constant(tokens, (1, 197,
        192)))`. As the second operand of one it takes no memory but its own.

        Weights: `value`, `shape`.
        """
        return self.layer("constant", [x], {"shape": whole_numbers("constant: shape", shape)}, name=name)
