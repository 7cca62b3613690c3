"""Run TensorFlow Lite files with LiteRT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mpscnn.comparison.trace import ACTIVATION, Array, Steps, Trace, Value, mark_inner_values
from mpscnn.errors import UnsupportedError, WeightsError

_ACTIVATIONS = [
    "ELU",
    "GELU",
    "HARD_SWISH",
    "LEAKY_RELU",
    "LOGISTIC",
    "PRELU",
    "RELU",
    "RELU6",
    "RELU_N1_TO_1",
    "TANH",
]
_KINDS = {
    "ADD": "add",
    "AVERAGE_POOL_2D": "pooling",
    "CONCATENATION": "concatenation",
    "CONV_2D": "convolution",
    "DEPTHWISE_CONV_2D": "convolution",
    "DIV": "divide",
    "FULLY_CONNECTED": "dense",
    "MAX_POOL_2D": "pooling",
    "MEAN": "reduction",
    "MUL": "multiply",
    "PAD": "padding",
    "RESIZE_BILINEAR": "resize",
    "RESIZE_NEAREST_NEIGHBOR": "resize",
    "SOFTMAX": "softmax",
    "SUB": "subtract",
    "TRANSPOSE_CONV": "transposed_convolution",
    **dict.fromkeys(_ACTIVATIONS, ACTIVATION),
}
_MOVING = {
    "DEQUANTIZE",
    "EXPAND_DIMS",
    "GATHER",
    "PACK",
    "QUANTIZE",
    "RESHAPE",
    "SHAPE",
    "SLICE",
    "SPLIT",
    "SQUEEZE",
    "STRIDED_SLICE",
}
# The custom operator of detectors, as in converters/reading/tflite/detection.py, which would take long to import here.
_DETECTION = "TFLite_Detection_PostProcess"


class LitertEngine:
    """A TensorFlow Lite file, run by LiteRT. Integers are converted to the numbers that they represent.

    For a detector, the results are boxes and scores before the suppression.

    Args:
        name: the name of the file.
        content: its bytes.
        quick: use LiteRT's fast kernels, without fusing operators, instead of the reference kernels.
        heads: the names of a detector's outputs, if mpscnn has written the file.
    """

    def __init__(self, name: str, content: bytes, *, quick: bool = False, heads: Sequence[str] = ()) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        kernels = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES if quick else OpResolverType.BUILTIN_REF
        try:
            self._interpreter = Interpreter(
                None,
                model_content=content,
                experimental_op_resolver_type=kernels,
                experimental_preserve_all_tensors=True,
            )
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise WeightsError(f"{name}: LiteRT cannot read it: {error}") from error
        self._heads = list(heads)
        self._details = self._interpreter.get_input_details()
        self.title = f"{name} (LiteRT)"
        self.precision = "int8" if self._computes_in_integers() else "float32"
        self.inputs = {entry["name"]: _shape(entry) for entry in self._details}
        integers = [entry for entry in self._details if np.dtype(entry["dtype"]).kind in "iu"]
        self.steps = {entry["name"]: _steps(entry) for entry in integers}

    def _computes_in_integers(self) -> bool:
        """Return True if an input is not in float32, or if an operator computes with quantised integers.

        Weights that are stored in integers and dequantised before they are used do not count.
        """
        integers = {
            entry["index"]
            for entry in self._interpreter.get_tensor_details()
            if len(entry["quantization_parameters"]["scales"]) and np.dtype(entry["dtype"]).kind in "iu"
        }
        return any(entry["dtype"] != np.float32 for entry in self._details) or any(
            not integers.isdisjoint([*operator["inputs"], *operator["outputs"]])
            for operator in self._interpreter._get_ops_details()
            if operator["op_name"] != "DEQUANTIZE"
        )

    def trace(self, inputs: Sequence[Array]) -> Trace:
        """Run the network once, and return the results of all layers."""
        interpreter = self._interpreter
        for entry, array in zip(self._details, inputs, strict=True):
            interpreter.resize_tensor_input(entry["index"], array.shape)
        interpreter.allocate_tensors()
        for entry, array in zip(self._details, inputs, strict=True):
            interpreter.set_tensor(entry["index"], _quantised(entry, array))
        interpreter.invoke()
        tensors = {entry["index"]: entry for entry in interpreter.get_tensor_details()}
        names = _unique_names(tensors)
        outputs = [entry["index"] for entry in interpreter.get_output_details()]
        operators = interpreter._get_ops_details()
        if operators and operators[-1]["op_name"] == _DETECTION:
            read = [int(index) for index in operators.pop()["inputs"][:2]]
            own = [next(i for i in names if names[i] == name) for name in self._heads]
            outputs = own or read
        values, inputs_of = [], {}
        for operator in operators:
            index, kind = operator["outputs"][0], operator["op_name"]
            if kind in _MOVING and index not in outputs:
                continue
            array = _real(tensors[index], interpreter.get_tensor(index))
            values.append(Value(names[index], _KINDS.get(kind, ""), array))
            inputs_of[names[index]] = [names[i] for i in operator["inputs"] if i >= 0]
        results = tuple(names[index] for index in outputs)
        return Trace(mark_inner_values(values, inputs_of, results), results)


def _shape(entry: Any) -> tuple[int | None, ...]:
    if entry["dtype"] not in (np.float32, np.uint8, np.int8, np.int16):
        raise UnsupportedError(f"input {entry['name']!r} has the type {np.dtype(entry['dtype']).name}")
    signature = entry.get("shape_signature", entry["shape"])
    extents = signature if len(signature) else entry["shape"]
    return (None, *(None if extent < 0 else int(extent) for extent in extents[1:]))


def _steps(entry: Any) -> Steps:
    info = np.iinfo(entry["dtype"])
    scale, zero_point = entry["quantization"]
    return Steps(((info.min - zero_point) * (scale or 1.0),), (scale or 1.0,), info.max - info.min)


def _unique_names(tensors: dict[int, Any]) -> dict[int, str]:
    taken: dict[str, int] = {}
    for index, entry in tensors.items():
        taken.setdefault(entry["name"], index)
    return {
        index: entry["name"] if taken[entry["name"]] == index else f"{entry['name']}#{index}"
        for index, entry in tensors.items()
    }


def _quantised(entry: Any, array: Array) -> Any:
    dtype = np.dtype(entry["dtype"])
    if dtype.kind == "f":
        return array
    scale, zero_point = entry["quantization"]
    info = np.iinfo(dtype)
    return np.clip(np.rint(array / (scale or 1.0)) + zero_point, info.min, info.max).astype(dtype)


def _real(entry: Any, stored: Any) -> Array:
    found: Array = np.asarray(stored, np.float32)
    if np.dtype(stored.dtype).kind in "iu" and entry["quantization"][0]:
        scale, zero_point = entry["quantization"]
        found = ((stored.astype(np.float64) - zero_point) * scale).astype(np.float32)
    return found
