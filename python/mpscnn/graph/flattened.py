"""Find layers that read a flattened image. Other libraries store their weights in other orders."""

from __future__ import annotations

import json

from mpscnn import _core

#: Operations that do not change the order of elements.
_IN_PLACE = ("neuron", "dropout", "batch_normalization", "layer_normalization")


def flattened_images(graph: _core.Graph) -> dict[str, tuple[int, int, int]]:
    """Return the height, width and channels of the image whose elements are features of a layer, by the layer's name.

    The layers are dense ones, which may also read the image itself, and normalizations and activations of the
    flattened image. Images whose axes were permuted are left out, because the caller chose their order.
    """
    structure = json.loads(graph.to_json())
    entries = [*structure["inputs"], *structure["nodes"]]
    shapes = {entry["name"]: graph.shape(index) for index, entry in enumerate(entries)}
    nodes = {entry["name"]: entry for entry in structure["nodes"]}
    images = {}
    for name, node in nodes.items():
        is_dense = node["operation"] == "fully_connected"
        source = node["inputs"][0]
        if not is_dense and (node["operation"] not in _IN_PLACE or len(shapes[source]) != 2):
            continue
        while source in nodes and nodes[source]["operation"] in _IN_PLACE:
            source = nodes[source]["inputs"][0]
        if len(shapes[source]) == 2 and source in nodes and nodes[source]["operation"] == "reshape":
            source = nodes[source]["inputs"][0]
        moved = source in nodes and nodes[source]["operation"] == "transpose"
        if len(shapes[source]) == 4 and not moved:
            _, height, width, channels = shapes[source]
            images[name] = (height, width, channels)
    return images
