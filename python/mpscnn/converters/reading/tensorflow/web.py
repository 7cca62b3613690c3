"""Read models of TensorFlow.js: model.json, with the weights in files next to it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mpscnn._private.files import read_content
from mpscnn._private.json_text import parse_json
from mpscnn.converters.finishing.left_out import left_out
from mpscnn.converters.opening.layer_names import display_kind, quote_name
from mpscnn.converters.opening.read_options import ReadOptions, only
from mpscnn.converters.opening.wire.json_form import message_of
from mpscnn.converters.reading.keras.config import parse_model
from mpscnn.converters.reading.keras.file import KerasFile, major_version, samples_corners
from mpscnn.converters.reading.keras.left_out import notes
from mpscnn.converters.reading.keras.reader import convert as convert_keras
from mpscnn.converters.reading.keras.weights import PlainWeights
from mpscnn.converters.reading.tensorflow.file import frozen_graph
from mpscnn.converters.reading.tensorflow.file_errors import convert_errors
from mpscnn.converters.reading.tensorflow.node import index_by_name
from mpscnn.converters.reading.tensorflow.reader import convert as convert_graph
from mpscnn.converters.reading.tensorflow.schema import KINDS
from mpscnn.converters.reading.tensorflow.values import TYPE_NUMBERS, Array, parse_dtype
from mpscnn.converters.reading.tensorflow.web_weights import AGAIN, WebWeights
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.network import Network

_MAX_JSON = 1 << 26
#: The version of a graph that states none. In it, the shape of a placeholder without axes is that of a number.
_PRODUCER = 22
# The kinds of NumPy's types, and TensorFlow's number of the type with which elements of these kinds are read.
_KINDS = {"f": 1, "iu": 3, "b": 10}


def read(paths: Sequence[Path], options: ReadOptions) -> Network:
    """Return the network of a model.json.

    Raises WeightsError for missing or damaged files, and UnsupportedError for layers that mpscnn does not support.
    """
    path = only(paths)
    with convert_errors(str(path)):
        return _network(path, options)


def _network(path: Path, options: ReadOptions) -> Network:
    described = _json(path)
    weights = WebWeights(path, described.get("weightsManifest"))
    topology = described.get("modelTopology")
    if "itemInfoEntries" in described:
        raise UnsupportedError(
            f"is the manifest of a Core ML package; give the package: {path.absolute().parent}"
        )
    if "weight_map" in described:
        raise UnsupportedError(
            "is the index of weights in several safetensors files, which are not read: save the weights as one file"
        )
    if not isinstance(topology, dict):
        raise WeightsError("is not a model of TensorFlow.js: it has no modelTopology")
    if described.get("format") == "layers-model" or "model_config" in topology or "class_name" in topology:
        training = described.get("trainingConfig", topology.get("training_config"))
        return _layers_model(path, topology, training, weights, options)
    network = _graph_model(path, topology, _stated_outputs(described), weights, options)
    network.notes += left_out("operators that initialise", _initialisers(described.get("modelInitializer")))
    return network


def model_files(path: Path) -> list[Path]:
    """Return a model.json and the files with its weights."""
    with convert_errors(str(path)):
        return [path, *WebWeights(path, _json(path).get("weightsManifest")).files()]


def _json(path: Path) -> dict[str, Any]:
    content = read_content(path, WeightsError, _MAX_JSON, is_text=True)
    try:
        described = parse_json(content)
    except ValueError as error:
        raise WeightsError(f"damaged: is not JSON: {error}: {AGAIN}") from error
    if not isinstance(described, dict):
        raise WeightsError("is not a model of TensorFlow.js")
    return described


# ---- Layers --------------------------------------------------------------------------------------------------------


def _layers_model(
    path: Path, topology: dict[str, Any], training: Any, weights: WebWeights, options: ReadOptions
) -> Network:
    entry = topology.get("model_config", topology)
    model = parse_model(entry)
    version = topology.get("keras_version")
    file = KerasFile(
        str(path),
        model,
        PlainWeights(weights),
        major_version(version),
        weights.size(),
        samples_corners=samples_corners(version),
        notes=notes(entry, training),
    )
    return convert_keras(file, options)


# ---- Graphs --------------------------------------------------------------------------------------------------------


def _initialisers(graph: Any) -> Iterator[str]:
    """Yield the operators that the file runs once, before the first inference."""
    nodes = graph.get("node") if isinstance(graph, dict) else None
    for node in nodes if isinstance(nodes, list) else []:
        if isinstance(node, dict) and node.get("op") != "Const":
            yield f"{display_kind(str(node.get('op')))} {quote_name(str(node.get('name')))}"


def _stated_outputs(described: dict[str, Any]) -> dict[str, str]:
    """Return the graph's tensors that are the outputs, by the names of the signature; empty if none is stated.

    Converters write the signature next to the graph, or among what the user defined.
    """
    defined = described.get("userDefinedMetadata")
    for place in (described, defined if isinstance(defined, dict) else {}):
        signature = place.get("signature")
        outputs = signature.get("outputs") if isinstance(signature, dict) else None
        if not outputs:
            continue
        if not isinstance(outputs, dict):
            raise WeightsError(f"damaged: its signature is not a list of outputs by name: {AGAIN}")
        return {str(name): _stated_tensor(str(name), info) for name, info in outputs.items()}
    return {}


def _stated_tensor(name: str, info: Any) -> str:
    """Return the name of the tensor of an output, which is its own name if the signature states no other."""
    tensor = info.get("name", name) if isinstance(info, dict) else name
    if not isinstance(tensor, str):
        raise WeightsError(f"damaged: its output {quote_name(name)} has no name of a tensor: {AGAIN}")
    return tensor


def _graph_model(
    path: Path,
    topology: dict[str, Any],
    stated: dict[str, str],
    weights: WebWeights,
    options: ReadOptions,
) -> Network:
    try:
        nodes = [_node(node) for node in topology["node"]]
        functions = [_function(one) for one in topology.get("library", {}).get("function", [])]
        versions = {"producer": topology.get("versions", {}).get("producer", _PRODUCER)}
        content = {"node": nodes, "library": {"function": functions}, "versions": versions}
        graph = message_of(KINDS["Graph"], content)
    except (LookupError, OverflowError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, (UnsupportedError, WeightsError)):
            raise
        raise WeightsError(f"damaged: its graph contradicts itself: {AGAIN}") from error
    named = index_by_name(graph.node)
    for node in graph.node:
        if node.op != "Const":
            continue
        attributes = named[node.name].attributes
        if node.name in weights:
            _set_value(node, attributes, weights[node.name])
        elif "value" not in attributes or not _has_elements(attributes["value"].tensor):
            raise WeightsError(f"damaged: its list of weights does not have {quote_name(node.name)}: {AGAIN}")
    return convert_graph(frozen_graph(graph, str(path), options, weights.size, stated), options)


def _has_elements(tensor: Any) -> bool:
    return not {"dtype", "tensor_shape"}.issuperset(tensor.stated())


def _set_value(node: Any, attributes: dict[str, Any], array: Array) -> None:
    """Set the value of a constant to the weight of its name."""
    number = attributes["dtype"].type if "dtype" in attributes else 1
    stored, wanted = array.dtype, parse_dtype(number)
    kind = next((one for one in _KINDS if stored.kind in one), "")
    if wanted.kind not in kind:
        raise WeightsError(
            f"damaged: the weight {quote_name(node.name)} has elements of the type {stored.name}, and the graph "
            f"expects {wanted.name}: {AGAIN}"
        )
    tensor = (attributes["value"] if "value" in attributes else node.attr.add(key="value").value).tensor
    tensor.clear()
    tensor.dtype = _KINDS[kind]
    for extent in array.shape:
        tensor.tensor_shape.dim.add(size=extent)
    tensor.tensor_content = array.astype(parse_dtype(tensor.dtype)).tobytes()


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


def _attribute(value: Any, *, is_list: bool = False) -> Any:
    """Return an attribute in the JSON form of protobuf: element types as numbers, and strings in base64.

    `is_list` is True for a list of strings, numbers or types.
    """
    if isinstance(value, list):
        return [_attribute(one) for one in value]
    if not isinstance(value, dict):
        return TYPE_NUMBERS.get(value, value) if isinstance(value, str) else value
    made: dict[str, Any] = {}
    for key, inner in value.items():
        if key == "s":
            made[key] = [_text(one) for one in inner] if is_list else _text(inner)
        elif key in ("type", "dtype"):
            made[key] = [_type(one) for one in inner] if isinstance(inner, list) else _type(inner)
        else:
            made[key] = _attribute(inner, is_list=key == "list")
    return made


def _type(name: Any) -> int:
    if isinstance(name, int):
        return name
    return TYPE_NUMBERS.get(str(name), 0)


def _text(value: Any) -> str:
    """Return a string in base64, as protobuf's JSON has it. TensorFlow.js may write a list of bytes instead."""
    if isinstance(value, list):
        return base64.b64encode(bytes(value)).decode()
    try:
        base64.b64decode(str(value), validate=True)
    except binascii.Error as error:
        raise WeightsError(f"damaged: {quote_name(str(value))} is not a text") from error
    return str(value)
