"""Build MobileNet V3 (Howard et al. 2019), large and small, of torchvision, timm and TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from mpscnn._private.literals import ActivationName
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network
from mpscnn.models.blocks import (
    HARD_SIGMOID,
    Classifier,
    convolution,
    depthwise,
    global_average_pool,
    squeeze_excitation,
)
from mpscnn.models.mobilenet import round_channels


@dataclass(frozen=True)
class Bottleneck:
    """One block, for width 1.

    Attributes:
        inputs: the channels of the input.
        kernel: the kernel of the depthwise convolution.
        expanded: the channels of the depthwise convolution.
        channels: the channels of the result.
        squeeze: whether there is squeeze and excitation.
        activation: the activation after all convolutions but the last.
        stride: the stride of the depthwise convolution.
    """

    inputs: int
    kernel: int
    expanded: int
    channels: int
    squeeze: bool
    activation: ActivationName
    stride: int


LARGE = (
    Bottleneck(16, 3, 16, 16, False, "relu", 1),
    Bottleneck(16, 3, 64, 24, False, "relu", 2),
    Bottleneck(24, 3, 72, 24, False, "relu", 1),
    Bottleneck(24, 5, 72, 40, True, "relu", 2),
    Bottleneck(40, 5, 120, 40, True, "relu", 1),
    Bottleneck(40, 5, 120, 40, True, "relu", 1),
    Bottleneck(40, 3, 240, 80, False, "hard_swish", 2),
    Bottleneck(80, 3, 200, 80, False, "hard_swish", 1),
    Bottleneck(80, 3, 184, 80, False, "hard_swish", 1),
    Bottleneck(80, 3, 184, 80, False, "hard_swish", 1),
    Bottleneck(80, 3, 480, 112, True, "hard_swish", 1),
    Bottleneck(112, 3, 672, 112, True, "hard_swish", 1),
    Bottleneck(112, 5, 672, 160, True, "hard_swish", 2),
    Bottleneck(160, 5, 960, 160, True, "hard_swish", 1),
    Bottleneck(160, 5, 960, 160, True, "hard_swish", 1),
)
SMALL = (
    Bottleneck(16, 3, 16, 16, True, "relu", 2),
    Bottleneck(16, 3, 72, 24, False, "relu", 2),
    Bottleneck(24, 3, 88, 24, False, "relu", 1),
    Bottleneck(24, 5, 96, 40, True, "hard_swish", 2),
    Bottleneck(40, 5, 240, 40, True, "hard_swish", 1),
    Bottleneck(40, 5, 240, 40, True, "hard_swish", 1),
    Bottleneck(40, 5, 120, 48, True, "hard_swish", 1),
    Bottleneck(48, 5, 144, 48, True, "hard_swish", 1),
    Bottleneck(48, 5, 288, 96, True, "hard_swish", 2),
    Bottleneck(96, 5, 576, 96, True, "hard_swish", 1),
    Bottleneck(96, 5, 576, 96, True, "hard_swish", 1),
)


@dataclass(frozen=True)
class MobileNetV3(Classifier):
    """One size and width of MobileNet V3; see `Classifier`.

    Layers: features.0.0; for block b, features.<b>.block.<i>.0 (an expansion if the width changes, a depthwise
    convolution, a projection), features.<b>.block.<i> (squeeze and excitation, with .avgpool, .fc1, .fc2) and, if the
    block's input is added to its result, the sum features.<b>; features.<last>.0; avgpool, flatten, classifier.0,
    classifier.3.

    Attributes:
        blocks: the blocks of this size, small or large.
        hidden: the channels of the layer before the classes, for width 1.
        width: the width of every layer relative to the article's, rounded to multiples of 8.
        timm: compute channels as timm does: each block expands its input by the article's ratio. `width` does not
            change the layer before the classes; if it is below 0.75, it does not change the first convolution either.
        minimal: the article's variant for processors without fast hard-swish: ReLU, 3 x 3 kernels, no squeeze and
            excitation.
        same: use TensorFlow's padding.
        reduced_tail: halve the channels, beginning with the last block that has a stride, as in detectors.
        dilated: instead of the last stride, use dilated kernels from that block on, as in segmenters.
    """

    blocks: tuple[Bottleneck, ...]
    hidden: int
    width: float = 1.0
    timm: bool = False
    minimal: bool = False
    same: bool = False
    reduced_tail: bool = False
    dilated: bool = False

    def _logits(self, net: Network, x: Tensor, classes: int) -> Tensor:
        x = self.features(net, x)[-1]
        hidden = self.hidden // 2 if self.reduced_tail else self.hidden
        hidden = hidden if self.timm else self._scaled(hidden)
        x = net.dense(global_average_pool(net, x), hidden, activation=self._activation, name="classifier.0")
        return net.dense(x, classes, name="classifier.3")

    def features(self, net: Network, x: Tensor, rename: Callable[[str], str] = str) -> list[Tensor]:
        """Add the layers before the pooling. Return the results of the first layer, each block and the last layer.

        Args:
            rename: returns the name of a layer from its name in the classifier.
        """
        stem = 16 if self.timm and self.width < 0.75 else self._scaled(16)
        activation, same = self._activation, self.same
        x = convolution(
            net, x, stem, 3, stride=2, same=same, activation=activation, name=rename("features.0.0")
        )
        results = [x]
        blocks = _with_reduced_tail(self.blocks) if self.reduced_tail else self.blocks
        for number, block in enumerate(blocks, start=1):
            dilation = 2 if self.dilated and number > _last_stride(blocks) else 1
            x = self._block(net, x, block, dilation, f"features.{number}", rename)
            results.append(x)
        last = 6 * blocks[-1].channels
        channels = self._scaled(last) if self.timm else 6 * (x.shape[-1] or 0)
        name = rename(f"features.{len(blocks) + 1}.0")
        return [*results, convolution(net, x, channels, activation=activation, name=name)]

    @property
    def depths(self) -> list[int]:
        """The number of blocks of each stage of timm, whose last stage is the last convolution."""
        return [*(len([*blocks]) for _, blocks in groupby(self.blocks, lambda block: block.channels)), 1]

    @property
    def _activation(self) -> ActivationName:
        """The activation of the first and the last layers."""
        return "relu" if self.minimal else "hard_swish"

    def _scaled(self, channels: float) -> int:
        return round_channels(channels * self.width)

    def _block(
        self,
        net: Network,
        x: Tensor,
        block: Bottleneck,
        dilation: int,
        name: str,
        rename: Callable[[str], str],
    ) -> Tensor:
        inputs, channels = x.shape[-1] or 0, self._scaled(block.channels)
        if self.timm:
            expanded, expands = (
                round_channels(inputs * block.expanded / block.inputs),
                block.expanded != block.inputs,
            )
        else:
            expanded = self._scaled(block.expanded)
            expands = expanded != inputs
        activation: ActivationName = "relu" if self.minimal else block.activation
        kernel = 3 if self.minimal else block.kernel
        y, part = x, 0
        if expands:
            y = convolution(net, y, expanded, activation=activation, name=rename(f"{name}.block.0.0"))
            part = 1
        y = depthwise(
            net,
            y,
            kernel,
            stride=1 if dilation > 1 else block.stride,
            dilation=dilation,
            same=self.same,
            activation=activation,
            name=rename(f"{name}.block.{part}.0"),
        )
        part += 1
        if block.squeeze and not self.minimal:
            y = squeeze_excitation(
                net,
                y,
                round_channels(expanded // 4),
                activation="relu",
                gate=HARD_SIGMOID,
                name=rename(f"{name}.block.{part}"),
            )
            part += 1
        y = convolution(net, y, channels, name=rename(f"{name}.block.{part}.0"))
        return net.add(y, x, name=rename(name)) if block.stride == 1 and inputs == channels else y


def _last_stride(blocks: Sequence[Bottleneck]) -> int:
    """Return the position of the last block whose stride is greater than 1."""
    return max(position for position, block in enumerate(blocks) if block.stride > 1)


def _with_reduced_tail(blocks: Sequence[Bottleneck]) -> list[Bottleneck]:
    first = _last_stride(blocks)
    tail = [
        replace(block, inputs=block.inputs // 2, expanded=block.expanded // 2, channels=block.channels // 2)
        for block in blocks[first + 1 :]
    ]
    return [*blocks[:first], replace(blocks[first], channels=blocks[first].channels // 2), *tail]


mobilenet_v3_large = MobileNetV3("mobilenet_v3_large", LARGE, 1280)
mobilenet_v3_small = MobileNetV3("mobilenet_v3_small", SMALL, 1024)
