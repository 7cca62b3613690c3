"""Build detectors and segmenters on the feature maps of a classifier."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.errors import ParameterError, UnsupportedError
from mpscnn.graph.network import Network
from mpscnn.graph.settings import copy_settings
from mpscnn.models.deeplab import add_pyramid
from mpscnn.models.mobilenet_v3_segmenters import lraspp_head, resized
from mpscnn.models.ssd import ANCHORS_AT_A_POINT, add_heads, separable, ssd_head
from mpscnn.opening_models import model_task
from mpscnn.training.scenes.feature_maps import FeatureMaps, feature_maps
from mpscnn.training.scenes.heads import with_columns

SEGMENTERS = ("lraspp", "deeplab")
_MIN_HALVINGS = 3  # the first map of a detector has at least this stride, as a power of two
_EXTRA_CHANNELS = (512, 256, 256, 128)
_RATES = (6, 12, 18)  # the dilations of DeepLab's kernels in the article
_SEGMENTER_HALVINGS = 4


def detector_of(network: Network, classes: int, size: tuple[int, int], boxes: NDArray[np.float64]) -> Network:
    """Return a network to train as a detector, with the weights of another one. New layers have no weights.

    A classifier becomes the backbone of an SSDLite (Sandler et al. 2018). A detector keeps its layers and size, and
    gets new layers for its scores if it has other classes, or other scores than those of a softmax.

    Args:
        network: a classifier of images, or a detector with anchors.
        classes: the number of classes without the background.
        size: (height, width) of the input, for a classifier.
        boxes: (k, 4) the objects, as fractions of the photos. The sizes of the anchors follow theirs.

    Raises:
        UnsupportedError: the network is neither.
    """
    if network.detection is None:
        return _ssdlite(feature_maps(network, size), classes, boxes)
    head = network.detection
    scores = dict(head.settings.get("scores", {}))
    columns = network[head.output("scores")].shape[-1]
    if columns != classes + 1 or scores.get("kind", "sigmoid") == "sigmoid":
        network = with_columns(network, head.output("scores"), classes + 1)
    scores |= {
        "kind": "probability" if scores.get("kind") == "probability" else "softmax",
        "background": True,
    }
    result = network.copy()
    copy_settings(network, result)
    result.detection = replace(head, settings={**head.settings, "scores": scores})
    return result


def segmenter_of(network: Network, classes: int, size: tuple[int, int], architecture: str) -> Network:
    """Return a network to train as a segmenter, with the weights of another one. New layers have no weights.

    A classifier becomes the backbone of LR-ASPP (Howard et al. 2019) or of DeepLabv3 (Chen et al. 2017). A segmenter
    keeps its layers and size, and gets new last layers if it has other classes.

    Args:
        network: a classifier or a segmenter of images.
        classes: the number of classes.
        size: (height, width) of the input, for a classifier.
        architecture: "lraspp" or "deeplab", for a classifier.

    Raises:
        ParameterError: an unknown architecture. UnsupportedError: the network is neither.
    """
    if architecture not in SEGMENTERS:
        raise ParameterError(
            f"architecture must be {' or '.join(map(repr, SEGMENTERS))}, got {architecture!r}"
        )
    if model_task(False, [one.shape for one in network.outputs]) == "segmentation":
        output = network.outputs[0]
        return network if output.shape[-1] == classes else with_columns(network, output.name, classes)
    maps = feature_maps(network, size, max_halvings=_SEGMENTER_HALVINGS)
    net, last = maps.network, maps.network[maps.last]
    if architecture == "lraspp":
        x = lraspp_head(net, net[maps.before(maps.halvings - 1)], last, classes)
    else:
        x = net.conv2d(add_pyramid(net, last, _RATES), classes, 1, name="head_classes")
    net.output(resized(net, x, net.input, "scores"))
    return _named(net, f"{architecture}_of_{classes}_classes")


# ---- Detectors ---------------------------------------------------------------------------------------------------


def _ssdlite(maps: FeatureMaps, classes: int, boxes: NDArray[np.float64]) -> Network:
    """Add SSDLite's extra maps, until a map is one pixel high or wide, and its heads."""
    net, x, halvings = maps.network, maps.network[maps.last], maps.halvings
    found = {halvings: x}
    if halvings > _MIN_HALVINGS:
        found = {halvings - 1: net[maps.before(halvings - 1)], halvings: x}
    for number, channels in enumerate(_EXTRA_CHANNELS, start=1):
        if min(extent or 0 for extent in x.shape[1:3]) < 2:
            break
        channels = min(channels, x.shape[-1] or channels)
        y = net.conv2d(x, channels // 2, 1, activation="relu6", name=f"extra{number}_reduce")
        x = separable(net, y, channels, f"extra{number}")
        halvings += 1
        found[halvings] = x
    strides = [2**number for number in found]
    head = ssd_head(score="softmax", strides=strides, anchors=_scales(boxes))
    net = add_heads(net, list(found.values()), classes, head, first_shapes=ANCHORS_AT_A_POINT)
    net = _named(net, f"ssdlite_of_{classes}_classes")
    height, width = (extent or 0 for extent in net.input.shape[1:3])
    anchors, predicted = len(head.detector((height, width)).anchors), net.outputs[0].shape[1]
    if anchors != predicted:
        raise UnsupportedError(
            f"network {maps.network.name!r}: the strides of its maps are not {strides}, since they have {predicted} "
            f"points for {anchors} anchors; choose another input size, such as a multiple of {strides[0]}"
        )
    return net


def _scales(boxes: NDArray[np.float64]) -> dict[str, Any]:
    """Return the range of the anchors' sizes, as shares of the input, which covers most objects."""
    sides = np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(1))
    low, high = np.quantile(sides, [0.1, 0.95])
    low = min(max(float(low), 0.03), 0.4)
    high = min(max(float(high), low + 0.2), 0.95)
    return {"min_scale": round(low, 3), "max_scale": round(high, 3), "reduce_lowest": False}


def _named(net: Network, name: str) -> Network:
    """Return the network under another name."""
    structure = net.to_dict() | {"name": name}
    result = net.restructured(structure)
    copy_settings(net, result)
    return result
