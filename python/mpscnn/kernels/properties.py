"""Define typed properties of raw kernels. The core stores their values and checks ranges."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from mpscnn.errors import ParameterError
from mpscnn.graph.padding import DefaultPadding, PaddingMethod

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T")


class PropertyOwner:
    """The part of a kernel that properties need."""

    def __init__(self, **properties: Any) -> None:
        """Make the core's kernel with properties."""
        raise NotImplementedError

    def _properties(self) -> dict[str, Any]:
        """Return the values that the core has, by name."""
        raise NotImplementedError

    def _set(self, changes: dict[str, Any]) -> None:
        """Set values in the core, by name."""
        raise NotImplementedError


class Property(Generic[T]):
    """A property of a kernel: reading gets it from the core, and assigning checks the type and sets it."""

    expected = ""

    def __init__(self, doc: str = "") -> None:
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, kernel: None, owner: type) -> Self: ...
    @overload
    def __get__(self, kernel: PropertyOwner, owner: type) -> T: ...
    def __get__(self, kernel: PropertyOwner | None, owner: type) -> Self | T:
        if kernel is None:
            return self
        return self._from_core(kernel._properties()[self.name])

    def __set__(self, kernel: PropertyOwner, value: T) -> None:
        kernel._set({self.name: self.checked(type(kernel).__name__, value)})

    def checked(self, kernel: str, value: Any) -> Any:
        """Return the value for the core. Raises ParameterError for the wrong type."""
        try:
            return self._to_core(value)
        except ParameterError as error:
            raise ParameterError(f"{kernel}: {self.name}: {error}") from error
        except (TypeError, ValueError, KeyError) as error:
            raise ParameterError(f"{kernel}: {self.name} must be {self.expected}, got {value!r}") from error

    def _to_core(self, value: Any) -> Any:
        """Return the value for JSON. Raises TypeError or ValueError for an unsuitable value."""
        raise NotImplementedError

    def _from_core(self, value: Any) -> T:
        """Return the value that Python sees."""
        result: T = value
        return result


class Integer(Property[int]):
    """A whole number."""

    expected = "a whole number"

    def _to_core(self, value: Any) -> int:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)


class Number(Property[float]):
    """A number, stored as float32."""

    expected = "a finite number"

    def _to_core(self, value: Any) -> float:
        if isinstance(value, (bool, str)):
            raise TypeError
        number = float(value)
        if number - number != 0.0:  # NaN or infinite
            raise ValueError
        return number


class Flag(Property[bool]):
    """True or False."""

    expected = "True or False"

    def _to_core(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise TypeError
        return value


class Text(Property[str]):
    """A text, which may have to be one of several names."""

    expected = "a string"

    def _to_core(self, value: Any) -> str:
        if not isinstance(value, str):
            raise TypeError
        return value


class Offset(Property[tuple[int, int, int]]):
    """Columns, rows and images: (x, y, z); (x, y) means z = 0."""

    expected = "(x, y) or (x, y, z), whole numbers"

    def _to_core(self, value: Any) -> list[int]:
        x, y, *rest = (Integer._to_core(_integer, entry) for entry in value)
        if len(rest) > 1:
            raise ValueError
        return [x, y, *(rest or [0])]

    def _from_core(self, value: Any) -> tuple[int, int, int]:
        x, y, z = value
        return x, y, z


class Size(Offset):
    """Columns, rows and channels: (x, y, channels)."""

    expected = "(x, y, channels), whole numbers"


Region = tuple[int, int, int, int, int, int]


class ClipRect(Property[Region | None]):
    """(x, y, width, height) or (x, y, z, width, height, depth); None is the whole image."""

    expected = "None, (x, y, width, height) or (x, y, z, width, height, depth), whole numbers"

    def _to_core(self, value: Any) -> list[int] | None:
        if value is None:
            return None
        numbers = [Integer._to_core(_integer, entry) for entry in value]
        if len(numbers) == 4:
            x, y, width, height = numbers
            return [x, y, 0, width, height, UNBOUNDED]
        if len(numbers) != 6:
            raise ValueError
        return numbers

    def _from_core(self, value: Any) -> Region | None:
        if value is None:
            return None
        x, y, z, width, height, depth = value
        return x, y, z, width, height, depth


class Padding(Property[DefaultPadding]):
    """A padding policy. Bits of `PaddingMethod` are accepted, too."""

    expected = "a DefaultPadding"

    def _to_core(self, value: Any) -> int:
        if isinstance(value, DefaultPadding):
            return int(value.method)
        if not isinstance(value, PaddingMethod):
            raise TypeError
        return int(value)

    def _from_core(self, value: Any) -> DefaultPadding:
        return DefaultPadding(value)


class Descriptor(Property["Mapping[str, Any] | None"]):
    """A neuron: None, or a mapping with neuron_type, a, b and c, such as a `NeuronDescriptor`."""

    expected = "None or a NeuronDescriptor"

    def _to_core(self, value: Any) -> Mapping[str, Any] | None:
        if value is None:
            return None
        if not hasattr(value, "attributes"):
            raise TypeError
        return dict(value.attributes())

    def _from_core(self, value: Any) -> Mapping[str, Any] | None:
        result: Mapping[str, Any] | None = value
        return result


class Numbers(Property[Sequence[float]]):
    """Several numbers."""

    expected = "finite numbers"

    def _to_core(self, value: Any) -> list[float]:
        return [Number._to_core(_number, entry) for entry in value]

    def _from_core(self, value: Any) -> tuple[float, ...]:
        return tuple(value)


class Kept(Property[T]):
    """A property that the kernel's Python object stores, because the core does not need it."""

    default: T

    @overload
    def __get__(self, kernel: None, owner: type) -> Self: ...
    @overload
    def __get__(self, kernel: PropertyOwner, owner: type) -> T: ...
    def __get__(self, kernel: PropertyOwner | None, owner: type) -> Self | T:
        if kernel is None:
            return self
        found: T = kernel.__dict__.get(f"_{self.name}", self.default)
        return found

    def __set__(self, kernel: PropertyOwner, value: T) -> None:
        kernel.__dict__[f"_{self.name}"] = self._from_core(self.checked(type(kernel).__name__, value))


class KeptFlag(Kept[bool], Flag):
    """True or False; the default is False."""

    default = False


Extent = tuple[int, int, int]


class KeptExtent(Kept["Extent | None"]):
    """(width, height, images), (width, height) for all images, or None (the default) for everything."""

    default = None
    expected = "None, (width, height) or (width, height, images), whole numbers of at least 0"

    def _to_core(self, value: Any) -> Extent | None:
        if value is None:
            return None
        width, height, *rest = (Integer._to_core(_integer, entry) for entry in value)
        images = rest[0] if rest else UNBOUNDED
        if len(rest) > 1 or min(width, height, images) < 0:
            raise ValueError
        return width, height, images


UNBOUNDED = 2**63 - 1  # an extent without a limit
_integer = Integer()
_number = Number()
