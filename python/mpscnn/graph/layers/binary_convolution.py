"""Define the layer methods with 1-bit weights."""

from __future__ import annotations

from typing import Literal

from mpscnn._private.arguments import IntPair
from mpscnn.graph.layer_arguments import Activation, PaddingArgument, window_attributes
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor

BinaryKind = Literal["xnor", "binary_weights", "and"]


class BinaryConvolutionLayers(LayerMaker):
    """Methods for layers with 1-bit weights."""

    def binary_conv2d(
        self,
        x: Tensor,
        filters: int,
        kernel_size: IntPair,
        *,
        kind: BinaryKind = "xnor",
        beta_scaling: bool = False,
        strides: IntPair = 1,
        padding: PaddingArgument = "valid",
        dilation: IntPair = 1,
        use_bias: bool | None = None,
        activation: Activation = None,
        name: str | None = None,
    ) -> Tensor:
        """Add a 2-D convolution with 1-bit weights: (n, h, w, c) -> (n, h', w', filters).

        The result is y = activation(sum * scale * beta + bias), with a sum over the window. With x' = (x + input_bias)
        * input_scale, the terms of the sum are

        - "binary_weights": x' times the weight's sign;
        - "xnor": the sign of x' times the weight's sign, exactly, as an integer (MPSCNNBinaryConvolutionTypeXNOR);
        - "and": 1 where x' and the weight are both 0 or more, otherwise 0.

        The sign of 0 is +1. A pixel outside the image is 0 before the input's bias and scale. A NaN makes all outputs
        NaN whose window contains it.

        Args:
            kernel_size, strides, padding, dilation: as in `conv2d`.
            beta_scaling: beta is the mean of |x| over the window (zeros outside the image) and its channels; otherwise
                1.
            use_bias: as in `conv2d`.
            activation: a name or a mapping, see `activation`.

        Weights: `weight` `[filters][kernel height][kernel width][c]`, of which only the signs count (for Apple's packed
        words see `mpscnn.unpack_binary_weights`); optional `bias` and `scale` [filters], `input_bias` and `input_scale`
        [c].
        """
        attributes = window_attributes(kernel_size, strides, padding, dilation)
        attributes |= {"output_channels": filters, "kind": kind, "beta_scaling": beta_scaling}
        made = self.layer(
            "binary_convolution",
            [x],
            attributes,
            activation=activation,
            name=name,
            default="binary_conv2d",
        )
        return self.with_bias(made, use_bias)

    def binary_dense(
        self,
        x: Tensor,
        units: int,
        *,
        kind: BinaryKind = "xnor",
        beta_scaling: bool = False,
        use_bias: bool | None = None,
        activation: Activation = None,
        name: str | None = None,
    ) -> Tensor:
        """Add a fully connected layer with 1-bit weights: (n, features) or (n, h, w, c) -> (n, units).

        The arguments are those of `binary_conv2d`. The window is the whole image.

        Weights: `weight` `[units][features]` or `[units][h][w][c]`, of which only the signs count; optional `bias` and
        `scale` [units], `input_bias` and `input_scale` [features] or [c].
        """
        made = self.layer(
            "binary_fully_connected",
            [x],
            {"outputs": units, "kind": kind, "beta_scaling": beta_scaling},
            activation=activation,
            name=name,
            default="binary_dense",
        )
        return self.with_bias(made, use_bias)
