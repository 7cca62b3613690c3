"""Build the slim version of Ultra-Light-Fast-Generic-Face-Detector, of its PyTorch implementation."""

from __future__ import annotations

from mpscnn._private.arguments import whole_number
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network
from mpscnn.graph.weight_layout import WeightLayout
from mpscnn.models.blocks import convolution, depthwise
from mpscnn.models.mobilenet import Size, Weights, image_size, load_weights
from mpscnn.models.ssd import ultraface_head

_FIRST = 16
_BLOCKS = [  # (channels, stride) of each depthwise separable convolution
    (32, 1),
    (32, 2),
    (32, 1),
    (64, 2),
    (64, 1),
    (64, 1),
    (64, 1),
    (128, 2),
    (128, 1),
    (128, 1),
    (256, 2),
    (256, 1),
]
_MAPS = (7, 10, 12)  # the blocks whose results are feature maps
_ANCHORS = (3, 2, 2, 3)  # anchors for each point of each map


@accept_foreign_arguments
def ultraface_slim(
    weights: Weights = None,
    *,
    classes: int = 1,
    input_size: Size = (240, 320),
    layout: WeightLayout | None = None,
) -> Network:
    """Return the slim face detector: (n, height, width, 3), (x - 127) / 128 -> boxes and scores.

    Layers are named like its PyTorch modules: base_net.0.0; base_net.<b>.0 and base_net.<b>.3 for block b from 1 to 12;
    extras.0.0, extras.0.2.0, extras.0.2.2; for each of four maps classification_headers.<m> and regression_headers.<m>,
    with .0 and .2 except for the last. The outputs are boxes (n, anchors, 4), the numbers x, y, width, height relative
    to the anchor, and scores (n, anchors, 2), probabilities with the background first. 320 x 240 pixels have 4420
    anchors. The network's `detection` is `ultraface_head`.

    Args:
        weights: as for `resnet18`.
        layout: the order of axes of arrays, as for `Network.load_weights`.
        classes: the number of classes without the background.
        input_size: one number, or (height, width), at least 32.

    Raises:
        ParameterError: an argument is out of its range. WeightsError: the weights do not fit.
    """
    net = Network(input=(*image_size(input_size), 3), name="ultraface_slim")
    net.preprocess = {"mean": [127.0] * 3, "scale": [1 / 128] * 3}
    x = convolution(net, net.input, _FIRST, 3, stride=2, activation="relu", name="base_net.0.0")
    maps = []
    for block, (channels, stride) in enumerate(_BLOCKS, start=1):
        x = depthwise(net, x, stride=stride, activation="relu", name=f"base_net.{block}.0")
        x = convolution(net, x, channels, activation="relu", name=f"base_net.{block}.3")
        if block in _MAPS:
            maps.append(x)
    x = convolution(net, x, 64, activation="relu", name="extras.0.0")
    x = depthwise(net, x, stride=2, activation="relu", name="extras.0.2.0")
    maps.append(convolution(net, x, 256, activation="relu", name="extras.0.2.2"))
    columns = whole_number("classes", classes) + 1
    boxes = [_rows(net, one, number, 4, "regression_headers") for number, one in enumerate(maps)]
    scores = [_rows(net, one, number, columns, "classification_headers") for number, one in enumerate(maps)]
    net.output(net.concat(boxes, axis=1, name="boxes"))
    net.output(net.softmax(net.concat(scores, axis=1, name="logits"), name="scores"))
    net.detection = ultraface_head()
    net.labels = ["face"] if classes == 1 else None
    return load_weights(net, weights, layout)


def _rows(net: Network, x: Tensor, number: int, width: int, head: str) -> Tensor:
    name, channels = f"{head}.{number}", _ANCHORS[number] * width
    if number < len(_ANCHORS) - 1:
        x = depthwise(net, x, activation="relu", name=f"{name}.0")
        x = convolution(net, x, channels, name=f"{name}.2")
    else:
        x = convolution(net, x, channels, 3, name=name)
    return net.reshape(x, (-1, width), name=f"{name}.rows")
