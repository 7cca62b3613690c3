"""Rename networks and layers, and give each output of a file its own tensor."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from mpscnn._private.arguments import whole_number_in
from mpscnn.converters.opening.layer_names import LayerNames
from mpscnn.errors import UnsupportedError
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network
from mpscnn.graph.settings import copy_origin, copy_settings

_MAX_COPIES = 1_024  # the maximum number of outputs that have the values of another one


def copy_with_name(network: Network, name: str) -> Network:
    """Return a copy of the network with another name and without weights."""
    named = network.restructured(network.to_dict() | {"name": name}, {})
    copy_settings(network, named)
    return named


def rename_layers(structure: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return a network's structure with other names for some of its layers."""
    nodes = [
        node
        | {
            "name": names.get(node["name"], node["name"]),
            "inputs": [names.get(name, name) for name in node["inputs"]],
        }
        for node in structure["nodes"]
    ]
    return {**structure, "nodes": nodes, "outputs": [names.get(name, name) for name in structure["outputs"]]}


def name_outputs(network: Network, names: Sequence[str]) -> Network:
    """Return the network with these names for the layers that compute its outputs, in order.

    Another layer that has one of the names gets a number. A layer cannot have the name of an input, so its output keeps
    its own name then.
    """
    inputs = {tensor.name for tensor in network.inputs}
    pairs = zip(network.outputs, names, strict=True)
    new = {tensor.name: name for tensor, name in pairs if not {tensor.name, name} & inputs}
    if all(name == given for name, given in new.items()):
        return network
    layers = [name for name in network.layer_names() if name not in inputs]
    free = LayerNames()
    free.take([*inputs, *layers, *new.values()])
    taken = set(new.values())
    new |= {name: free.unique(name) for name in layers if name in taken and name not in new}
    kept = {name: new.get(name, name) for name in layers}
    named = network.restructured(rename_layers(network.to_dict(), new), kept)
    copy_settings(network, named)
    copy_origin(network, named)
    return named


def name_without_number(name: str, known: Collection[str]) -> str | None:
    """Return a layer's name without its number, if all smaller numbers are known; None for other names.

    Such a number does not belong to the file's name. A reader made it for several layers of one name: "act", "act_2".
    """
    stem, _, text = name.rpartition("_")
    number = whole_number_in(text)
    if number is None or not 2 <= number <= len(known) + 1:
        return None
    return stem if {stem, *(f"{stem}_{place}" for place in range(2, number))} <= set(known) else None


class DistinctResults:
    """Gives each output of a file a tensor of its own. A result that occurs again becomes a layer that copies it.

    Args:
        network: the network.
        origin: the name of the file, for messages.
        taken: tensors that are no results of layers.
    """

    def __init__(self, network: Network, origin: str, taken: Iterable[Tensor] = ()) -> None:
        self._network, self._origin = network, origin
        self._seen = {tensor.index for tensor in taken}
        self._copies = 0

    def distinct(self, result: Tensor, name: Callable[[], str]) -> Tensor:
        """Return a result, or a copy if it was returned before. `name` makes the name of the copy's layer.

        Raises UnsupportedError, whose message begins with the name of the file, if very many results occur again.
        """
        if result.index in self._seen:
            self._copies += 1
            if self._copies > _MAX_COPIES:
                raise UnsupportedError(
                    f"{self._origin}: names outputs again; supported are {_MAX_COPIES} such outputs"
                )
            result = self._network.activation(result, {"kind": "none"}, name=name())
        self._seen.add(result.index)
        return result


def make_distinct(
    network: Network,
    names: LayerNames,
    results: Sequence[Tensor],
    origin: str,
    taken: Iterable[Tensor] = (),
) -> list[Tensor]:
    """Return the results of a file, in order, by `DistinctResults`. `names` has the names of all layers."""
    outputs = DistinctResults(network, origin, taken)
    return [outputs.distinct(one, partial(names.unique, one.name)) for one in results]
