"""Find the constants of a file that learn, and their layers, for files of modules that will be trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mpscnn.converters.layer_names import shown
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.errors import UnsupportedError
from mpscnn.graph.network import Network

# Operators whose result has the elements of their first operand, each at least once.
_ARRANGING = frozenset(
    {"Cast", "CastLike", "Expand", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}
)
# Operators that read the numbers of this many operands, and of others only what they are.
_READ = {"CastLike": 1, "Shape": 0, "Size": 0}
# Weights that training changes, by the layers' operations.
_LEARNT_ROLES = ("weight", "bias", "gamma", "beta", "slope", "value")
_STATISTICS = ("mean", "variance")


@dataclass
class _Held:
    """The weights of one layer that parameters became."""

    parameters: dict[str, str] = field(default_factory=dict)  # by role


class Parameters:
    """The parameters of a module, followed through a file.

    Everything that is a parameter has to become a weight that learns, with each of its elements once; what is none must
    not learn.

    Args:
        names: what the file's tensors that are parameters are called in the module, several alike where these are one
            parameter; None: the file is not for training, and nothing is followed.
    """

    def __init__(self, names: Mapping[str, str] | None) -> None:
        self.are_followed = names is not None
        self._made_of: dict[str, str] = dict(names or {})
        self._claims: Counter[str] = Counter()  # uses of a constant that became weights, by its name
        self._layers: dict[str, _Held] = {}

    def made_of(self, name: str) -> str | None:
        """The parameter that a constant is an arrangement of; None for another constant."""
        return self._made_of.get(name)

    def follow(self, node: Node) -> bool:
        """True if a node's constant operands may be computed while converting, as far as parameters are concerned.

        Nodes that rearrange a parameter's elements are allowed; their result then counts as the parameter. Other
        operators
        would make numbers of it that do not learn.
        """
        learnt = self._read_by(node)
        if not learnt:
            return True
        if node.kind in _ARRANGING and learnt == node.inputs[:1]:
            self._made_of[node.outputs[0]] = self._made_of[learnt[0]]
            return True
        return False

    def read_by(self, node: Node) -> list[str]:
        """Return the parameters whose numbers a node reads, by their names in the module, as messages have them."""
        return [f"parameter {shown(self._made_of[name])}" for name in self._read_by(node)]

    def claim(self, name: str, layer: str, role: str) -> None:
        """A constant became a layer's weight, with each of its elements once."""
        parameter = self._made_of.get(name)
        if parameter is not None and role in _LEARNT_ROLES:
            self._claims[name] += 1
            self._layers.setdefault(layer, _Held()).parameters[role] = parameter

    def settle(self, network: Network, nodes: Sequence[Node]) -> list[str]:
        """Let the network learn as the module does. Returns what to say of it.

        Args:
            network: the network, with its weights.
            nodes: of the file, as far as the network needs them.

        Raises UnsupportedError for a parameter that would not learn as it does in the module.
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
        held = self._layers.get(name, _Held()).parameters
        if not held:
            network.learn([name], learn=False)
            return
        if node["attributes"].get("fixed"):
            raise UnsupportedError(
                _would_not_learn(min(held.values()), f"is a constant of layer {shown(name)}")
            )
        if others := sorted(roles - set(held)):
            raise UnsupportedError(
                f"layer {shown(name)}: its {others[0]} is not a parameter of the module, but would learn with "
                f"{shown(min(held.values()))}; make it a parameter, or write the layer as two"
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
                        self._made_of[name], f"becomes a number of layer {shown(user.name)} ({user.kind})"
                    )
                )

    def _read_by(self, node: Node) -> list[str]:
        """Return the parameters among a node's operands whose numbers matter to it."""
        operands = node.inputs[: _READ.get(node.kind, len(node.inputs))]
        return [name for name in operands if name in self._made_of]

    def _shared(self) -> list[str]:
        layers: dict[str, set[str]] = {}
        for layer, held in self._layers.items():
            for parameter in held.parameters.values():
                layers.setdefault(parameter, set()).add(layer)
        return [
            f"parameter {shown(parameter)} is shared by {len(users)} layers, which have it each and learn it apart: "
            f"{', '.join(map(shown, sorted(users)))}"
            for parameter, users in layers.items()
            if len(users) > 1
        ]


def _would_not_learn(parameter: str, why: str) -> str:
    return (
        f"parameter {shown(parameter)} would not learn: it {why}; for inference convert the module with fold=True, or "
        "make it a buffer"
    )
