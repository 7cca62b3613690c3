"""Build ShuffleNet V2 (Ma et al. 2018) of torchvision."""

from __future__ import annotations

from dataclasses import dataclass

from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network
from mpscnn.models.blocks import Classifier, convolution, depthwise, global_average_pool

_FIRST = 24
_REPETITIONS = (4, 8, 4)


@dataclass(frozen=True)
class ShuffleNetV2(Classifier):
    """One width of ShuffleNet V2; see `Classifier`.

    Layers: conv1.0, maxpool; for block b of stage s from 2 to 4, if the stride is 2 stage<s>.<b>.branch1.0 and
    .branch1.2, stage<s>.<b>.branch2.0, .branch2.3 and .branch2.5, and stage<s>.<b>, in which the channels of both
    halves alternate; conv5.0; avgpool, flatten, fc.

    Attributes:
        channels: the channels of the results of the three stages.
        last: the channels of the last convolution.
    """

    channels: tuple[int, int, int]
    last: int = 1024

    def _logits(self, net: Network, x: Tensor, classes: int) -> Tensor:
        x = convolution(net, x, _FIRST, 3, stride=2, activation="relu", name="conv1.0")
        x = net.max_pool2d(x, 3, strides=2, padding=1, name="maxpool")
        for stage, (channels, repetitions) in enumerate(
            zip(self.channels, _REPETITIONS, strict=True), start=2
        ):
            for block in range(repetitions):
                x = _block(net, x, channels // 2, 2 if block == 0 else 1, f"stage{stage}.{block}")
        x = convolution(net, x, self.last, activation="relu", name="conv5.0")
        return net.dense(global_average_pool(net, x), classes, name="fc")


def _block(net: Network, x: Tensor, half: int, stride: int, name: str) -> Tensor:
    """Add a block. Each half of its result has `half` channels."""
    if stride == 1:
        kept = net.slice(x, channels=(0, half), name=f"{name}.kept")
        y = net.slice(x, channels=(half, 2 * half), name=f"{name}.changed")
    else:
        kept = depthwise(net, x, stride=stride, name=f"{name}.branch1.0")
        kept = convolution(net, kept, half, activation="relu", name=f"{name}.branch1.2")
        y = x
    y = convolution(net, y, half, activation="relu", name=f"{name}.branch2.0")
    y = depthwise(net, y, stride=stride, name=f"{name}.branch2.3")
    y = convolution(net, y, half, activation="relu", name=f"{name}.branch2.5")
    return net.channel_shuffle(net.concat([kept, y], name=f"{name}.halves"), 2, name=name)


shufflenet_v2_x0_5 = ShuffleNetV2("shufflenet_v2_x0_5", (48, 96, 192))
shufflenet_v2_x1_0 = ShuffleNetV2("shufflenet_v2_x1_0", (116, 232, 464))
shufflenet_v2_x1_5 = ShuffleNetV2("shufflenet_v2_x1_5", (176, 352, 704))
shufflenet_v2_x2_0 = ShuffleNetV2("shufflenet_v2_x2_0", (244, 488, 976), 2048)

SHUFFLENETS = (shufflenet_v2_x0_5, shufflenet_v2_x1_0, shufflenet_v2_x1_5, shufflenet_v2_x2_0)
