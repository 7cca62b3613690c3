"""Define the layer methods for activation functions, softmax and dropout."""

from __future__ import annotations

from mpscnn._private.arguments import is_finite_number, is_sequence
from mpscnn.errors import ParameterError
from mpscnn.graph.layer_arguments import Activation, activation_attributes
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor


class NeuronLayers(LayerMaker):
    """Methods for activation functions as separate layers, softmax and dropout."""

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

    def dropout(
        self,
        x: Tensor,
        rate: float = 0.5,
        *,
        seed: int = 0,
        mask_strides: tuple[int, int, int] = (1, 1, 1),
        training: bool = False,
        name: str | None = None,
    ) -> Tensor:
        """Set a share of the elements to zero and divide the others by 1 - rate (Srivastava et al. 2014).

        In inference (`training` is False) the result is x, and compiling removes the layer. For an input of ones, the
        result is the mask: 1 / (1 - rate) for kept elements, 0 for dropped ones.

        Args:
            rate: the share of dropped elements, at least 0 and below 1.
            seed: the same seed gives the same mask, on every device.
            mask_strides: 0 or 1 along (y, x, channels). With 0 the mask is repeated along this axis, so (0, 0, 1) drops
                whole channels.
            training: True: drop elements; False: return x.

        Raises:
            ParameterError: an argument is out of its range.
        """
        if not is_finite_number(rate) or not 0 <= rate < 1:
            raise ParameterError(f"dropout: rate must be at least 0 and below 1, got {rate!r}")
        if not is_sequence(mask_strides) or len(mask_strides) != 3:
            raise ParameterError(f"dropout: mask_strides must be 3 numbers, got {mask_strides!r}")
        attributes = {"keep_probability": 1.0 - float(rate), "seed": seed, "training": training}
        attributes |= {
            f"mask_stride_{axis}": stride
            for axis, stride in zip(("y", "x", "channels"), mask_strides, strict=True)
        }
        return self.layer("dropout", [x], attributes, name=name)
