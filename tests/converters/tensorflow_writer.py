"""Write small files of TensorFlow: graphs, checkpoints, SavedModels and models of TensorFlow.js."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from converters.protobuf_messages import tensorflow_message
from numpy.typing import NDArray

from mpscnn.converters.opening.varints import encode as varint

Array = NDArray[Any]
NUMBERS = {
    "float32": 1,
    "int32": 3,
    "int64": 9,
    "bool": 10,
    "uint8": 4,
    "int16": 5,
    "int8": 6,
    "uint16": 17,
    "string": 7,
    "bfloat16": 14,
    "float16": 19,
}


class Type(str):
    """The name of a type of elements as an attribute."""


class Strings(list[str]):
    """The strings of a constant."""


class Graph:
    """A graph in the making; each method returns the name of a node."""

    def __init__(self) -> None:
        self.message = tensorflow_message("Graph")()

    def node(self, op: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Add a node."""
        made = self.message.node.add(name=name or f"{op}_{len(self.message.node)}", op=op, input=inputs)
        for key, value in attributes.items():
            set_attribute(made.attr.add(key=key).value, value)
        return str(made.name)

    def placeholder(self, *shape: int, name: str = "image") -> str:
        """Add an input; -1 stands for a free extent."""
        return self.node("Placeholder", name=name, dtype=Type("float32"), shape=shape)

    def constant(self, value: Any, name: str = "") -> str:
        """Add a constant."""
        array = np.asarray(value)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        if array.dtype == np.int64:
            array = array.astype(np.int32)
        return self.node("Const", name=name, dtype=Type(array.dtype.name), value=array)

    def save(self, path: Path) -> Path:
        """Write the file of a frozen graph."""
        path.write_bytes(self.message.SerializeToString())
        return path


def set_attribute(target: Any, value: Any) -> None:
    """Set an attribute of a node."""
    if isinstance(value, Type):
        target.type = NUMBERS[value]
    elif isinstance(value, bool):
        target.b = value
    elif isinstance(value, str):
        target.s = value.encode()
    elif isinstance(value, int):
        target.i = value
    elif isinstance(value, float):
        target.f = value
    elif isinstance(value, np.ndarray):
        target.tensor.dtype = NUMBERS[value.dtype.name]
        set_shape(target.tensor.tensor_shape, value.shape)
        target.tensor.tensor_content = value.tobytes()
    elif isinstance(value, Strings):
        target.tensor.dtype = NUMBERS["string"]
        set_shape(target.tensor.tensor_shape, [len(value)])
        target.tensor.string_val.extend(one.encode() for one in value)
    elif isinstance(value, tuple):
        set_shape(target.shape, value)
    elif all(isinstance(one, str) for one in value):
        target.list.s.extend(one.encode() for one in value)
    else:
        target.list.i.extend(value)


def set_shape(target: Any, shape: Sequence[int]) -> None:
    """Set the extents of a shape."""
    target.SetInParent()
    for extent in shape:
        target.dim.add(size=extent)


# ---- Checkpoints ---------------------------------------------------------------------------------------------------


def block(entries: Sequence[tuple[bytes, bytes]], compression: int = 0) -> bytes:
    """Return a block of a table. Each key is stored without the beginning that it shares with the key before it.

    `compression` is the number that the block states. With 1, the content is compressed by Snappy.
    """
    content, last = bytearray(), b""
    for key, value in entries:
        shared = 0
        while shared < min(len(key), len(last)) and key[shared] == last[shared]:
            shared += 1
        content += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        last = key
    made = bytes(content) + struct.pack("<II", 0, 1)
    return (compress(made) if compression == 1 else made) + bytes([compression]) + b"\0\0\0\0"


def compress(content: bytes) -> bytes:
    """Compress bytes by Snappy: each run of 4 to 64 bytes that occurs before becomes a copy of each kind in turn."""
    made, position, copies, start = bytearray(varint(len(content))), 0, 0, 0
    while position < len(content):
        length = max(
            (n for n in (64, 11, 4) if content.find(content[position : position + n]) < position), default=0
        )
        length = min(length, len(content) - position)
        if length >= 4:
            made += literal(content[start:position]) + copy(content, position, length, copies)
            position, copies = position + length, copies + 1
            start = position
        else:
            position += 1
    return bytes(made + literal(content[start:]))


def literal(content: bytes) -> bytes:
    """Return a literal of Snappy; nothing for no bytes."""
    if not content:
        return b""
    if len(content) <= 60:
        return bytes([len(content) - 1 << 2]) + content
    return bytes([61 << 2]) + (len(content) - 1).to_bytes(2, "little") + content


def copy(content: bytes, position: int, length: int, number: int) -> bytes:
    """Return a copy of Snappy of bytes that occur before. The offset has one, two or four bytes."""
    offset = position - content.find(content[position : position + length])
    if number % 3 == 0 and length <= 11 and offset < 2048:
        return bytes([offset >> 8 << 5 | length - 4 << 2 | 1, offset & 255])
    width = 2 if number % 3 == 1 else 4
    return bytes([length - 1 << 2 | width // 2 + 1]) + offset.to_bytes(width, "little")


def table(entries: Sequence[tuple[bytes, bytes]], *, per_block: int = 3, compression: int = 0) -> bytes:
    """Return a table of keys and values, which must be sorted by key."""
    content, places = b"", []
    for first in range(0, len(entries), per_block):
        part = entries[first : first + per_block]
        made = block(part, compression)
        places.append((part[-1][0], varint(len(content)) + varint(len(made) - 5)))
        content += made
    handles = b""
    for made in (block([]), block(places)):
        handles += varint(len(content)) + varint(len(made) - 5)
        content += made
    return content + handles.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


def save_bundle(prefix: Path, arrays: Mapping[str, Array], *, compression: int = 0) -> Path:
    """Write a checkpoint, and return the path of its index."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    header = tensorflow_message("BundleHeader")(num_shards=1)
    entries, data = [(b"", header.SerializeToString())], b""
    for name, array in sorted(arrays.items()):
        entry = tensorflow_message("BundleEntry")(
            dtype=NUMBERS[array.dtype.name], offset=len(data), size=array.nbytes
        )
        set_shape(entry.shape, array.shape)
        entries.append((name.encode(), entry.SerializeToString()))
        data += array.tobytes()
    index = prefix.with_name(f"{prefix.name}.index")
    index.write_bytes(table(entries, compression=compression))
    prefix.with_name(f"{prefix.name}.data-00000-of-00001").write_bytes(data)
    return index


# ---- SavedModels ---------------------------------------------------------------------------------------------------


def save_model(
    folder: Path,
    graph: Graph,
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
    variables: Mapping[str, Array],
    signature: str = "serving_default",
) -> Path:
    """Write a SavedModel whose graph has VarHandleOps of these names."""
    names = graph.constant(0, "save/names")
    node = graph.message.node[-1]
    node.ClearField("attr")
    tensor = node.attr.add(key="value").value.tensor
    tensor.dtype = 7
    set_shape(tensor.tensor_shape, [len(variables)])
    tensor.string_val.extend(f"stored/{name}".encode() for name in variables)
    prefix = graph.node("Placeholder", name="save/prefix")
    restored = graph.node("RestoreV2", prefix, names, names, name="save/restore")
    for place, name in enumerate(variables):
        graph.node("AssignVariableOp", name, f"{restored}:{place}", name=f"save/assign_{place}")
    model = tensorflow_message("SavedModel")(saved_model_schema_version=1)
    meta = model.meta_graphs.add()
    meta.meta_info_def.tags.append("serve")
    meta.graph_def.ParseFromString(graph.message.SerializeToString())
    made = meta.signature_def.add(key=signature).value
    nodes = {one.name: one for one in graph.message.node}
    for key, name in inputs.items():
        info = made.inputs.add(key=key).value
        info.name = f"{name}:0"
        info.dtype = next(one.value.type for one in nodes[name].attr if one.key == "dtype")
        shape = next(one.value.shape for one in nodes[name].attr if one.key == "shape")
        set_shape(info.tensor_shape, [dim.size for dim in shape.dim])
    for key, name in outputs.items():
        made.outputs.add(key=key).value.name = f"{name}:0"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "saved_model.pb").write_bytes(model.SerializeToString())
    save_bundle(
        folder / "variables" / "variables", {f"stored/{name}": one for name, one in variables.items()}
    )
    return folder


# ---- TensorFlow.js -------------------------------------------------------------------------------------------------


_NAMES = {1: "DT_FLOAT", 3: "DT_INT32", 10: "DT_BOOL"}
_TYPES = {1: np.float32, 3: np.int32, 10: np.bool_}


def _json_value(value: Any) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for field, held in value.ListFields():
        if field.name == "s":
            made["s"] = base64.b64encode(held).decode()
        elif field.name == "type":
            made["type"] = _NAMES[held]
        elif field.name == "shape":
            made["shape"] = {"dim": [{"size": str(dim.size)} for dim in held.dim]}
        elif field.name == "tensor":
            made["tensor"] = {"dtype": _NAMES[held.dtype], "tensorShape": {}}
            if held.float_val:
                made["tensor"]["tensorShape"]["dim"] = [
                    {"size": str(dim.size)} for dim in held.tensor_shape.dim
                ]
                made["tensor"]["floatVal"] = list(held.float_val)
        elif field.name == "list":
            made["list"] = {
                "i": [str(one) for one in held.i],
                "s": [base64.b64encode(one).decode() for one in held.s],
            }
        else:
            made[field.name] = held
    return made


def save_web_graph(path: Path, graph: Graph, *, shard: int = 1 << 22, bits: int | None = None) -> Path:
    """Write a graph model of TensorFlow.js. `bits`: 8 or 16 for weights that are quantised."""
    nodes, weights = [], {}
    for node in graph.message.node:
        nodes.append(
            {
                "name": node.name,
                "op": node.op,
                "input": list(node.input),
                "attr": {one.key: _json_value(one.value) for one in node.attr},
            }
        )
        if node.op == "Const":
            tensor = next(one.value.tensor for one in node.attr if one.key == "value")
            if tensor.float_val:
                continue
            kind = np.dtype(_TYPES[tensor.dtype])
            shape = [dim.size for dim in tensor.tensor_shape.dim]
            weights[node.name] = np.frombuffer(tensor.tensor_content, kind).reshape(shape)
    topology = {"node": nodes, "library": {}, "versions": {}}
    return save_web(
        path, {"format": "graph-model", "modelTopology": topology}, weights, shard=shard, bits=bits
    )


def save_web(
    path: Path,
    described: dict[str, Any],
    weights: Mapping[str, Array],
    *,
    shard: int = 1 << 22,
    bits: int | None = None,
) -> Path:
    """Write a model of TensorFlow.js."""
    entries, data = [], b""
    for name, array in weights.items():
        entry: dict[str, Any] = {"name": name, "shape": list(array.shape), "dtype": array.dtype.name}
        stored = array
        if bits is not None and array.dtype == np.float32 and array.size > 1:
            low, high = float(array.min()), float(array.max())
            scale = (high - low) / (2**bits - 1) or 1.0
            entry["quantization"] = {"min": low, "scale": scale, "dtype": f"uint{bits}"}
            stored = np.round((array - low) / scale).astype(f"uint{bits}")
        entries.append(entry)
        data += stored.tobytes()
    paths = []
    for number, first in enumerate(range(0, max(len(data), 1), shard)):
        paths.append(f"group1-shard{number}.bin")
        (path.parent / paths[-1]).write_bytes(data[first : first + shard])
    described = described | {"weightsManifest": [{"paths": paths, "weights": entries}]}
    path.write_text(json.dumps(described))
    return path
