"""Products of two tensors."""

from __future__ import annotations

from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor


class MatrixProductLayers(LayerMaker):
    """Products of two tensors."""

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
        """scale * a b for the matrices that the last two axes are: (n, ..., m, k), (n, ..., k, p) -> (n, ..., m, p).

        Attention keeps its heads as the rows of an image, (n, heads, tokens, features): scores are `matmul(q, k,
        transpose_b=True, scale=features**-0.5)`, weights their `softmax`, and the result `matmul(weights, v)`.

        Args:
            transpose_a, transpose_b: whether the last two axes of a or b change places first.
            scale: factor of the products.

        Raises ShapeError unless both have the same axes before the last two, and as many columns as rows.
        """
        attributes = {"transpose_first": transpose_a, "transpose_second": transpose_b, "scale": scale}
        return self.layer("matrix_product", [a, b], attributes, name=name, default="matmul")
