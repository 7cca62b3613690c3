"""Graphs of nodes with Apple's names, like MPSNNGraph. They become a `mpscnn.Network`.

    from mpscnn import nodes

    image = nodes.MPSNNImageNode((28, 28, 1), label="image")
    hidden = nodes.MPSCNNConvolutionNode(image, descriptor, weights, bias).result_image
    pooled = nodes.MPSCNNPoolingMaxNode(hidden, 2, 2, stride_x=2, stride_y=2).result_image
    network = nodes.MPSNNGraph(nodes.MPSCNNSoftMaxNode(pooled).result_image).network

A filter node takes a source image and the arguments of the raw kernel with that name (`mpscnn.kernels`). It also has
this kernel's properties, with names in snake_case. `names()` lists the nodes.
"""

from __future__ import annotations

from typing import Any

from mpscnn._private.expected_names import no_attribute
from mpscnn._private.names import did_you_mean
from mpscnn.nodes.filter_node import FilterNode, MPSNNImageNode
from mpscnn.nodes.graph import MPSNNGraph
from mpscnn.nodes.table import NODES

__all__ = ["FilterNode", "MPSNNGraph", "MPSNNImageNode", "names"]


def names() -> list[str]:
    """Return the names of the filter nodes' classes."""
    return sorted(NODES)


def __getattr__(name: str) -> Any:
    if name in NODES:
        return NODES[name]
    hint = "" if name.startswith("_") else did_you_mean(name, [*names(), *__all__])
    raise no_attribute(__name__, name, hint)


def __dir__() -> list[str]:
    return sorted([*__all__, *NODES])
