"""Define the layer methods for convolutions, and for channels that become pixels."""

from __future__ import annotations

from typing import Literal

from mpscnn._private.arguments import IntPair, pair, result_size
from mpscnn.errors import ParameterError
from mpscnn.graph.layer_arguments import Activation, PaddingArgument, window_attributes
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor

ChannelBlocks = Literal["position_major", "channel_major"]


class ConvolutionLayers(LayerMaker):
    """Methods for convolutions, and for channels that become pixels."""

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

    def conv2d_transpose(
        self,
        x: Tensor,
        filters: int,
        kernel_size: IntPair,
        *,
        strides: IntPair = 1,
        padding: PaddingArgument = "valid",
        output_padding: IntPair = 0,
        output_size: IntPair | None = None,
        dilation: IntPair = 1,
        groups: int = 1,
        use_bias: bool | None = None,
        activation: Activation = None,
        name: str | None = None,
    ) -> Tensor:
        """Add a 2-D transposed convolution ("deconvolution"): (n, h, w, c) -> (n, h', w', filters).

        Input pixel (i, j) times the kernel is added to the result at (i * strides - padding, j * strides - padding).

        Args:
            kernel_size, strides, dilation: one number, or (vertical, horizontal).
            padding: "valid" or "same" as in TensorFlow (h' = (h - 1) * stride + max(reach, stride), h' = h * stride),
                or PyTorch's numbers, which crop the result: one for all sides, (vertical, horizontal), or
                ((top, bottom), (left, right)); h' = (h - 1) * stride + reach - top - bottom + output_padding, where
                reach = (kernel_size - 1) * dilation + 1.
            output_padding: rows and columns added at the end, as in PyTorch.
            output_size: (h', w') instead of that rule, like `output_shape` of TensorFlow and `output_size` of PyTorch.
            use_bias: as in `conv2d`.
            activation: a name or a mapping, see `activation`.

        Weights: `weight` `[filters][kernel height][kernel width][c / groups]`, `bias` [filters] (optional). Filter f of
        group g holds PyTorch's weight[g * c / groups + i, f - g * filters / groups, y, x] at [f, y, x, i]: without
        groups, `torch_weight.transpose(1, 2, 3, 0)`. TensorFlow's and Keras's `[kernel height][kernel
        width][filters][c]` is `tf_weight.transpose(2, 0, 1, 3)`.
        """
        attributes = window_attributes(kernel_size, strides, padding, dilation)
        if attributes["padding"] == "full":
            raise ParameterError("padding must be 'valid', 'same' or numbers, got 'full'")
        attributes |= {"output_channels": filters, "groups": groups}
        attributes["output_padding_y"], attributes["output_padding_x"] = pair(
            "output_padding", output_padding
        )
        if output_size is not None:
            attributes["output_height"], attributes["output_width"] = result_size("output_size", output_size)
            if attributes["padding"] == "explicit":
                attributes |= {"pad_bottom": 0, "pad_right": 0}
        made = self.layer(
            "transposed_convolution",
            [x],
            attributes,
            activation=activation,
            name=name,
            default="conv2d_transpose",
        )
        return self.with_bias(made, use_bias)

    def subpixel_conv2d(
        self,
        x: Tensor,
        filters: int,
        kernel_size: IntPair,
        scale: int,
        *,
        order: ChannelBlocks = "position_major",
        strides: IntPair = 1,
        padding: PaddingArgument = "valid",
        dilation: IntPair = 1,
        groups: int = 1,
        use_bias: bool | None = None,
        activation: Activation = None,
        name: str | None = None,
    ) -> Tensor:
        """Add a convolution whose channels become pixels: (n, h, w, c) -> (n, h' * scale, w' * scale, filters).

        The convolution itself has filters * scale^2 output channels.

        Args:
            scale: the rows and columns of a block.
            order: the channel of the convolution that becomes pixel (y, x) of a block and channel f of the result:
                "position_major": (y * scale + x) * filters + f (Apple, TensorFlow's depth_to_space);
                "channel_major": (f * scale + y) * scale + x (PyTorch's PixelShuffle).

        The other arguments are those of `conv2d`.

        Weights: `weight` `[filters * scale^2][kernel height][kernel width][c / groups]`, `bias` [filters * scale^2]
        (optional), in the order of the convolution's channels.
        """
        attributes = window_attributes(kernel_size, strides, padding, dilation)
        attributes |= {"output_channels": filters, "groups": groups, "scale": scale, "order": order}
        made = self.layer(
            "subpixel_convolution",
            [x],
            attributes,
            activation=activation,
            name=name,
            default="subpixel_conv2d",
        )
        return self.with_bias(made, use_bias)

    def depth_to_space(
        self, x: Tensor, scale: int, *, order: ChannelBlocks = "position_major", name: str | None = None
    ) -> Tensor:
        """Rearrange channels into blocks of pixels: (n, h, w, c) -> (n, h * scale, w * scale, c / scale^2).

        Args:
            scale: the rows and columns of a block; its square must divide c.
            order: the channel that becomes pixel (y, x) of a block and channel f of the result:
                "position_major": (y * scale + x) * channels + f (TensorFlow's depth_to_space, ONNX's DCR);
                "channel_major": (f * scale + y) * scale + x (PyTorch's PixelShuffle, ONNX's CRD).
        """
        return self.layer("depth_to_space", [x], {"scale": scale, "order": order}, name=name)

    def pixel_shuffle(self, x: Tensor, scale: int, *, name: str | None = None) -> Tensor:
        """Return `depth_to_space` with PyTorch's order of channels, like torch.nn.PixelShuffle(scale)."""
        return self.layer("depth_to_space", [x], {"scale": scale, "order": "channel_major"}, name=name)
