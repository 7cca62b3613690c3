"""Define the layer methods for activation functions and softmax."""

from __future__ import annotations

from mpscnn.graph.layer_arguments import Activation, activation_attributes
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor


class NeuronLayers(LayerMaker):
    """Methods for activation functions as separate layers, and for softmax."""

    def activation(self, x: Tensor, function: Activation, *, name: str | None = None) -> Tensor:
        """Apply a function to each element, as a separate layer. The shape does not change.

        Compiling fuses it with a convolution, dense layer, arithmetic or batch normalization before it.

        Args:
            function: A name, such as "relu", "relu6", "leaky_relu" (slope 0.01), "gelu", "hard_sigmoid" (0.2 x + 0.5
                clipped to 0 and 1), "swish" (also called SiLU) or "sigmoid", or a mapping with the
                neuron's `kind` and its parameters `a`, `b`, `c`, which are 0 by default, such as
                {"kind": "clamp", "a": low, "b": high}. docs/ops/neuron.md lists all kinds and names.

        Weights: `slope` [c] for "prelu", none otherwise.
        """
        attributes = activation_attributes(function) or {}
        return self.layer("neuron", [x], attributes, name=name, default="activation")

    def relu(self, x: Tensor, *, name: str | None = None) -> Tensor:
        """Return `activation(x, "relu")`."""
        return self.layer("neuron", [x], activation_attributes("relu") or {}, name=name, default="relu")

    def softmax(self, x: Tensor, *, name: str | None = None) -> Tensor:
        """Return exp(x) / sum(exp(x)) over the last axis."""
        return self.layer("softmax", [x], {}, name=name)

    def log_softmax(self, x: Tensor, *, name: str | None = None) -> Tensor:
        """Return x - ln(sum(exp(x))) over the last axis."""
        return self.layer("log_softmax", [x], {}, name=name)
