"""Convert the ONNX graph of a network to a Core ML program, operator by operator."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.layer_names import LayerNames, quote_name
from mpscnn.converters.opening.unsupported import OTHER_FORMAT, UnsupportedLayers
from mpscnn.converters.reading.coreml.photo_scaling import BIASED, SCALED
from mpscnn.converters.values.affine import EPSILON, VARIANCE
from mpscnn.converters.writing.coreml.names import layer_names, result_names
from mpscnn.converters.writing.coreml.operator import Operator
from mpscnn.converters.writing.coreml.operators import OPERATORS
from mpscnn.converters.writing.coreml.probabilities import Probabilities
from mpscnn.converters.writing.onnx.builder import OPSET
from mpscnn.errors import Error, UnsupportedError

Array = NDArray[Any]
_PART = "part"  # a temporary name for operations that get their names later


class ProgramBuilder:
    """Converts a network to a Core ML program, and describes its inputs."""

    def __init__(
        self,
        tools: Any,
        model: Any,
        origin: str,
        preprocess: Mapping[str, Any] | None,
        probabilities: Probabilities | None,
        post_processing: Callable[[Any, Sequence[Any]], list[Any]] | None,
        opset: str | None,
        kept: Set[str],
        activations: Mapping[str, str],
        *,
        is_program: bool,
        sets_apart: bool = False,
    ) -> None:
        """Convert a network.

        With `sets_apart`, each output after the first has an operation of its own, which coremltools keeps. Otherwise
        equal outputs get one name.
        """
        mil = tools.converters.mil.mil
        self._mb = mil.Builder
        self._names = LayerNames()
        self.kept: set[str] = set()  # the names that operations keep in the file
        graph = model.graph
        self.inputs: list[Any] = []
        self._probabilities = probabilities
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
        self._unsupported = UnsupportedLayers(origin, advice=OTHER_FORMAT)
        version = getattr(tools.target, opset) if opset is not None and is_program else None
        with mil.Function(specs, opset_version=version) as function:
            self._function = function
            self._values: dict[str, Any] = {name: function.inputs[names[name]] for name in shapes}
            for tensor in graph.initializer:
                self._values[tensor.name] = _numpy(tensor)
            for name, shape in shapes.items():
                self._input(tools, name, names[name], shape, preprocess if len(shapes) == 1 else None)
            self._layer_names = layer_names(graph, activations)
            self._results = result_names(graph)
            self._first_output, self._sets_apart = graph.output[0].name, sets_apart
            self._given_names: dict[str, str] = {}  # the names of operations by the results of the ONNX graph
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
                        f"{origin}: coremltools does not take its outputs: {first_line(error)}"
                    ) from error
            function.set_outputs(outputs)
        self.program.add_function("main", function)

    @staticmethod
    def _shape(entry: Any) -> tuple[int, ...]:
        return tuple(dim.dim_value or 1 for dim in entry.type.tensor_type.shape.dim)

    def _name_of(self, node: Any) -> str:
        layer = self._layer_names.get(node.output[0])
        if layer is None:
            return self._free(_PART)
        self._given_names[node.output[0]] = made = self._kept_name(layer)
        return made

    def _kept_name(self, name: str) -> str:
        """Return a unique name, with only the characters that Core ML allows, that is kept in the file."""
        free = self._free(name)
        self.kept.add(free)
        return free

    def _free(self, name: str) -> str:
        """Return a unique name with only the characters that Core ML allows."""
        stem = re.sub(r"[^A-Za-z0-9_]", "_", name) or "value"
        return self._names.unique(f"_{stem}" if stem[0].isdigit() else stem)

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
            self._values[node.output[0]] = folded(node, inputs)
            return
        if node.op_type == "Identity" and node.input[0] in self._results:
            self._values[node.output[0]] = inputs[0]
            self._given_names[node.output[0]] = self._given_names[node.input[0]]
            return

        def convert() -> None:
            write = OPERATORS.get(node.op_type)
            if write is None:
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
                made = write(operator)
                results = made if isinstance(made, list) else [made]
                self._values |= dict(zip(node.output, results, strict=False))
                if (node.doc_string or node.name) in self._kept:
                    self.float32 |= {one.name for one in list(self._function.operations)[count:]}
            except Error:
                raise
            except Exception as error:  # coremltools has no exception classes of its own
                raise UnsupportedError(f"coremltools does not take it: {first_line(error)}") from error

        self._unsupported.attempt(node.op_type, node.name or node.output[0], convert, free_size=False)

    def _output(self, name: str) -> Any:
        value = self._values[name]
        if isinstance(value, np.ndarray):
            raise UnsupportedError(
                f"{self._origin}: its output {quote_name(name)} is a constant, which Core ML does not have"
            )
        own = self._given_names.get(name) or self._kept_name(name)
        if self._sets_apart and name != self._first_output:
            return self._mb.maximum(x=value, y=value, name=self._kept_name(own))
        if self._probabilities is not None and self._probabilities.are_added:
            mb = _WithNames(self._mb, lambda: self._free(_PART))
            return self._probabilities.added(mb, value, self._kept_name(f"{own}_probabilities"))
        if value.name == own:
            return value
        if any(operation.name == own for operation in self._function.operations):
            own = self._kept_name(own)
        return self._mb.identity(x=value, name=own)


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


def _numpy(tensor: Any) -> Any:
    import onnx

    return np.asarray(onnx.numpy_helper.to_array(tensor))


def _plain(value: Any) -> Any:
    """Convert int64 constants to int32, because Core ML has no int64. Larger numbers only mean the end of an axis."""
    if isinstance(value, np.ndarray) and value.dtype == np.int64:
        limits = np.iinfo(np.int32)
        return value.clip(limits.min, limits.max).astype(np.int32)
    return value


def folded(node: Any, inputs: Sequence[Any]) -> Any:
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


def first_line(error: Exception) -> str:
    """Return the first line of an error's text, or the name of its class if it has none, for a message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
