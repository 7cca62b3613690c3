"""Define the layer method for dense layers."""

from __future__ import annotations

from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor


class FullyConnectedLayers(LayerMaker):
    """The method for dense layers."""

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
