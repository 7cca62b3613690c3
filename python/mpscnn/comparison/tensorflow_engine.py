"""Run graphs of TensorFlow with TensorFlow's library for C (`tensorflow/c/c_api.h`), which its package has.

The import of the package takes several processor seconds, for much that no graph needs. Its library alone starts in a
part of a second.
"""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from mpscnn.comparison.trace import Array, Steps, Trace, Value
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.opening.wire.encode import encode_fields
from mpscnn.errors import UnsupportedError, WeightsError

_POINTER, _SIZE, _INT = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int


class _Output(ctypes.Structure):
    """A result of an operator: TF_Output."""

    _fields_: ClassVar = [("operator", _POINTER), ("index", _INT)]


_OUTPUTS = ctypes.POINTER(_Output)
_POINTERS = ctypes.POINTER(_POINTER)
#: The functions that are called: the type of the result, and those of the parameters.
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "TF_NewStatus": (_POINTER, []),
    "TF_GetCode": (_INT, [_POINTER]),
    "TF_Message": (ctypes.c_char_p, [_POINTER]),
    "TF_NewBufferFromString": (_POINTER, [ctypes.c_char_p, _SIZE]),
    "TF_NewGraph": (_POINTER, []),
    "TF_NewImportGraphDefOptions": (_POINTER, []),
    "TF_GraphImportGraphDef": (None, [_POINTER, _POINTER, _POINTER, _POINTER]),
    "TF_GraphOperationByName": (_POINTER, [_POINTER, ctypes.c_char_p]),
    "TF_OperationOutputType": (_INT, [_Output]),
    "TF_NewSessionOptions": (_POINTER, []),
    "TF_SetConfig": (None, [_POINTER, ctypes.c_char_p, _SIZE, _POINTER]),
    "TF_NewSession": (_POINTER, [_POINTER, _POINTER, _POINTER]),
    "TF_SessionRun": (
        None,
        [
            *(_POINTER, _POINTER, _OUTPUTS, _POINTERS, _INT, _OUTPUTS, _POINTERS, _INT),
            *(_POINTER, _INT, _POINTER, _POINTER),
        ],
    ),
    "TF_AllocateTensor": (_POINTER, [_INT, ctypes.POINTER(ctypes.c_int64), _INT, _SIZE]),
    "TF_TensorType": (_INT, [_POINTER]),
    "TF_NumDims": (_INT, [_POINTER]),
    "TF_Dim": (ctypes.c_int64, [_POINTER, _INT]),
    "TF_TensorByteSize": (_SIZE, [_POINTER]),
    "TF_TensorData": (_POINTER, [_POINTER]),
}
#: TF_DataType, by its numbers.
_TYPES = {
    1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 9: "int64", 10: "bool", 17: "uint16",
    19: "float16", 22: "uint32", 23: "uint64",
}  # fmt: skip
#: A ConfigProto without GPUs: a process that is confined cannot open one.
_ON_THE_CPU = b"\x0a\x07\x0a\x03GPU\x10\x00"


class _GraphError(Exception):
    """TensorFlow refuses a graph, or cannot run it."""


class TensorflowEngine:
    """A graph, run by TensorFlow. Its trace has only the outputs.

    Args:
        name: the name of the file.
        content: the bytes of a GraphDef without variables and functions.
        inputs: the shapes of the inputs by the names that users see; None for a free extent. The graph has their
            placeholders in this order.
        places: the names of the placeholders in the graph.
        outputs: the names of the outputs in the graph, such as "y:0".

    Raises:
        WeightsError: TensorFlow cannot read the graph. UnsupportedError: an input of integers.
    """

    precision = "float32"
    steps: ClassVar[dict[str, Steps]] = {}

    def __init__(
        self,
        name: str,
        content: bytes,
        inputs: Mapping[str, tuple[int | None, ...]],
        places: Sequence[str],
        outputs: Sequence[str],
    ) -> None:
        self.inputs = dict(inputs)
        self.title = f"{name} (TensorFlow)"
        self._outputs = outputs
        tensors = [f"{place}:0" for place in places]
        try:
            self._graph = TensorflowGraph(content)
            self._types = {tensor: np.dtype(self._graph.type_of(tensor)) for tensor in tensors}
        except _GraphError as error:
            raise WeightsError(f"{name}: TensorFlow cannot read it: {error}") from error
        for own, dtype in zip(self.inputs, self._types.values(), strict=True):
            if dtype.kind != "f":
                raise UnsupportedError(
                    f"{name}: input {quote_name(own)} has the type {dtype.name}; compared are networks of floats"
                )

    def trace(self, inputs: Sequence[Array]) -> Trace:
        """Run the network once, and return its outputs. Raises WeightsError if TensorFlow cannot run it."""
        given = [
            (tensor, array.astype(dtype))
            for (tensor, dtype), array in zip(self._types.items(), inputs, strict=True)
        ]
        try:
            computed = self._graph.run(given, self._outputs)
        except _GraphError as error:
            raise WeightsError(f"{self.title}: TensorFlow cannot run it: {error}") from error
        values = tuple(
            Value(f"output {number}", "", array.astype(np.float32)) for number, array in enumerate(computed)
        )
        return Trace(values, tuple(value.name for value in values))


def _library() -> ctypes.CDLL:
    """Return the library with the types of its functions. Raises UnsupportedError if the package has none."""
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or spec.origin is None:
        raise UnsupportedError("tensorflow is not installed: pip install tensorflow")
    # Windows' package has the same functions in another library. Processes are not confined there.
    found = sorted(Path(spec.origin).parent.glob("libtensorflow_cc.*"))
    if not found:
        raise UnsupportedError("the installed package of tensorflow has no library for C (libtensorflow_cc)")
    library = ctypes.CDLL(str(found[0]))
    for name, (result, parameters) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, parameters
    return library


class TensorflowGraph:
    """A graph that TensorFlow runs on the CPU. The process ends after it, so nothing is freed.

    Args:
        content: the bytes of a GraphDef.

    Raises _GraphError if TensorFlow cannot read the graph, UnsupportedError for a package without the library.
    """

    def __init__(self, content: bytes) -> None:
        self._calls = library = _library()
        self._status = library.TF_NewStatus()
        self._graph = library.TF_NewGraph()
        held = library.TF_NewBufferFromString(content, len(content))
        library.TF_GraphImportGraphDef(self._graph, held, library.TF_NewImportGraphDefOptions(), self._status)
        self._check()
        options = library.TF_NewSessionOptions()
        library.TF_SetConfig(options, _ON_THE_CPU, len(_ON_THE_CPU), self._status)
        self._session = library.TF_NewSession(self._graph, options, self._status)
        self._check()

    def type_of(self, tensor: str) -> str:
        """Return the type of a tensor such as "y:0", with NumPy's name. Raises _GraphError if there is none."""
        number = self._calls.TF_OperationOutputType(self._output(tensor))
        if number not in _TYPES:
            raise _GraphError(f"{tensor} has the type {number}, which has no numbers of NumPy")
        return _TYPES[number]

    def run(self, inputs: Sequence[tuple[str, NDArray[Any]]], outputs: Sequence[str]) -> list[NDArray[Any]]:
        """Return the values of some tensors for values of others, which have the types of the tensors.

        Raises _GraphError if TensorFlow cannot run the graph.
        """
        given = (_Output * len(inputs))(*(self._output(name) for name, _ in inputs))
        values = (_POINTER * len(inputs))(*(self._tensor(array) for _, array in inputs))
        wanted = (_Output * len(outputs))(*map(self._output, outputs))
        results = (_POINTER * len(outputs))()
        sizes = len(inputs), len(outputs)
        self._calls.TF_SessionRun(
            *(self._session, None, given, values, sizes[0], wanted, results, sizes[1]),
            *(None, 0, None, self._status),
        )
        self._check()
        return [self._array(cast(int, pointer)) for pointer in results]

    def _check(self) -> None:
        if self._calls.TF_GetCode(self._status) != 0:
            raise _GraphError(self._calls.TF_Message(self._status).decode("utf-8", "replace"))

    def _output(self, tensor: str) -> _Output:
        name, _, index = tensor.rpartition(":")
        operator = self._calls.TF_GraphOperationByName(self._graph, name.encode())
        if operator is None:
            raise _GraphError(f"it has no operator {name}")
        return _Output(operator, int(index))

    def _tensor(self, array: NDArray[Any]) -> int:
        """Return a copy of an array as a tensor."""
        number = next(key for key, name in _TYPES.items() if name == array.dtype.name)
        extents = (ctypes.c_int64 * array.ndim)(*array.shape)
        made: int = self._calls.TF_AllocateTensor(number, extents, array.ndim, array.nbytes)
        content = np.ascontiguousarray(array)
        ctypes.memmove(self._calls.TF_TensorData(made), content.ctypes.data, content.nbytes)
        return made

    def _array(self, tensor: int) -> NDArray[Any]:
        """Return a copy of a tensor as an array."""
        library = self._calls
        number = library.TF_TensorType(tensor)
        if number not in _TYPES:
            raise _GraphError(f"a result has the type {number}, which has no numbers of NumPy")
        shape = [library.TF_Dim(tensor, axis) for axis in range(library.TF_NumDims(tensor))]
        size = library.TF_TensorByteSize(tensor)
        content = ctypes.string_at(library.TF_TensorData(tensor), size) if size else b""
        return np.frombuffer(content, _TYPES[number]).reshape(shape)


def relu_graph() -> TensorflowGraph:
    """Return a graph that computes "y" of "x", to let TensorFlow start its threads."""
    float32 = encode_fields({6: 1})
    x = {1: "x", 2: "Placeholder", 5: encode_fields({1: "dtype", 2: float32})}
    y = {1: "y", 2: "Relu", 3: "x", 5: encode_fields({1: "T", 2: float32})}
    return TensorflowGraph(encode_fields({1: [encode_fields(x), encode_fields(y)]}))
