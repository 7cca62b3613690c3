"""Name the layers that nodes of an ONNX file become."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from mpscnn.converters.finishing.planned_names import PlannedNames
from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.onnx.file import OnnxFile
from mpscnn.converters.reading.onnx.node import Node
from mpscnn.converters.values.layout import TO_NCHW, TO_NHWC
from mpscnn.graph.network import Network

# The suffixes of layers that this reader inserts to move elements.
_INSERTED = re.compile(r"(/indices|/reshape|/transpose|/shuffle|/part)(_\d+)?$")
_MAX_INSERTED = 16
# The operators of a file that may stand for an inserted layer, by the suffix of the layer.
_RESHAPES = (ops.flatten, ops.reshape, ops.squeeze, ops.unsqueeze)
_MOVES = {"/reshape": _RESHAPES, "/transpose": (ops.transpose,), "/shuffle": _RESHAPES}


class LayerNaming:
    """Names the layers of a network after the nodes of a file.

    Args:
        network: the network.
        file: the file.
        planned: makes the names.

    Attributes:
        planned: makes the names.
        operators: the node whose result a layer computes.
    """

    def __init__(self, network: Network, file: OnnxFile, planned: PlannedNames) -> None:
        self.planned = planned
        self.operators: dict[str, Node] = {}
        self._network = network
        self._file = file
        self._recorded = 0  # the number of the network's first layers whose names were recorded by `take`
        self._renamed: Mapping[str, str] = {}  # other names of tensors, which were known only at the end
        self._node: Node | None = None

    def begin(self, node: Node | None) -> Node | None:
        """Give layers that are added from now on the name of a node. Returns the node before it."""
        before, self._node = self._node, node
        return before

    def take(self) -> None:
        """Record the names of the layers that were added with names of their own."""
        added = self._network.layer_names(self._recorded)
        self._recorded += len(added)
        self.planned.take(added)

    def complete(self, file: OnnxFile, names: Mapping[str, str]) -> None:
        """Set the complete file, and other names of its tensors."""
        self._file, self._renamed = file, dict(names)

    def of_node(self, node: Node, suffix: str = "", known: str = "") -> str:
        """Return a unique name: the node's name with a suffix. An end `known`, as in files of mpscnn, is removed."""

        def stem(_: PlannedNames) -> str:
            return _stem(node, known) + suffix

        return self._planned(node, suffix, stem)

    def of_constant(self, name: str) -> str:
        """Return a unique name for the layer of a constant of the file."""
        return self.planned.unique(
            self._file.constant_of(name).strip("/"),
            lambda _: self._file.constant_of(self._renamed.get(name, name)).strip("/"),
        )

    def inserted(self, suffix: str) -> str:
        """Return the name of a layer that only moves elements for a node."""
        node = self._node
        if node is None:
            return self.planned.unique(suffix.strip("/"))

        def stem(names: PlannedNames) -> str:
            return next(filter(names.is_free, self._known_before(node, suffix)), _stem(node) + suffix)

        return self._planned(node, suffix, stem)

    def _planned(self, node: Node, suffix: str, final: Callable[[PlannedNames], str]) -> str:
        name = self.planned.unique(_stem(node) + suffix, final)
        if not suffix:
            self.operators[name] = node
        return name

    def _known_before(self, node: Node, suffix: str) -> list[str]:
        """Return names for an inserted layer before a node.

        A file that mpscnn wrote may contain nodes for layers that a reader had inserted. Their names, in the order of
        computation, are used again. After them come the names of nodes whose moves the layer may do, the nearest first.
        """
        inserted: list[str] = []
        moves: list[str] = []
        waiting = [node]
        for _ in range(_MAX_INSERTED):
            if not waiting:
                break
            here = waiting.pop(0)
            found = _INSERTED.search(here.layer)
            if found and found[1] == suffix:
                inserted.insert(0, here.layer)
            elif ops.matches(here, *_MOVES.get(suffix, ())) and (
                suffix != "/shuffle" or self._ends_shuffle(here)
            ):
                moves.append(here.layer.strip("/"))
            if found or here is node or ops.matches(here, ops.transpose, *_RESHAPES):
                operands = here.inputs[:_MAX_INSERTED]
                waiting += [self._file.makers[name] for name in operands if name in self._file.makers]
        return inserted + moves

    def _ends_shuffle(self, node: Node) -> bool:
        """Return True for a Reshape after a Transpose of other axes than those of an image."""
        before = self._file.makers.get(node.inputs[0])
        return ops.matches(before, ops.transpose) and tuple(before.integers("perm", ())) not in (
            TO_NHWC,
            TO_NCHW,
        )


def _stem(node: Node, known: str = "") -> str:
    return node.layer.strip("/").removesuffix(known) or node.kind.lower()
