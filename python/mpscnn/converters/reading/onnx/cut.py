"""Write an ONNX file again from what is read of it, for a check in onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mpscnn.converters.opening.file_bytes import FileBytes
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.opening.wire.encode import Changes, encode, encode_fields
from mpscnn.converters.opening.wire.message import Message, open_message
from mpscnn.converters.reading.onnx.external_data import ExternalData
from mpscnn.converters.reading.onnx.file import EXPANSIONS
from mpscnn.converters.reading.onnx.needed_nodes import inner_graphs, names_read, needed_places
from mpscnn.converters.reading.onnx.node import kind_of
from mpscnn.converters.reading.onnx.old_operators import OLD
from mpscnn.converters.reading.onnx.operators import ROWS, ROWS_OF_CONSTANTS
from mpscnn.converters.reading.onnx.schema import EXTERNAL, KINDS
from mpscnn.errors import UnsupportedError

#: The version of the format that is written, which all versions of onnxruntime since 1.15 read.
_VERSION = 8
#: Fields that are read, but not written.
_LEFT_OUT: dict[str, Changes] = {
    "Model": {"producer_name": None, "metadata_props": None, "training_info": None},
    "Graph": {"sparse_initializer": None},
    "Node": {"doc_string": None},
}
#: Operators that become layers, that are replaced, or that are computed when a file is read.
_READ = {*ROWS, *ROWS_OF_CONSTANTS, *EXPANSIONS, *OLD, "Constant"}


def cut_onnx(path: Path, outputs: Sequence[str] = ()) -> bytes:
    """Return an ONNX model with the nodes of a file that its outputs need, and with all weights in the message.

    The texts of the file, what it says about training, and whatever else the reader does not know are left out.

    Args:
        path: the file, which the reader has accepted.
        outputs: tensors to stop at, instead of the file's outputs.

    Raises UnsupportedError for an operator of a domain that mpscnn does not read, and the errors of the reader.
    """
    model = open_message(KINDS["Model"], FileBytes(path))
    external = ExternalData(path)
    graph = model.graph
    known = {info.name: info for info in graph.output}
    wanted = list(outputs) or list(known)
    nodes = [graph.node[place] for place in needed_places(graph.node, wanted, _states_graph)]
    functions = _used_functions(nodes, {(one.domain, one.name): one for one in model.functions}, path)
    read = {name for node in nodes for name in names_read(node, _states_graph)} | set(wanted)
    constants = {tensor.name for tensor in graph.initializer}

    def change(message: Message) -> Changes:
        if message is graph:
            return {
                "node": nodes,
                "initializer": [tensor for tensor in graph.initializer if tensor.name in read],
                "input": [info for info in graph.input if info.name in read or info.name not in constants],
                "output": [known.get(name) or encode_fields({1: name}) for name in wanted],
                "value_info": None,
                "sparse_initializer": None,
            }
        if message.message_kind.name == "Tensor" and message.data_location == EXTERNAL:
            content = external.content(message, f"{path}: tensor {quote_name(message.name)}")
            return {"external_data": None, "data_location": None, "raw_data": content}
        left_out = _LEFT_OUT.get(message.message_kind.name, {})
        return {**left_out, "functions": functions} if message is model else left_out

    return encode_fields({1: _VERSION}) + encode(model, change)


def _states_graph(attribute: Any) -> bool:
    return bool(attribute.has("g"))


def _used_functions(nodes: Sequence[Any], functions: dict[tuple[str, str], Any], path: Path) -> list[Any]:
    """Return the functions that nodes call. Raises UnsupportedError for an operator that mpscnn does not read."""
    found: dict[tuple[str, str], Any] = {}
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        waiting += [inner for graph in inner_graphs(node, _states_graph) for inner in graph.node]
        key = node.domain, node.op_type
        if key in functions:
            if key not in found:
                found[key] = functions[key]
                waiting += functions[key].node
        elif (kind := kind_of(node)) not in _READ:
            raise UnsupportedError(
                f"{path}: mpscnn does not read its operator {quote_name(kind)}, so that it is not run"
            )
    return list(found.values())
