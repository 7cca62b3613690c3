"""A graph of ONNX' operators that a reader of another format builds in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.blobs import Blob, Place
from mpscnn.converters.float32_intermediates import Origin
from mpscnn.converters.layer_names import LayerNames
from mpscnn.converters.onnx_reader.composed_operators import COMPOSED
from mpscnn.converters.onnx_reader.expansions import expanded
from mpscnn.converters.onnx_reader.file import NODE_BYTES, Described, OnnxFile
from mpscnn.converters.onnx_reader.node import Node

OPSET = 21
"""The version of ONNX' operators. Since 21, GroupNormalization has a scale for each channel."""

Operand = str | float | Sequence[Any] | None
"""The name of a tensor, a number, or a list of whole numbers; None: an operand that is left out."""


class Graph:
    """A graph to which operators and constants are added. Tensors are referred to by name.

    Args:
        origin: the name of the model's file, for messages.
        inputs: the descriptions of the inputs.
        keeps_axes: as for `OnnxFile`.

    Attributes:
        layer: the name of the layer of the other format to which the operators belong that are added next.
    """

    _named_by_layer = False  # whether nodes have the name of their layer, and not that of their result

    def __init__(self, origin: str, inputs: Sequence[Described] = (), *, keeps_axes: bool = False) -> None:
        self.layer = ""
        self._origin = origin
        self._keeps_axes = keeps_axes
        self._names = LayerNames()
        self._names.take(one.name for one in inputs)
        self._inputs = list(inputs)
        self._nodes: list[Node] = []
        self._constants: dict[str, NDArray[Any] | Blob] = {}

    def op(self, kind: str, *inputs: Operand, **attributes: Any) -> str:
        """Add an operator with one result and return the result's name; see `ops`."""
        return self.ops(kind, inputs, 1, **attributes)[0]

    def ops(self, kind: str, inputs: Sequence[Operand], results: int, **attributes: Any) -> list[str]:
        """Add an operator and return the names of its results.

        Args:
            kind: the name of the operator in ONNX.
            inputs: the names of its operands. An operand can also be a number or a list of whole numbers.
            results: the number of its results.
            attributes: its attributes.
        """
        name = f"{self.layer}/{kind.rpartition('.')[2].lower()}"
        made = [self._names.unique(name) for _ in range(results)]
        added = Node(
            kind,
            [*map(self._name, inputs)],
            made,
            attributes,
            self.layer if self._named_by_layer else made[0],
        )
        for node in expanded([added], COMPOSED, self._names):
            self._add(node)
        return made

    def constant(self, array: NDArray[Any], name: str) -> str:
        """Add a constant and return its name, which differs from `name` if another tensor has that."""
        name = self._names.unique(name)
        self._constants[name] = array
        return name

    def number(self, value: float) -> str:
        """Return the name of a constant number."""
        return self.constant(np.asarray(value, np.float32), f"{self.layer}/number")

    def integers(self, values: Sequence[Any]) -> str:
        """Return the name of a list of whole numbers, such as a shape or axes."""
        return self.constant(np.asarray(values, np.int64), f"{self.layer}/integers")

    def _name(self, operand: Operand) -> str:
        if operand is None or isinstance(operand, str):
            return operand or ""
        return self.integers(operand) if isinstance(operand, Sequence) else self.number(operand)

    def _add(self, node: Node) -> None:
        """Add a node of an operator."""
        self._nodes.append(node)

    def _file(
        self,
        outputs: Sequence[str],
        *,
        stated: Sequence[Described] = (),
        origins: Mapping[str, Origin] | None = None,
    ) -> OnnxFile:
        """Return the graph as that of a file; see `OnnxFile`. `stated` describes further tensors than the inputs."""
        weights = self._constants.values()
        places = [one.numbers for one in weights if isinstance(one, Blob) and isinstance(one.numbers, Place)]
        stored = {(place.content.path, place.begin): place.size for place in places}
        copied = sum(one.nbytes for one in weights if not isinstance(one, Blob))
        return OnnxFile(
            self._origin,
            self._nodes,
            self._inputs,
            outputs,
            self._constants,
            size=copied + sum(stored.values()) + NODE_BYTES * len(self._nodes),
            opset=OPSET,
            stated=lambda: [*self._inputs, *stated],
            origins=origins,
            keeps_axes=self._keeps_axes,
        )
