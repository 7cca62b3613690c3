"""Define the layer methods for convolutions."""

from __future__ import annotations

from mpscnn._private.arguments import IntPair
from mpscnn.errors import ParameterError
from mpscnn.graph.layer_arguments import Activation, PaddingArgument, window_attributes
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor


class ConvolutionLayers(LayerMaker):
    """Methods for convolutions."""

    def conv2d(
        self,
        x: Tensor,
        filters: int,
        kernel_size: IntPair,
        *,
        strides: IntPair = 1,
        padding: PaddingArgument = "valid",
        dilation: IntPair = 1,
        groups: int = 1,
        use_bias: bool | None = None,
        activation: Activation = None,
        name: str | None = None,
    ) -> Tensor:
        """Add a 2-D convolution (correlation): (n, h, w, c) -> (n, h', w', filters).

        Args:
            kernel_size, strides, dilation: one number, or (vertical, horizontal).
            padding: "valid", "same" (TensorFlow's rule), "full", one number for all sides, (vertical, horizontal),
                or ((top, bottom), (left, right)).
            use_bias: True: the layer has a bias, which is zero until weights are loaded. False: it has none. None: it
                has one if its weights have one.
            activation: a name or a mapping, see `activation`.

        Weights: `weight` `[filters][kernel height][kernel width][c / groups]`, `bias` [filters] (optional).
        """
        attributes = window_attributes(kernel_size, strides, padding, dilation)
        attributes |= {"output_channels": filters, "groups": groups}
        made = self.layer("convolution", [x], attributes, activation=activation, name=name, default="conv2d")
        return self.with_bias(made, use_bias)

    def depthwise_conv2d(
        self,
        x: Tensor,
        kernel_size: IntPair,
        *,
        strides: IntPair = 1,
        padding: PaddingArgument = "valid",
        dilation: IntPair = 1,
        multiplier: int = 1,
        use_bias: bool | None = None,
        activation: Activation = None,
        name: str | None = None,
    ) -> Tensor:
        """Convolve each channel separately: (n, h, w, c) -> (n, h', w', c * multiplier).

        Output channel k * multiplier + m comes from input channel k. The arguments are those of `conv2d`.

        Weights: `weight` `[c][multiplier][kernel height][kernel width]`, `bias` [c * multiplier] (optional).
        """
        channels = x.shape[-1]
        if channels is None or len(x.shape) != 4:
            raise ParameterError(f"depthwise_conv2d needs an image (n, h, w, c), got {x!r}")
        attributes = window_attributes(kernel_size, strides, padding, dilation)
        attributes |= {"output_channels": channels * multiplier, "groups": channels}
        made = self.layer(
            "convolution", [x], attributes, activation=activation, name=name, default="depthwise_conv2d"
        )
        return self.with_bias(made, use_bias)
