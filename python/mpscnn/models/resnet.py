"""Build ResNet (He et al. 2016), ResNeXt (Xie et al. 2017), wide ResNet (Zagoruyko et al. 2016) of torchvision."""

from __future__ import annotations

from dataclasses import dataclass

from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network
from mpscnn.models.blocks import Classifier, convolution, global_average_pool


@dataclass(frozen=True)
class ResNet(Classifier):
    """One network of the family; see `Classifier`.

    Layers: conv1, maxpool; for block b of stage s, layer<s>.<b>.conv1, ..., if the shape changes
    layer<s>.<b>.downsample.0, and their sum layer<s>.<b>; avgpool, flatten, fc.

    Attributes:
        blocks: the number of blocks in each of the four stages.
        bottleneck: blocks have three convolutions, the first and the last with 1 x 1 kernels, instead of two.
        groups: the groups of a bottleneck's 3 x 3 convolution.
        base_width: the channels of each of these groups in the first stage.
    """

    blocks: tuple[int, int, int, int]
    bottleneck: bool = True
    groups: int = 1
    base_width: int = 64

    def _logits(self, net: Network, x: Tensor, classes: int) -> Tensor:
        x = convolution(net, x, 64, 7, stride=2, activation="relu", name="conv1")
        x = net.max_pool2d(x, 3, strides=2, padding=1, name="maxpool")
        for stage, blocks in enumerate(self.blocks, start=1):
            for block in range(blocks):
                stride = 2 if stage > 1 and block == 0 else 1
                x = self._block(net, x, 32 * 2**stage, stride, f"layer{stage}.{block}")
        return net.dense(global_average_pool(net, x), classes, name="fc")

    def _block(self, net: Network, x: Tensor, planes: int, stride: int, name: str) -> Tensor:
        """Add a block. `planes` is the width of the stage; the result of a bottleneck has 4 times as many channels."""
        if self.bottleneck:
            width, channels = planes * self.base_width // 64 * self.groups, 4 * planes
            y = convolution(net, x, width, activation="relu", name=f"{name}.conv1")
            y = convolution(
                net,
                y,
                width,
                3,
                stride=stride,
                groups=self.groups,
                activation="relu",
                name=f"{name}.conv2",
            )
            y = convolution(net, y, channels, name=f"{name}.conv3")
        else:
            channels = planes
            y = convolution(net, x, channels, 3, stride=stride, activation="relu", name=f"{name}.conv1")
            y = convolution(net, y, channels, 3, name=f"{name}.conv2")
        if stride != 1 or x.shape[-1] != channels:
            x = convolution(net, x, channels, stride=stride, name=f"{name}.downsample.0")
        return net.add(y, x, activation="relu", name=name)


resnet18 = ResNet("resnet18", (2, 2, 2, 2), bottleneck=False)
resnet34 = ResNet("resnet34", (3, 4, 6, 3), bottleneck=False)
resnet50 = ResNet("resnet50", (3, 4, 6, 3))
resnet101 = ResNet("resnet101", (3, 4, 23, 3))
resnet152 = ResNet("resnet152", (3, 8, 36, 3))
resnext50_32x4d = ResNet("resnext50_32x4d", (3, 4, 6, 3), groups=32, base_width=4)
resnext101_32x8d = ResNet("resnext101_32x8d", (3, 4, 23, 3), groups=32, base_width=8)
resnext101_64x4d = ResNet("resnext101_64x4d", (3, 4, 23, 3), groups=64, base_width=4)
wide_resnet50_2 = ResNet("wide_resnet50_2", (3, 4, 6, 3), base_width=128)
wide_resnet101_2 = ResNet("wide_resnet101_2", (3, 4, 23, 3), base_width=128)

RESNETS = (
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
    resnext50_32x4d,
    resnext101_32x8d,
    resnext101_64x4d,
    wide_resnet50_2,
    wide_resnet101_2,
)
