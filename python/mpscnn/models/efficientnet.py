"""Build EfficientNet (Tan and Le 2019) and V2 (2021) of torchvision, timm and TensorFlow, and EfficientNet-Lite."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mpscnn._private.literals import ActivationName
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network
from mpscnn.models.blocks import Classifier, convolution, depthwise, global_average_pool, squeeze_excitation
from mpscnn.models.mobilenet import round_channels
from mpscnn.models.photo_transforms import TIMM, PhotoTransform, TimmWeights


@dataclass(frozen=True)
class Stage:
    """The blocks of one resolution, for width and depth 1.

    Attributes:
        expansion: the channels after the expansion, relative to those of the block's input.
        kernel: the kernel size of the spatial convolutions.
        stride: the stride of the first block.
        channels: the channels of the result.
        repetitions: the number of blocks.
        fused: whether one full convolution replaces the pointwise expansion and the depthwise convolution. Such blocks
            have no squeeze and excitation.
    """

    expansion: int
    kernel: int
    stride: int
    channels: int
    repetitions: int
    fused: bool = False


_V1 = (
    Stage(1, 3, 1, 16, 1),
    Stage(6, 3, 2, 24, 2),
    Stage(6, 5, 2, 40, 2),
    Stage(6, 3, 2, 80, 3),
    Stage(6, 5, 1, 112, 3),
    Stage(6, 5, 2, 192, 4),
    Stage(6, 3, 1, 320, 1),
)
_V2_SMALL = (
    Stage(1, 3, 1, 24, 2, fused=True),
    Stage(4, 3, 2, 48, 4, fused=True),
    Stage(4, 3, 2, 64, 4, fused=True),
    Stage(4, 3, 2, 128, 6),
    Stage(6, 3, 1, 160, 9),
    Stage(6, 3, 2, 256, 15),
)
_V2_MEDIUM = (
    Stage(1, 3, 1, 24, 3, fused=True),
    Stage(4, 3, 2, 48, 5, fused=True),
    Stage(4, 3, 2, 80, 5, fused=True),
    Stage(4, 3, 2, 160, 7),
    Stage(6, 3, 1, 176, 14),
    Stage(6, 3, 2, 304, 18),
    Stage(6, 3, 1, 512, 5),
)
_V2_LARGE = (
    Stage(1, 3, 1, 32, 4, fused=True),
    Stage(4, 3, 2, 64, 7, fused=True),
    Stage(4, 3, 2, 96, 7, fused=True),
    Stage(4, 3, 2, 192, 10),
    Stage(6, 3, 1, 224, 19),
    Stage(6, 3, 2, 384, 25),
    Stage(6, 3, 1, 640, 7),
)


@dataclass(frozen=True)
class EfficientNet(Classifier):
    """One size of EfficientNet; see `Classifier`.

    Layers: features.0.0; for block b of stage s, features.<s>.<b>.block.<i>.0 (an expansion if the block has one, a
    depthwise convolution, a projection), features.<s>.<b>.block.<i> (squeeze and excitation, with .avgpool, .fc1, .fc2)
    and, if shapes are equal, their sum features.<s>.<b>; features.<last>.0; avgpool, flatten, classifier.1. Fused
    blocks have one or two convolutions.

    Attributes:
        width: the width of every layer relative to the table, rounded to multiples of 8.
        depth: the repetitions relative to the table, rounded up.
        lite: EfficientNet-Lite: ReLU6, no squeeze and excitation; the first and the last convolution keep their width,
            the first and the last stage their depth.
        same: use TensorFlow's padding.
        stages: the table of stages.
        first: the channels of the first convolution.
    """

    width: float = 1.0
    depth: float = 1.0
    lite: bool = False
    same: bool = False
    stages: tuple[Stage, ...] = _V1
    first: int = 32

    def _published_photos(self) -> PhotoTransform:
        # torchvision has no Lite networks.
        return TIMM.get(self.name, TimmWeights()).photos if self.lite else super()._published_photos()

    @property
    def depths(self) -> list[int]:
        """The number of blocks of each stage."""
        ends = (0, len(self.stages) - 1)
        return [
            math.ceil(stage.repetitions * (1.0 if self.lite and place in ends else self.depth))
            for place, stage in enumerate(self.stages)
        ]

    def _logits(self, net: Network, x: Tensor, classes: int) -> Tensor:
        first, last = (c if self.lite else round_channels(c * self.width) for c in (self.first, 1280))
        x = self._convolution(net, x, first, 3, 2, "features.0.0")
        for number, (stage, depth) in enumerate(zip(self.stages, self.depths, strict=True), start=1):
            for block in range(depth):
                stride = stage.stride if block == 0 else 1
                x = self._block(net, x, stage, stride, f"features.{number}.{block}")
        x = self._convolution(net, x, last, 1, 1, f"features.{len(self.stages) + 1}.0")
        return net.dense(global_average_pool(net, x), classes, name="classifier.1")

    @property
    def _activation(self) -> ActivationName:
        return "relu6" if self.lite else "swish"

    def _convolution(
        self, net: Network, x: Tensor, channels: int, kernel: int, stride: int, name: str
    ) -> Tensor:
        return convolution(
            net, x, channels, kernel, stride=stride, same=self.same, activation=self._activation, name=name
        )

    def _block(self, net: Network, x: Tensor, stage: Stage, stride: int, name: str) -> Tensor:
        inputs, channels = x.shape[-1] or 0, round_channels(stage.channels * self.width)
        inside = self._fused if stage.fused else self._separable
        y = inside(net, x, stage, channels, stride, f"{name}.block")
        return net.add(y, x, name=name) if stride == 1 and inputs == channels else y

    def _fused(self, net: Network, x: Tensor, stage: Stage, channels: int, stride: int, name: str) -> Tensor:
        if stage.expansion == 1:
            return self._convolution(net, x, channels, stage.kernel, stride, f"{name}.0.0")
        expanded = (x.shape[-1] or 0) * stage.expansion
        x = self._convolution(net, x, expanded, stage.kernel, stride, f"{name}.0.0")
        return convolution(net, x, channels, name=f"{name}.1.0")

    def _separable(
        self, net: Network, x: Tensor, stage: Stage, channels: int, stride: int, name: str
    ) -> Tensor:
        inputs, part = x.shape[-1] or 0, 0
        if stage.expansion != 1:
            x = self._convolution(net, x, inputs * stage.expansion, 1, 1, f"{name}.0.0")
            part = 1
        x = depthwise(
            net,
            x,
            stage.kernel,
            stride=stride,
            same=self.same,
            activation=self._activation,
            name=f"{name}.{part}.0",
        )
        part += 1
        if not self.lite:
            squeezed, activation = max(1, inputs // 4), self._activation
            x = squeeze_excitation(
                net, x, squeezed, activation=activation, gate="sigmoid", name=f"{name}.{part}"
            )
            part += 1
        return convolution(net, x, channels, name=f"{name}.{part}.0")


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
efficientnet_v2_s = EfficientNet("efficientnet_v2_s", stages=_V2_SMALL, first=24, input_size=384)
efficientnet_v2_m = EfficientNet("efficientnet_v2_m", stages=_V2_MEDIUM, first=24, input_size=480)
efficientnet_v2_l = EfficientNet("efficientnet_v2_l", stages=_V2_LARGE, first=32, input_size=480)

EFFICIENTNETS_V2 = (efficientnet_v2_s, efficientnet_v2_m, efficientnet_v2_l)
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
