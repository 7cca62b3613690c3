"""Define descriptors that refuse unknown names, and suggest mpscnn's name if the given name is Apple's."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from mpscnn._private.other_names import ExplainedClass, lacking
from mpscnn.errors import ParameterError
from mpscnn.kernels.apple_names import property_hint

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["NamedFields"]


@dataclass
class NamedFields(metaclass=ExplainedClass):
    """Base of dataclasses with Apple's properties. Setting an unknown property is an error and adds no attribute."""

    def __new__(cls, *_: Any, **properties: Any) -> Self:
        """Reject unknown properties, with a hint if the name is Apple's.

        `__new__` runs before the `__init__` of the dataclass, whose error would have no such hint.
        """
        for name in properties:
            cls._require(name)
        return super().__new__(cls)

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):
            self._require(name)
        super().__setattr__(name, value)

    if not TYPE_CHECKING:  # type checkers would accept every name

        def __getattr__(self, name: str) -> Any:
            hint = "" if name.startswith("_") else property_hint(name, [*dir(type(self)), *vars(self)])
            raise lacking(f"{type(self).__name__!r} object", name, hint)

    def properties(self) -> dict[str, Any]:
        """Return the properties of a kernel with this descriptor."""
        return dict(vars(self))

    @classmethod
    def _require(cls, name: str) -> None:
        known = [field.name for field in fields(cls)]
        if name not in known:
            raise ParameterError(f"{cls.__name__}: unknown property {name!r}{property_hint(name, known)}")
