"""Define the layer methods that turn channels into pixels."""

from __future__ import annotations

from typing import Literal

from mpscnn._private.arguments import IntPair
from mpscnn.graph.layer_arguments import Activation, PaddingArgument, window_attributes
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor

ChannelBlocks = Literal["position_major", "channel_major"]


class SubpixelLayers(LayerMaker):
    """Methods that turn channels into pixels."""

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
