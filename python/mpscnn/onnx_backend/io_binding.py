"""onnxruntime's values and bindings of inputs and outputs, for `mpscnn.onnxruntime`."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mpscnn._private.names import did_you_mean, shown_names
from mpscnn._private.other_names import Expected
from mpscnn.errors import ParameterError, StateError, UnsupportedError

#: Names of element types in onnxruntime that are not NumPy's.
_TYPES = {"float32": "float", "float64": "double"}
_MAX_EXTENT = 2**31 - 1
_SPARSE = "values are dense arrays, and sparse tensors are not supported"


def type_text(dtype: np.dtype[Any]) -> str:
    """Return onnxruntime's name of a tensor's type, such as "tensor(float)"."""
    return f"tensor({_TYPES.get(dtype.name, dtype.name)})"


class OrtValue(Expected):
    """An array with the methods of onnxruntime's class. It shares the memory of a contiguous array."""

    def __init__(self, array: NDArray[Any]) -> None:
        self._array = np.ascontiguousarray(array).reshape(np.shape(array))

    @staticmethod
    def ortvalue_from_numpy(numpy_obj: Any, device_type: str = "cpu", device_id: int = 0) -> OrtValue:
        """Return a value with an array's memory, or with a copy if the array is not contiguous."""
        _require_cpu(device_type, device_id)
        if not isinstance(numpy_obj, np.ndarray):
            raise ParameterError(f"OrtValue: expected an array, got {type(numpy_obj).__name__}")
        return OrtValue(numpy_obj)

    @staticmethod
    def ortvalue_from_shape_and_type(
        shape: Sequence[int], element_type: DTypeLike, device_type: str = "cpu", device_id: int = 0
    ) -> OrtValue:
        """Return a value with new memory, filled with zeros. Raises ParameterError for a wrong shape or type."""
        _require_cpu(device_type, device_id)
        return OrtValue(np.zeros(_extents(shape), _element_type(element_type)))

    @staticmethod
    def ortvalue_from_numpy_with_onnx_type(data: NDArray[Any], onnx_element_type: int) -> OrtValue:
        """Return a value of ONNX' element type with this number. Raises ParameterError for another array."""
        value = OrtValue.ortvalue_from_numpy(data)
        if value.element_type() != onnx_element_type:
            raise ParameterError(
                f"OrtValue: the array of {data.dtype} has ONNX' element type {value.element_type()}, "
                f"not {onnx_element_type!r}"
            )
        return value

    @staticmethod
    def from_dlpack(data: Any) -> OrtValue:
        """Return a value with the memory of a tensor of another framework, which must be in the CPU's memory."""
        return OrtValue(np.from_dlpack(data))

    @staticmethod
    def ort_value_from_sparse_tensor(sparse_tensor: Any) -> OrtValue:
        """Refuse sparse tensors. Raises UnsupportedError."""
        raise UnsupportedError(f"OrtValue: {_SPARSE}, got {type(sparse_tensor).__name__}")

    def as_sparse_tensor(self) -> NoReturn:
        """Refuse sparse tensors. Raises UnsupportedError."""
        raise UnsupportedError(f"OrtValue: {_SPARSE}; numpy() returns the array")

    def __dlpack__(self, *, stream: Any = None) -> Any:
        """Return the array for `numpy.from_dlpack` and other frameworks. They share the memory."""
        return self._array.__dlpack__(stream=stream)

    def __dlpack_device__(self) -> tuple[int, int]:
        """Return the CPU's device of DLPack."""
        kind, number = self._array.__dlpack_device__()
        return int(kind), int(number)

    def numpy(self) -> NDArray[Any]:
        """Return the array. It shares the value's memory."""
        return self._array

    def update_inplace(self, np_arr: NDArray[Any]) -> None:
        """Copy an array of the same shape and type into the memory."""
        fill_array("OrtValue", self._array, np_arr)

    def data_ptr(self) -> int:
        """Return the address of the memory."""
        return self._array.ctypes.data

    def shape(self) -> list[int]:
        """Return the extents."""
        return list(self._array.shape)

    def data_type(self) -> str:
        """Return the type, such as "tensor(float)"."""
        return type_text(self._array.dtype)

    def element_type(self) -> int:
        """Return ONNX' number of the element type."""
        import onnx

        return int(onnx.helper.np_dtype_to_tensor_dtype(self._array.dtype))

    def tensor_size_in_bytes(self) -> int:
        """Return the number of bytes."""
        return self._array.nbytes

    def device_name(self) -> str:
        """Return "cpu"."""
        return "cpu"

    def has_value(self) -> bool:
        """Return True."""
        return True

    def is_tensor(self) -> bool:
        """Return True."""
        return True

    def is_tensor_sequence(self) -> bool:
        """Return False."""
        return False

    def is_sparse_tensor(self) -> bool:
        """Return False."""
        return False


class IOBinding(Expected):
    """Arrays for the inputs and outputs of runs, with the methods of onnxruntime's class.

    Args:
        inputs: the names of the session's inputs.
        outputs: the names of its outputs.
    """

    def __init__(self, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        self._known = {"input": inputs, "output": outputs}
        self._inputs: dict[str, NDArray[Any]] = {}
        self._outputs: dict[str, NDArray[Any] | None] = {}
        self._results: list[OrtValue] | None = None

    def bind_cpu_input(self, name: str, arr_on_cpu: NDArray[Any]) -> None:
        """Take an array as an input. Runs read it, so it may change between them."""
        self._inputs[self._checked("input", name)] = arr_on_cpu

    def bind_ortvalue_input(self, name: str, ortvalue: OrtValue) -> None:
        """Take a value as an input."""
        self.bind_cpu_input(name, ortvalue.numpy())

    def bind_input(
        self,
        name: str,
        device_type: str,
        device_id: int,
        element_type: DTypeLike,
        shape: Sequence[int],
        buffer_ptr: int,
    ) -> None:
        """Take the memory at an address as an input. It must stay there until the input is bound again.

        Raises ParameterError for an unknown name, another device than "cpu", or a wrong type, shape or address.
        """
        _require_cpu(device_type, device_id)
        self.bind_cpu_input(name, _array_at(buffer_ptr, element_type, shape))

    def bind_output(
        self,
        name: str,
        device_type: str = "cpu",
        device_id: int = 0,
        element_type: DTypeLike | None = None,
        shape: Sequence[int] | None = None,
        buffer_ptr: int | None = None,
    ) -> None:
        """Ask for an output: in new memory for each run, or in the memory at an address.

        Raises ParameterError for an unknown name, another device than "cpu", or a wrong type, shape or address.
        """
        _require_cpu(device_type, device_id)
        if buffer_ptr is not None:
            self._outputs[self._checked("output", name)] = _array_at(buffer_ptr, element_type, shape)
        else:
            self._outputs[self._checked("output", name)] = None

    def bind_ortvalue_output(self, name: str, ortvalue: OrtValue) -> None:
        """Let runs write an output into a value."""
        self._outputs[self._checked("output", name)] = ortvalue.numpy()

    def synchronize_inputs(self) -> None:
        """Change nothing: inputs are in the memory of the CPU."""

    def synchronize_outputs(self) -> None:
        """Change nothing: a run ends when its outputs are there."""

    def get_outputs(self) -> list[OrtValue]:
        """Return the outputs of the last run, in the order of their binding. Raises StateError before the first run."""
        if self._results is None:
            raise StateError(
                "IOBinding has no outputs yet; session.run_with_iobinding(binding) computes them"
            )
        return self._results

    def get_outputs_as_ortvaluevector(self) -> list[OrtValue]:
        """Return the same as `get_outputs`: onnxruntime's vector of values is a list here."""
        return self.get_outputs()

    def copy_outputs_to_cpu(self) -> list[NDArray[Any]]:
        """Return copies of the outputs of the last run. Raises StateError before the first run."""
        return [value.numpy().copy() for value in self.get_outputs()]

    def clear_binding_inputs(self) -> None:
        """Forget the inputs."""
        self._inputs.clear()

    def clear_binding_outputs(self) -> None:
        """Forget the outputs."""
        self._outputs.clear()
        self._results = None

    def run(self, compute: Callable[[Sequence[str], Mapping[str, Any]], list[NDArray[Any]]]) -> None:
        """Compute the bound outputs from the bound inputs by `InferenceSession.run`."""
        if not self._outputs:
            raise ParameterError(
                "run_with_iobinding: no output is bound; binding.bind_output(name) asks for one"
            )
        results = compute(list(self._outputs), self._inputs)
        made = []
        for (name, bound), result in zip(self._outputs.items(), results, strict=True):
            if bound is not None:
                fill_array(f"output {name!r}", bound, result)
            made.append(OrtValue(result if bound is None else bound))
        self._results = made

    def _checked(self, kind: str, name: str) -> str:
        known = self._known[kind]
        if name not in known:
            raise ParameterError(
                f"IOBinding: there is no {kind} {name!r}{did_you_mean(str(name), known)}; "
                f"{kind}s are {shown_names(known)}"
            )
        return name


def fill_array(what: str, target: NDArray[Any], values: Any) -> None:
    """Copy values into an array. Raises ParameterError unless shape and type are equal."""
    given = np.asarray(values)
    if (given.shape, given.dtype) != (target.shape, target.dtype):
        raise ParameterError(
            f"{what}: the memory is of {target.dtype} in the shape {target.shape}, the values are of {given.dtype} in "
            f"{given.shape}"
        )
    target[...] = given


def _require_cpu(device_type: str, device_id: int) -> None:
    if (device_type, device_id) != ("cpu", 0):
        raise ParameterError(
            f"values are in the memory of the CPU, which is device 'cpu' 0, got {device_type!r} {device_id!r}"
        )


def _extents(shape: Any) -> tuple[int, ...]:
    """Return a shape of whole numbers. Raises ParameterError for anything else."""
    extents = tuple(shape) if isinstance(shape, (list, tuple)) else None
    if extents is None or not all(
        isinstance(one, (int, np.integer)) and 0 <= one <= _MAX_EXTENT for one in extents
    ):
        raise ParameterError(f"shape must be whole numbers, got {shape!r}")
    return tuple(int(one) for one in extents)


def _element_type(given: DTypeLike | None) -> np.dtype[Any]:
    """Return a type of numbers. Raises ParameterError for anything else, also for None."""
    try:
        dtype = np.dtype(given) if given is not None else None
    except TypeError:
        dtype = None
    if dtype is None or dtype.kind not in "biuf":
        raise ParameterError(
            f"element_type must be a NumPy type of numbers, such as numpy.float32, got {given!r}"
        )
    return dtype


def _array_at(address: Any, element_type: DTypeLike | None, shape: Any) -> NDArray[Any]:
    """Return an array of the memory at an address."""
    dtype, extents = _element_type(element_type), _extents(shape)
    if not isinstance(address, int) or address <= 0:
        raise ParameterError(f"buffer_ptr must be an address, got {address!r}")
    memory: Any = (ctypes.c_uint8 * (dtype.itemsize * math.prod(extents))).from_address(address)
    array: NDArray[Any] = np.frombuffer(memory, dtype)
    return array.reshape(extents)
