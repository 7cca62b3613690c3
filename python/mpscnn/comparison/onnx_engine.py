"""Run ONNX models with onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mpscnn.comparison.exact_integers import opened_exactly
from mpscnn.comparison.trace import (
    ACTIVATION,
    NORMALIZATION,
    Array,
    Steps,
    Trace,
    Value,
    channels_first,
    channels_last,
    mark_inner_values,
)
from mpscnn.converters.reading.onnx.needed_nodes import needed_places
from mpscnn.errors import UnsupportedError, WeightsError

_ACTIVATIONS = (
    *("Clip", "Elu", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "PRelu"),
    *("Relu", "Sigmoid", "Softplus", "Softsign", "Swish", "Tanh"),
)
_KINDS = {
    "Add": "add",
    "AveragePool": "pooling",
    "BatchNormalization": NORMALIZATION,
    "Concat": "concatenation",
    "Conv": "convolution",
    "ConvTranspose": "transposed_convolution",
    "Div": "divide",
    "Gemm": "dense",
    "GlobalAveragePool": "pooling",
    "GlobalMaxPool": "pooling",
    "MatMul": "dense",
    "MaxPool": "pooling",
    "Mul": "multiply",
    "Pad": "padding",
    "ReduceMean": "reduction",
    "Resize": "resize",
    "Softmax": "softmax",
    "Sub": "subtract",
    "Upsample": "resize",
    **dict.fromkeys(_ACTIVATIONS, ACTIVATION),
}
# Operators that only move or select elements of their inputs, or compute shapes.
_MOVING = {
    "Cast",
    "Constant",
    "ConstantOfShape",
    "Dropout",
    "Expand",
    "Flatten",
    "Gather",
    "Identity",
    "Reshape",
    "Shape",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
}
# NumPy's types by the numbers of ONNX's types.
_DTYPES = {1: np.float32, 10: np.float16}


class OnnxEngine:
    """An ONNX model, run by onnxruntime on the CPU without optimisations, because these would remove layers.

    Args:
        model: an `onnx.ModelProto`; its images are (n, channels, height, width) unless `shapes` show another order.
        name: the name for tables.
        outputs: tensors to stop at; empty: the model's outputs.
        shapes: the shapes of the other side's inputs, as in `Value.array`. They show whether an input of the file has
            the same order, or is a row of pixels (n, channels, width).
    """

    steps: ClassVar[dict[str, Steps]] = {}

    def __init__(
        self,
        model: Any,
        name: str,
        outputs: Sequence[str] = (),
        shapes: Mapping[str, tuple[int | None, ...]] | None = None,
    ) -> None:
        self._model = _ending_at(model, outputs or [entry.name for entry in model.graph.output])
        self.title = f"{name} (onnxruntime)"
        constants = {constant.name for constant in model.graph.initializer}
        given = [entry for entry in model.graph.input if entry.name not in constants]
        others = list((shapes or {}).values())
        if len(others) != len(given):
            others = [()] * len(given)
        self.inputs = {}
        self._orders = []
        for entry, other in zip(given, others, strict=True):
            self._orders.append(_order(_extents(entry), other))
            self.inputs[entry.name] = self._orders[-1].shape
        self._dtypes = {entry.name: _DTYPES[entry.type.tensor_type.elem_type] for entry in given}
        is_half = np.float16 in self._dtypes.values() or _computes_in_half(model.graph)
        self.precision = "float16" if is_half else "float32"
        if any(node.op_type == "QuantizeLinear" for node in model.graph.node):
            self.precision = "int8"

    def trace(self, inputs: Sequence[Array]) -> Trace:
        """Run the network once, and return the results of all layers."""
        import onnx

        graph = self._model.graph
        outputs = [entry.name for entry in graph.output]
        nodes = [node for node in graph.node if node.op_type not in _MOVING or node.output[0] in outputs]
        watched = onnx.ModelProto()
        watched.CopyFrom(self._model)
        for name in (name for node in nodes for name in node.output):
            if name and name not in outputs:
                watched.graph.output.append(onnx.ValueInfoProto(name=name))
        try:
            session = exact_session(watched.SerializeToString())
            names = [entry.name for entry in watched.graph.output]
            given = {
                name: order.to_file(array).astype(dtype)
                for (name, dtype), array, order in zip(
                    self._dtypes.items(), inputs, self._orders, strict=True
                )
            }
            results = dict(zip(names, session.run(names, given), strict=True))
        except Exception as error:  # the exceptions of onnxruntime have no common base
            raise WeightsError(f"{self.title}: onnxruntime cannot run it: {error}") from error
        # If an image input of the file is NHWC, the results of transpositions that are outputs are NHWC, too.
        kept = any(order.to_file is _as_it_is and len(order.shape) == 4 for order in self._orders)
        as_is = {node.output[0] for node in nodes if kept and node.op_type == "Transpose"}
        values = [
            Value(
                node.output[0],
                _KINDS.get(node.op_type, ""),
                (_as_it_is if node.output[0] in as_is else channels_last)(results[node.output[0]]),
                aliases=frozenset({node.name} - {""}),
            )
            for node in nodes
            if node.output[0] and (results[node.output[0]].dtype.kind == "f" or node.output[0] in outputs)
        ]
        inputs_of = {node.output[0]: list(node.input) for node in nodes}
        return Trace(mark_inner_values(values, inputs_of, outputs), tuple(outputs))


def exact_session(model: bytes | str, *, threads: int = 0) -> Any:
    """Open an ONNX model in onnxruntime on the CPU, so that it computes as the file says.

    By default, onnxruntime fuses layers between roundings, and computes them with integers. On x86-64 processors
    without VNNI, it adds pairs of products of integers in 16 bits, which saturate, so whole layers are wrong. Operators
    that multiply integers would do so even without optimisations, so their weights are given in another form.

    Args:
        model: the content of the file, or its path.
        threads: the number of threads; 0: as many as onnxruntime chooses.

    Raises ImportError without onnx or onnxruntime, and onnxruntime's own exceptions for a model that it cannot run.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(opened_exactly(model), options, providers=["CPUExecutionProvider"])


def _ending_at(model: Any, outputs: Sequence[str]) -> Any:
    """Return the model with these outputs, and only the nodes that they need. It is a copy if it differs."""
    import onnx

    nodes = list(model.graph.node)
    needed = needed_places(nodes, outputs, lambda attribute: bool(attribute.HasField("g")))
    known = {entry.name: entry for entry in model.graph.output}
    if len(needed) == len(nodes) and list(known) == list(outputs):
        return model
    result = onnx.ModelProto()
    result.CopyFrom(model)
    del result.graph.node[:], result.graph.output[:]
    result.graph.node.extend(nodes[place] for place in needed)
    result.graph.output.extend(known.get(name) or onnx.ValueInfoProto(name=name) for name in outputs)
    return result


def _extents(entry: Any) -> tuple[int | None, ...]:
    """Return the extents of a file's input; None for a free extent."""
    kind = entry.type.tensor_type
    if kind.elem_type not in _DTYPES:
        raise UnsupportedError(f"input {entry.name!r} is neither float32 nor float16")
    return tuple(axis.dim_value or None for axis in kind.shape.dim)


@dataclass(frozen=True)
class _Order:
    """The shape of an input in the order of axes of `Value.array`, and the conversion to the file's order."""

    shape: tuple[int | None, ...]
    to_file: Callable[[Array], Array]


def _order(extents: tuple[int | None, ...], other: tuple[int | None, ...]) -> _Order:
    if len(extents) == 3 and len(other) == 4 and other[1:] == (1, extents[2], extents[1]):
        return _Order((extents[0], *other[1:]), _row)
    if len(extents) != 4:
        return _Order(extents, _as_it_is)
    shape = (extents[0], *extents[2:], extents[1])
    if shape[1:] != other[1:] and extents[1:] == other[1:]:
        return _Order(extents, _as_it_is)
    return _Order(shape, channels_first)


def _as_it_is(array: NDArray[np.generic]) -> Array:
    return np.ascontiguousarray(array, np.float32)


def _row(array: Array) -> Array:
    return np.ascontiguousarray(np.moveaxis(array[:, 0], -1, 1))


def _computes_in_half(graph: Any) -> bool:
    """Return True if nodes of a graph compute in float16. Weights that are cast before they are used do not count."""
    import onnx

    half = onnx.TensorProto.FLOAT16
    stored = {tensor.name for tensor in graph.initializer if tensor.data_type == half}
    return any(
        any(attribute.name == "to" and attribute.i == half for attribute in node.attribute)
        if node.op_type == "Cast"
        else not stored.isdisjoint(node.input)
        for node in graph.node
    )
