"""Build SSD (Liu et al. 2016) on MobileNet V1 and SSDLite (Sandler et al. 2018) on MobileNet V2, like TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mpscnn._private.arguments import whole_number
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn.errors import ParameterError
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network
from mpscnn.graph.weight_layout import WeightLayout
from mpscnn.models.mobilenet import (
    Size,
    Weights,
    image_size,
    load_weights,
    mobilenet_v1_layers,
    mobilenet_v2_blocks,
    mobilenet_v2_last,
)
from mpscnn.vision.detector import DetectionHead

_STRIDES = (16, 32, 64, 128, 256, 512)
_ASPECT_RATIOS = (1.0, 2.0, 0.5, 3.0, 0.3333)  # the published configurations round 1 / 3 like this
_EXTRA_CHANNELS = (512, 256, 256, 128)  # channels of the four maps after the classifier's layers
_FIRST_SHAPES = 3
ANCHORS_AT_A_POINT = len(_ASPECT_RATIOS) + 1
_MIN_EXTRA_CHANNELS = 16  # min_depth in TensorFlow's SSD configurations

_Layer = Callable[[Network, Tensor, int, str], Tensor]


@accept_foreign_arguments
def ssd_mobilenet_v1(
    weights: Weights = None,
    *,
    classes: int = 90,
    input_size: Size = 300,
    depth_multiplier: float = 1.0,
    score: str = "sigmoid",
    layout: WeightLayout | None = None,
) -> Network:
    """Return SSD on MobileNet V1: (n, height, width, 3) in -1..1 (preprocessing "tensorflow") -> boxes and scores.

    There are six feature maps: pointwise11, pointwise13 and extra1 ... extra4, each half as large as the one before.
    Each map m from 1 to 6 has the convolutions box<m> and score<m>. The outputs are raw: boxes (n, anchors, 4), the
    numbers y, x, height, width relative to the anchor, and scores (n, anchors, classes + 1), which are logits with the
    background first. 300 x 300 pixels have 1917 anchors. The network's `detection` has the settings that turn them into
    boxes, and `Network.save` stores it.

    Args:
        weights: None (load them later), a mapping as for `Network.load_weights`, or a model file or registry
            name with exactly this architecture.
        layout: the order of axes of arrays, as for `Network.load_weights`.
        classes: the number of classes without the background: 90 for COCO in TensorFlow's numbering, 20 for Pascal VOC.
        input_size: one number, or (height, width), at least 32.
        depth_multiplier: the width of every layer of the backbone and of the extra maps relative to the article's, 0.1
            to 4.
        score: the meaning of the logits: "sigmoid" for each class separately (TensorFlow's), or "softmax".

    Raises:
        ParameterError: an argument is out of its range. WeightsError: the weights do not fit.
    """
    net = Network(input=(*image_size(input_size), 3), name="ssd_mobilenet_v1")
    last = mobilenet_v1_layers(net, net.input, depth_multiplier=depth_multiplier)
    maps = [net["pointwise11"], last, *_extra_maps(net, last, depth_multiplier, _convolution)]
    return load_weights(add_heads(net, maps, classes, ssd_head(score=score), depthwise=1), weights, layout)


@accept_foreign_arguments
def ssdlite_mobilenet_v2(
    weights: Weights = None,
    *,
    classes: int = 90,
    input_size: Size = 300,
    depth_multiplier: float = 1.0,
    score: str = "sigmoid",
    layout: WeightLayout | None = None,
) -> Network:
    """Return SSDLite on MobileNet V2: its extra maps and heads have depthwise separable convolutions.

    Feature maps: expand14, conv_last and extra1 ... extra4. Heads: box<m>_depthwise, box<m>, score<m>_depthwise,
    score<m>. Arguments and results are those of `ssd_mobilenet_v1`.
    """
    net = Network(input=(*image_size(input_size), 3), name="ssdlite_mobilenet_v2")
    x = mobilenet_v2_blocks(net, net.input, depth_multiplier=depth_multiplier)
    last = mobilenet_v2_last(net, x, depth_multiplier=depth_multiplier)
    maps = [net["expand14"], last, *_extra_maps(net, last, depth_multiplier, separable)]
    return load_weights(add_heads(net, maps, classes, ssd_head(score=score)), weights, layout)


def ssd_head(
    *, score: str = "sigmoid", strides: Sequence[int] = _STRIDES, anchors: Mapping[str, Any] | None = None
) -> DetectionHead:
    """Return the settings that turn the outputs of TensorFlow's SSD networks into boxes (docs/detection.md).

    Args:
        score: "sigmoid" or "softmax".
        strides: the strides of the feature maps, in pixels of the input.
        anchors: other settings of the anchors, such as min_scale.
    """
    if score not in ("sigmoid", "softmax"):
        raise ParameterError(f"score must be 'sigmoid' or 'softmax', got {score!r}")
    return DetectionHead(
        {
            "version": 1,
            "boxes": {"output": "boxes", "order": "yx", "variances": [0.1, 0.1, 0.2, 0.2]},
            "scores": {"output": "scores", "kind": score, "background": True},
            "anchors": {
                "rule": "scales",
                "strides": list(strides),
                "aspect_ratios": list(_ASPECT_RATIOS),
                **(anchors or {}),
            },
            "suppression": {"iou_threshold": 0.6, "score_threshold": 0.3},
        }
    )


def ultraface_head(*, boxes: str = "boxes", scores: str = "scores") -> DetectionHead:
    """Return the settings for Ultra-Light-Fast-Generic-Face-Detector, whose networks end with a softmax.

    Args:
        boxes, scores: the names of the outputs.
    """
    sizes = [[10, 16, 24], [32, 48], [64, 96], [128, 192, 256]]
    return DetectionHead(
        {
            "version": 1,
            "boxes": {"output": boxes, "order": "xy", "variances": [0.1, 0.1, 0.2, 0.2]},
            "scores": {"output": scores, "kind": "probability", "background": True},
            "anchors": {
                "rule": "sizes",
                "strides": [8, 16, 32, 64],
                "sizes": [[[side, side] for side in row] for row in sizes],
                "centers": "grid",
                "clip": True,
            },
            "suppression": {"iou_threshold": 0.3, "score_threshold": 0.7},
        }
    )


def _extra_maps(net: Network, x: Tensor, depth_multiplier: float, halve: _Layer) -> list[Tensor]:
    """Add the extra feature maps: each a pointwise convolution to half its channels, and a 3 x 3 one with stride 2."""
    maps = []
    for number, channels in enumerate(_EXTRA_CHANNELS, start=1):
        inner = max(int(channels // 2 * depth_multiplier), _MIN_EXTRA_CHANNELS)
        outer = max(int(channels * depth_multiplier), _MIN_EXTRA_CHANNELS)
        y = net.conv2d(x, inner, 1, activation="relu6", name=f"extra{number}_reduce")
        x = halve(net, y, outer, f"extra{number}")
        maps.append(x)
    return maps


def _convolution(net: Network, x: Tensor, channels: int, name: str) -> Tensor:
    return net.conv2d(x, channels, 3, strides=2, padding="same", activation="relu6", name=name)


def separable(net: Network, x: Tensor, channels: int, name: str) -> Tensor:
    """Add a depthwise separable 3 x 3 convolution with stride 2."""
    y = net.depthwise_conv2d(x, 3, strides=2, padding="same", activation="relu6", name=f"{name}_depthwise")
    return net.conv2d(y, channels, 1, activation="relu6", name=name)


def add_heads(
    net: Network,
    maps: Sequence[Tensor],
    classes: int,
    head: DetectionHead,
    *,
    depthwise: int = 3,
    first_shapes: int = _FIRST_SHAPES,
) -> Network:
    """Add the heads and the outputs to a network, and return it.

    Args:
        maps: the feature maps. Each has an anchor for each aspect ratio and one more at each point.
        head: the settings of the detection, which become those of the network.
        depthwise: the size of depthwise kernels before the heads; 1: there are none.
        first_shapes: the number of anchors at each point of the first map.
    """
    columns = {"box": 4, "score": whole_number("classes", classes) + 1}
    parts: dict[str, list[Any]] = {kind: [] for kind in columns}
    for number, x in enumerate(maps, start=1):
        shapes = first_shapes if number == 1 else ANCHORS_AT_A_POINT
        for kind, width in columns.items():
            y, name = x, f"{kind}{number}"
            if depthwise > 1:
                y = net.depthwise_conv2d(
                    y, depthwise, padding="same", activation="relu6", name=f"{name}_depthwise"
                )
            y = net.conv2d(y, shapes * width, 1, name=name)
            parts[kind].append(net.reshape(y, (-1, width), name=f"{name}_rows"))
    net.output(net.concat(parts["box"], axis=1, name="boxes"))
    net.output(net.concat(parts["score"], axis=1, name="scores"))
    net.detection = head
    return net
