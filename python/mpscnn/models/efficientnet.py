"""EfficientNet (Tan and Le 2019) as torchvision, timm and TensorFlow have it, and EfficientNet-Lite."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network
from mpscnn.models.blocks import Classifier, convolution, depthwise, pooled, squeeze_excitation
from mpscnn.models.mobilenet import round_channels

_STAGES = [  # (expansion, kernel, stride of the first, channels, repetitions)
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
]


@dataclass(frozen=True)
class EfficientNet(Classifier):
    """One scale; see `Classifier`.

    Layers: features.0.0; for block b of stage s, features.<s>.<b>.block.<i>.0 (expands, not in stage 1; depthwise; the
    last projects), features.<s>.<b>.block.<i> (squeeze and excitation, with .avgpool, .fc1, .fc2) and, where the shape
    stays, their sum features.<s>.<b>; features.8.0; avgpool, flatten, classifier.1.

    Attributes:
        width: of every layer relative to B0, rounded to multiples of 8.
        depth: repetitions relative to B0, rounded up.
        lite: EfficientNet-Lite: ReLU6, no squeeze and excitation; the first and the last convolution keep their width,
            the first and the last stage their depth.
        same: TensorFlow's padding.
    """

    width: float = 1.0
    depth: float = 1.0
    lite: bool = False
    same: bool = False

    def _logits(self, net: Network, x: Tensor, classes: int) -> Tensor:
        activation = "relu6" if self.lite else "swish"
        first, last = (c if self.lite else round_channels(c * self.width) for c in (32, 1280))
        x = convolution(
            net, x, first, 3, stride=2, same=self.same, activation=activation, name="features.0.0"
        )
        for stage, (expansion, kernel, stride, channels, repetitions) in enumerate(_STAGES, start=1):
            depth = 1.0 if self.lite and stage in (1, len(_STAGES)) else self.depth
            for block in range(math.ceil(repetitions * depth)):
                x = self._block(
                    net,
                    x,
                    round_channels(channels * self.width),
                    kernel,
                    stride if block == 0 else 1,
                    expansion,
                    f"features.{stage}.{block}",
                )
        x = convolution(net, x, last, activation=activation, name="features.8.0")
        return net.dense(pooled(net, x), classes, name="classifier.1")

    def _block(
        self, net: Network, x: Tensor, channels: int, kernel: int, stride: int, expansion: int, name: str
    ) -> Tensor:
        activation = "relu6" if self.lite else "swish"
        inputs = x.shape[-1] or 0
        y, part = x, 0
        if expansion != 1:
            y = convolution(net, y, inputs * expansion, activation=activation, name=f"{name}.block.0.0")
            part = 1
        y = depthwise(
            net,
            y,
            kernel,
            stride=stride,
            same=self.same,
            activation=activation,
            name=f"{name}.block.{part}.0",
        )
        part += 1
        if not self.lite:
            squeezed = max(1, inputs // 4)
            y = squeeze_excitation(
                net, y, squeezed, activation=activation, gate="sigmoid", name=f"{name}.block.{part}"
            )
            part += 1
        y = convolution(net, y, channels, name=f"{name}.block.{part}.0")
        return net.add(y, x, name=name) if stride == 1 and inputs == channels else y


efficientnet_b0 = EfficientNet("efficientnet_b0")
efficientnet_b1 = EfficientNet("efficientnet_b1", 1.0, 1.1, input_size=240)
efficientnet_b2 = EfficientNet("efficientnet_b2", 1.1, 1.2, input_size=288)
efficientnet_b3 = EfficientNet("efficientnet_b3", 1.2, 1.4, input_size=300)
efficientnet_b4 = EfficientNet("efficientnet_b4", 1.4, 1.8, input_size=380)
efficientnet_b5 = EfficientNet("efficientnet_b5", 1.6, 2.2, input_size=456)
efficientnet_b6 = EfficientNet("efficientnet_b6", 1.8, 2.6, input_size=528)
efficientnet_b7 = EfficientNet("efficientnet_b7", 2.0, 3.1, input_size=600)
efficientnet_lite0 = EfficientNet("efficientnet_lite0", lite=True)
efficientnet_lite1 = EfficientNet("efficientnet_lite1", 1.0, 1.1, lite=True, input_size=240)
efficientnet_lite2 = EfficientNet("efficientnet_lite2", 1.1, 1.2, lite=True, input_size=260)
efficientnet_lite3 = EfficientNet("efficientnet_lite3", 1.2, 1.4, lite=True, input_size=280)
efficientnet_lite4 = EfficientNet("efficientnet_lite4", 1.4, 1.8, lite=True, input_size=300)

EFFICIENTNETS = (
    efficientnet_b0,
    efficientnet_b1,
    efficientnet_b2,
    efficientnet_b3,
    efficientnet_b4,
    efficientnet_b5,
    efficientnet_b6,
    efficientnet_b7,
)
EFFICIENTNETS_LITE = (
    efficientnet_lite0,
    efficientnet_lite1,
    efficientnet_lite2,
    efficientnet_lite3,
    efficientnet_lite4,
)
