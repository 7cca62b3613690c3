"""MobileNet V4 (Qin et al. 2024), the convolutional sizes, as timm has them."""

from __future__ import annotations

from dataclasses import dataclass

from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network
from mpscnn.models.blocks import Classifier, convolution, depthwise
from mpscnn.models.mobilenet import round_channels


@dataclass(frozen=True)
class Plain:
    """A convolution by itself."""

    kernel: int
    stride: int
    channels: int


@dataclass(frozen=True)
class Fused:
    """A 3 x 3 convolution that expands, and one of 1 x 1 pixels that projects."""

    stride: int
    expansion: int
    channels: int


@dataclass(frozen=True)
class Universal:
    """The universal inverted bottleneck.

    Attributes:
        before: kernel of the depthwise convolution before the expansion; 0: none.
        between: of that behind it; 0: none.
        stride: of the last of both.
        expansion: how many times wider it is inside.
        channels: of the result.
    """

    before: int
    between: int
    stride: int
    expansion: int
    channels: int


Block = Plain | Fused | Universal
_LAST = (Plain(1, 1, 960),)

_SMALL: tuple[tuple[Block, ...], ...] = (
    (Plain(3, 2, 32), Plain(1, 1, 32)),
    (Plain(3, 2, 96), Plain(1, 1, 64)),
    (Universal(5, 5, 2, 3, 96), *[Universal(0, 3, 1, 2, 96)] * 4, Universal(3, 0, 1, 4, 96)),
    (
        Universal(3, 3, 2, 6, 128),
        Universal(5, 5, 1, 4, 128),
        Universal(0, 5, 1, 4, 128),
        Universal(0, 5, 1, 3, 128),
        *[Universal(0, 3, 1, 4, 128)] * 2,
    ),
    _LAST,
)
_MEDIUM: tuple[tuple[Block, ...], ...] = (
    (Fused(2, 4, 48),),
    (Universal(3, 5, 2, 4, 80), Universal(3, 3, 1, 2, 80)),
    (
        Universal(3, 5, 2, 6, 160),
        *[Universal(3, 3, 1, 4, 160)] * 2,
        Universal(3, 5, 1, 4, 160),
        Universal(3, 3, 1, 4, 160),
        Universal(3, 0, 1, 4, 160),
        Universal(0, 0, 1, 2, 160),
        Universal(3, 0, 1, 4, 160),
    ),
    (
        Universal(5, 5, 2, 6, 256),
        Universal(5, 5, 1, 4, 256),
        *[Universal(3, 5, 1, 4, 256)] * 2,
        Universal(0, 0, 1, 4, 256),
        Universal(3, 0, 1, 4, 256),
        Universal(3, 5, 1, 2, 256),
        Universal(5, 5, 1, 4, 256),
        *[Universal(0, 0, 1, 4, 256)] * 2,
        Universal(5, 0, 1, 2, 256),
    ),
    _LAST,
)
_LARGE: tuple[tuple[Block, ...], ...] = (
    (Fused(2, 4, 48),),
    (Universal(3, 5, 2, 4, 96), Universal(3, 3, 1, 4, 96)),
    (
        Universal(3, 5, 2, 4, 192),
        *[Universal(3, 3, 1, 4, 192)] * 3,
        Universal(3, 5, 1, 4, 192),
        *[Universal(5, 3, 1, 4, 192)] * 5,
        Universal(3, 0, 1, 4, 192),
    ),
    (
        Universal(5, 5, 2, 4, 512),
        *[Universal(5, 5, 1, 4, 512)] * 3,
        Universal(5, 0, 1, 4, 512),
        Universal(5, 3, 1, 4, 512),
        *[Universal(5, 0, 1, 4, 512)] * 2,
        Universal(5, 3, 1, 4, 512),
        Universal(5, 5, 1, 4, 512),
        *[Universal(5, 0, 1, 4, 512)] * 3,
    ),
    _LAST,
)


@dataclass(frozen=True)
class MobileNetV4(Classifier):
    """One size and width; see `Classifier`. Its layers have the paths of timm's modules.

    Layers: conv_stem; for block b of stage s, blocks.<s>.<b>.conv, or .conv_exp and .conv_pwl, or .dw_start.conv,
    .pw_exp.conv, .dw_mid.conv and .pw_proj.conv and, where the shape stays, their sum blocks.<s>.<b>; avgpool,
    conv_head, flatten, classifier.

    Attributes:
        stages: the table of the size.
        stem: channels of the first convolution.
        width: of every layer but the first and the last relative to the article's, rounded to multiples of 8.
    """

    stages: tuple[tuple[Block, ...], ...]
    stem: int = 32
    width: float = 1.0

    def _logits(self, net: Network, x: Tensor, classes: int) -> Tensor:
        x = convolution(net, x, self.stem, 3, stride=2, activation="relu", name="conv_stem")
        for stage, blocks in enumerate(self.stages):
            for number, block in enumerate(blocks):
                x = self._block(net, x, block, f"blocks.{stage}.{number}")
        x = net.global_average_pool2d(x, name="avgpool")
        x = convolution(net, x, 1280, activation="relu", name="conv_head")
        return net.dense(net.flatten(x, name="flatten"), classes, name="classifier")

    def _block(self, net: Network, x: Tensor, block: Block, name: str) -> Tensor:
        channels = round_channels(block.channels * self.width)
        if isinstance(block, Plain):
            return convolution(
                net,
                x,
                channels,
                block.kernel,
                stride=block.stride,
                activation="relu",
                name=f"{name}.conv",
            )
        inputs = x.shape[-1] or 0
        expanded = round_channels(inputs * block.expansion)
        if isinstance(block, Fused):
            y = convolution(
                net, x, expanded, 3, stride=block.stride, activation="relu", name=f"{name}.conv_exp"
            )
            y = convolution(net, y, channels, name=f"{name}.conv_pwl")
        else:
            y = _universal(net, x, block, expanded, channels, name)
        return net.add(y, x, name=name) if block.stride == 1 and inputs == channels else y


def _universal(net: Network, x: Tensor, block: Universal, expanded: int, channels: int, name: str) -> Tensor:
    if block.before:
        stride = 1 if block.between else block.stride
        x = depthwise(net, x, block.before, stride=stride, name=f"{name}.dw_start.conv")
    x = convolution(net, x, expanded, activation="relu", name=f"{name}.pw_exp.conv")
    if block.between:
        x = depthwise(
            net, x, block.between, stride=block.stride, activation="relu", name=f"{name}.dw_mid.conv"
        )
    return convolution(net, x, channels, name=f"{name}.pw_proj.conv")


mobilenet_v4_conv_small = MobileNetV4("mobilenetv4_conv_small", _SMALL)
mobilenet_v4_conv_medium = MobileNetV4("mobilenetv4_conv_medium", _MEDIUM)
mobilenet_v4_conv_large = MobileNetV4("mobilenetv4_conv_large", _LARGE, stem=24, input_size=384)

MOBILENETS_V4 = (
    mobilenet_v4_conv_small,
    mobilenet_v4_conv_medium,
    mobilenet_v4_conv_large,
    MobileNetV4("mobilenetv4_conv_small_050", _SMALL, width=0.5),
    MobileNetV4("mobilenetv4_conv_small_035", _SMALL, width=0.35),
)
