"""Read models of TensorFlow.js: model.json, with the weights in files next to it."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from mpscnn._private.files import content_of
from mpscnn.converters.file_bytes import FileBytes
from mpscnn.converters.keras.config import parse_model
from mpscnn.converters.keras.file import KerasFile, generation_of
from mpscnn.converters.keras.reader import convert as convert_keras
from mpscnn.converters.keras.weights import PlainWeights
from mpscnn.converters.layer_names import shown
from mpscnn.converters.named_errors import naming
from mpscnn.converters.read_options import ReadOptions
from mpscnn.converters.tensorflow.file import frozen_graph
from mpscnn.converters.tensorflow.flow import Flow
from mpscnn.converters.tensorflow.reader import convert as convert_graph
from mpscnn.converters.tensorflow.schema import message
from mpscnn.converters.tensorflow.values import Array
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.network import Network

_MAX_JSON = 1 << 28
_TYPES = {"float32": "<f4", "float16": "<f2", "int32": "<i4", "uint8": "<u1", "uint16": "<u2", "bool": "?"}
_TYPE_NUMBERS = {
    "DT_FLOAT": 1,
    "DT_DOUBLE": 2,
    "DT_INT32": 3,
    "DT_UINT8": 4,
    "DT_INT16": 5,
    "DT_INT8": 6,
    "DT_STRING": 7,
    "DT_INT64": 9,
    "DT_BOOL": 10,
    "DT_BFLOAT16": 14,
    "DT_HALF": 19,
}


@dataclass(frozen=True)
class _Weight:
    """The shape and type of a weight, and its position in a group of files, which count as one."""

    shape: tuple[int, ...]
    stored: np.dtype[Any]
    begin: int
    group: tuple[Path, ...]
    scale: float | None = None
    offset: float = 0.0


def read_web(path: Path, options: ReadOptions) -> Network:
    """Return the network of a model.json.

    Raises WeightsError for missing or damaged files, and UnsupportedError for layers that mpscnn does not support.
    """
    try:
        with naming(str(path)):
            return _network(path, options)
    except RecursionError as error:
        raise UnsupportedError(
            f"{path}: its description is nested too deeply, which is not supported"
        ) from error


def _network(path: Path, options: ReadOptions) -> Network:
    described = _json(path)
    weights = WebWeights(path, described.get("weightsManifest"))
    topology = described.get("modelTopology")
    if not isinstance(topology, dict):
        raise WeightsError("is not a model of TensorFlow.js: it has no modelTopology")
    if described.get("format") == "layers-model" or "model_config" in topology or "class_name" in topology:
        return _layers_model(path, topology, weights, options)
    return _graph_model(path, topology, weights, options)


def web_files(path: Path) -> list[Path]:
    """Return the files with the weights of a model.json."""
    with naming(str(path)):
        return WebWeights(path, _json(path).get("weightsManifest")).files()


def _json(path: Path) -> dict[str, Any]:
    content = content_of(path, WeightsError)
    if len(content) > _MAX_JSON:
        raise WeightsError(f"has {len(content)} bytes; expected at most {_MAX_JSON}")
    try:
        described = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"damaged: is not JSON: {error}") from error
    if not isinstance(described, dict):
        raise WeightsError("is not a model of TensorFlow.js")
    return described


class WebWeights(Mapping[str, Array]):
    """The weights of a model by their names. They are read when they are needed."""

    def __init__(self, path: Path, manifest: Any) -> None:
        self._weights: dict[str, _Weight] = {}
        self._files: dict[Path, FileBytes] = {}
        try:
            for group in manifest or []:
                self._add(path.parent, group)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, (UnsupportedError, WeightsError)):
                raise
            raise WeightsError("damaged: the list of weights contradicts itself") from error

    def _add(self, folder: Path, group: Any) -> None:
        files = tuple(self._inside(folder, name) for name in group["paths"])
        begin = 0
        for entry in group["weights"]:
            shape = tuple(int(extent) for extent in entry["shape"])
            quantised = entry.get("quantization") or {}
            kind = quantised.get("dtype", entry["dtype"])
            if kind not in _TYPES:
                raise UnsupportedError(f"weight {shown(str(entry['name']))}: numbers of type {kind!r}")
            if min(shape, default=1) < 0:
                raise WeightsError(f"damaged: a weight of the shape {shape}")
            stored = np.dtype(_TYPES[kind])
            scale = float(quantised["scale"]) if "scale" in quantised else None
            offset = float(quantised.get("min", 0.0))
            self._weights[str(entry["name"])] = _Weight(shape, stored, begin, files, scale, offset)
            begin += math.prod(shape) * stored.itemsize

    @staticmethod
    def _inside(folder: Path, name: Any) -> Path:
        inner = PurePosixPath(str(name))
        if inner.is_absolute() or ".." in inner.parts or "\\" in str(name) or "\0" in str(name):
            raise WeightsError(f"damaged: names {shown(str(name))}, which is not next to the model")
        return folder / inner

    def __getitem__(self, name: str) -> Array:
        weight = self._weights[name]
        size = math.prod(weight.shape) * weight.stored.itemsize
        content = self._read(weight.group, weight.begin, size)
        if len(content) != size:
            raise WeightsError(f"damaged: the files end within the weight {shown(name)}")
        array: Array = np.frombuffer(content, weight.stored).reshape(weight.shape)
        if weight.scale is not None:
            array = (array * np.float64(weight.scale) + weight.offset).astype(np.float32)
        return array

    def _read(self, group: tuple[Path, ...], begin: int, size: int) -> bytes:
        parts = []
        for path in group:
            file = self._files.setdefault(path, FileBytes(path))
            if begin < len(file) and size > 0:
                parts.append(file.read(begin, size))
                size -= len(parts[-1])
                begin = 0
            else:
                begin -= min(begin, len(file))
        return b"".join(parts)

    def __iter__(self) -> Iterator[str]:
        return iter(self._weights)

    def __len__(self) -> int:
        return len(self._weights)

    def files(self) -> list[Path]:
        """Return the files with the weights' data."""
        return list(dict.fromkeys(path for weight in self._weights.values() for path in weight.group))


# ---- Layers --------------------------------------------------------------------------------------------------------


def _layers_model(path: Path, topology: dict[str, Any], weights: WebWeights, options: ReadOptions) -> Network:
    model = parse_model(topology.get("model_config", topology))
    generation = generation_of(topology.get("keras_version"))
    return convert_keras(KerasFile(str(path), model, PlainWeights(weights), generation), options)


# ---- Graphs --------------------------------------------------------------------------------------------------------


def _graph_model(path: Path, topology: dict[str, Any], weights: WebWeights, options: ReadOptions) -> Network:
    json_format = import_module("google.protobuf.json_format")
    graph = message("Graph")()
    try:
        nodes = [_node(node) for node in topology["node"]]
        functions = [_function(one) for one in topology.get("library", {}).get("function", [])]
        json_format.ParseDict(
            {"node": nodes, "library": {"function": functions}}, graph, ignore_unknown_fields=True
        )
    except (json_format.ParseError, LookupError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, (UnsupportedError, WeightsError)):
            raise
        raise WeightsError(f"damaged: its graph cannot be read: {error}") from error
    for node in graph.node:
        if node.op == "Const" and node.name in weights:
            _set_value(node, weights[node.name])
    return convert_graph(frozen_graph(graph, str(path), options), options)


def _set_value(node: Any, array: Array) -> None:
    value = next((entry.value for entry in node.attr if entry.key == "value"), None)
    if value is None:
        entry = node.attr.add(key="value")
        value = entry.value
    number = Flow.attributes(node)["dtype"].type if "dtype" in Flow.attributes(node) else 1
    tensor = value.tensor
    tensor.Clear()
    if number in (3, 9):
        array, number = array.astype("<i4"), 3
    elif number == 10:
        array = array.astype("?")
    else:
        array, number = array.astype("<f4"), 1
    tensor.dtype = number
    for extent in array.shape:
        tensor.tensor_shape.dim.add(size=extent)
    tensor.tensor_content = array.tobytes()


def _function(function: dict[str, Any]) -> dict[str, Any]:
    signature = function["signature"]
    return {
        "signature": {
            "name": signature["name"],
            "inputArg": [{"name": one["name"]} for one in signature.get("inputArg", [])],
            "outputArg": [{"name": one["name"]} for one in signature.get("outputArg", [])],
        },
        "nodeDef": [_node(node) for node in function.get("nodeDef", [])],
        "ret": [{"key": key, "value": value} for key, value in function.get("ret", {}).items()],
    }


def _node(node: dict[str, Any]) -> dict[str, Any]:
    attributes = [{"key": key, "value": _attribute(value)} for key, value in node.get("attr", {}).items()]
    return {"name": node["name"], "op": node["op"], "input": node.get("input", []), "attr": attributes}


def _attribute(value: Any) -> Any:
    """Return an attribute in the JSON form of protobuf: element types as numbers, and strings in base64."""
    if isinstance(value, list):
        return [_attribute(one) for one in value]
    if not isinstance(value, dict):
        return _TYPE_NUMBERS.get(value, value) if isinstance(value, str) else value
    made: dict[str, Any] = {}
    for key, inner in value.items():
        if key == "s":
            made[key] = [_text(one) for one in inner] if isinstance(inner, list) else _text(inner)
        elif key in ("type", "dtype"):
            made[key] = [_type(one) for one in inner] if isinstance(inner, list) else _type(inner)
        else:
            made[key] = _attribute(inner)
    return made


def _type(name: Any) -> int:
    if isinstance(name, int):
        return name
    return _TYPE_NUMBERS.get(str(name), 0)


def _text(value: Any) -> str:
    """Return a string in base64, as protobuf's JSON has it. TensorFlow.js may write a list of bytes instead."""
    if isinstance(value, list):
        return base64.b64encode(bytes(value)).decode()
    try:
        base64.b64decode(str(value), validate=True)
    except binascii.Error as error:
        raise WeightsError(f"damaged: {shown(str(value))} is not a text") from error
    return str(value)
