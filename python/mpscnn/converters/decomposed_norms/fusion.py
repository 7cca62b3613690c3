"""Replace norms that a file writes as several layers by one layer each.

Variances, standard deviations and the logarithm of a sigmoid become one layer, too. They are found in the converted
network, so this works for all file formats. One layer has no rounded intermediate results, which matters because
squares of ordinary numbers are beyond the range of float16.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mpscnn._private.arguments import whole_number_in
from mpscnn.converters.decomposed_norms.layers import Layers, Node
from mpscnn.converters.decomposed_norms.patterns import is_log_of_sigmoid, match_normalization, match_variance
from mpscnn.converters.decomposed_norms.writer import Writer
from mpscnn.converters.renaming import rename_layers
from mpscnn.graph.network import Network
from mpscnn.graph.settings import copy_settings


def fuse_norms(network: Network) -> Network:
    """Return the network with one layer for each normalization, or the same network if nothing was found."""
    structure = network.to_dict()
    if any("quantization" in node for node in structure["nodes"]):
        return network  # quantized networks have separate integers for each layer
    nodes = structure["nodes"]
    layers = Layers(network, nodes)
    writer = Writer(layers, structure)
    found = 0
    for node in nodes:
        if node["name"] in writer.merged:
            continue
        norm = match_normalization(layers, node["name"])
        spread = None if norm else match_variance(layers, node)
        if norm is not None:
            writer.write(node, norm)
        elif spread is not None:
            writer.write_spread(node, spread)
        elif is_log_of_sigmoid(layers, node):
            writer.write_log_sigmoid(node)
        else:
            writer.nodes.append(node)
            continue
        found += 1
    if not found:
        return network
    needed = _reshaped_once(_still_needed(nodes, writer.nodes, structure["outputs"]), structure["outputs"])
    kept = {node["name"] for node in needed} & {node["name"] for node in nodes} - writer.merged
    names = {} if network.detection else _without_numbers(nodes, needed)
    structure = rename_layers(structure | {"nodes": needed}, names)
    result = network.restructured(structure, {name: names.get(name, name) for name in kept})
    for (name, role), values in writer.weights.items():
        result.graph.set_weight(names.get(name, name), role, values)
    copy_settings(network, result)
    result.notes, result.source_ends = network.notes, network.source_ends
    return result


def _still_needed(before: Sequence[Node], after: Sequence[Node], outputs: Sequence[str]) -> list[Node]:
    """Return the layers without those whose results only replaced layers have read."""
    read = {name for node in before for name in node["inputs"]}
    needed = set(outputs) | {node["name"] for node in before if node["name"] not in read}
    kept: list[Node] = []
    for node in reversed(after):
        if node["name"] in needed:
            needed.update(node["inputs"])
            kept.append(node)
    return kept[::-1]


def _without_numbers(before: Sequence[Node], after: Sequence[Node]) -> dict[str, str]:
    """Return new names by old ones, for layers that have a number but replace all layers of their name.

    Readers number layers of one name from 2 on: "norm", "norm_2", "norm_3". If only "norm_3" is left, it becomes
    "norm".
    """
    old, left = ({node["name"] for node in nodes} for nodes in (before, after))
    found = {}
    for name in left & old:
        stem, _, text = name.rpartition("_")
        number = whole_number_in(text)
        if stem in old and number is not None and number <= len(old):
            group = {stem, *(f"{stem}_{place}" for place in range(2, number + 1))}
            if group <= old and group & left == {name}:
                found[name] = stem
    return found


def _reshaped_once(nodes: Sequence[Node], outputs: Sequence[str]) -> list[Node]:
    """Return the layers without reshapes whose only consumer is another reshape."""
    readers = Counter(name for node in nodes for name in node["inputs"])
    reshapes: dict[str, Node] = {}
    dropped: set[str] = set()
    kept: list[Node] = []
    for node in nodes:
        if node["operation"] != "reshape":
            kept.append(node)
            continue
        before = reshapes.get(node["inputs"][0])
        # An extent of 0 is copied from the reshape's input, so such a reshape cannot get another input.
        if before is not None and 0 not in node["attributes"]["shape"]:
            dropped.add(before["name"])
            node = dict(node) | {"inputs": before["inputs"]}
        kept.append(node)
        if readers[node["name"]] == 1 and node["name"] not in outputs and "activation" not in node:
            reshapes[node["name"]] = node
    return [node for node in kept if node["name"] not in dropped]
