"""Build LR-ASPP (Howard et al. 2019) and DeepLabv3 (Chen et al. 2017) on MobileNet V3, of torchvision."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from mpscnn._private.arguments import whole_number
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network
from mpscnn.graph.weight_layout import WeightLayout
from mpscnn.models.blocks import convolution
from mpscnn.models.deeplab import add_pixel_output
from mpscnn.models.mobilenet import Size, Weights, image_size, load_weights
from mpscnn.models.mobilenet_v3 import LARGE, MobileNetV3

_BACKBONE = MobileNetV3("mobilenet_v3_large", LARGE, 1280, dilated=True)
_LOW = 4  # the block whose result has an eighth of the input's size
_INNER = 128  # channels within the head of LR-ASPP
_DEPTH = 256  # channels of the branches of DeepLab's pyramid
_RATES = (12, 24, 36)


@dataclass(frozen=True)
class Segmenter(ABC):
    """A builder of a segmenter on MobileNet V3-Large with an output stride of 16. Call it to build the network.

    Its layers are named like torchvision's modules: backbone.<b> are the features.<b> of `mobilenet_v3_large`,
    classifier... those of the head; the last one is "out".

    Attributes:
        name: the name in torchvision.
    """

    name: str

    @accept_foreign_arguments
    def __call__(
        self,
        weights: Weights = None,
        *,
        input_size: Size = 520,
        classes: int = 21,
        output: str = "logits",
        layout: WeightLayout | None = None,
    ) -> Network:
        """Return the network: (n, height, width, 3), preprocessing "torch" -> (n, height, width, classes).

        Args:
            weights: as for `resnet18`.
            layout: the order of axes of arrays, as for `Network.load_weights`.
            input_size: one number, or (height, width), at least 32.
            classes: 21 for Pascal VOC, including the background.
            output: "logits", as in PyTorch, "softmax" for probabilities, or "labels" for (n, height, width, 1) with
                each pixel's class as a number.

        Raises:
            ParameterError: an argument is out of its range. WeightsError: the weights do not fit.
        """
        net = Network(input=(*image_size(input_size), 3), name=self.name)
        net.preprocess = "torch"
        features = _BACKBONE.features(net, net.input, lambda name: name.replace("features", "backbone", 1))
        x = self._head(net, features, whole_number("classes", classes))
        add_pixel_output(net, resized(net, x, net.input, "out"), output)
        return load_weights(net, weights, layout)

    @abstractmethod
    def _head(self, net: Network, features: list[Tensor], classes: int) -> Tensor:
        """Add the head, and return logits, whose size may differ from the input's.

        Args:
            features: the results of the first layer, of each block, and of the last layer.
        """


def lraspp_head(net: Network, low: Tensor, high: Tensor, classes: int) -> Tensor:
    """Add the head of LR-ASPP. Return logits of the size of `low`, a map that is finer than `high`."""
    x = convolution(net, high, _INNER, activation="relu", name="classifier.cbr.0")
    gates = net.global_average_pool2d(high, name="classifier.scale.0")
    gates = convolution(net, gates, _INNER, activation="sigmoid", name="classifier.scale.1")
    x = resized(net, net.multiply(x, gates, name="classifier.scaled"), low, "classifier.resized")
    return net.add(
        convolution(net, low, classes, name="classifier.low_classifier"),
        convolution(net, x, classes, name="classifier.high_classifier"),
        name="classifier",
    )


class LiteSegmenter(Segmenter):
    """LR-ASPP; see `Segmenter`."""

    def _head(self, net: Network, features: list[Tensor], classes: int) -> Tensor:
        return lraspp_head(net, features[_LOW], features[-1], classes)


class DeepLabV3(Segmenter):
    """DeepLabv3 with the atrous rates 12, 24 and 36; see `Segmenter`."""

    def _head(self, net: Network, features: list[Tensor], classes: int) -> Tensor:
        convs, high = "classifier.0.convs", features[-1]
        branches = [convolution(net, high, _DEPTH, activation="relu", name=f"{convs}.0.0")]
        branches += [
            convolution(net, high, _DEPTH, 3, dilation=rate, activation="relu", name=f"{convs}.{number}.0")
            for number, rate in enumerate(_RATES, start=1)
        ]
        whole = net.global_average_pool2d(high, name=f"{convs}.4.0")
        whole = convolution(net, whole, _DEPTH, activation="relu", name=f"{convs}.4.1")
        branches.append(resized(net, whole, high, f"{convs}.4"))
        x = net.concat(branches, name=convs)
        x = convolution(net, x, _DEPTH, activation="relu", name="classifier.0.project.0")
        x = convolution(net, x, _DEPTH, 3, activation="relu", name="classifier.1")
        return convolution(net, x, classes, name="classifier.4")


def resized(net: Network, x: Tensor, like: Tensor, name: str) -> Tensor:
    """Resize `x` to the size of `like`, like PyTorch without align_corners."""
    height, width = (extent or 0 for extent in like.shape[1:3])
    return net.resize(x, (height, width), name=name)


lraspp_mobilenet_v3_large = LiteSegmenter("lraspp_mobilenet_v3_large")
deeplabv3_mobilenet_v3_large = DeepLabV3("deeplabv3_mobilenet_v3_large")
