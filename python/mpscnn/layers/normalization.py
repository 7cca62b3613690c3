"""Normalizations."""

from __future__ import annotations

from mpscnn.layer_arguments import Activation
from mpscnn.layers.layer_maker import LayerMaker, Tensor


class NormalizationLayers(LayerMaker):
    """Normalizations."""

    def batch_norm(
        self, x: Tensor, *, epsilon: float = 1e-3, activation: Activation = None, name: str | None = None
    ) -> Tensor:
        """gamma * (x - mean) / sqrt(variance + epsilon) + beta, for each channel.

        Folded into the convolution or dense layer before it when the network is compiled.

        Weights: `mean`, `variance`, `gamma` (1 when absent), `beta` (0 when absent), each [c].
        """
        return self.layer(
            "batch_normalization",
            [x],
            {"epsilon": epsilon},
            activation=activation,
            name=name,
            default="batch_norm",
        )
