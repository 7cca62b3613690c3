"""Define the layer method for matrix products."""

from __future__ import annotations

from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor


class MatrixProductLayers(LayerMaker):
    """The method for matrix products."""

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
