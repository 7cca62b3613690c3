"""Build MNASNet-B1 (Tan et al. 2019) of torchvision."""

from __future__ import annotations

from dataclasses import dataclass

from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network
from mpscnn.models.blocks import Classifier, convolution, depthwise, global_average_pool
from mpscnn.models.mobilenet import round_channels

_BLOCKS = [  # (channels, kernel, stride of the first block, expansion, repetitions)
    (24, 3, 2, 3, 3),
    (40, 5, 2, 3, 3),
    (80, 5, 2, 6, 3),
    (96, 3, 1, 6, 2),
    (192, 5, 2, 6, 4),
    (320, 3, 1, 6, 1),
]
_FIRST_STACK = (
    8  # torchvision's modules before it are three convolutions, each with a normalization and an activation
)


@dataclass(frozen=True)
class MNASNet(Classifier):
    """One width of MNASNet; see `Classifier`.

    Layers: layers.0, layers.3, layers.6; for block b of stack s from 8 to 13, layers.<s>.<b>.layers.0, .3, .6 and, if
    the block's input is added to its result, the sum layers.<s>.<b>; layers.14; avgpool, flatten, classifier.1.

    Attributes:
        width: the factor of the article's numbers of channels in the layers before layers.14. The products are rounded
            to multiples of 8. layers.14 always has 1280 channels.
    """

    width: float

    @property
    def depths(self) -> list[int]:
        """The number of blocks of each stage of timm, whose first stage is the second and the third convolution."""
        return [1, *(repetitions for *_, repetitions in _BLOCKS)]

    def _logits(self, net: Network, x: Tensor, classes: int) -> Tensor:
        first, second = (round_channels(channels * self.width) for channels in (32, 16))
        x = convolution(net, x, first, 3, stride=2, activation="relu", name="layers.0")
        x = depthwise(net, x, 3, activation="relu", name="layers.3")
        x = convolution(net, x, second, name="layers.6")
        for stack, (channels, kernel, stride, expansion, repetitions) in enumerate(_BLOCKS, _FIRST_STACK):
            for block in range(repetitions):
                x = _block(
                    net,
                    x,
                    round_channels(channels * self.width),
                    kernel,
                    stride if block == 0 else 1,
                    expansion,
                    f"layers.{stack}.{block}",
                )
        x = convolution(net, x, 1280, activation="relu", name="layers.14")
        return net.dense(global_average_pool(net, x), classes, name="classifier.1")


def _block(
    net: Network, x: Tensor, channels: int, kernel: int, stride: int, expansion: int, name: str
) -> Tensor:
    inputs = x.shape[-1] or 0
    y = convolution(net, x, inputs * expansion, activation="relu", name=f"{name}.layers.0")
    y = depthwise(net, y, kernel, stride=stride, activation="relu", name=f"{name}.layers.3")
    y = convolution(net, y, channels, name=f"{name}.layers.6")
    return net.add(y, x, name=name) if stride == 1 and inputs == channels else y


mnasnet0_5 = MNASNet("mnasnet0_5", 0.5)
mnasnet0_75 = MNASNet("mnasnet0_75", 0.75)
mnasnet1_0 = MNASNet("mnasnet1_0", 1.0)
mnasnet1_3 = MNASNet("mnasnet1_3", 1.3)

MNASNETS = (mnasnet0_5, mnasnet0_75, mnasnet1_0, mnasnet1_3)
