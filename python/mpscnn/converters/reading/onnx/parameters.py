"""Track the trainable parameters of a module through its exported ONNX file, to the weights of the network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading.onnx.node import Node
from mpscnn.errors import UnsupportedError
from mpscnn.graph.network import Network

# Operators whose result has the elements of their first operand, possibly rearranged or repeated.
_ARRANGING = frozenset(
    {"Cast", "CastLike", "Expand", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}
)
# Operators that read the elements of only their first operands, and the number of these operands. They read only the
# type or shape of the others.
_READ = {"CastLike": 1, "Shape": 0, "Size": 0}
# The roles of weights that training changes.
_LEARNT_ROLES = ("weight", "bias", "gamma", "beta", "slope", "value")
_STATISTICS = ("mean", "variance")


@dataclass
class _LayerParameters:
    """The parameters that became weights of one layer."""

    parameters: dict[str, str] = field(default_factory=dict)  # by the role of the weight


class Parameters:
    """The trainable parameters of a module, tracked through its ONNX file.

    Each parameter must become a trainable weight that has each of its elements once. Other constants must not be
    trained.

    Args:
        names: for each tensor of the file that is a parameter, its name in the module. Several tensors have one name if
            they are one parameter. None: the file is not for training, and nothing is tracked.
    """

    def __init__(self, names: Mapping[str, str] | None) -> None:
        self.are_followed = names is not None
        self._made_of: dict[str, str] = dict(names or {})
        # The tensor of the file whose elements a constant has, possibly rearranged, by the constant's name.
        self._tensors: dict[str, str] = {name: name for name in self._made_of}
        # The number of a constant's uses that became weights, by the constant's name.
        self._claims: Counter[str] = Counter()
        self._layers: dict[str, _LayerParameters] = {}

    def learns(self, name: str) -> bool:
        """Return True if a constant is a trainable parameter, possibly with rearranged elements."""
        return self.made_of(name) is not None

    def made_of(self, name: str) -> str | None:
        """Return the parameter whose (possibly rearranged) elements a constant has; None for other constants."""
        return self._made_of.get(name)

    def tensor_of(self, name: str) -> str:
        """Return the tensor of the file that is the parameter of a constant; the name itself for other constants."""
        return self._tensors.get(name, name)

    def follow(self, node: Node) -> bool:
        """Return True if constant folding may compute a node.

        A node that rearranges a parameter's elements may be computed, and its result then counts as the parameter. A
        node that computes other numbers from a parameter may not, because these numbers could not be trained.
        """
        learnt = self._read_by(node)
        if not learnt:
            return True
        if node.kind in _ARRANGING and learnt == node.inputs[:1]:
            self._made_of[node.outputs[0]] = self._made_of[learnt[0]]
            self._tensors[node.outputs[0]] = self._tensors[learnt[0]]
            return True
        return False

    def read_by(self, node: Node) -> list[str]:
        """Return the parameters whose elements a node reads, as texts for messages with their names in the module."""
        return [f"parameter {quote_name(self._made_of[name])}" for name in self._read_by(node)]

    def claim(self, name: str, layer: str, role: str) -> None:
        """Record that a constant became a layer's weight, which has each of its elements once."""
        parameter = self._made_of.get(name)
        if parameter is not None and role in _LEARNT_ROLES:
            self._claims[name] += 1
            self._layers.setdefault(layer, _LayerParameters()).parameters[role] = parameter

    def settle(self, network: Network, nodes: Sequence[Node]) -> list[str]:
        """Make the weights that are parameters trainable and fix all others. Returns notes for the user.

        Args:
            network: the network, with its weights.
            nodes: the nodes of the file that the network needs.

        Raises UnsupportedError for a parameter that would not be trained as in the module.
        """
        if not self.are_followed:
            return []
        self._require_claims(nodes)
        weights: dict[str, set[str]] = {}
        for spec in network.weight_specs():
            if spec["set"]:
                weights.setdefault(str(spec["layer"]), set()).add(str(spec["role"]))
        for node in network.to_dict()["nodes"]:
            own = weights.get(node["name"], set()) - set(_STATISTICS)
            if own:
                self._settle_layer(network, node, own)
        return self._shared()

    def _settle_layer(self, network: Network, node: dict[str, Any], roles: set[str]) -> None:
        name = node["name"]
        held = self._layers.get(name, _LayerParameters()).parameters
        if not held:
            network.learn([name], learn=False)
            return
        if node["attributes"].get("fixed"):
            raise UnsupportedError(
                _would_not_learn(min(held.values()), f"is a constant of layer {quote_name(name)}")
            )
        if others := sorted(roles - set(held)):
            raise UnsupportedError(
                f"layer {quote_name(name)}: its {others[0]} is not a parameter of the module, but would learn with "
                f"{quote_name(min(held.values()))}; make it a parameter, or write the layer as two"
            )
        network.learn([name])

    def _require_claims(self, nodes: Sequence[Node]) -> None:
        uses: Counter[str] = Counter()
        users: dict[str, Node] = {}
        for node in nodes:
            learnt = self._read_by(node)
            if learnt and not any(name in self._made_of for name in node.outputs):
                uses.update(learnt)
                users.update(dict.fromkeys(learnt, node))
        for name, count in uses.items():
            if self._claims[name] < count:
                user = users[name]
                raise UnsupportedError(
                    _would_not_learn(
                        self._made_of[name],
                        f"becomes a number of layer {quote_name(user.name)} ({user.kind})",
                    )
                )

    def _read_by(self, node: Node) -> list[str]:
        """Return the node's operands that are parameters and whose elements it reads."""
        operands = node.inputs[: _READ.get(node.kind, len(node.inputs))]
        return [name for name in operands if name in self._made_of]

    def _shared(self) -> list[str]:
        layers: dict[str, set[str]] = {}
        for layer, held in self._layers.items():
            for parameter in held.parameters.values():
                layers.setdefault(parameter, set()).add(layer)
        return [
            f"parameter {quote_name(parameter)} is shared by {len(users)} layers, which have it each and learn it apart"
            f": {', '.join(map(quote_name, sorted(users)))}"
            for parameter, users in layers.items()
            if len(users) > 1
        ]


def _would_not_learn(parameter: str, why: str) -> str:
    return (
        f"parameter {quote_name(parameter)} would not learn: it {why}; for inference convert the module with fold=True"
        ", or make it a buffer"
    )
