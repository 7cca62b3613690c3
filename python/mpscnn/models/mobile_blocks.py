"""Build networks from tables of blocks, like timm's MobileNets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from mpscnn._private.literals import ActivationName
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network
from mpscnn.models.blocks import HARD_SIGMOID, Classifier, convolution, depthwise, squeeze_excitation
from mpscnn.models.mobilenet import round_channels
from mpscnn.models.photo_transforms import TIMM, PhotoTransform, TimmWeights


@dataclass(frozen=True)
class Plain:
    """A block with a single convolution."""

    kernel: int
    stride: int
    channels: int


@dataclass(frozen=True)
class Separable:
    """A depthwise convolution, followed by a 1 x 1 convolution.

    Attributes:
        kernel, stride: the kernel size and stride of the depthwise convolution.
        channels: the channels of the result.
        squeeze: whether there is squeeze and excitation between the two convolutions.
        activation: the activation after the depthwise convolution; None: the network's.
        linear: whether the 1 x 1 convolution has no activation.
        skips: whether to add the input if shapes are equal.
    """

    kernel: int
    stride: int
    channels: int
    squeeze: bool = False
    activation: ActivationName | None = None
    linear: bool = False
    skips: bool = False


@dataclass(frozen=True)
class Inverted:
    """An inverted bottleneck: expand, depthwise convolution, project.

    Attributes:
        kernel, stride: the kernel size and stride of the depthwise convolution.
        expansion: the channels after the expansion, relative to those of the input.
        channels: the channels of the result.
        squeeze: whether there is squeeze and excitation before the projection.
        activation: the activation after all convolutions but the last; None: the network's.
        skips: whether to add the input if shapes are equal.
    """

    kernel: int
    stride: int
    expansion: float
    channels: int
    squeeze: bool = False
    activation: ActivationName | None = None
    skips: bool = True


@dataclass(frozen=True)
class Fused:
    """A 3 x 3 convolution that expands, followed by a 1 x 1 convolution that projects.

    Attributes:
        group: the channels of each group of the first convolution; 0: it has a single group.
    """

    stride: int
    expansion: int
    channels: int
    group: int = 0


@dataclass(frozen=True)
class Universal:
    """A universal inverted bottleneck.

    Attributes:
        before: the kernel of a depthwise convolution before the expansion; 0: none.
        between: the kernel of a depthwise convolution after the expansion; 0: none.
        stride: the stride of the last of these two.
        expansion: the channels after the expansion, relative to those of the input.
        channels: the channels of the result.
    """

    before: int
    between: int
    stride: int
    expansion: int
    channels: int


@dataclass(frozen=True)
class Attention:
    """Attention of every pixel to all pixels. The heads share keys and values (multi-query; Shazeer 2019).

    Attributes:
        heads: the number of heads.
        features: the features of queries, keys and values.
        stride: the stride of the depthwise 3 x 3 convolutions before keys and values; 1: there are none.
    """

    heads: int
    features: int
    stride: int = 1


Block = Plain | Separable | Inverted | Fused | Universal | Attention
Stages = tuple[tuple[Block, ...], ...]


@dataclass(frozen=True)
class BlockNetwork(Classifier):
    """A network given by a table of blocks; see `Classifier`. Its layers are named like timm's modules.

    Layers: conv_stem; for block b of stage s those of timm's block under blocks.<s>.<b>. and, if the input is added,
    the sum blocks.<s>.<b>; avgpool, conv_head, flatten, classifier.

    Attributes:
        stages: the table of stages.
        stem: the channels of the first convolution.
        stem_kernel: the kernel size of the first convolution.
        width: the width of every block relative to the table, rounded to multiples of 8.
        activation: the network's activation.
        squeezed: a function that rounds the inner channels of squeeze and excitation, a quarter of the block's.
        squeeze_activation: the inner activation of squeeze and excitation; None: the block's.
        head: the place of the last convolution: before the pooling, after it, or nowhere.
        features: the channels of the last convolution.
    """

    stages: Stages
    stem: int = 32
    stem_kernel: int = 3
    width: float = 1.0
    activation: ActivationName = "relu"
    squeezed: Callable[[float], int] = round
    squeeze_activation: ActivationName | None = "relu"
    head: Literal["before", "behind", "none"] = "behind"
    features: int = 1280

    def _published_photos(self) -> PhotoTransform:
        return TIMM.get(self.name, TimmWeights()).photos

    def _logits(self, net: Network, x: Tensor, classes: int) -> Tensor:
        x = convolution(
            net, x, self.stem, self.stem_kernel, stride=2, activation=self.activation, name="conv_stem"
        )
        for stage, blocks in enumerate(self.stages):
            for number, block in enumerate(blocks):
                x = self._block(net, x, block, f"blocks.{stage}.{number}")
        if self.head == "before":
            x = convolution(net, x, self.features, activation=self.activation, name="conv_head")
        x = net.global_average_pool2d(x, name="avgpool")
        if self.head == "behind":
            x = convolution(net, x, self.features, activation=self.activation, name="conv_head")
        return net.dense(net.flatten(x, name="flatten"), classes, name="classifier")

    def _block(self, net: Network, x: Tensor, block: Block, name: str) -> Tensor:
        if isinstance(block, Attention):
            return net.add(_attention(net, x, block, name), x, name=name)
        channels, inputs = round_channels(block.channels * self.width), x.shape[-1] or 0
        if isinstance(block, Plain):
            return convolution(
                net,
                x,
                channels,
                block.kernel,
                stride=block.stride,
                activation=self.activation,
                name=f"{name}.conv",
            )
        skips = True
        if isinstance(block, Separable):
            y, skips = self._separable(net, x, block, channels, name), block.skips
        elif isinstance(block, Inverted):
            y, skips = self._inverted(net, x, block, channels, name), block.skips
        elif isinstance(block, Fused):
            y = self._fused(net, x, block, channels, name)
        else:
            y = self._universal(net, x, block, channels, name)
        return net.add(y, x, name=name) if skips and block.stride == 1 and inputs == channels else y

    def _separable(self, net: Network, x: Tensor, block: Separable, channels: int, name: str) -> Tensor:
        x = self._filtered(net, x, block, name)
        last = None if block.linear else self.activation
        return convolution(net, x, channels, activation=last, name=f"{name}.conv_pw")

    def _inverted(self, net: Network, x: Tensor, block: Inverted, channels: int, name: str) -> Tensor:
        expanded = round_channels((x.shape[-1] or 0) * block.expansion)
        activation = block.activation or self.activation
        x = convolution(net, x, expanded, activation=activation, name=f"{name}.conv_pw")
        return convolution(net, self._filtered(net, x, block, name), channels, name=f"{name}.conv_pwl")

    def _filtered(self, net: Network, x: Tensor, block: Separable | Inverted, name: str) -> Tensor:
        """Add a depthwise convolution, and squeeze and excitation if the block has it."""
        activation = block.activation or self.activation
        x = depthwise(
            net, x, block.kernel, stride=block.stride, activation=activation, name=f"{name}.conv_dw"
        )
        if not block.squeeze:
            return x
        return squeeze_excitation(
            net,
            x,
            self.squeezed((x.shape[-1] or 0) * 0.25),
            activation=self.squeeze_activation or activation,
            gate=HARD_SIGMOID,
            name=f"{name}.se",
        )

    def _fused(self, net: Network, x: Tensor, block: Fused, channels: int, name: str) -> Tensor:
        expanded = round_channels((x.shape[-1] or 0) * block.expansion)
        x = convolution(
            net,
            x,
            expanded,
            3,
            stride=block.stride,
            groups=expanded // block.group if block.group else 1,
            activation=self.activation,
            name=f"{name}.conv_exp",
        )
        return convolution(net, x, channels, name=f"{name}.conv_pwl")

    def _universal(self, net: Network, x: Tensor, block: Universal, channels: int, name: str) -> Tensor:
        expanded = round_channels((x.shape[-1] or 0) * block.expansion)
        if block.before:
            stride = 1 if block.between else block.stride
            x = depthwise(net, x, block.before, stride=stride, name=f"{name}.dw_start.conv")
        x = convolution(net, x, expanded, activation=self.activation, name=f"{name}.pw_exp.conv")
        if block.between:
            x = depthwise(
                net,
                x,
                block.between,
                stride=block.stride,
                activation=self.activation,
                name=f"{name}.dw_mid.conv",
            )
        return convolution(net, x, channels, name=f"{name}.pw_proj.conv")


def _attention(net: Network, x: Tensor, block: Attention, name: str) -> Tensor:
    """Add an attention block.

    The heads of a pixel's queries are contiguous in memory, so they become the rows of a matrix without being moved.
    """
    _, height, width, channels = x.shape
    heads, features = block.heads, block.features
    x = net.batch_norm(x, epsilon=1e-5, name=f"{name}.norm")
    queries = convolution(net, x, heads * features, name=f"{name}.attn.query.proj")
    rows = net.reshape(queries, [-1, features], name=f"{name}.attn.queries")
    keys, values = (
        net.reshape(
            _projected(net, x, block, f"{name}.attn.{part}"), [-1, features], name=f"{name}.attn.{part}s"
        )
        for part in ("key", "value")
    )
    scores = net.matmul(rows, keys, transpose_b=True, scale=features**-0.5, name=f"{name}.attn.scores")
    seen = net.matmul(net.softmax(scores, name=f"{name}.attn.weights"), values, name=f"{name}.attn.seen")
    image = net.reshape(seen, [height or -1, width or -1, heads * features], name=f"{name}.attn.image")
    return convolution(net, image, channels or 0, name=f"{name}.attn.output.proj")


def _projected(net: Network, x: Tensor, block: Attention, name: str) -> Tensor:
    if block.stride > 1:
        x = depthwise(net, x, stride=block.stride, name=f"{name}.down_conv")
    return convolution(net, x, block.features, name=f"{name}.proj")
