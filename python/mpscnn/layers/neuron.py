"""Activation functions as layers of their own."""

from __future__ import annotations

from mpscnn.layer_arguments import Activation, activation_attributes
from mpscnn.layers.layer_maker import LayerMaker, Tensor


class NeuronLayers(LayerMaker):
    """Activation functions as layers of their own."""

    def activation(self, x: Tensor, function: Activation, *, name: str | None = None) -> Tensor:
        """An activation as a layer of its own: "relu", "relu6", "prelu" or the neuron's parameters.

        Compiling joins it with the convolution, dense layer, addition or batch norm before it.
        """
        attributes = activation_attributes(function) or {}
        return self.layer("neuron", [x], attributes, name=name, default="activation")
