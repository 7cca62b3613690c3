"""Build SqueezeNet 1.0 and 1.1 (Iandola et al. 2016) of torchvision."""

from __future__ import annotations

from dataclasses import dataclass

from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network
from mpscnn.models.blocks import Classifier, convolution

# The channels of the squeeze convolution and of each of the two expand convolutions, for the eight fire modules.
_FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))


@dataclass(frozen=True)
class SqueezeNet(Classifier):
    """One of the two versions of SqueezeNet; see `Classifier`.

    Layers: features.0; for each fire module m, features.<m>.squeeze, .expand1x1, .expand3x3, and features.<m>, which
    concatenates the last two; features.<p> for each max pooling p; classifier.1, avgpool, flatten.

    Attributes:
        channels: the channels of the first convolution.
        kernel: the kernel size of the first convolution.
        pooled_before: the indices of the fire modules that follow a max pooling.
    """

    channels: int
    kernel: int
    pooled_before: tuple[int, ...]

    def _logits(self, net: Network, x: Tensor, classes: int) -> Tensor:
        x = net.conv2d(x, self.channels, self.kernel, strides=2, activation="relu", name="features.0")
        module = 2  # modules 0 and 1 are the convolution and its activation
        for number, (squeeze, expand) in enumerate(_FIRES):
            if number in self.pooled_before:
                x = net.max_pool2d(x, 3, strides=2, ceil_mode=True, name=f"features.{module}")
                module += 1
            x = _fire(net, x, squeeze, expand, f"features.{module}")
            module += 1
        x = convolution(net, x, classes, activation="relu", name="classifier.1")
        return net.flatten(net.global_average_pool2d(x, name="avgpool"), name="flatten")


def _fire(net: Network, x: Tensor, squeeze: int, expand: int, name: str) -> Tensor:
    x = convolution(net, x, squeeze, activation="relu", name=f"{name}.squeeze")
    small = convolution(net, x, expand, activation="relu", name=f"{name}.expand1x1")
    large = convolution(net, x, expand, 3, activation="relu", name=f"{name}.expand3x3")
    return net.concat([small, large], name=name)


squeezenet1_0 = SqueezeNet("squeezenet1_0", 96, 7, (0, 3, 7))
squeezenet1_1 = SqueezeNet("squeezenet1_1", 64, 3, (0, 2, 4))

SQUEEZENETS = (squeezenet1_0, squeezenet1_1)
