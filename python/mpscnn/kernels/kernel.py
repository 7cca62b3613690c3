"""Define the base of all raw kernels: properties and encoding."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn._private.arguments import whole_numbers
from mpscnn._private.other_names import ExplainedClass, lacking
from mpscnn.errors import Error, ParameterError, ShapeError, WeightsError
from mpscnn.kernels.apple_names import property_hint, with_argument_hints
from mpscnn.kernels.fields import BinaryKernelFields, KernelFields, PlacedKernelFields, UnaryKernelFields
from mpscnn.kernels.made_classes import TABLE
from mpscnn.kernels.properties import Kept, Property, Region
from mpscnn.runtime.commands import CommandBuffer
from mpscnn.runtime.feature_image import Image, ImageDescriptor, TemporaryImage

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from mpscnn.kernels.named import BinaryProperties, UnaryProperties

K = TypeVar("K", bound="Kernel")
_ALLOCATOR = "destination_image_allocator"  # the only property of a kernel that is not declared in its class
ImageAllocator = Callable[[CommandBuffer, ImageDescriptor], Image]


def allocate_image(_commands: CommandBuffer, descriptor: ImageDescriptor) -> Image:
    """Create an image that programs can read, as MPSImage.defaultAllocator. This is the default allocator."""
    return Image(descriptor)


def allocate_temporary_image(commands: CommandBuffer, descriptor: ImageDescriptor) -> Image:
    """Create a temporary image, as MPSTemporaryImage.defaultAllocator."""
    return TemporaryImage(commands, descriptor)


def require_type(kernel: str, value: object, expected: type) -> None:
    """Raise ParameterError for an argument of another class."""
    if not isinstance(value, expected):
        name = expected.__name__
        article = "an" if name[0] in "AEIOU" else "a"
        raise ParameterError(f"{kernel}: expected {article} {name}, got {type(value).__name__}")


class Kernel(KernelFields, metaclass=ExplainedClass):
    """A raw kernel, as MPSKernel: one of Apple's classes with its properties in snake_case.

    Properties are copied when the kernel is encoded, so it may be changed and encoded again. One thread at a time may
    use a kernel.
    """

    apple_class: ClassVar[str] = "MPSKernel"
    """The name of the corresponding Apple class."""

    _stated_by: ClassVar[str] = "comes from the descriptor or the arrays: set it there"
    """The end of the error about an argument whose value other arguments state."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.__name__ in TABLE:
            cls.apple_class = TABLE[cls.__name__]["apple"]
        for name, method in list(vars(cls).items()):
            if name.startswith("encode"):
                setattr(cls, name, with_argument_hints(method))

    def __new__(cls, *arguments: Any, **properties: Any) -> Self:
        """Reject a device, and unknown arguments by their names, before the constructor, whose error has no hint."""
        if arguments and isinstance(arguments[0], str) and arguments[0] in ("auto", "cpu", "gpu", "metal"):
            raise ParameterError(
                f"{cls.__name__}: got the device {arguments[0]!r}{property_hint('device', ())}"
            )
        if cls.__module__.startswith("mpscnn."):
            for name in properties:
                if name != _ALLOCATOR and not hasattr(cls, name):
                    known = inspect.signature(cls.__init__).parameters
                    if name not in known:
                        raise ParameterError(
                            f"{cls.__name__}: unknown property {name!r}{cls._hint(name, known)}"
                        )
        return super().__new__(cls)

    def __init__(self, stated: Mapping[str, Any] | None = None, /, **properties: Any) -> None:
        """Make the kernel. `stated` has the properties that a descriptor or an array states."""
        if stated is not None:
            if twice := next((name for name in properties if name in stated), ""):
                raise ParameterError(f"{type(self).__name__}: {twice!r} {self._stated_by}")
            properties = {**stated, **properties}
        allocator = properties.pop(_ALLOCATOR, allocate_image)
        self.destination_image_allocator: ImageAllocator = allocator
        kept = {name for name in properties if isinstance(getattr(type(self), name, None), Kept)}
        checked = {name: self._checked(name, value) for name, value in properties.items() if name not in kept}
        self._kernel = _core.Kernel(type(self).__name__, json.dumps(checked))
        for name in kept:
            setattr(self, name, properties[name])

    def __getstate__(self) -> dict[str, Any]:
        """Return properties and weights for `copy` and `pickle`. Encoded work stays with the original."""
        weights = {role: self._weight(role) for role, spec in self._weight_specs().items() if spec["set"]}
        others = {name: value for name, value in self.__dict__.items() if name != "_kernel"}
        return {"properties": self._kernel.properties(), "weights": weights, "others": others}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state["others"])
        self._kernel = _core.Kernel(type(self).__name__, state["properties"])
        for role, values in state["weights"].items():
            self._kernel.set_weight(role, values)

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name.startswith("_") or name == _ALLOCATOR or hasattr(type(self), name)):
            raise self._unknown(name)
        super().__setattr__(name, value)

    if not TYPE_CHECKING:  # hidden from type checkers, for which every attribute would be Any

        def __getattr__(self, name: str) -> Any:
            """Raise AttributeError with a hint. Python calls this method only for missing attributes."""
            if name.startswith("_"):
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            raise lacking(f"{type(self).__name__!r} object", name, self._hint(name))

    def _checked(self, name: str, value: Any) -> Any:
        found = getattr(type(self), name, None)
        if not isinstance(found, Property):
            raise self._unknown(name)
        return found.checked(type(self).__name__, value)

    def _unknown(self, name: str) -> ParameterError:
        return ParameterError(f"{type(self).__name__}: unknown property {name!r}{self._hint(name)}")

    @classmethod
    def _hint(cls, name: str, arguments: Iterable[str] = ()) -> str:
        public = [known for known in dir(cls) if not known.startswith("_")]
        return property_hint(name, [*arguments, *public])

    def _properties(self) -> dict[str, Any]:
        properties: dict[str, Any] = json.loads(self._kernel.properties())
        return properties

    def _set(self, changes: dict[str, Any]) -> None:
        self._kernel.set(json.dumps(changes))

    def _set_weight(self, role: str, value: Any, *, required: bool = True) -> None:
        """Set a weight. Its shape may differ from the expected one by extents of 1, or be one row of all elements."""
        if value is None and not required:
            return
        specs = self._weight_specs()
        if role not in specs:
            raise ParameterError(f"{type(self).__name__}: takes no {role}")
        shape = tuple(specs[role]["shape"])
        array = np.ascontiguousarray(value)
        if array.dtype not in (np.float16, np.float32):
            if array.dtype.kind not in "fiu":
                raise WeightsError(f"{type(self).__name__}: {role} must be numbers, got {array.dtype}")
            array = array.astype(np.float32)
        if not self._same_elements(role, array.shape, shape):
            raise WeightsError(
                f"{type(self).__name__}: {role} must have the shape {shape}, got {array.shape}"
            )
        self._kernel.set_weight(role, array.reshape(shape))

    def _same_elements(self, _role: str, given: Sequence[int], shape: Sequence[int]) -> bool:
        """Return True if arrays of both shapes certainly have the same elements in the same order."""
        if len(given) == 1:
            return given[0] == np.prod(shape, dtype=np.int64)
        return _without_ones(given) == _without_ones(shape)

    def _weight_specs(self) -> dict[str, dict[str, Any]]:
        return {spec["role"]: spec for spec in json.loads(self._kernel.weights())}

    def _weight(self, role: str) -> NDArray[Any] | None:
        """Return a copy of a weight; None if it is not set."""
        return self._kernel.weight(role) if self._weight_specs()[role]["set"] else None

    def _reload(self, values: Mapping[str, Any]) -> None:
        """Replace weights; None removes an optional one. If one of them raises an error, all stay unchanged."""
        before = {role: self._weight(role) for role in values}
        try:
            for role, value in values.items():
                self._replace_weight(role, value)
        except Error:
            for role, stored in before.items():
                if stored is None:
                    self._kernel.remove_weight(role)
                else:
                    self._kernel.set_weight(role, stored)
            raise

    def _replace_weight(self, role: str, value: Any) -> None:
        if value is None and not self._weight_specs()[role]["required"]:
            self._kernel.remove_weight(role)
        else:
            self._set_weight(role, value)

    def _encode(
        self,
        commands: CommandBuffer,
        sources: Sequence[Image],
        destination: Image | None,
        state: _core.BatchNormalizationState | None = None,
    ) -> Image:
        self._require_arguments(commands, [*sources, *([] if destination is None else [destination])])
        if destination is None:
            destination = self.destination_image_allocator(commands, self._destination_descriptor(sources))
        images = [source._image for source in sources]
        if state is None:
            self._kernel.encode(commands._commands, images, destination._image)
        else:
            self._kernel.encode_with_state(commands._commands, images, state, destination._image)
        return destination

    def _require_arguments(self, commands: CommandBuffer, images: Sequence[Image]) -> None:
        require_type(f"{type(self).__name__}.encode", commands, CommandBuffer)
        for image in images:
            require_type(f"{type(self).__name__}.encode", image, Image)

    def _encode_batch(
        self,
        commands: CommandBuffer,
        sources: Sequence[Sequence[Image]],
        destinations: Sequence[Image] | None,
        state: _core.BatchNormalizationState | None = None,
    ) -> list[Image]:
        """Encode the images of a batch one by one."""
        for batch in sources:
            self._require_batch(batch)
        lengths = {len(batch) for batch in [*sources, *([] if destinations is None else [destinations])]}
        if len(lengths) != 1:
            raise ShapeError(
                f"{type(self).__name__}.encode_batch: batches must have one length, got {sorted(lengths)}"
            )
        results = destinations if destinations is not None else [None] * lengths.pop()
        return [
            self._encode(commands, images, result, state)
            for *images, result in zip(*sources, results, strict=True)
        ]

    def _require_batch(self, images: Sequence[Image]) -> None:
        """Raise an error unless all images of a batch have one size and format, as MPSImageBatch requires."""
        if len({image.descriptor for image in images}) > 1 or any(i.number_of_images > 1 for i in images):
            raise ShapeError(
                f"{type(self).__name__}.encode_batch: the images of a batch must have one size and format and "
                "hold one image each"
            )

    def __call__(self, *_arguments: Any, **_named: Any) -> NoReturn:
        """Raise TypeError, which says how a kernel is used."""
        raise TypeError(
            f"{type(self).__name__}: a kernel is encoded into a command buffer: `with "
            "mpscnn.CommandQueue().command_buffer() as commands: result = kernel.encode(commands, image)`"
        )

    def _destination_descriptor(self, sources: Sequence[Image]) -> ImageDescriptor:
        return ImageDescriptor(*self._kernel.destination([source._image for source in sources]))

    def _source_region(self, width: int, height: int, source: int) -> Region:
        columns, rows = whole_numbers(f"{type(self).__name__}: width and height", [width, height])
        return self._kernel.source_region(columns, rows, source)

    def __repr__(self) -> str:
        label = f" {self.label!r}" if self.label else ""
        return f"<{type(self).__name__}{label}>"


class PlacedKernel(PlacedKernelFields, Kernel):
    """A kernel that may read and write parts of images."""


class UnaryKernel(UnaryKernelFields, PlacedKernel):
    """A kernel with one source image, as MPSCNNKernel."""

    apple_class = "MPSCNNKernel"

    if TYPE_CHECKING:

        def __init__(self, **properties: Unpack[UnaryProperties]) -> None: ...

    def encode(self, commands: CommandBuffer, source: Image, destination: Image | None = None) -> Image:
        """Append the kernel to a command buffer and return the destination.

        Without a destination, `destination_image_allocator` creates one. The padding policy then determines its size
        and `offset`.

        Raises:
            ShapeError, ParameterError: images and properties do not fit each other.
            StateError: the command buffer has been committed, or a temporary image has no reads left.
        """
        return self._encode(commands, [source], destination)

    def encode_batch(
        self, commands: CommandBuffer, sources: Sequence[Image], destinations: Sequence[Image] | None = None
    ) -> list[Image]:
        """Encode each image of a batch, and return the destinations."""
        return self._encode_batch(commands, [sources], destinations)

    def destination_image_descriptor(self, source: Image) -> ImageDescriptor:
        """Return the size and format of the destination that the padding policy gives for a source.

        Like Apple's method, it also sets `offset`.
        """
        return self._destination_descriptor([source])

    def source_region(self, width: int, height: int) -> Region:
        """Return (x, y, z, width, height, depth) of the source pixels that a destination of this size needs.

        They may extend outside of the source. Raises UnsupportedError for kernels that always read the whole source.
        """
        return self._source_region(width, height, 0)


class BinaryKernel(BinaryKernelFields, PlacedKernel):
    """A kernel with two source images, as MPSCNNBinaryKernel."""

    apple_class = "MPSCNNBinaryKernel"

    if TYPE_CHECKING:

        def __init__(self, **properties: Unpack[BinaryProperties]) -> None: ...

    def encode(
        self, commands: CommandBuffer, primary: Image, secondary: Image, destination: Image | None = None
    ) -> Image:
        """Append the kernel to a command buffer and return the destination. See `UnaryKernel.encode`."""
        return self._encode(commands, [primary, secondary], destination)

    def encode_batch(
        self,
        commands: CommandBuffer,
        primary: Sequence[Image],
        secondary: Sequence[Image],
        destinations: Sequence[Image] | None = None,
    ) -> list[Image]:
        """Encode each pair of images of two batches, and return the destinations."""
        return self._encode_batch(commands, [primary, secondary], destinations)

    def destination_image_descriptor(self, primary: Image, secondary: Image) -> ImageDescriptor:
        """Return the size and format of the destination that the padding policy gives for two sources.

        Like Apple's method, it also sets the offsets.
        """
        return self._destination_descriptor([primary, secondary])

    def primary_source_region(self, width: int, height: int) -> Region:
        """Return (x, y, z, width, height, depth) of the primary source's pixels. See `UnaryKernel.source_region`."""
        return self._source_region(width, height, 0)

    def secondary_source_region(self, width: int, height: int) -> Region:
        """Return (x, y, z, width, height, depth) of the secondary source's pixels. See `UnaryKernel.source_region`."""
        return self._source_region(width, height, 1)


def _without_ones(shape: Sequence[int]) -> list[int]:
    return [extent for extent in shape if extent != 1]
