"""Replace layers that together compute one activation or one norm by one layer each.

File formats have no operator for some activations and norms, or programs write them as several operators. They are
found in the converted network, so this works for all file formats. Variances, standard deviations, softmax and the
logarithm of a sigmoid become one layer, too. One layer is faster, and has no rounded intermediate results, which
matters because squares and exponentials of ordinary numbers are beyond the range of float16. The padding before a
convolution becomes a part of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from mpscnn._private.arguments import whole_number_in
from mpscnn.converters.finishing.renaming import rename_layers
from mpscnn.converters.finishing.simplify.activations import ActivationFinder, ActivationWriter
from mpscnn.converters.finishing.simplify.layers import Layers, Node
from mpscnn.converters.finishing.simplify.norm_writer import NormWriter
from mpscnn.converters.finishing.simplify.norms import (
    is_log_of_sigmoid,
    match_normalization,
    match_softmax,
    match_variance,
)
from mpscnn.converters.finishing.simplify.padding import merge_padding
from mpscnn.graph.network import Network
from mpscnn.graph.settings import copy_origin, copy_settings


def simplify(network: Network, *, merges_norms: bool = True) -> Network:
    """Return the network with one layer for each activation and norm, or the same network if nothing was found.

    The padding before a convolution becomes a part of it. Networks with quantizations keep their activations and norms,
    because they have separate integers for each layer's result.

    Args:
        network: the network.
        merges_norms: whether to look for norms. Their factors and offsets become weights of one layer, so a network
            that will be trained by the parameters of its file keeps its layers.
    """
    structure = network.to_dict()
    entries = [*structure["inputs"], *structure["nodes"]]
    integers = {entry["name"]: entry["quantization"] for entry in entries if "quantization" in entry}
    padded, names = _merge_padding(network, structure, integers)
    if integers:
        return network if padded is structure else _restructured(network, padded, (), names)
    activations = _merge_activations(network, padded)
    changed = padded if activations is None else _changed(padded, activations)
    stems = {} if activations is None else activations.stems
    norms = _merge_norms(Layers(network, changed["nodes"], stems), changed) if merges_norms else None
    without_weights = set() if activations is None else activations.without_weights
    if norms is None:
        return network if changed is structure else _restructured(network, changed, without_weights, names)
    nodes = _still_needed(changed["nodes"], norms.written(), changed["outputs"])
    nodes = _reshaped_once(nodes, changed["outputs"])
    names |= {} if network.detection else _without_numbers(structure["nodes"], nodes)
    made = _restructured(network, changed | {"nodes": nodes}, without_weights | norms.merged, names)
    for (name, role), values in norms.weights.items():
        made.graph.set_weight(names.get(name, name), role, values)
    return made


def simplify_before_integers(network: Network, integers: Mapping[str, object]) -> Network:
    """Do what `simplify` does, except for norms, in a network that will get quantizations.

    Args:
        network: the network.
        integers: the quantizations of inputs and layers, by name. Layers with a quantization stay layers.
    """
    structure = network.to_dict()
    padded, _ = _merge_padding(network, structure, integers)
    activations = _merge_activations(network, padded, integers)
    if activations is not None:
        return _restructured(network, _changed(padded, activations), activations.without_weights, {})
    return network if padded is structure else _restructured(network, padded, (), {})


def _merge_padding(
    network: Network, structure: dict[str, Any], integers: Mapping[str, object]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the structure with the padding in the convolutions, and new names of layers."""
    padded = merge_padding(structure["nodes"], structure["outputs"], integers)
    if padded is None:
        return structure, {}
    return structure | {"nodes": padded.nodes}, {} if network.detection else padded.names


def _merge_activations(
    network: Network, structure: Mapping[str, Any], rounded: Collection[str] = ()
) -> ActivationWriter | None:
    """Find the activations of a network. Return the layers that replace them; None if there are none."""
    nodes, outputs = structure["nodes"], structure["outputs"]
    layers = Layers(network, nodes)
    finder = ActivationFinder(layers, outputs, rounded)
    writer = ActivationWriter(layers, nodes, outputs, renames_outputs=network.detection is None)
    found = 0
    for match in finder.matches():
        writer.write(match, is_only_reader=finder.may_vanish(match.x, match.values))
        found += 1
    return writer if found else None


def _changed(structure: Mapping[str, Any], activations: ActivationWriter) -> dict[str, Any]:
    return {**structure, "nodes": activations.nodes(), "outputs": activations.outputs()}


def _merge_norms(layers: Layers, structure: Mapping[str, Any]) -> NormWriter | None:
    """Find the norms of a network. Return the layers that replace them; None if there are none."""
    writer, outputs = NormWriter(layers, structure), frozenset(structure["outputs"])
    found = 0
    for node in structure["nodes"]:
        if node["name"] in writer.merged:
            continue
        norm = match_normalization(layers, node["name"])
        softmax = None if norm else match_softmax(layers, node["name"], outputs)
        spread = None if norm or softmax else match_variance(layers, node)
        if norm is not None:
            writer.write(node, norm)
        elif softmax is not None:
            writer.write_softmax(node, softmax)
        elif spread is not None:
            writer.write_spread(node, spread)
        elif is_log_of_sigmoid(layers, node, outputs):
            writer.write_log_sigmoid(node)
        else:
            writer.nodes.append(node)
            continue
        found += 1
    return writer if found else None


def _restructured(
    network: Network, structure: Mapping[str, Any], without_weights: Collection[str], names: Mapping[str, str]
) -> Network:
    """Return a network with other layers, some of them renamed, and with all weights but those of merged layers."""
    kept = {node["name"] for node in structure["nodes"]} & set(network.layer_names())
    made = network.restructured(
        rename_layers(structure, names),
        {name: names.get(name, name) for name in kept if name not in without_weights},
    )
    copy_settings(network, made)
    copy_origin(network, made)
    return made


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
    gone = old - left
    smallest: dict[str, int] = {}
    for name in left & old:
        stem, _, text = name.rpartition("_")
        number = whole_number_in(text)
        if stem in gone and number is not None and number > 1 and name == f"{stem}_{number}":
            smallest[stem] = min(number, smallest.get(stem, number))
    return {
        f"{stem}_{number}": stem
        for stem, number in smallest.items()
        if number <= len(old) and all(f"{stem}_{place}" in old for place in range(2, number))
    }


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
