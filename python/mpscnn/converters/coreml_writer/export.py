"""Write networks as Core ML models: programs (.mlpackage) and neural networks (.mlmodel).

The network becomes an ONNX graph with the channels first. Each of its operators then becomes a Core ML operation.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence, Set
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn._private.files import is_folder, replacing, writing
from mpscnn.converters.affine import EPSILON, VARIANCE
from mpscnn.converters.coreml.file import MODEL, PACKAGE, files_of_package
from mpscnn.converters.coreml.photo_scaling import BIASED, SCALED
from mpscnn.converters.coreml_writer.compressed import PALETTE_BITS, with_halves, with_integers, with_palette
from mpscnn.converters.coreml_writer.detector import DetectorPostProcessing
from mpscnn.converters.coreml_writer.names import layer_names, name_operations
from mpscnn.converters.coreml_writer.operator import Operator
from mpscnn.converters.coreml_writer.operators import OPERATORS
from mpscnn.converters.coreml_writer.package import coremltools, quiet
from mpscnn.converters.coreml_writer.recurrent import resets_after
from mpscnn.converters.coreml_writer.segmenter import best_classes, described_segmenter, is_segmenter
from mpscnn.converters.layer_names import shown
from mpscnn.converters.onnx_writer.builder import OPSET
from mpscnn.converters.onnx_writer.export import built
from mpscnn.converters.unsupported import CHOOSE_SIZE, UnsupportedLayers
from mpscnn.errors import Error, ParameterError, UnsupportedError, WeightsError

if TYPE_CHECKING:
    from mpscnn.graph.network import Network

__all__ = ["SUFFIXES", "TARGETS", "export"]

SUFFIXES = (PACKAGE, MODEL)
"""The suffixes of the files that `export` writes."""
TARGETS = ("iOS13", "iOS14", "iOS15", "iOS16", "iOS17", "iOS18")
"""The minimum deployment targets. Each includes macOS and the other systems of the same year."""
Array = NDArray[Any]
_PROGRAMS, _COMPRESSED = "programs", "programs with compressed weights"
_NEWEST_NETWORK = "iOS14"
_OLDEST_PROGRAM, _OLDEST_COMPRESSED, _OLDEST_RESETTING_AFTER = "iOS15", "iOS16", "iOS18"


def export(
    network: Network,
    path: str | PathLike[str],
    *,
    size: tuple[int, int] | None = None,
    dtype: str = "float32",
    palette: int | None = None,
    target: str | None = None,
    preprocess: Mapping[str, Any] | None = None,
    labels: Sequence[str] | None = None,
    information: Mapping[str, str] | None = None,
) -> None:
    """Write a network as a Core ML model.

    Args:
        network: a network with all its weights.
        path: the folder (.mlpackage) or file (.mlmodel). An older file is replaced when the new one is complete.
        size: (height, width), required if the network leaves them free.
        dtype: the type of weights, and in programs also of intermediate results: "float32" or "float16". "uint8": the
            weights are 8-bit integers, and the results of programs float16.
        palette: the bits per weight (`PALETTE_BITS`) for palettization, which replaces weights by indices into a table;
            for packages only.
        target: the minimum deployment target, one of `TARGETS`; None: the oldest on which the model runs: iOS 15 for a
            package, iOS 16 for one with compressed weights, iOS 18 for one with a GRU that resets after the product,
            iOS 14 for a file. A file for a later system is the same as one for iOS 14.
        preprocess: the preprocessing of photos, with all keys (`mpscnn.preprocess`); the input is then an image. None:
            the input is an array.
        labels: the names of the classes, which make the model a classifier or a segmenter.
        information: "license", "author", ... of the model.

    Raises:
        UnsupportedError: coremltools is not installed, or Core ML cannot express a layer. WeightsError: weights are
            missing, or the file cannot be written. ParameterError: an unknown suffix, type or target.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in SUFFIXES:
        raise ParameterError(f"{path}: the name of a Core ML model ends in {PACKAGE} or {MODEL}")
    if dtype not in ("float32", "float16", "uint8"):
        raise ParameterError(
            f"{path}: Core ML models have weights of float32, float16 or uint8, not {dtype!r}"
        )
    if palette is not None:
        _check_palette(palette, dtype, kind, path)
    if any(None in tensor.shape[1:] for tensor in network.inputs) and size is None:
        raise UnsupportedError(
            f"{path}: a Core ML model has one size, and the network leaves its own free: {CHOOSE_SIZE}"
        )
    post_processing = None if network.detection is None else DetectorPostProcessing(network, size, str(path))
    if post_processing is not None:
        network = post_processing.network
        labels = None  # the pipeline gets the labels instead
    segmenter = labels if labels is not None and is_segmenter(network) else None
    if segmenter is not None:
        information = {**(information or {}), **described_segmenter(segmenter, network, str(path))}
        labels = None
    if labels is not None and len(network.outputs) != 1:
        raise UnsupportedError(f"{path}: a classifier has one output, the network has {len(network.outputs)}")
    tools = coremltools()
    builder = built(network, size=size, layout="nchw", uses_lrn=True)
    onnx_model = builder.model(_core.version())
    parts = {_PROGRAMS: _OLDEST_PROGRAM}
    if dtype == "uint8":
        parts[_COMPRESSED] = _OLDEST_COMPRESSED
    if palette is not None:
        parts["programs with a palette"] = _OLDEST_COMPRESSED
    if resets_after(onnx_model.graph):
        parts["programs with a GRU that resets after the product"] = _OLDEST_RESETTING_AFTER
    target = _target(kind, target, path, parts)
    with quiet():
        made = _Made(
            tools,
            onnx_model,
            str(path),
            preprocess,
            labels,
            _outputs_of(post_processing, are_classes=segmenter is not None),
            _OLDEST_RESETTING_AFTER if resets_after(onnx_model.graph) else None,
            _kept_layers(network),
            builder.activations,
            is_program=kind == PACKAGE,
        )
        model = _converted(tools, made, kind, target, dtype, str(path))
        model = _compressed(tools, model, kind, dtype, palette, str(path))
        name_operations(model._spec, made.kept, is_program=kind == PACKAGE)
        if post_processing is not None:
            model = post_processing.pipeline(tools, model)
    _describe(model, information)
    _save(model, path)


def _kept_layers(network: Network) -> set[str]:
    """Return the names of the layers that stay float32 in programs of float16, with those that compute positions."""
    graph = network.graph.copy()
    graph.keep_positions()
    return {node["name"] for node in json.loads(graph.to_json())["nodes"] if node.get("keep_float32")}


def _outputs_of(
    post_processing: DetectorPostProcessing | None, *, are_classes: bool
) -> Callable[[Any, Sequence[Any]], list[Any]] | None:
    """Return the function that computes the file's outputs from the network's. None: they are the same.

    With `are_classes` the outputs are the class numbers of pixels.
    """
    if are_classes:
        return best_classes
    return None if post_processing is None else post_processing.outputs


def _check_palette(palette: int, dtype: str, kind: str, path: Path) -> None:
    if palette not in PALETTE_BITS:
        raise ParameterError(f"{path}: a palette has {', '.join(map(str, PALETTE_BITS))} bits, not {palette}")
    if dtype == "uint8":
        raise ParameterError(f"{path}: weights are either integers (uint8) or places in a palette")
    if kind == MODEL:
        raise ParameterError(
            f"{path}: palettes are for packages: write {path.stem}{PACKAGE} for {_OLDEST_COMPRESSED} or later"
        )


def _target(kind: str, target: str | None, path: Path, parts: Mapping[str, str]) -> str:
    """Return the deployment target. `parts` has the oldest system of each part of a program."""
    if target is not None and target not in TARGETS:
        raise ParameterError(f"{path}: unknown target {target!r}; known: {', '.join(TARGETS)}")
    if kind == MODEL:
        # Neural networks have the same format on later systems, so a later target changes nothing.
        return min(target or _NEWEST_NETWORK, _NEWEST_NETWORK, key=TARGETS.index)
    what, oldest = max(parts.items(), key=lambda part: TARGETS.index(part[1]))
    if target is None:
        return oldest
    if TARGETS.index(target) < TARGETS.index(oldest):
        is_network_possible = what in (_PROGRAMS, _COMPRESSED)
        advice = f"write {path.stem}{MODEL} for {target}" if is_network_possible else "choose a later target"
        raise ParameterError(f"{path}: {what} run from {oldest} on: {advice}")
    return target


# ---- The program ---------------------------------------------------------------------------------------------------


class _Made:
    """Converts a network to a Core ML program, and describes its inputs."""

    def __init__(
        self,
        tools: Any,
        model: Any,
        origin: str,
        preprocess: Mapping[str, Any] | None,
        labels: Sequence[str] | None,
        post_processing: Callable[[Any, Sequence[Any]], list[Any]] | None,
        opset: str | None,
        kept: Set[str],
        activations: Mapping[str, str],
        *,
        is_program: bool,
    ) -> None:
        mil = tools.converters.mil.mil
        self._mb = mil.Builder
        self._names: set[str] = set()
        self.kept: set[str] = set()  # the names that operations keep in the file
        graph = model.graph
        self.inputs: list[Any] = []
        self.labels = labels
        self._is_program = is_program
        self._kept = kept
        self.float32: set[str] = set()  # the names of the operations of layers that stay in float32
        self._origin = origin
        shapes = {entry.name: self._shape(entry) for entry in graph.input}
        names = {name: self._free(name) for name in shapes}
        specs = {
            names[name]: mil.Builder.placeholder(shape, dtype=mil.types.fp32)
            for name, shape in shapes.items()
        }
        self.program = mil.Program()
        self._unsupported = UnsupportedLayers(origin)
        version = getattr(tools.target, opset) if opset is not None and is_program else None
        with mil.Function(specs, opset_version=version) as function:
            self._function = function
            self._values: dict[str, Any] = {name: function.inputs[names[name]] for name in shapes}
            for tensor in graph.initializer:
                self._values[tensor.name] = _numpy(tensor)
            for name, shape in shapes.items():
                self._input(tools, name, names[name], shape, preprocess if len(shapes) == 1 else None)
            self._layer_names = layer_names(graph, activations)
            for node in graph.node:
                self._add(node)
            if self._unsupported:
                raise self._unsupported.error()
            if post_processing is None:
                outputs = [self._output(entry.name) for entry in graph.output]
            else:
                values = [self._values[entry.name] for entry in graph.output]
                try:
                    outputs = post_processing(self._mb, values)
                except Error:
                    raise
                except Exception as error:  # coremltools has no exception classes of its own
                    raise UnsupportedError(
                        f"{origin}: coremltools does not take its outputs: {_first_line(error)}"
                    ) from error
            function.set_outputs(outputs)
        self.program.add_function("main", function)

    @staticmethod
    def _shape(entry: Any) -> tuple[int, ...]:
        return tuple(dim.dim_value or 1 for dim in entry.type.tensor_type.shape.dim)

    def _name_of(self, node: Any) -> str:
        layer = self._layer_names.get(node.output[0])
        return self._free(_PART) if layer is None else self._kept_name(layer)

    def _kept_name(self, name: str) -> str:
        """Return a unique name, with only the characters that Core ML allows, that is kept in the file."""
        free = self._free(name)
        self.kept.add(free)
        return free

    def _free(self, name: str) -> str:
        """Return a unique name with only the characters that Core ML allows."""
        stem = re.sub(r"[^A-Za-z0-9_]", "_", name) or "value"
        stem = f"_{stem}" if stem[0].isdigit() else stem
        free, count = stem, 1
        while free in self._names:
            count += 1
            free = f"{stem}_{count}"
        self._names.add(free)
        return free

    def _input(
        self, tools: Any, name: str, own: str, shape: tuple[int, ...], preprocess: Mapping[str, Any] | None
    ) -> None:
        """Add an input: an image if its preprocessing is known, otherwise an array."""
        if preprocess is None or len(shape) != 4 or shape[1] not in (1, 3):
            self.inputs.append(tools.TensorType(own, shape=shape))
            return
        order = str(preprocess.get("order", "rgb"))
        scales = np.broadcast_to(np.asarray(preprocess.get("scale", 1.0), np.float64), (shape[1],))
        means = np.broadcast_to(np.asarray(preprocess.get("mean", 0.0), np.float64), (shape[1],))
        if order == "bgr":  # preprocessing lists scales and means in the order RGB
            scales, means = scales[::-1], means[::-1]
        colours = {"rgb": "RGB", "bgr": "BGR", "gray": "GRAYSCALE"}
        settings: dict[str, Any] = {"color_layout": getattr(tools.colorlayout, colours[order])}
        if self._is_program:
            self._scale_photo(name, own, scales, means)
        elif np.all(scales == scales[0]):
            biases = 0.0 - means * scales
            settings["scale"] = float(scales[0])
            settings["bias"] = [float(bias) for bias in biases] if shape[1] == 3 else float(biases[0])
        else:  # a neural network has one scale for all channels
            self._values[name] = self._mb.batch_norm(
                x=self._values[name],
                gamma=scales.astype(np.float32),
                beta=(0.0 - means * scales).astype(np.float32),
                mean=np.zeros(shape[1], np.float32),
                variance=np.full(shape[1], VARIANCE, np.float32),
                epsilon=np.float32(EPSILON),
                name=self._kept_name(f"{own}{BIASED}"),
            )
        self.inputs.append(tools.ImageType(own, shape=shape, **settings))

    def _scale_photo(self, name: str, own: str, scales: Array, means: Array) -> None:
        """Add the operations that scale photos, because programs have no fields for preprocessing.

        The mean is subtracted before the scale is applied. coremltools would merge a scale and a bias after it into one
        batch normalization, which has an epsilon.
        """
        for kind, suffix, values in (("add", BIASED, 0.0 - means), ("mul", SCALED, scales)):
            if np.any(values != (kind == "mul")):
                made = self._kept_name(f"{own}{suffix}")
                self.float32.add(made)
                same = bool(np.all(values == values[0]))
                operand = np.float32(values[0]) if same else values.astype(np.float32).reshape(1, -1, 1, 1)
                self._values[name] = getattr(self._mb, kind)(x=self._values[name], y=operand, name=made)

    def _add(self, node: Any) -> None:
        import onnx

        attributes = {entry.name: onnx.helper.get_attribute_value(entry) for entry in node.attribute}
        missing = [name for name in node.input if name and name not in self._values]
        if missing:
            return  # an input comes from a layer that is not supported; the error names that layer
        inputs = [self._values[name] if name else None for name in node.input]
        if node.op_type == "Shape":
            counted = slice(attributes.get("start"), attributes.get("end"))
            self._values[node.output[0]] = np.asarray(self._values[node.input[0]].shape[counted], np.int64)
            return
        if all(value is None or isinstance(value, np.ndarray) for value in inputs):
            self._values[node.output[0]] = _folded(node, inputs)
            return

        def convert() -> None:
            handler = OPERATORS.get(node.op_type)
            if handler is None:
                raise UnsupportedError("Core ML has no such operation")
            operator = Operator(
                _WithNames(self._mb, lambda: self._free(_PART)),
                [_plain(value) for value in inputs],
                attributes,
                self._name_of(node),
                is_program=self._is_program,
            )
            count = len(self._function.operations)
            try:
                made = handler(operator)
                results = made if isinstance(made, list) else [made]
                self._values |= dict(zip(node.output, results, strict=False))
                if (node.doc_string or node.name) in self._kept:
                    self.float32 |= {one.name for one in list(self._function.operations)[count:]}
            except Error:
                raise
            except Exception as error:  # coremltools has no exception classes of its own
                raise UnsupportedError(f"coremltools does not take it: {_first_line(error)}") from error

        self._unsupported.attempt(node.op_type, node.name or node.output[0], convert, free_size=False)

    def _output(self, name: str) -> Any:
        value = self._values[name]
        if isinstance(value, np.ndarray):
            raise UnsupportedError(
                f"{self._origin}: its output {shown(name)} is a constant, which Core ML does not have"
            )
        own = self._kept_name(name) if name not in self._names else name
        if self.labels is not None and len(value.shape) == 2 and not _are_probabilities(value):
            return self._mb.softmax(x=value, axis=-1, name=self._kept_name(f"{own}_probabilities"))
        if value.op is None:
            return self._mb.identity(x=value, name=own)
        return value


class _WithNames:
    """coremltools' builder of programs, which gives a new name to each operation that is added without one.

    The names that coremltools would give could be those of layers.
    """

    def __init__(self, mb: Any, name: Callable[[], str]) -> None:
        self._mb = mb
        self._name = name

    def __getattr__(self, kind: str) -> Callable[..., Any]:
        add = getattr(self._mb, kind)
        return lambda **settings: add(**({} if "name" in settings else {"name": self._name()}), **settings)


_PART = "part"  # a temporary name for operations that get their names later


def _are_probabilities(value: Any) -> bool:
    """Return True if a value is the result of a softmax over all classes. Reshapes may follow the softmax."""
    classes = value.shape[-1]
    while value.op is not None and value.op.op_type in ("expand_dims", "identity", "reshape", "squeeze"):
        value = value.op.x
    if value.op is None:
        return True
    return bool(value.op.op_type == "softmax" and value.shape[value.op.axis.val] == classes)


def _numpy(tensor: Any) -> Any:
    import onnx

    return np.asarray(onnx.numpy_helper.to_array(tensor))


def _plain(value: Any) -> Any:
    """Convert int64 constants to int32, because Core ML has no int64. Larger numbers only mean the end of an axis."""
    if isinstance(value, np.ndarray) and value.dtype == np.int64:
        limits = np.iinfo(np.int32)
        return value.clip(limits.min, limits.max).astype(np.int32)
    return value


def _folded(node: Any, inputs: Sequence[Any]) -> Any:
    """Compute a node whose inputs are all constants."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    graph = onnx.helper.make_graph(
        [node],
        "constant",
        [onnx.ValueInfoProto(name=name) for name in node.input if name],
        [onnx.ValueInfoProto(name=name) for name in node.output],
    )
    given = {name: value for name, value in zip(node.input, inputs, strict=True) if name}
    results: Any = ReferenceEvaluator(graph, opsets={"": OPSET}).run(None, given)
    return np.asarray(results[0])


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


# ---- The model -----------------------------------------------------------------------------------------------------


def _converted(tools: Any, made: _Made, kind: str, target: str, dtype: str, origin: str) -> Any:
    settings: dict[str, Any] = {}
    if made.labels is not None:
        settings["classifier_config"] = tools.ClassifierConfig(list(made.labels))
    if kind == PACKAGE:
        halves = tools.transform.FP16ComputePrecision(op_selector=lambda op: op.name not in made.float32)
        settings["compute_precision"] = tools.precision.FLOAT32 if dtype == "float32" else halves
    try:
        model = tools.convert(
            made.program,
            source="milinternal",
            convert_to="mlprogram" if kind == PACKAGE else "neuralnetwork",
            inputs=made.inputs,
            minimum_deployment_target=getattr(tools.target, target),
            skip_model_load=True,
            **settings,
        )
    except Exception as error:  # coremltools has no exception classes of its own
        advice = f"; {PACKAGE}, for {_OLDEST_PROGRAM} or later, can express more" if kind == MODEL else ""
        raise UnsupportedError(
            f"{origin}: coremltools cannot write it: {_first_line(error)}{advice}"
        ) from error
    return model


def _compressed(tools: Any, model: Any, kind: str, dtype: str, palette: int | None, origin: str) -> Any:
    """Return the model with its weights compressed as `dtype` and `palette` say."""
    try:
        if palette is not None:
            return with_palette(tools, model, palette)
        if dtype == "uint8":
            return with_integers(tools, model, is_program=kind == PACKAGE)
        if kind == MODEL and dtype == "float16":
            return with_halves(tools, model)
    except UnsupportedError as error:
        raise UnsupportedError(f"{origin}: {error}") from error
    except Exception as error:  # coremltools has no exception classes of its own
        raise UnsupportedError(
            f"{origin}: coremltools cannot compress its weights: {_first_line(error)}"
        ) from error
    return model


def _describe(model: Any, information: Mapping[str, str] | None) -> None:
    """Set the metadata that the caller gives. Machine and date are removed, so that equal networks give equal files."""
    metadata = model._spec.description.metadata
    metadata.userDefined.clear()
    for key, value in (information or {}).items():
        field = {
            "author": "author",
            "license": "license",
            "description": "shortDescription",
            "version": "versionString",
        }.get(key)
        if field is None:
            metadata.userDefined[key] = value
        else:
            setattr(metadata, field, value)


def _save(model: Any, path: Path) -> None:
    """Write the files under a temporary name, and rename them when they are complete."""
    content = model._spec.SerializeToString(deterministic=True)
    if path.suffix.lower() == MODEL:
        with replacing(path, WeightsError) as file:
            file.write(content)
        return
    with (
        writing(path, WeightsError),
        tempfile.TemporaryDirectory(prefix=".mpscnn_", dir=path.parent) as folder,
    ):
        made = Path(folder) / path.name
        with quiet():
            model.save(str(made))
        inner = next(file for file in files_of_package(made) if file.suffix == MODEL)
        inner.write_bytes(content)
        _name_items(made)
        for inner in made.rglob("*"):  # coremltools makes files that only their owner may read
            inner.chmod(0o755 if inner.is_dir() else 0o644)
        if is_folder(path):
            shutil.rmtree(path)
        made.replace(path)


def _name_items(package: Path) -> None:
    """Rename the items of a package's manifest by numbers, because coremltools gives them random names."""
    manifest = package / "Manifest.json"
    listed = json.loads(manifest.read_text("utf-8"))
    root = listed["rootModelIdentifier"]
    entries = sorted(
        listed["itemInfoEntries"].items(), key=lambda entry: (entry[0] != root, entry[1]["path"])
    )
    listed["itemInfoEntries"] = {
        _IDENTIFIER.format(place): item for place, (_, item) in enumerate(entries, start=1)
    }
    listed["rootModelIdentifier"] = _IDENTIFIER.format(1)
    manifest.write_text(json.dumps(listed, indent=4) + "\n", "utf-8")


_IDENTIFIER = "00000000-0000-0000-0000-{:012d}"
