"""Write networks as Core AI assets (.aimodel).

The network becomes an ONNX graph with the channels first. Each of its operators then becomes operations of Core AI.
"""

from __future__ import annotations

import inspect
import json
import keyword
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from os import PathLike
from types import GenericAlias
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn._private.files import replace_folder
from mpscnn._private.given_warnings import warn_caller
from mpscnn._private.installation import install_command
from mpscnn._private.json_text import parse_json
from mpscnn.converters.finishing.metadata_entries import metadata_entries
from mpscnn.converters.opening.layer_names import LayerNames
from mpscnn.converters.opening.unsupported import CHOOSE_SIZE, OTHER_FORMAT, UnsupportedLayers
from mpscnn.converters.reading.coreai.asset import ASSET, DESCRIPTION
from mpscnn.converters.reading.coreai.extraction import LAYER
from mpscnn.converters.reading.coreml.placing import PLACING, placing_entries
from mpscnn.converters.writing.convention import require_suffix
from mpscnn.converters.writing.coreai.folding import fold_normalizations
from mpscnn.converters.writing.coreai.image_input import image_type, prepared
from mpscnn.converters.writing.coreai.operator import Operator, shape_of
from mpscnn.converters.writing.coreai.operators import OPERATORS
from mpscnn.converters.writing.coreai.recurrent import RECURRENT
from mpscnn.converters.writing.coreml.program import first_line, folded
from mpscnn.converters.writing.onnx.export import build
from mpscnn.errors import Error, UnsupportedError, WeightsError
from mpscnn.graph.network import Network
from mpscnn.graph.quantized import require_stored_type
from mpscnn.opening_models import core_model

Scales = tuple[NDArray[Any], NDArray[Any]]
"""The scales and zero points of a weight: one of each, or one for each filter."""
_DETECTION_TASK, _CLASSIFICATION_TASK, _SEGMENTATION_TASK = "detect", "classify", "segment"


def export(
    network: Network,
    path: str | PathLike[str],
    *,
    size: tuple[int, int] | None = None,
    dtype: str = "float32",
    preprocess: Mapping[str, Any] | None = None,
    information: Mapping[str, str] | None = None,
) -> None:
    """Write a network as a Core AI asset, for one image. Its inputs and outputs are float32, images channels first.

    Args:
        network: a network with all its weights.
        path: the folder (.aimodel). An older one is replaced when the new one is complete.
        size: (height, width), required if the network leaves them free.
        dtype: the type of weights and intermediate results: "float32" or "float16". "uint8": each filter of a weight is
            8-bit integers with one scale, and the results are float32.
        preprocess: the preprocessing of photos, with all keys (`mpscnn.preprocess`); the input is then an image, and
            the program begins with the preprocessing. None: the input is an array.
        information: "license", "author", "description", ... of the model.

    Raises:
        UnsupportedError: coreai-core is not installed, or Core AI cannot express a layer; the message names all of
            them. WeightsError: weights are missing, or the folder cannot be written. ParameterError: an unknown suffix
            or type.
    """
    path = require_suffix(path, "a Core AI asset", ASSET)
    require_stored_type(dtype)
    if find_spec("coreai") is None:
        raise UnsupportedError(f"{path}: writing Core AI needs coreai-core: {install_command('coreai')}")
    if any(None in tensor.shape[1:] for tensor in network.inputs) and size is None:
        raise UnsupportedError(
            f"{path}: a Core AI asset has one size, and the network leaves its own free: {CHOOSE_SIZE}"
        )
    if network.labels is not None or network.detection is not None:
        core_model(network)  # raises the error of settings with which the asset could not be loaded
    if network.detection is not None:
        warn_caller(
            f"{path.name}: the suppression of boxes is not part of the file: an app gets the network's boxes and "
            "scores, and suppresses boxes itself",
        )
    model = build(network, size=size, layout="nchw").model(_core.version())
    names = [one.name for one in network.outputs]
    integers = _scales_of(network) if dtype == "uint8" else {}
    program = _Program(model.graph, names, str(path), dtype, integers, preprocess)
    made = program.made()
    entries = metadata_entries(network, names)
    if preprocess is not None:  # the program has the mean and the scale
        entries.pop(PLACING, None)
        entries |= placing_entries(preprocess)
    entries |= _entries_of_others(network)
    with replace_folder(path, WeightsError) as folder:
        try:
            made.save_asset(folder, _metadata(entries, information))
        except RuntimeError as error:
            raise WeightsError(f"{path}: Core AI cannot write it: {first_line(error)}") from error
        described = parse_json((folder / DESCRIPTION).read_text("utf-8"))
        described.pop("creationDate", None)  # equal networks give equal files
        (folder / DESCRIPTION).write_text(json.dumps(described, indent=2, sort_keys=True) + "\n", "utf-8")


def _scales_of(network: Network) -> dict[str, Scales]:
    """Return the scales and zero points of the 8-bit weights, by layer."""
    found = {}
    for spec in network.weight_specs():
        if spec["role"] == "weight" and spec["dtype"] == "uint8":
            _, scales, zeros = network.graph.get_weight(spec["layer"], "weight")
            found[spec["layer"]] = np.asarray(scales), np.asarray(zeros)
    return found


def _entries_of_others(network: Network) -> dict[str, str]:
    """Return the names of classes and the task in the keys that other exporters write."""
    if network.labels is None or (network.answers is not None and network.answers["kind"] != "tags"):
        return {}
    task = _CLASSIFICATION_TASK
    if network.detection is not None:
        task = _DETECTION_TASK
    elif len(network.outputs[0].shape) == 4 and network.outputs[0].shape[1:3] != (1, 1):
        task = _SEGMENTATION_TASK
    return {"names": repr(dict(enumerate(network.labels))), "task": task}


def _metadata(entries: Mapping[str, str], information: Mapping[str, str] | None) -> Any:
    from coreai.runtime import AIModelAssetMetadata

    metadata = AIModelAssetMetadata()
    fields = {"author": "author", "license": "license", "description": "model_description"}
    for key, text in {**entries, **(information or {})}.items():
        if key in fields:
            setattr(metadata, fields[key], text)
        else:
            metadata.set_custom(key, text)
    return metadata


class _Program:
    """Converts an ONNX graph to a program of Core AI."""

    def __init__(
        self,
        graph: Any,
        names: Sequence[str],
        origin: str,
        dtype: str,
        integers: Mapping[str, Scales],
        preprocess: Mapping[str, Any] | None,
    ) -> None:
        import coreai.authoring as ai
        import onnx

        self._ai, self._onnx, self._graph, self._origin = ai, onnx, graph, origin
        self._dtype: type[np.floating[Any]] = np.float16 if dtype == "float16" else np.float32
        self._constants = {one.name: np.asarray(onnx.numpy_helper.to_array(one)) for one in graph.initializer}
        self._unsupported = UnsupportedLayers(origin, advice=OTHER_FORMAT)
        self._values: dict[str, Any] = {}
        self._names = names  # of the outputs
        self._integers = integers
        self._preprocess = preprocess
        outputs = [one.name for one in graph.output]
        self._nodes = fold_normalizations(graph.node, outputs, self._constants, integers)

    def made(self) -> Any:
        """Return the program. Raises UnsupportedError with all operators that it cannot express."""
        ai = self._ai
        names = LayerNames()
        arguments = {names.unique(_identifier(one.name)): one for one in self._graph.input}

        def main(*given: Any) -> Any:
            for (own, entry), value in zip(arguments.items(), given, strict=True):
                if self._preprocess is not None:
                    value = prepared(ai, value, own, self._preprocess, _shape(entry))
                self._values[entry.name] = ai.cast(value, np.float16) if self._dtype is np.float16 else value
            for node in self._nodes:
                self._add(node)
            if self._unsupported:
                raise self._unsupported.error()
            found = [self._result(one.name) for one in self._graph.output]
            return found[0] if len(found) == 1 else tuple(found)

        # Core AI's decorator takes the types of inputs and outputs from annotations.
        kinds = {own: self._input(entry) for own, entry in arguments.items()}
        results = tuple(
            _annotation(ai, entry, name) for entry, name in zip(self._graph.output, self._names, strict=True)
        )
        main.__annotations__ = {
            **kinds,
            "return": results[0] if len(results) == 1 else GenericAlias(tuple, results),
        }
        parameters = [inspect.Parameter(own, inspect.Parameter.POSITIONAL_OR_KEYWORD) for own in kinds]
        main.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        module = ai.Module.create()
        with module, ai.DebugInfo.unknown().activate():
            ai.graph(main)
        return ai.AIProgram(module)

    def _input(self, entry: Any) -> Any:
        if self._preprocess is None:
            return _annotation(self._ai, entry)
        return Annotated[self._ai.Value, image_type(self._ai, _shape(entry))]

    def _add(self, node: Any) -> None:
        attributes = {entry.name: self._onnx.helper.get_attribute_value(entry) for entry in node.attribute}
        if any(name and name not in self._values and name not in self._constants for name in node.input):
            return  # an input comes from an operator that is not supported; the error names that one
        inputs = [
            None if not name else self._values.get(name, self._constants.get(name)) for name in node.input
        ]
        if node.op_type == "Shape":
            counted = slice(attributes.get("start"), attributes.get("end"))
            self._constants[node.output[0]] = np.asarray(shape_of(inputs[0])[counted], np.int64)
            return
        if all(value is None or isinstance(value, np.ndarray) for value in inputs):
            self._constants[node.output[0]] = folded(node, inputs)
            return

        def convert() -> None:
            write = OPERATORS.get(node.op_type)
            if write is None:
                raise UnsupportedError("Core AI has no such operation")
            layer = node.doc_string or node.name
            if node.op_type in RECURRENT and layer in self._integers:
                raise UnsupportedError(
                    "8-bit weights of recurrent layers are not written: use dtype='float32'"
                )
            try:
                with self._ai.DebugInfo.metadata_only([f"{LAYER}{layer}"]).activate():
                    operands = self._scaled(layer, inputs)
                    made = write(Operator(self._ai, operands, attributes, self._dtype))
            except Error:
                raise
            except Exception as error:  # Core AI's binding has no exception classes of its own
                raise UnsupportedError(f"Core AI does not take it: {first_line(error)}") from error
            results = made if isinstance(made, list) else [made]
            self._values |= dict(zip(node.output, results, strict=False))

        self._unsupported.attempt(node.op_type, node.name or node.output[0], convert, free_size=False)

    def _scaled(self, layer: str, inputs: list[Any]) -> list[Any]:
        """Return the operands of a layer, with its weight as the integers, scales and zero points of the network."""
        if layer not in self._integers or len(inputs) < 2 or not isinstance(inputs[1], np.ndarray):
            return inputs
        scales, zeros = self._integers[layer]
        weight = inputs[1]
        for axis in range(min(weight.ndim, 2)):
            shape = [-1 if place == axis else 1 for place in range(weight.ndim)]
            if scales.size not in (1, weight.shape[axis]):
                continue
            steps, places = scales.astype(np.float32).reshape(shape), zeros.astype(np.float32).reshape(shape)
            numbers = np.rint(weight / np.where(steps == 0, 1, steps)) + places
            if np.array_equal((numbers - places) * steps, weight):
                parts: list[NDArray[Any]] = [
                    numbers.astype(np.uint8),
                    steps,
                    places.astype(np.uint8),
                    np.zeros_like(steps),
                ]
                operands = [self._constant(part) for part in parts]
                return [inputs[0], self._ai.blockwise_shift_scale(*operands), *inputs[2:]]
        return inputs

    @staticmethod
    def _constant(array: NDArray[Any]) -> Any:
        from coreai.authoring.constant import constant

        return constant(array)

    def _result(self, name: str) -> Any:
        value = self._values.get(name)
        if value is None:
            value = self._constant(self._constants[name].astype(np.float32))
        return self._ai.cast(value, np.float32)


def _identifier(name: str) -> str:
    """Return a name for an input. Core AI takes inputs as the parameters of a function."""
    made = "".join(one if f"_{one}".isidentifier() else "_" for one in name)
    return made if made.isidentifier() and not keyword.iskeyword(made) else f"_{made}"


def _annotation(ai: Any, entry: Any, name: str | None = None) -> Any:
    """Return the type of an input or output of the graph as Core AI reads it from a function."""
    return Annotated[ai.Value, ai.TensorType(_shape(entry), np.float32, name)]


def _shape(entry: Any) -> tuple[int, ...]:
    """Return the shape of an input or output of the graph, for one image."""
    return tuple(one.dim_value or 1 for one in entry.type.tensor_type.shape.dim)
