"""A graph of the vocabulary's operators that a reader of another format builds in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from mpscnn.converters.opening.blobs import Blob, Place
from mpscnn.converters.opening.layer_names import LayerNames
from mpscnn.converters.reading.onnx.composed_operators import COMPOSED
from mpscnn.converters.reading.onnx.expansions import Operators, expanded
from mpscnn.converters.reading.onnx.file import NODE_BYTES, Described, OnnxFile
from mpscnn.converters.reading.onnx.node import Node
from mpscnn.converters.values.float32_intermediates import Origin
from mpscnn.converters.values.stored_integers import StoredIntegers

OPSET = 21
"""The version of ONNX' operators. Since 21, GroupNormalization has a scale for each channel."""


class Graph(Operators):
    """A graph to which operators and constants are added. Tensors are referred to by name.

    Args:
        origin: the name of the model's file, for messages.
        inputs: the descriptions of the inputs.
        keeps_axes: as for `OnnxFile`.
    """

    def __init__(self, origin: str, inputs: Sequence[Described] = (), *, keeps_axes: bool = False) -> None:
        self._origin = origin
        self._keeps_axes = keeps_axes
        self._names = LayerNames()
        self._names.take(one.name for one in inputs)
        self._inputs = list(inputs)
        self._nodes: list[Node] = []
        self._constants: dict[str, NDArray[Any] | Blob] = {}
        self._integers: dict[str, StoredIntegers] = {}  # of constants, by name

    def unique(self, name: str) -> str:
        """Return a name that no tensor has: this one, or the same with a number."""
        return self._names.unique(name)

    def constant(self, array: NDArray[Any], name: str = "constant") -> str:
        """Add a constant and return its name, which differs from `name` if another tensor has that."""
        name = self.unique(name)
        self._constants[name] = array
        return name

    def _add(self, node: Node) -> None:
        for one in expanded([node], COMPOSED, self._names):
            self._append(one)

    def _append(self, node: Node) -> None:
        """Add a node of an operator that is not composed of others."""
        self._nodes.append(node)

    def _file(
        self,
        outputs: Sequence[str],
        *,
        stated: Sequence[Described] = (),
        origins: Mapping[str, Origin] | None = None,
        grows: bool = False,
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
            grows=grows,
            integers=self._integers,
        )
