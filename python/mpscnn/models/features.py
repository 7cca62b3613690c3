"""Build feature extractors from MobileNet V1 and V2: the base of detectors, segmenters and your own networks."""

from __future__ import annotations

from collections.abc import Sequence

from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn.graph.features import extractor_network
from mpscnn.graph.network import Network
from mpscnn.graph.weight_layout import OwnWeights, WeightLayout
from mpscnn.models.mobilenet import (
    Size,
    Weights,
    image_size,
    mobilenet_v1_layers,
    mobilenet_v2_blocks,
    mobilenet_v2_last,
    weight_arrays,
)

Layers = str | Sequence[str]


@accept_foreign_arguments
def mobilenet_v1_features(
    weights: Weights = None,
    *,
    extract_layers: Layers = ("pointwise13",),
    pooling: str | None = None,
    depth_multiplier: float = 1.0,
    input_size: Size = 224,
    shallow: bool = False,
    layout: WeightLayout | None = None,
) -> Network:
    """Return a network that computes the feature maps of MobileNet V1.

    The input is (n, height, width, 3) in -1..1 (preprocessing "tensorflow").

    There is one output for each requested layer. Layers: conv1; depthwise1, pointwise1 ... depthwise13, pointwise13.
    Layers that are not needed are left out.

    Args:
        weights: as for `mobilenet_v1`. The last layer of a classifier's weights is ignored.
        layout: the order of axes of arrays, as for `Network.load_weights`.
        extract_layers: the names of the outputs, in this order. SSD reads "pointwise11" and "pointwise13".
        pooling: None: feature maps (n, height, width, channels); "global": each channel's mean, (n, channels), in
            outputs named "<layer>/pooled".
        depth_multiplier, input_size, shallow: as for `mobilenet_v1`.

    Raises:
        ParameterError: an argument is out of its range, or a layer does not exist. WeightsError: the weights do not
            fit.
    """
    net = Network(input=(*image_size(input_size), 3), name="mobilenet_v1_features")
    mobilenet_v1_layers(net, net.input, depth_multiplier=depth_multiplier, shallow=shallow)
    return _extractor(net, weights, layout, extract_layers, pooling)


@accept_foreign_arguments
def mobilenet_v2_features(
    weights: Weights = None,
    *,
    extract_layers: Layers = ("conv_last",),
    pooling: str | None = None,
    depth_multiplier: float = 1.0,
    input_size: Size = 224,
    layout: WeightLayout | None = None,
) -> Network:
    """Return a network that computes the feature maps of MobileNet V2.

    The input is (n, height, width, 3) in -1..1 (preprocessing "tensorflow").

    There is one output for each requested layer. Layers: conv1; for each block b from 1 to 17: expand<b> (not in block
    1), depthwise<b>, project<b> and, if shapes are equal, add<b>; conv_last. Layers that are not needed are left out.

    Args:
        weights: as for `mobilenet_v2`. The last layer of a classifier's weights is ignored.
        layout: the order of axes of arrays, as for `Network.load_weights`.
        extract_layers: the names of the outputs, in this order. SSDLite reads "expand14" and "conv_last".
        pooling, depth_multiplier, input_size: as for `mobilenet_v1_features`.

    Raises:
        ParameterError: an argument is out of its range, or a layer does not exist. WeightsError: the weights do not
            fit.
    """
    net = Network(input=(*image_size(input_size), 3), name="mobilenet_v2_features")
    x = mobilenet_v2_blocks(net, net.input, depth_multiplier=depth_multiplier)
    mobilenet_v2_last(net, x, depth_multiplier=depth_multiplier)
    return _extractor(net, weights, layout, extract_layers, pooling)


def _extractor(
    net: Network, weights: Weights, layout: WeightLayout | None, layers: Layers, pooling: str | None
) -> Network:
    if weights is not None:
        given = weight_arrays(weights)
        kept = {name: given[name] for name in given if not name.startswith("classifier.")}
        # A part of the weights of a network has the order of axes that the whole has.
        net.load_weights(kept, layout="OHWI" if isinstance(given, OwnWeights) else layout)
    return extractor_network(net, layers, pooling)
