"""Replace layers that together compute an activation by one neuron, or by the activation of the layer before them."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mpscnn.converters.finishing.renaming import name_without_number
from mpscnn.converters.finishing.simplify.expressions import (
    MAX_SIZE,
    MAX_STEPS,
    Expression,
    X,
    function,
    known_activation,
    neuron,
    product,
    thresholded,
    total,
)
from mpscnn.converters.finishing.simplify.layers import BASE, Layers, Node, is_plain
from mpscnn.converters.opening.layer_names import LayerNames
from mpscnn.graph.layer_arguments import activation_attributes
from mpscnn.runtime.library import operations

#: A search visits at most this many layers for each layer that reads its first value.
_MAX_LAYERS = 64
_MAX_READERS = 32  # values with more consumers are not followed
_TAKES_ACTIVATION = frozenset(entry["name"] for entry in operations() if entry["takes_activation"])


@dataclass(frozen=True)
class Match:
    """Layers that together compute an activation.

    Attributes:
        x: the value to which the activation is applied.
        result: the value that the layers compute.
        values: the results of all these layers, in order. `result` is the last.
        activation: the attributes of the activation.
    """

    x: str
    result: str
    values: tuple[str, ...]
    activation: Mapping[str, Any]


class ActivationFinder:
    """Searches for activations that consist of several layers.

    Args:
        layers: the layers of the network.
        outputs: the names of the network's outputs.
        rounded: values that an engine of integers rounds, so they must stay results of layers.
    """

    def __init__(self, layers: Layers, outputs: Collection[str], rounded: Collection[str]) -> None:
        self._layers = layers
        self._kept = frozenset({*outputs, *rounded})
        self._order = {value: place for place, value in enumerate(layers.values)}
        self._matched: set[str] = set()
        self._results: set[str] = set()

    def matches(self) -> Iterator[Match]:
        """Yield matches that share no layer, in the order of the values to which the activations are applied."""
        for x in [*self._layers.inputs, *self._layers.values]:
            if x in self._matched and (x not in self._results or x.endswith(BASE)):
                continue
            for match in sorted(self._matches_of(x), key=lambda match: -len(match.values)):
                if self._matched.isdisjoint(match.values):
                    self._matched.update(match.values)
                    self._results.add(match.result)
                    yield match

    def may_vanish(self, value: str, readers: Collection[str]) -> bool:
        """Return True if nothing but these layers needs a value."""
        return value not in self._kept and all(name in readers for name in self._layers.readers(value))

    def _matches_of(self, x: str) -> list[Match]:
        """Return the activations of a value, of which several may share layers."""
        known = {x: X}
        steps = {x: 0}
        found: list[Match] = []
        ready: list[tuple[int, str]] = []
        self._follow(x, ready)
        for _ in range(_MAX_LAYERS * len(ready)):
            if not ready:
                break
            _, value = heapq.heappop(ready)
            node = self._layers.maker(value)
            if value in known or value in self._matched or node is None:
                continue
            made = self._expression(value, node, known)
            reach = 1 + max((steps.get(name, 0) for name in node["inputs"]), default=0)
            if made is None or made.size > MAX_SIZE or reach > MAX_STEPS:
                continue
            known[value], steps[value] = made, reach
            self._follow(value, ready)
            activation = activation_attributes(known_activation(made))
            if activation is None:
                continue
            values = self._values_between(known, value)
            if len(values) > 1 and all(self.may_vanish(one, values) for one in values[:-1]):
                found.append(Match(x, value, values, activation))
        return found

    def _follow(self, value: str, ready: list[tuple[int, str]]) -> None:
        readers = self._layers.readers(value)
        if len(readers) <= _MAX_READERS:
            for reader in readers:
                heapq.heappush(ready, (self._order[reader], reader))

    def _values_between(self, known: Mapping[str, Expression], result: str) -> tuple[str, ...]:
        """Return the values from which a result is computed, in order, without the first one of `known`."""
        needed, found = {result}, []
        for value in reversed(list(known)[1:]):
            if value in needed:
                node = self._layers.maker(value)
                assert node is not None
                needed.update(node["inputs"])
                found.append(value)
        return tuple(found[::-1])

    def _expression(self, value: str, node: Node, known: Mapping[str, Expression]) -> Expression | None:
        """Return a layer's result as an expression; None for a layer that is not part of an activation."""
        step = self._layers.step(value)
        if node["operation"] == "divide" and step is not None and step[1] in known:
            return neuron(step[0], known[step[1]])
        if node["operation"] == "greater" and is_plain(node):
            number, inner = self._layers.number(node["inputs"][0]), known.get(node["inputs"][1])
            return None if number is None or inner is None else Expression("below", number, (inner,))
        operands = [known.get(name) for name in node["inputs"]]
        given = [one for one in operands if one is not None]
        if len(given) < len(operands) or not given:
            return None
        operation = node["operation"]
        if operation == "neuron":
            return neuron(node["attributes"], given[0])
        if operation == "batch_normalization" and (numbers := self._layers.line(node)) is not None:
            return total(numbers[1], [product(numbers[0], given)])
        if operation not in ("add", "divide", "mask_out", "multiply") or not is_plain(node):
            return None
        if operation == "mask_out":
            below, inner = given
            is_own = below.kind == "below" and below.operands == (inner,)
            return thresholded(inner, below.number) if is_own else None
        if operation == "divide":
            return product(1.0, [given[0], function("reciprocal", given[1])])
        return product(1.0, given) if operation == "multiply" else total(0.0, given)


class ActivationWriter:
    """Rewrites the layers of a network for the activations that were found.

    Args:
        layers: the layers of the network.
        nodes: their descriptions, in order.
        outputs: the names of the network's outputs.
        renames_outputs: whether the layers of outputs may get other names.
    """

    def __init__(
        self, layers: Layers, nodes: Sequence[Node], outputs: Sequence[str], *, renames_outputs: bool
    ) -> None:
        self._nodes = {node["name"]: dict(node) for node in nodes}
        self._outputs = list(outputs)
        self._renames_outputs = renames_outputs
        self._names = LayerNames()
        self._names.take([*layers.inputs, *self._nodes])
        self._made_by: dict[str, str] = {}  # by a matched result, the layer that now computes it
        self._instead: dict[str, list[dict[str, Any]]] = {}
        self._dropped: set[str] = set()
        self.stems: dict[str, str] = {}
        """The names of new layers, and for each the layer that it was a part of."""
        self.without_weights: set[str] = set()
        """The names of layers that became neurons, which have no weights."""

    def write(self, match: Match, *, is_only_reader: bool) -> None:
        """Replace the layers of a match. `is_only_reader` says that nothing else reads the value before them."""
        own = match.result.removesuffix(BASE)
        merged = {value.removesuffix(BASE) for value in match.values}
        self._dropped |= merged
        parts: list[dict[str, Any]] = []
        if is_only_reader and self._takes(match, merged):
            made = match.x.removesuffix(BASE)
            self._nodes[made]["activation"] = dict(match.activation)
            self._dropped.discard(made)
        else:
            made = self._name(match, merged)
            parts.append(self._neuron(made, self._source(match.x), match.activation, own))
        self._made_by[match.result] = made
        if own != match.result:  # another activation follows, which becomes a layer
            parts.append(self._neuron(own, match.result, self._nodes[own]["activation"], own))
        if parts:
            self._instead[own] = parts
        self.without_weights.update(part["name"] for part in parts)

    def _source(self, x: str) -> str:
        """Return the name of the value to which an activation is applied.

        If its first part is the activation of a layer, the layer stays without it.
        """
        name = x.removesuffix(BASE)
        if x == name or x in self._made_by:
            return x
        del self._nodes[name]["activation"]
        self._dropped.discard(name)
        return name

    def _takes(self, match: Match, merged: Collection[str]) -> bool:
        """Return True if the activation can become a part of the layer before it. An output keeps its name."""
        own, last = match.x.removesuffix(BASE), match.result.removesuffix(BASE)
        node = self._nodes.get(own)
        if node is None or match.x in self._made_by or node["operation"] not in _TAKES_ACTIVATION:
            return False
        if own == match.x and "activation" in node:
            return False
        keeps_name = not self._renames_outputs or name_without_number(last, {own, *merged}) != own
        if match.result in self._outputs and own != last and keeps_name:
            return False
        return bool(node.get("keep_float32", False) == self._nodes[last].get("keep_float32", False))

    def _name(self, match: Match, merged: Collection[str]) -> str:
        """Return the name of a neuron that replaces the layers of a match."""
        own = match.result.removesuffix(BASE)
        stem = name_without_number(own, merged)
        if stem is not None and (self._renames_outputs or match.result not in self._outputs):
            return stem
        if own == match.result:
            return own
        made = self._names.unique(f"{own}/{match.activation['kind']}")
        self.stems[made] = own
        return made

    def _neuron(self, name: str, x: str, attributes: Mapping[str, Any], own: str) -> dict[str, Any]:
        """Return the description of a neuron that is kept in float32 if the layer `own` was."""
        kept = {key: self._nodes[own][key] for key in ("keep_float32",) if key in self._nodes[own]}
        return {"name": name, "operation": "neuron", "inputs": [x], "attributes": dict(attributes)} | kept

    def nodes(self) -> list[Node]:
        """Return the descriptions of the layers that are left, without constants that none of them reads."""
        kept = itertools.chain.from_iterable(
            self._instead.get(name, [] if name in self._dropped else [node])
            for name, node in self._nodes.items()
        )
        left = [
            node | {"inputs": [self._made_by.get(name, name) for name in node["inputs"]]} for node in kept
        ]
        read = {*self.outputs(), *itertools.chain.from_iterable(node["inputs"] for node in left)}
        return [node for node in left if node["operation"] != "constant" or node["name"] in read]

    def outputs(self) -> list[str]:
        """Return the names of the network's outputs, in their order."""
        return [self._made_by.get(name, name) for name in self._outputs]
