"""Fully connected layers."""

from __future__ import annotations

from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor


class FullyConnectedLayers(LayerMaker):
    """Fully connected layers."""

    def dense(
        self, x: Tensor, units: int, *, activation: Activation = None, name: str | None = None
    ) -> Tensor:
        """Fully connected layer: (n, features) or (n, h, w, c) -> (n, units).

        Weights: `weight` [units][features] or [units][h][w][c], `bias` [units] (optional).
        """
        return self.layer(
            "fully_connected", [x], {"outputs": units}, activation=activation, name=name, default="dense"
        )
