"""Kernels that users write in Metal's shading language."""

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

# numpy's types and the shading language's. Python's own numbers, and numpy's of 64 bits, which the language lacks, take
# the type that a constant or parameter is declared with.
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
    """A parameter of a kernel function that `MetalKernel.encode` gives an argument.

    Attributes:
        kind: "image" or "buffer".
        name: in the source.
        index: n of `[[texture(n)]]` or `[[buffer(n)]]`.
        written: whether the function may write to it.
        array: of an image: whether it is a texture2d_array.
        element: of a buffer: "float", "half", "int", ...; "" for structs.
        bytes: of a buffer: size of what it refers to.
    """

    kind: str
    name: str
    index: int
    written: bool
    array: bool
    element: str
    bytes: int


class MetalKernel:
    """A kernel function of the user's in Metal's shading language, between other kernels on a Metal device.

        blur = mpscnn.kernels.MetalKernel(source, "blur", constants={"radius": 2})
        with mpscnn.CommandQueue("metal").command_buffer() as commands:
            blur.encode(commands, image, result)

    The constructor compiles the source, for version 2.3 of the language and without fast math; the same source,
    function
    and constants are compiled once for all kernels of a device that are alive. Immutable and safe to use from several
    threads.

    Args:
        source: with `#include <metal_stdlib>`; other files cannot be included.
        function: a `kernel void` in it. Parameters are images (texture2d and texture2d_array of float or half) and
            buffers (pointers and references, device or constant); threadgroup memory and samplers are declared in its
            body.
        constants: values of its function constants by name: numbers and booleans, or sequences of two to four for
            vectors. Python's take the type of the constant, if they fit it; numpy's scalars and arrays (but float64
            and int64) must have it.
        device: "metal", or another name of a Metal device that `mpscnn.devices` lists; kernels run on its queues
            only.

    Raises:
        ParameterError: the source does not compile (with the compiler's message), or has no such function or
            constant; a constant is missing or of another type. UnsupportedError: a parameter is neither image nor
            buffer, or the device is the CPU. DeviceError: there is no Metal device, or it failed.
    """

    def __init__(
        self,
        source: str,
        function: str,
        *,
        constants: Mapping[str, Any] | None = None,
        device: str = "metal",
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
            reasons = [entry.get("reason") for entry in json.loads(_core.devices()) if entry["name"] != "cpu"]
            if not reasons or None in reasons:
                raise  # a device that is there has failed
            # The engine's advice to use the CPU is of no help here.
            raise DeviceError(
                f"MetalKernel: {function!r} is in Metal's language: {reasons[0]}; the CPU engine runs no such "
                "kernels: compute it there from layers (mpscnn.Network) or the other classes of mpscnn.kernels"
            ) from None
        self._description: dict[str, Any] = json.loads(self._kernel.description())

    def __copy__(self) -> MetalKernel:
        """Itself: it never changes."""
        return self

    def __deepcopy__(self, _memo: Any) -> MetalKernel:
        """Itself."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Compiled again where it is unpickled."""
        return _compiled, self._given

    @property
    def function(self) -> str:
        """The function's name."""
        return str(self._description["function"])

    @property
    def parameters(self) -> tuple[MetalParameter, ...]:
        """The parameters of the function by the compiler's reflection: images, then buffers, each by their indices."""
        fields = MetalParameter.__dataclass_fields__
        return tuple(
            MetalParameter(**{name: entry[name] for name in fields})
            for entry in self._description["parameters"]
        )

    @property
    def max_total_threads_per_threadgroup(self) -> int:
        """As MTLComputePipelineState's."""
        return int(self._description["max_threads"])

    @property
    def thread_execution_width(self) -> int:
        """Threads that run in step, as MTLComputePipelineState's."""
        return int(self._description["thread_execution_width"])

    def encode(
        self,
        commands: CommandBuffer,
        *arguments: Image | NDArray[Any] | float | bool,
        grid: Sequence[int] | int | None = None,
        threadgroup: Sequence[int] | int | None = None,
        **named: Image | NDArray[Any] | float | bool,
    ) -> None:
        """Append the kernel to a command buffer; it runs when its turn comes.

        Args:
            commands: of a queue of the same Metal device.
            arguments: images go to the function's textures, arrays and numbers to its buffers, in order of their
                indices.
            named: the same by the names of parameters.
            grid: threads, (width, height, depth), (width, height) or width. Without it there is one for each pixel of
                each slice of the last image that is written. It is rounded up to whole threadgroups, so the function
                must return where its position lies outside.
            threadgroup: threads of a threadgroup, in the same form. None: chosen for the device.

        An image of at most four feature channels is a texture2d; one of more channels, or several images, are a
        texture2d_array: slice s of image i is at i * slices + s. Lanes without a channel are not kept. "float16" images
        hold halves, all others floats, "unorm" formats numbers of 0 to 1. Pixels that the function does not write keep
        what they hold.

        Arrays lie without gaps and must not change until the command buffer is completed; then those that the function
        writes hold its results. The GPU uses arrays of `mpscnn.empty` in place; others are copied. A
        number becomes an array of one element of the parameter's type.

        Raises:
            ParameterError: arguments do not go with the parameters (an array of float64 never does: the language has no
                such type), grid or threadgroup is not possible.
            ShapeError: an image is another kind of texture than declared. StateError: the command buffer has been
            committed, or a temporary image is used up. UnsupportedError: the queue is not Metal's.
            DeviceError: it is another device's.
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
    """Text that the core takes whole."""
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
    """Return the first type in a dtype that the shading language has no type for."""
    base = dtype.base
    if base.fields is not None:
        parts = (_without_equal(field[0]) for field in base.fields.values())
        return next((part for part in parts if part is not None), None)
    return None if base in _TYPES or base.kind in "iuV" else base


def _require_element(what: str, array: NDArray[Any], parameter: MetalParameter | None) -> None:
    """That a struct gets no numbers which none can hold; the core compares what has a name."""
    if parameter is None or parameter.element:
        return
    if (lacking := _without_equal(array.dtype)) is not None:
        raise ParameterError(
            f"{what}: buffer {parameter.index} {parameter.name!r} is a struct, and the shading language has no "
            f"{lacking}"
        )


def _array(what: str, value: Any, parameter: MetalParameter | None) -> NDArray[Any]:
    """Return an array as it lies, or a number as one element."""
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
    """As the core takes it: a JSON value, with a type if numpy gives one."""
    try:
        array = np.asarray(value)
    except ValueError:  # of no regular shape
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
    """Width, height and depth; those that are not given are 1."""
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
