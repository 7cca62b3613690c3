"""Convert the nodes of an ONNX file, one after the other."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from mpscnn.converters.opening.unsupported import UnsupportedLayers
from mpscnn.converters.reading.onnx.constants import Constants
from mpscnn.converters.reading.onnx.context import Context
from mpscnn.converters.reading.onnx.local_response_norm import begins_local_response_norm
from mpscnn.converters.reading.onnx.node import Node
from mpscnn.converters.reading.onnx.operators import ROWS, ROWS_OF_CONSTANTS, reason_against
from mpscnn.converters.reading.onnx.row_calls import call_row
from mpscnn.converters.values.constant import Constant
from mpscnn.converters.values.float32_intermediates import Origin
from mpscnn.errors import UnsupportedError


def convert_node(c: Context, node: Node, origin: Origin | None = None) -> None:
    """Convert a node: compute its results if they are constants, otherwise add layers.

    `origin` is the layer of another format that the node was made of.
    """
    known = len(c.values)
    c.naming.begin(node)
    try:
        if compute(c.constants, node):
            return
        if node.refused or node.kind not in ROWS:
            raise UnsupportedError(node.refused or reason_against(node.kind))
        if not begins_local_response_norm(c, node):
            c.put(node, call_row(ROWS[node.kind], node, c.constants, c))
            c.notes += [note for note in node.notes if note not in c.notes]
    finally:
        if c.composed is not None:
            made = itertools.islice(reversed(c.values.items()), len(c.values) - known)
            c.composed.ended({name: value.tensor.name for name, value in made}, origin)


def compute(constants: Constants, node: Node) -> bool:
    """Compute a node whose operands are all constant, and keep its results. Return False for other nodes.

    Nodes that would turn a trainable parameter into other numbers are not computed, either.
    """
    if node.kind not in ROWS_OF_CONSTANTS or not all(map(constants.holds, filter(None, node.inputs))):
        return False
    if not constants.parameters.follow(node):
        return False
    made = call_row(ROWS_OF_CONSTANTS[node.kind], node, constants)
    for name, result in zip(node.outputs, made if isinstance(made, Sequence) else [made], strict=False):
        assert isinstance(result, Constant)
        if name:
            constants.put(name, result)
    return True


class Conversion:
    """Converts one node after the other, and collects all nodes that cannot be converted for one error."""

    def __init__(self, context: Context, nodes: Sequence[Node]) -> None:
        self._c = context
        self._nodes = nodes
        shapes = [tensor.shape[1:] for tensor in context.network.inputs]
        free_shape = any(None in shape and len(shape) != 3 for shape in shapes)
        self._unsupported = UnsupportedLayers(context.file.origin, free_shape=free_shape)
        # Results of nodes that could not be converted, and all that depend on them.
        self._missing: set[str] = set()
        self._free_size = any(None in tensor.shape[1:] for tensor in context.network.inputs)

    def run(self) -> None:
        """Convert all nodes. Constants are computed first, since a layer may read constants of later nodes."""
        early = {id(node) for node in self._nodes if self._compute_early(node)}
        for node in self._nodes:
            if id(node) in early:
                continue
            if not self._missing.isdisjoint(node.inputs):
                self._leave_out(node)
            elif id(node) not in self._c.known.merged:
                self._attempt(node)
        if self._unsupported:
            raise self._unsupported.error()
        if any(node.kind in ("QuantizeLinear", "DequantizeLinear") for node in self._nodes):
            self._c.composed = None

    def _compute_early(self, node: Node) -> bool:
        """Compute a node that reads only constants of other nodes, not weights of the file.

        An example is a shape that is assembled from parts. Returns True if nothing is left to do for the node.
        """
        if node.kind not in ROWS_OF_CONSTANTS or not self._c.constants.holds_computed(
            filter(None, node.inputs)
        ):
            return False
        self._c.naming.begin(node)
        computed: list[bool] = []
        done = self._unsupported.attempt(
            node.kind,
            node.name,
            lambda: computed.append(compute(self._c.constants, node)),
            free_size=self._free_size,
        )
        if not done:
            self._missing.update(filter(None, node.outputs))
        return not done or computed == [True]

    def _attempt(self, node: Node) -> None:
        if not self._unsupported.attempt(
            node.kind, node.name, lambda: self._convert_named(node), free_size=self._free_size
        ):
            self._missing.update(filter(None, node.outputs))

    def _convert_named(self, node: Node) -> None:
        """Convert a node. If that fails, the error also names the trainable parameters that the node reads."""
        try:
            convert_node(self._c, node, next(map(self._c.file.origins.get, node.outputs), None))
        except UnsupportedError as error:
            parameters = self._c.parameters.read_by(node)
            if not parameters:
                raise
            raise UnsupportedError(f"{error}; so {', '.join(parameters)} would not learn") from error

    def _leave_out(self, node: Node) -> None:
        """Leave out a node that reads what could not be converted. The error names it if its operator is refused."""
        self._missing.update(filter(None, node.outputs))
        if node.refused or node.kind not in ROWS:
            self._unsupported.add(node.kind, node.name, node.refused or reason_against(node.kind))
