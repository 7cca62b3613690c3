"""Define the layer methods for softmax."""

from __future__ import annotations

from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor


class SoftmaxLayers(LayerMaker):
    """Methods for softmax."""

    def softmax(self, x: Tensor, *, name: str | None = None) -> Tensor:
        """Return exp(x) / sum(exp(x)) over the last axis."""
        return self.layer("softmax", [x], {}, name=name)

    def log_softmax(self, x: Tensor, *, name: str | None = None) -> Tensor:
        """Return x - ln(sum(exp(x))) over the last axis."""
        return self.layer("log_softmax", [x], {}, name=name)
