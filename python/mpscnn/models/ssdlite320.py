"""Build SSDLite (Sandler et al. 2018) on MobileNet V3, of torchvision."""

from __future__ import annotations

import itertools
import math

from mpscnn._private.arguments import whole_number
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network
from mpscnn.graph.weight_layout import WeightLayout
from mpscnn.models.blocks import convolution, depthwise
from mpscnn.models.mobilenet import Size, Weights, image_size, load_weights
from mpscnn.models.mobilenet_v3 import LARGE, MobileNetV3
from mpscnn.vision.detector import DetectionHead

_STRIDES = (16, 32, 64, 128, 256, 512)
_EXTRA_CHANNELS = (512, 256, 256, 128)
_SCALES = (0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0)
_ASPECT_RATIOS = (2.0, 3.0)
_ANCHORS = 2 + 2 * len(_ASPECT_RATIOS)  # anchors for each point of a map
_SPLIT = 13  # the block whose expansion is the first feature map


@accept_foreign_arguments
def ssdlite320_mobilenet_v3_large(
    weights: Weights = None,
    *,
    classes: int = 90,
    input_size: Size = 320,
    reduced_tail: bool = True,
    layout: WeightLayout | None = None,
) -> Network:
    """Return SSDLite on MobileNet V3-Large: (n, height, width, 3) in -1..1 (preprocessing "tensorflow").

    Layers are named like torchvision's modules: backbone.features.0.<b>, those of `mobilenet_v3_large` up to the
    expansion of block 13, backbone.features.1.<b> those after it, backbone.extra.<m>, and for each of six maps
    head.classification_head.module_list.<m> and head.regression_head.module_list.<m>. The outputs are raw: boxes (n,
    anchors, 4), the numbers x, y, width, height relative to the anchor, and scores (n, anchors, classes + 1), which are
    logits with the background first. 320 x 320 pixels have 3234 anchors. The network's `detection` has torchvision's
    settings that turn them into boxes, and `Network.save` stores it.

    Args:
        weights: as for `resnet18`.
        layout: the order of axes of arrays, as for `Network.load_weights`.
        classes: the number of classes without the background: 90 for COCO.
        input_size: one number, or (height, width), at least 32.
        reduced_tail: halve the channels of the last blocks, as in the published network; False for one that was
            trained on the backbone of a classifier.

    Raises:
        ParameterError: an argument is out of its range. WeightsError: the weights do not fit.
    """
    height, width = image_size(input_size)
    net = Network(input=(height, width, 3), name="ssdlite320_mobilenet_v3_large")
    net.preprocess = "tensorflow"
    backbone = MobileNetV3("mobilenet_v3_large", LARGE, 1280, reduced_tail=reduced_tail)
    x = backbone.features(net, net.input, _renamed)[-1]
    maps = [net[_renamed(f"features.{_SPLIT}.block.0.0")], x]
    for number, channels in enumerate(_EXTRA_CHANNELS):
        name = f"backbone.extra.{number}"
        x = convolution(net, x, channels // 2, activation="relu6", name=f"{name}.0.0")
        x = depthwise(net, x, stride=2, activation="relu6", name=f"{name}.1.0")
        x = convolution(net, x, channels, activation="relu6", name=f"{name}.2.0")
        maps.append(x)
    columns = whole_number("classes", classes) + 1
    for name, head, width_of_row in (("boxes", "regression", 4), ("scores", "classification", columns)):
        rows = [
            _predicted(net, one, width_of_row, f"head.{head}_head.module_list.{number}")
            for number, one in enumerate(maps)
        ]
        net.output(net.concat(rows, axis=1, name=name))
    net.detection = _detection(height, width)
    return load_weights(net, weights, layout)


def _renamed(name: str) -> str:
    """Return torchvision's name of a layer. torchvision divides the backbone after the expansion of one block."""
    _, block, *rest = name.split(".", 2)
    if int(block) < _SPLIT:
        return ".".join(("backbone.features.0", block, *rest))
    if int(block) > _SPLIT:
        return ".".join(("backbone.features.1", str(int(block) - _SPLIT), *rest))
    part = rest[0].removeprefix("block.")
    return f"backbone.features.0.{block}.0" if part == "0.0" else f"backbone.features.1.0.{part}"


def _predicted(net: Network, x: Tensor, width: int, name: str) -> Tensor:
    """Add a head. Return a row of `width` numbers for each anchor: (n, anchors, width)."""
    x = depthwise(net, x, activation="relu6", name=f"{name}.0.0")
    x = convolution(net, x, _ANCHORS * width, name=f"{name}.1")
    return net.reshape(x, (-1, width), name=name)


def _detection(height: int, width: int) -> DetectionHead:
    return DetectionHead(
        {
            "version": 1,
            "boxes": {"output": "boxes", "order": "xy", "variances": [0.1, 0.1, 0.2, 0.2]},
            "scores": {"output": "scores", "kind": "softmax", "background": True},
            "anchors": {
                "rule": "sizes",
                "strides": list(_STRIDES),
                "sizes": [
                    [[x * width, y * height] for x, y in _shapes(scale, next_scale)]
                    for scale, next_scale in itertools.pairwise(_SCALES)
                ],
                "centers": "grid",
                "clip": True,
            },
            "suppression": {
                "iou_threshold": 0.55,
                "score_threshold": 0.001,
                "max_candidates": 300,
                "max_per_class": 300,
                "max_detections": 300,
            },
        }
    )


def _shapes(scale: float, next_scale: float) -> list[tuple[float, float]]:
    """Return the widths and heights of a map's anchors, as fractions of the image."""
    between = math.sqrt(scale * next_scale)
    shapes = [(scale, scale), (between, between)]
    for ratio in _ASPECT_RATIOS:
        longer, shorter = scale * math.sqrt(ratio), scale / math.sqrt(ratio)
        shapes += [(longer, shorter), (shorter, longer)]
    return [(min(x, 1.0), min(y, 1.0)) for x, y in shapes]
