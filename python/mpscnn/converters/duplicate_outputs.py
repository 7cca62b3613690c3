"""Give each output of a file its own tensor, because a network cannot have one tensor as two outputs."""

from __future__ import annotations

from collections.abc import Sequence

from mpscnn.converters.layer_names import LayerNames
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network


def make_distinct(network: Network, names: LayerNames, results: Sequence[Tensor]) -> list[Tensor]:
    """Return the results of a file, in order. Where one occurs again, a layer that copies it takes its place."""
    seen, found = set[int](), []
    for result in results:
        is_new = result.index not in seen
        copy = {"kind": "none"}
        found.append(result if is_new else network.activation(result, copy, name=names.unique(result.name)))
        seen.add(result.index)
    return found
