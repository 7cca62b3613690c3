"""Build VGG (Simonyan and Zisserman 2014), as torchvision does, with and without batch normalizations."""

from __future__ import annotations

from dataclasses import dataclass

from mpscnn.errors import ParameterError
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network
from mpscnn.models.blocks import Classifier, convolution

_CHANNELS = (64, 128, 256, 512, 512)
_POOLED = 7  # rows and columns of the map before the dense layers
_HIDDEN = 4096


@dataclass(frozen=True)
class VGG(Classifier):
    """One network of the family; see `Classifier`.

    Layers: features.<m> for each convolution and max pooling, avgpool, flatten, classifier.0, classifier.3,
    classifier.6. The input's height and width are multiples of 224, for which torchvision's average pooling to 7 x 7
    has windows of one size.

    Attributes:
        convolutions: the number of convolutions in each of the five stages.
        normalized: whether a batch normalization follows each convolution, which becomes part of it.
    """

    convolutions: tuple[int, ...]
    normalized: bool = False

    def _logits(self, net: Network, x: Tensor, classes: int) -> Tensor:
        module = 0
        for channels, count in zip(_CHANNELS, self.convolutions, strict=True):
            for _ in range(count):
                x = convolution(net, x, channels, 3, activation="relu", name=f"features.{module}")
                module += 3 if self.normalized else 2  # convolution, normalization, activation
            x = net.max_pool2d(x, 2, name=f"features.{module}")
            module += 1
        _, rows, columns, _ = x.shape
        if not rows or not columns or rows % _POOLED or columns % _POOLED:
            raise ParameterError(
                f"{self.name}: input_size must be multiples of 224, got {net.input.shape[1:3]}"
            )
        x = net.average_pool2d(x, (rows // _POOLED, columns // _POOLED), name="avgpool")
        x = net.flatten(x, name="flatten")
        for layer in (0, 3):
            x = net.dense(x, _HIDDEN, activation="relu", name=f"classifier.{layer}")
        return net.dense(x, classes, name="classifier.6")


vgg11 = VGG("vgg11", (1, 1, 2, 2, 2))
vgg13 = VGG("vgg13", (2, 2, 2, 2, 2))
vgg16 = VGG("vgg16", (2, 2, 3, 3, 3))
vgg19 = VGG("vgg19", (2, 2, 4, 4, 4))
vgg11_bn = VGG("vgg11_bn", (1, 1, 2, 2, 2), normalized=True)
vgg13_bn = VGG("vgg13_bn", (2, 2, 2, 2, 2), normalized=True)
vgg16_bn = VGG("vgg16_bn", (2, 2, 3, 3, 3), normalized=True)
vgg19_bn = VGG("vgg19_bn", (2, 2, 4, 4, 4), normalized=True)

VGGS = (vgg11, vgg13, vgg16, vgg19, vgg11_bn, vgg13_bn, vgg16_bn, vgg19_bn)
