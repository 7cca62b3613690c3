"""Define the layer methods for dense layers, products of matrices, and constants."""

from __future__ import annotations

from collections.abc import Sequence

from mpscnn._private.arguments import whole_numbers
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor


class MatrixProductLayers(LayerMaker):
    """Methods for dense layers, products of matrices, and constants."""

    def dense(
        self,
        x: Tensor,
        units: int,
        *,
        use_bias: bool | None = None,
        activation: Activation = None,
        name: str | None = None,
    ) -> Tensor:
        """Add a dense (fully connected) layer: (n, features) or (n, h, w, c) -> (n, units).

        Args:
            use_bias, activation: as in `conv2d`.

        Weights: `weight` `[units][features]` or `[units][h][w][c]`, `bias` [units] (optional).
        """
        made = self.layer(
            "fully_connected", [x], {"outputs": units}, activation=activation, name=name, default="dense"
        )
        return self.with_bias(made, use_bias)

    linear = dense

    @accept_foreign_arguments
    def matmul(
        self,
        a: Tensor,
        b: Tensor,
        *,
        transpose_a: bool = False,
        transpose_b: bool = False,
        scale: float = 1.0,
        name: str | None = None,
    ) -> Tensor:
        """Return scale * (a @ b): (n, ..., m, k), (n, ..., k, p) -> (n, ..., m, p).

        The matrices are in the last two axes.

        In attention, tensors have the shape (n, heads, tokens, features). Scores are `matmul(q, k, transpose_b=True,
        scale=features**-0.5)`, weights are their `softmax`, and the result is `matmul(weights, v)`.

        Args:
            transpose_a, transpose_b: swap the last two axes of a or b first.
            scale: the factor of the products.

        Raises ShapeError unless the axes before the last two are equal, and a has as many columns as b has rows.
        """
        attributes = {"transpose_first": transpose_a, "transpose_second": transpose_b, "scale": scale}
        return self.layer("matrix_product", [a, b], attributes, name=name, default="matmul")

    def constant(self, x: Tensor, shape: Sequence[int], *, name: str | None = None) -> Tensor:
        """Return a weight as a tensor (n, *shape), the same for each of the n images of `x`.

        Only the batch size of `x` matters.

        Elementwise operations repeat the constant along its axes of extent 1. For example, a position embedding is
        `add(tokens, constant(tokens, (1, 197, 192)))`. If the constant is the second operand of such an operation, it
        is not copied.

        Weights: `value`, `shape`.
        """
        return self.layer("constant", [x], {"shape": whole_numbers("constant: shape", shape)}, name=name)
