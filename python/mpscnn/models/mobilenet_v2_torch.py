"""Build MobileNet V2 (Sandler et al. 2018) of torchvision and timm, which pad all sides alike."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network
from mpscnn.models.blocks import Classifier, convolution, depthwise, global_average_pool
from mpscnn.models.mobilenet import V2_BLOCKS, round_channels


@dataclass(frozen=True)
class MobileNetV2(Classifier):
    """One width of MobileNet V2; see `Classifier`. `mpscnn.models.mobilenet_v2` is TensorFlow's.

    Layers: features.0.0; for each block b, features.<b>.conv.0.0 (expands; not in block 1), .conv.1.0 (depthwise;
    .conv.0.0 in block 1), .conv.2 (.conv.1 in block 1) and, if shapes are equal, their sum features.<b>;
    features.<last>.0; avgpool, flatten, classifier.1.

    Attributes:
        width: the width of every layer relative to the article's, rounded to multiples of 8. If it is below 1, the last
            convolution still has 1280 channels.
        depth: the repetitions relative to the article's, rounded up.
        fixed_ends: whether `width` does not apply to the first and the last convolution, and `depth` does not apply to
            the first and the last stage.
    """

    width: float = 1.0
    depth: float = 1.0
    fixed_ends: bool = False

    @property
    def depths(self) -> list[int]:
        """The number of blocks of each stage."""
        ends = (0, len(V2_BLOCKS) - 1)
        return [
            math.ceil(repetitions * (1.0 if self.fixed_ends and place in ends else self.depth))
            for place, (_, _, repetitions, _) in enumerate(V2_BLOCKS)
        ]

    def _logits(self, net: Network, x: Tensor, classes: int) -> Tensor:
        ends = 1.0 if self.fixed_ends else self.width
        x = convolution(
            net, x, round_channels(32 * ends), 3, stride=2, activation="relu6", name="features.0.0"
        )
        block = 0
        for depth, (expansion, channels, _, first_stride) in zip(self.depths, V2_BLOCKS, strict=True):
            for repetition in range(depth):
                block += 1
                width = round_channels(channels * self.width)
                stride = first_stride if repetition == 0 else 1
                x = _block(net, x, width, expansion, stride, f"features.{block}")
        last = round_channels(1280 * max(1.0, ends))
        x = convolution(net, x, last, activation="relu6", name=f"features.{block + 1}.0")
        return net.dense(global_average_pool(net, x), classes, name="classifier.1")


def _block(net: Network, x: Tensor, channels: int, expansion: int, stride: int, name: str) -> Tensor:
    inputs = x.shape[-1] or 0
    y, module = x, 0
    if expansion != 1:
        y = convolution(net, y, inputs * expansion, activation="relu6", name=f"{name}.conv.0.0")
        module = 1
    y = depthwise(net, y, stride=stride, activation="relu6", name=f"{name}.conv.{module}.0")
    y = convolution(net, y, channels, name=f"{name}.conv.{module + 1}")
    return net.add(x, y, name=name) if stride == 1 and inputs == channels else y


mobilenet_v2_torch = MobileNetV2("mobilenet_v2")
