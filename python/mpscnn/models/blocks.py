"""Build blocks of PyTorch's networks: padding, squeeze and excitation, the end of a classifier."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from mpscnn._private.arguments import whole_number
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn.errors import ParameterError
from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network
from mpscnn.graph.weight_layout import WeightLayout
from mpscnn.models.mobilenet import Size, Weights, image_size, load_weights
from mpscnn.models.photo_transforms import TORCHVISION, PhotoTransform

OUTPUTS = ("logits", "softmax")
# The function relu6(x + 3) / 6.
HARD_SIGMOID = {"kind": "hard_sigmoid", "a": 1 / 6, "b": 0.5}


@dataclass(frozen=True)
class Classifier(ABC):
    """A builder of an image classifier from PyTorch's collections. Call it to build the network.

    Layers are named like torchvision's modules. A convolution includes the batch normalization and the activation after
    it.

    Attributes:
        name: the name in torchvision or timm.
        input_size: the default height and width of the input.
        photos: how photos become inputs; None: as for the network's first weights in torchvision.
    """

    name: str
    photos: PhotoTransform | None = field(default=None, kw_only=True)
    input_size: int = field(default=224, kw_only=True)

    @accept_foreign_arguments
    def __call__(
        self,
        weights: Weights = None,
        *,
        input_size: Size | None = None,
        classes: int = 1000,
        output: str = "logits",
        layout: WeightLayout | None = None,
    ) -> Network:
        """Return the network: (n, height, width, 3), with the preprocessing of published weights -> (n, classes).

        Args:
            weights: None (load them later), a mapping as for `Network.load_weights`, or a model file or registry
                name with exactly this architecture. PyTorch files are converted (`mpscnn.converters`).
            layout: the order of axes of arrays, as for `Network.load_weights`.
            input_size: one number, or (height, width), at least 32; None: the architecture's default.
            classes: 1000 for ImageNet.
            output: "logits", as in PyTorch, or "softmax" for probabilities.

        Raises:
            ParameterError: an argument is out of its range. WeightsError: the weights do not fit.
        """
        if output not in OUTPUTS:
            raise ParameterError(f"output must be 'logits' or 'softmax', got {output!r}")
        size = self.input_size if input_size is None else input_size
        net = Network(input=(*image_size(size), 3), name=self.name)
        net.preprocess = (
            self._published_photos().settings() if self.photos is None else self.photos.settings()
        )
        logits = self._logits(net, net.input, whole_number("classes", classes))
        net.output(net.softmax(logits, name="softmax") if output == "softmax" else logits)
        return load_weights(net, weights, layout)

    def _published_photos(self) -> PhotoTransform:
        """Return how photos become inputs for the network's published weights."""
        return TORCHVISION.get(self.name, PhotoTransform())

    @abstractmethod
    def _logits(self, net: Network, x: Tensor, classes: int) -> Tensor:
        """Add the layers, and return the last one's result (n, classes)."""


def convolution(
    net: Network,
    x: Tensor,
    channels: int,
    kernel: int = 1,
    *,
    stride: int = 1,
    groups: int = 1,
    dilation: int = 1,
    same: bool = False,
    activation: Activation = None,
    name: str,
) -> Tensor:
    """Add a square convolution whose result has 1 / stride of the input's size, rounded up.

    Args:
        same: use TensorFlow's padding, whose larger half is at the end; otherwise pad all sides alike.
    """
    return net.conv2d(
        x,
        channels,
        kernel,
        strides=stride,
        padding="same" if same else dilation * (kernel // 2),
        dilation=dilation,
        groups=groups,
        activation=activation,
        name=name,
    )


def depthwise(
    net: Network,
    x: Tensor,
    kernel: int = 3,
    *,
    stride: int = 1,
    dilation: int = 1,
    same: bool = False,
    activation: Activation = None,
    name: str,
) -> Tensor:
    """Add a depthwise convolution with the options of `convolution`."""
    channels = x.shape[-1] or 0
    return convolution(
        net,
        x,
        channels,
        kernel,
        stride=stride,
        groups=channels,
        dilation=dilation,
        same=same,
        activation=activation,
        name=name,
    )


def squeeze_excitation(
    net: Network, x: Tensor, squeezed: int, *, activation: Activation, gate: Activation, name: str
) -> Tensor:
    """Multiply each channel by a factor that depends on the means of all channels (Hu et al. 2018).

    Layers: <name>.avgpool, <name>.fc1, <name>.fc2, and <name>, which multiplies x by the result of <name>.fc2.
    """
    gates = net.global_average_pool2d(x, name=f"{name}.avgpool")
    gates = convolution(net, gates, squeezed, activation=activation, name=f"{name}.fc1")
    gates = convolution(net, gates, x.shape[-1] or 0, activation=gate, name=f"{name}.fc2")
    return net.multiply(x, gates, name=name)


def global_average_pool(net: Network, x: Tensor) -> Tensor:
    """Return the mean of each channel: (n, channels)."""
    return net.flatten(net.global_average_pool2d(x, name="avgpool"), name="flatten")
