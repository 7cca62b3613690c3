"""Write a graph of TensorFlow again from what is read of it, for a check in TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mpscnn.converters.opening.layer_names import LayerNames, quote_name
from mpscnn.converters.opening.read_options import ReadOptions
from mpscnn.converters.opening.wire.encode import encode, encode_fields
from mpscnn.converters.reading.graph.builder import Extents
from mpscnn.converters.reading.tensorflow.file import read_tensorflow
from mpscnn.converters.reading.tensorflow.file_errors import convert_errors
from mpscnn.converters.reading.tensorflow.operators import ROWS
from mpscnn.converters.reading.tensorflow.reader import GraphFile
from mpscnn.converters.reading.tensorflow.value_resolution import VARIABLES, Ref
from mpscnn.converters.reading.tensorflow.values import dtype_number
from mpscnn.errors import UnsupportedError

#: The version of graphs that is written. Since this one, shapes without axes are those of numbers.
_PRODUCER = 1395


@dataclass(frozen=True)
class CutGraph:
    """A graph without variables, functions and control dependencies.

    Attributes:
        content: the bytes of its GraphDef.
        inputs: the shapes of the inputs by their names in the file.
        places: the nodes of the inputs in the graph.
        outputs: the outputs in the graph, such as "y:0".
    """

    content: bytes
    inputs: dict[str, Extents]
    places: list[str]
    outputs: list[str]


def cut_tensorflow(path: Path, outputs: Sequence[str] = (), signature: str | None = None) -> CutGraph:
    """Return the operators of a SavedModel or a frozen graph that its outputs need.

    Variables become constants, and calls of functions become the operators of the functions. Control dependencies,
    operators that initialise, assets, functions that are not called and attributes for optimisers are left out.

    Args:
        path: the file, which the reader has accepted.
        outputs, signature: as for `ReadOptions`.

    Raises UnsupportedError for an operator that mpscnn does not read, and the errors of the reader.
    """
    file = read_tensorflow(path, ReadOptions(path.stem, outputs=outputs, signature=signature))
    with convert_errors(str(path)):
        return _Writer(file).run()


class _Writer:
    def __init__(self, file: GraphFile) -> None:
        self._file = file
        self._flow = file.flow
        self._names: dict[Ref, str] = {}
        self._unique = LayerNames()

    def run(self) -> CutGraph:
        """Write the nodes, operands first."""
        flow = self._flow
        wanted = [flow.source(ref) for ref in self._file.outputs.values()]
        nodes = [self._node(ref) for ref in flow.in_order(wanted)]
        # An input that no output needs is still one of the network's.
        placeholders = [Ref(flow.main, place) for place in self._file.places.values()]
        nodes += [self._node(ref) for ref in placeholders if ref not in self._names]
        content = encode_fields({1: nodes, 4: encode_fields({1: _PRODUCER})})
        return CutGraph(
            content,
            dict(self._file.inputs),
            [self._names[ref] for ref in placeholders],
            [self._text(ref) for ref in wanted],
        )

    def _node(self, ref: Ref) -> bytes:
        node, flow = ref.node, self._flow
        name = self._names[ref] = self._unique.unique(ref.name)
        if flow.is_input(ref):
            dtype = node.attributes["dtype"].type if "dtype" in node.attributes else 1
            extents = self._file.inputs[
                next(own for own, place in self._file.places.items() if place == ref.name)
            ]
            sizes = [encode_fields({1: -1 if extent is None else extent}) for extent in extents]
            shape = encode_fields({7: encode_fields({2: sizes})})
            return _encoded(name, "Placeholder", [], {"dtype": encode_fields({6: dtype}), "shape": shape})
        if node.op in VARIABLES:
            return self._constant(name, self._file.variable(ref))
        if node.op == "Const":
            tensor = node.attributes["value"].tensor
            flow.value(ref)  # counts and checks its numbers
            value = encode_fields({8: encode(tensor, lambda _: {})})
            return _encoded(name, "Const", [], {"dtype": encode_fields({6: tensor.dtype}), "value": value})
        if node.op not in ROWS:
            raise UnsupportedError(
                f"mpscnn does not read its operator {quote_name(node.op)}, so that it is not run"
            )
        operands = [self._text(operand) for operand in flow.operands(ref)]
        attributes = {
            key: encode(value, lambda _: {}) for key, value in node.attributes.items() if key[:1] != "_"
        }
        if node.op == "ResourceGather":  # its variable is a constant here
            kinds = {"Tparams": attributes["dtype"], "Tindices": attributes["Tindices"]}
            return _encoded(name, "Gather", operands, kinds)
        return _encoded(name, node.op, operands, attributes)

    def _constant(self, name: str, array: np.ndarray[Any, Any]) -> bytes:
        number = dtype_number(array.dtype)
        shape = encode_fields({2: [encode_fields({1: extent}) for extent in array.shape]})
        content = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        tensor = encode_fields({1: number, 2: shape, 4: content})
        kind, value = encode_fields({6: number}), encode_fields({8: tensor})
        return _encoded(name, "Const", [], {"dtype": kind, "value": value})

    def _text(self, ref: Ref) -> str:
        return f"{self._names[Ref(ref.scope, ref.name)]}:{ref.place}"


def _encoded(name: str, kind: str, operands: Sequence[str], attributes: dict[str, bytes]) -> bytes:
    """Return the bytes of a node."""
    listed = [encode_fields({1: key, 2: value}) for key, value in attributes.items()]
    return encode_fields({1: name, 2: kind, 3: list(operands), 5: listed})
