"""Run kernels that users write in Metal's shading language."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn._private.arguments import whole_numbers
from mpscnn.errors import DeviceError, ParameterError
from mpscnn.kernels.kernel import require_type
from mpscnn.runtime.commands import CommandBuffer
from mpscnn.runtime.feature_image import Image

# NumPy's types and those of the shading language. Python's numbers, and NumPy's 64-bit numbers, which the language
# lacks, are converted to the declared type.
_TYPES = {
    np.dtype(np.bool_): "bool",
    np.dtype(np.int8): "char",
    np.dtype(np.uint8): "uchar",
    np.dtype(np.int16): "short",
    np.dtype(np.uint16): "ushort",
    np.dtype(np.int32): "int",
    np.dtype(np.uint32): "uint",
    np.dtype(np.float16): "half",
    np.dtype(np.float32): "float",
}
_DTYPES = {name: dtype for dtype, name in _TYPES.items()}


@dataclass(frozen=True)
class MetalParameter:
    """A parameter of a kernel function, for which `MetalKernel.encode` takes an argument.

    Attributes:
        kind: "image" or "buffer".
        name: the name in the source.
        index: n of `[[texture(n)]]` or `[[buffer(n)]]`.
        written: whether the function may write to it.
        array: for images: whether it is a texture2d_array.
        element: for buffers: "float", "half", "int", ...; "" for structs.
        bytes: for buffers: the size of the type to which it refers.
    """

    kind: str
    name: str
    index: int
    written: bool
    array: bool
    element: str
    bytes: int


class MetalKernel:
    """Your own kernel function in Metal's shading language, which runs between other kernels on a Metal device.

        blur = mpscnn.kernels.MetalKernel(source, "blur", constants={"radius": 2})
        with mpscnn.CommandQueue("metal").command_buffer() as commands:
            blur.encode(commands, image, result)

    The constructor compiles the source, for version 2.3 of the language and without fast math. Living kernels with the
    same source, function, constants and device share the compiled form. A kernel is immutable, and several threads may
    use it.

    Args:
        source: the source with `#include <metal_stdlib>`; other files cannot be included.
        function: a `kernel void` in it. Parameters are images (texture2d and texture2d_array of float or half) and
            buffers (pointers and references, device or constant). Declare threadgroup memory and samplers in its body.
        constants: the values of function constants by name: numbers and booleans, or sequences of two to four for
            vectors. Python's numbers are converted to the constant's type if they fit. NumPy's scalars and arrays
            (except float64 and int64) must have that type.
        device: "metal", or another name of a Metal device in `mpscnn.devices`. The kernel runs only on its queues.

    Raises:
        ParameterError: the source does not compile (with the compiler's message), or has no such function or
            constant; a constant is missing or has another type.
        UnsupportedError: a parameter is neither image nor buffer, or the device is the CPU.
        DeviceError: there is no Metal device, or it failed.
    """

    def __init__(
        self, source: str, function: str, *, constants: Mapping[str, Any] | None = None, device: str = "metal"
    ) -> None:
        if not isinstance(constants, (Mapping, type(None))):
            raise ParameterError(
                f"MetalKernel: constants must be a mapping of names to values, got {constants!r}"
            )
        values = {
            _text("name of a constant", name): _constant(name, value)
            for name, value in (constants or {}).items()
        }
        self._given = source, function, constants, device
        try:
            self._kernel = _core.CustomKernel(
                _text("source", source),
                _text("function", function),
                json.dumps(values),
                _text("device", device),
            )
        except DeviceError:
            reasons = [
                entry.get("reason")
                for entry in json.loads(_core.devices())
                if entry["name"].startswith("metal")
            ]
            if not reasons or None in reasons:
                raise  # the device exists, but failed
            # The engine would advise to use the CPU, which is not possible here.
            raise DeviceError(
                f"MetalKernel: {function!r} is in Metal's language: {reasons[0]}; the CPU engine runs no such "
                "kernels: compute it there from layers (mpscnn.Network) or the other classes of mpscnn.kernels"
            ) from None
        self._description: dict[str, Any] = json.loads(self._kernel.description())

    def __copy__(self) -> MetalKernel:
        """Return the kernel itself, because it is immutable."""
        return self

    def __deepcopy__(self, _memo: Any) -> MetalKernel:
        """Return the kernel itself, because it is immutable."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the source. Unpickling compiles it again."""
        return _compiled, self._given

    @property
    def function(self) -> str:
        """The function's name."""
        return str(self._description["function"])

    @property
    def parameters(self) -> tuple[MetalParameter, ...]:
        """The parameters that the compiler reports: images, then buffers, each by index."""
        fields = MetalParameter.__dataclass_fields__
        return tuple(
            MetalParameter(**{name: entry[name] for name in fields})
            for entry in self._description["parameters"]
        )

    @property
    def max_total_threads_per_threadgroup(self) -> int:
        """The largest number of threads in a threadgroup of this kernel, from MTLComputePipelineState."""
        return int(self._description["max_threads"])

    @property
    def thread_execution_width(self) -> int:
        """The number of threads that run in step, from MTLComputePipelineState."""
        return int(self._description["thread_execution_width"])

    def encode(
        self,
        commands: CommandBuffer,
        *arguments: Image | NDArray[Any] | float | bool,
        grid: Sequence[int] | int | None = None,
        threadgroup: Sequence[int] | int | None = None,
        **named: Image | NDArray[Any] | float | bool,
    ) -> None:
        """Append the kernel to a command buffer.

        Args:
            commands: a command buffer of the same Metal device.
            arguments: images for the function's textures, arrays and numbers for its buffers, in the order of their
                indices.
            named: arguments by the names of parameters.
            grid: the threads: (width, height, depth), (width, height) or width. By default there is one for each pixel
                of each slice of the last image that is written. The grid is rounded up to whole threadgroups, so the
                function must return if its position is outside.
            threadgroup: the threads of a threadgroup, in the same form. None: chosen for the device.

        An image of at most four feature channels is a texture2d. With more channels, or with several images, it is a
        texture2d_array: slice s of image i is at i * slices + s. Places without a channel are not stored. "float16"
        images hold halves, "unorm" formats numbers from 0 to 1, and others floats. Pixels that the function does not
        write keep their values.

        Arrays have no gaps, and must not change until the command buffer is completed. Then those that the function
        writes hold its results. The GPU uses arrays of `mpscnn.empty` in place; others are copied. A number becomes an
        array of one element with the parameter's type.

        Raises:
            ParameterError: the arguments do not fit the parameters (float64 never does, because the language lacks it),
                or the grid or threadgroup is not possible.
            ShapeError: an image is another kind of texture than declared.
            StateError: the command buffer has been committed, or a temporary image has no reads left.
            UnsupportedError: the queue is not Metal's.
            DeviceError: the queue belongs to another device.
        """
        what = f"kernel {self.function!r}"
        require_type(f"MetalKernel.encode of {what}", commands, CommandBuffer)
        unnamed = [p for p in self.parameters if p.kind == "buffer" and p.name not in named]
        by_name = {p.name: p for p in self.parameters}
        images: list[tuple[str, _core.FeatureImage]] = []
        arrays: list[tuple[str, NDArray[Any]]] = []
        for name, value in [*(("", value) for value in arguments), *named.items()]:
            if isinstance(value, Image):
                images.append((name, value._image))
                continue
            parameter = by_name.get(name) if name else next(iter(unnamed[len(arrays) :]), None)
            arrays.append((name, _array(what, value, parameter)))
        self._kernel.encode(
            commands._commands,
            images,
            arrays,
            _size(f"{what}: grid", grid),
            _size(f"{what}: threadgroup", threadgroup),
        )

    def __repr__(self) -> str:
        return f"<MetalKernel {self.function!r}>"


def _text(what: str, value: object) -> str:
    """Return a text without zero characters, which the core would cut off there."""
    if not isinstance(value, str):
        raise ParameterError(f"MetalKernel: {what} must be text, got {type(value).__name__}")
    if "\0" in value:
        raise ParameterError(f"MetalKernel: {what} contains a zero character")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ParameterError(f"MetalKernel: {what} is not valid text: {error}") from None
    return value


def _without_equal(dtype: np.dtype[Any]) -> np.dtype[Any] | None:
    """Return the first type within a dtype that the shading language lacks."""
    base = dtype.base
    if base.fields is not None:
        parts = (_without_equal(field[0]) for field in base.fields.values())
        return next((part for part in parts if part is not None), None)
    return None if base in _TYPES or base.kind in "iuV" else base


def _require_element(what: str, array: NDArray[Any], parameter: MetalParameter | None) -> None:
    """Raise ParameterError for numbers that no struct can hold. The core compares named types."""
    if parameter is None or parameter.element:
        return
    if (lacking := _without_equal(array.dtype)) is not None:
        raise ParameterError(
            f"{what}: buffer {parameter.index} {parameter.name!r} is a struct, and the shading language has no "
            f"{lacking}"
        )


def _array(what: str, value: Any, parameter: MetalParameter | None) -> NDArray[Any]:
    """Return an array without a copy, or a number as an array of one element."""
    if isinstance(value, np.ndarray):
        _require_element(what, value, parameter)
        if not value.flags.c_contiguous or not value.dtype.isnative:
            raise ParameterError(f"{what}: arrays must be C-contiguous and of native byte order; pass a copy")
        return value
    if not isinstance(value, (bool, int, float, np.generic)):
        raise ParameterError(
            f"{what}: expected an Image, a numpy array or a number, got {type(value).__name__}"
        )
    array = np.asarray(value)
    if isinstance(value, np.generic) and array.dtype in _TYPES:
        return array
    dtype = None if parameter is None else _DTYPES.get(parameter.element)
    if parameter is None or dtype is None:
        raise ParameterError(f"{what}: {value!r} has no type here; pass a numpy scalar or array")
    typed = array.astype(dtype)
    if dtype.kind != "f" and typed != array:
        raise ParameterError(f"{what}: {value!r} is not of type {parameter.element}")
    return typed


def _constant(name: str, value: Any) -> Any:
    """Return a constant for the core: a JSON value, and its type if NumPy defines one."""
    try:
        array = np.asarray(value)
    except ValueError:  # sequences of unequal lengths
        array = np.asarray(None)
    if array.dtype.kind not in "biuf" or array.ndim > 1:
        raise ParameterError(f"function constant {name!r}: expected numbers or booleans, got {value!r}")
    if not np.all(np.isfinite(array)):
        raise ParameterError(f"function constant {name!r}: must be finite, got {value!r}")
    plain = array.tolist()
    if not isinstance(value, (np.generic, np.ndarray)) or array.dtype not in _TYPES:
        return plain
    components = array.size if array.ndim == 1 else 1
    return {"type": _TYPES[array.dtype] + (str(components) if components > 1 else ""), "value": plain}


def _size(what: str, given: Sequence[int] | int | None) -> tuple[int, ...] | None:
    """Return width, height and depth; missing ones are 1."""
    if given is None:
        return None
    extents = whole_numbers(what, [given] if isinstance(given, (int, np.integer)) else given)
    if not 1 <= len(extents) <= 3:
        raise ParameterError(f"{what} must be (width, height, depth), got {given!r}")
    if max(extents) >= 1 << 31:
        raise ParameterError(f"{what} must be at most 2147483647, got {given!r}")
    return (*extents, *[1] * (3 - len(extents)))


def _compiled(source: str, function: str, constants: Mapping[str, Any] | None, device: str) -> MetalKernel:
    return MetalKernel(source, function, constants=constants, device=device)
