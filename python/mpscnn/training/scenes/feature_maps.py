"""Find the feature maps of a classifier, for the heads of detectors and segmenters."""

from __future__ import annotations

import math
from typing import Any

from mpscnn.errors import Error, UnsupportedError
from mpscnn.graph.class_head import feature_layer
from mpscnn.graph.integer_layers import without_integers
from mpscnn.graph.network import Network

Node = dict[str, Any]
_WINDOWS = ("convolution", "pooling")


class FeatureMaps:
    """A classifier without its last layers, for another input size.

    Attributes:
        network: the layers up to the last feature map. It has no outputs.
        last: the name of the last feature map.
        halvings: how often the last map halves the sides of the input.
    """

    def __init__(self, network: Network, last: str) -> None:
        self.network, self.last = network, last
        self.halvings = self._halvings(last)

    def before(self, halvings: int) -> str:
        """Return the last map, in the order of the layers, before the sides of the input are halved more often.

        It is the input of the first layer with a higher stride: in a block of MobileNet V2 and V3, the expansion. So it
        has more channels than the result of the block before.
        """
        for node in self.network.to_dict()["nodes"]:
            if node["operation"] in _WINDOWS and len(self.network[node["name"]].shape) == 4:
                inputs = node["inputs"][0]
                if self._is_map(inputs) and self._halvings(inputs) == halvings < self._halvings(node["name"]):
                    return str(inputs)
        return self.last

    def _is_map(self, name: str) -> bool:
        return len(self.network[name].shape) == 4

    def _halvings(self, name: str) -> int:
        height, side = self.network.input.shape[1] or 1, self.network[name].shape[1] or 1
        return round(math.log2(height / side))


def feature_maps(
    classifier: Network, size: tuple[int, int], *, max_halvings: int | None = None
) -> FeatureMaps:
    """Return the feature maps of a classifier with its weights, for another size of the input.

    Args:
        classifier: a classifier of images. Integers of a quantised network become floats.
        size: (height, width) of the input.
        max_halvings: layers that would halve the sides of the input more often have stride 1, and the kernels after
            them are dilated, so that they cover the same area (Chen et al. 2017, atrous convolution).

    Raises:
        UnsupportedError: the network is not such a classifier, or does not work for this size.
    """
    network = without_integers(classifier)
    nodes: dict[str, Node] = {node["name"]: node for node in network.to_dict()["nodes"]}
    last = feature_layer(network)
    while not _has_pixels(network, last):
        if last not in nodes:
            raise UnsupportedError(f"network {network.name!r} has no feature map of several pixels")
        last = nodes[last]["inputs"][0]
    structure = network.subgraph([last]).to_dict()
    structure["inputs"][0]["shape"][1:3] = list(size)
    structure["outputs"] = []
    if max_halvings is not None:
        _dilate(network, structure["nodes"], max_halvings)
    try:
        resized = network.restructured(structure)
    except Error as error:
        raise UnsupportedError(
            f"network {network.name!r} does not work for an input of {size[0]} x {size[1]}: {error}"
        ) from error
    resized.preprocess = network.preprocess
    return FeatureMaps(resized, last)


def _has_pixels(network: Network, name: str) -> bool:
    shape = network[name].shape
    return len(shape) == 4 and (shape[1] or 0) * (shape[2] or 0) > 1


def _dilate(network: Network, nodes: list[Node], max_halvings: int) -> None:
    """Replace strides beyond the largest number of halvings by dilated kernels after them."""
    height = network.input.shape[1] or 1
    factors: dict[str, int] = {}
    for node in nodes:
        factor = max((factors.get(name, 1) for name in node["inputs"]), default=1)
        attributes = node["attributes"]
        if node["operation"] in _WINDOWS and not attributes.get("global"):
            _widen(attributes, factor)
            side = network[node["name"]].shape[1] or 1
            if attributes["stride_y"] > 1 and round(math.log2(height / side)) > max_halvings:
                factor *= attributes["stride_y"]
                attributes["stride_y"] = attributes["stride_x"] = 1
        factors[node["name"]] = factor


def _widen(attributes: dict[str, Any], factor: int) -> None:
    """Dilate a window by a factor. Explicit borders grow with it, so that the result keeps its size."""
    for axis, sides in (("y", ("pad_top", "pad_bottom")), ("x", ("pad_left", "pad_right"))):
        attributes[f"dilation_{axis}"] *= factor
        for side in sides:
            attributes[side] *= factor
