"""Build tiny YOLO v2 (Redmon and Farhadi 2016) for photos, with the weights of a file of Darknet."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.arguments import whole_number
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn.errors import ParameterError, WeightsError
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network
from mpscnn.graph.weight_layout import WeightLayout
from mpscnn.models.mobilenet import Size, Weights, image_size, load_weights
from mpscnn.vision.detector import DetectionHead

_STRIDE = 32  # pixels of the input for a cell
_BACKBONE = (16, 32, 64, 128, 256, 512, 1024)
_LEAKY = {"kind": "relu", "a": 0.1}
_COCO_CLASSES = 80
#: Width and height of the anchors in cells, of the published networks for PASCAL VOC and COCO.
VOC_ANCHORS = ((1.08, 1.19), (3.42, 4.41), (6.63, 11.38), (9.42, 5.11), (16.62, 10.52))
COCO_ANCHORS = (
    (0.57273, 0.677385),
    (1.87446, 2.06253),
    (3.33843, 5.47434),
    (7.88282, 3.52778),
    (9.77052, 9.16828),
)
#: The classes of PASCAL VOC in the order of Darknet's file.
VOC_LABELS = tuple(
    "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person pottedplant "  # noqa: SIM905
    "sheep sofa train tvmonitor".split()
)
# Darknet adds this number to the root of the variance.
_DARKNET_EPSILON = 1e-6


@accept_foreign_arguments
def tiny_yolo_v2(
    weights: Weights = None,
    *,
    classes: int = 20,
    input_size: Size = 416,
    anchors: Sequence[Sequence[float]] | None = None,
    hidden: int | None = None,
    layout: WeightLayout | None = None,
) -> Network:
    """Return tiny YOLO v2: (n, height, width, 3) in 0..1, RGB -> boxes and scores.

    Layers: conv1 ... conv9, pool1 ... pool6; they include Darknet's batch normalizations. The outputs are boxes
    (n, cells * anchors, 4), relative to the anchors, and scores (n, cells * anchors, classes), probabilities. The
    network's `detection` turns them into boxes with labels.

    Args:
        weights: None (load them later), a Darknet file (.weights) such as tiny-yolo-voc.weights or
            yolov2-tiny.weights, a mapping as for `Network.load_weights`, or a model file with this architecture.
        classes: 20 for PASCAL VOC, or 80 for COCO.
        input_size: one number, or (height, width), multiples of 32.
        anchors: (width, height) of each anchor in cells of 32 pixels; None: those of the published network for COCO if
            there are 80 classes, otherwise those for PASCAL VOC.
        hidden: the channels of conv8; None: 512 for 80 classes, as in yolov2-tiny, otherwise 1024, as in
            tiny-yolo-voc.
        layout: the order of axes of arrays, as for `Network.load_weights`.

    Raises:
        ParameterError: an argument is out of its range.
        WeightsError: the weights do not fit.
    """
    count = whole_number("classes", classes)
    is_coco = count == _COCO_CLASSES
    size = image_size(input_size)
    if size[0] % _STRIDE or size[1] % _STRIDE:
        raise ParameterError(f"input_size must be multiples of {_STRIDE}, got {size}")
    shapes = [
        tuple(float(extent) for extent in pair)
        for pair in (anchors or (COCO_ANCHORS if is_coco else VOC_ANCHORS))
    ]
    if any(len(pair) != 2 or min(pair) <= 0 for pair in shapes):
        raise ParameterError(f"anchors must be pairs of numbers above 0, got {anchors!r}")
    width = (512 if is_coco else 1024) if hidden is None else whole_number("hidden", hidden)
    net = Network(input=(*size, 3), name="tiny_yolo_v2")
    net.preprocess = {
        "fit": "letterbox",
        "letterbox_value": [127.5] * 3,
        "mean": [0.0] * 3,
        "scale": [1 / 255] * 3,
    }
    x = net.input
    for number, channels in enumerate(_BACKBONE, start=1):
        x = net.conv2d(x, channels, 3, padding="same", activation=_LEAKY, name=f"conv{number}")
        if number < len(_BACKBONE):
            # The last pooling keeps the size: its windows end one pixel after the image.
            last = number == len(_BACKBONE) - 1
            x = net.max_pool2d(x, 2, strides=1 if last else 2, padding="same", name=f"pool{number}")
    x = net.conv2d(x, width, 3, padding="same", activation=_LEAKY, name="conv8")
    x = net.conv2d(x, len(shapes) * (5 + count), 1, name="conv9")
    _add_outputs(net, x, shapes, count)
    net.labels = list(VOC_LABELS) if count == len(VOC_LABELS) else None
    if isinstance(weights, (str, PathLike)) and fspath(weights).lower().endswith(".weights"):
        return load_weights(net, darknet_weights(net, Path(weights)), "OHWI")
    return load_weights(net, weights, layout)


def _add_outputs(net: Network, x: Tensor, anchors: Sequence[tuple[float, ...]], classes: int) -> None:
    """Add the layers that turn the map into boxes and scores, and the settings of the detection."""
    columns = 5 + classes
    boxes: list[Tensor] = []
    for number, (width, height) in enumerate(anchors):
        start = number * columns
        for axis, extent in enumerate((width, height)):
            # The centre is at sigmoid(t) in its cell: sigmoid(t) - 1/2 = tanh(t / 2) / 2, in widths of the anchor.
            place = net.slice(x, channels=(start + axis, start + axis + 1))
            boxes.append(net.activation(place, {"kind": "tanh", "a": 0.5 / extent, "b": 0.5}))
        boxes.append(net.slice(x, channels=(start + 2, start + 4)))
    net.output(net.reshape(net.concat(boxes), (-1, 4), name="boxes"))
    rows = net.reshape(x, (-1, columns), name="rows")
    found = net.activation(net.slice(rows, channels=(4, 5)), "sigmoid", name="confidence")
    scores = net.softmax(net.slice(rows, channels=(5, columns)), name="classes")
    net.output(net.multiply(scores, found, name="scores"))
    net.detection = DetectionHead(
        {
            "version": 1,
            "boxes": {"output": "boxes", "order": "xy", "variances": [1.0] * 4},
            "scores": {"output": "scores", "kind": "probability", "background": False},
            "anchors": {
                "rule": "sizes",
                "strides": [_STRIDE],
                "sizes": [[[_STRIDE * extent for extent in pair] for pair in anchors]],
                "centers": "grid",
            },
            "suppression": {"iou_threshold": 0.45, "score_threshold": 0.25},
        }
    )


def darknet_weights(net: Network, path: Path) -> dict[str, NDArray[Any]]:
    """Return the weights of a Darknet file for the convolutions of a network, with batch normalizations folded.

    The file has a header, and for each convolution biases, for all but the last also factors, means and variances,
    and then kernels [output][input][height][width].

    Raises WeightsError for a file that cannot be read, or that has another size than the network's weights.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(content) < 20:
        raise WeightsError(f"{path}: damaged: has {len(content)} bytes")
    major, minor = (int(one) for one in np.frombuffer(content, "<i4", 2))
    # From version 0.2 on, the number of photos that were seen has 8 bytes.
    header = 20 if major * 10 + minor >= 2 else 16
    kernels = [spec for spec in net.weight_specs() if spec["role"] == "weight"]
    sizes = [
        (int(np.prod(spec["shape"])), int(spec["shape"][0]), number < len(kernels) - 1)
        for number, spec in enumerate(kernels)
    ]
    needed = header + 4 * sum(weights + (4 if norm else 1) * outputs for weights, outputs, norm in sizes)
    if len(content) != needed:
        raise WeightsError(
            f"{path}: has {len(content)} bytes, but this network has weights of {needed}; choose classes, hidden and "
            "anchors as in the network's .cfg file"
        )
    numbers = np.frombuffer(content, "<f4", offset=header)
    if not np.isfinite(numbers).all():
        raise WeightsError(f"{path}: damaged: has numbers that are not finite")
    made: dict[str, NDArray[Any]] = {}
    place = 0

    def take(count: int) -> NDArray[np.float32]:
        nonlocal place
        place += count
        return numbers[place - count : place]

    for spec, (count, outputs, norm) in zip(kernels, sizes, strict=True):
        bias = take(outputs).astype(np.float64)
        factors = np.ones(outputs)
        if norm:
            scale, mean, variance = (take(outputs).astype(np.float64) for _ in range(3))
            factors = scale / (np.sqrt(np.maximum(variance, 0)) + _DARKNET_EPSILON)
            bias = bias - mean * factors
        rows, height, width, inputs = spec["shape"]
        kernel = take(count).reshape(rows, inputs, height, width).transpose(0, 2, 3, 1)
        made[f"{spec['layer']}.weight"] = (kernel * factors[:, None, None, None]).astype(np.float32)
        made[f"{spec['layer']}.bias"] = bias.astype(np.float32)
    return made
