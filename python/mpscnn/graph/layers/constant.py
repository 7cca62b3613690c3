"""Define the layer method for constants."""

from __future__ import annotations

from collections.abc import Sequence

from mpscnn._private.arguments import whole_numbers
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor


class ConstantLayers(LayerMaker):
    """The method for tensors that are weights."""

    def constant(self, x: Tensor, shape: Sequence[int], *, name: str | None = None) -> Tensor:
        """Return a weight as a tensor (n, *shape), the same for each of the n images of `x`.

        Only the batch size of `x` matters.

        Elementwise operations repeat the constant along its axes of extent 1. For example, a position embedding is
        `add(tokens, constant(tokens, (1, 197, 192)))`. If the constant is the second operand of such an operation, it
        is not copied.

        Weights: `value`, `shape`.
        """
        return self.layer("constant", [x], {"shape": whole_numbers("constant: shape", shape)}, name=name)
