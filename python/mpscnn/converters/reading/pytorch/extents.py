"""Represent the extents of an exported program that are free, as expressions of the extents of its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from mpscnn.errors import UnsupportedError


class FreeExtent:
    """An extent that depends on free extents of the inputs.

    It can be added, multiplied and divided. It has no number, so whatever needs its number is refused. A torch.SymInt
    would silently give the number of the example instead.

    Attributes:
        expression: the sympy expression, with torch's symbols.
    """

    def __init__(self, expression: Any) -> None:
        self.expression = expression

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FreeExtent) and bool(self.expression == other.expression)

    def __hash__(self) -> int:
        return hash(self.expression)

    def __repr__(self) -> str:
        return str(self.expression)

    def line(self) -> tuple[Any, int, int]:
        """Return (symbol, factor, offset) of an extent factor * symbol + offset; None as the symbol of others."""
        import sympy

        symbols = self.expression.free_symbols
        polynomial = sympy.Poly(self.expression, *symbols) if len(symbols) == 1 else None
        if polynomial is None or polynomial.degree() != 1:
            return None, 1, 0
        factor, offset = map(int, polynomial.all_coeffs())
        return polynomial.gen, factor, offset

    def at(self, numbers: Mapping[Any, int]) -> int | float:
        """Return the number that the extent is if its symbols are these numbers."""
        import sympy

        made = self.expression.xreplace({symbol: sympy.Integer(one) for symbol, one in numbers.items()})
        if not made.is_number:
            raise UnsupportedError(f"an extent that is computed as {self.expression}")
        return int(made) if made.is_Rational else float(made)

    def __add__(self, other: Extent) -> Extent:
        return _simplest(self.expression + _expression(other))

    def __sub__(self, other: Extent) -> Extent:
        return _simplest(self.expression - _expression(other))

    def __rsub__(self, other: Extent) -> Extent:
        return _simplest(_expression(other) - self.expression)

    def __mul__(self, other: Extent) -> Extent:
        return _simplest(self.expression * _expression(other))

    def __floordiv__(self, other: Extent) -> Extent:
        from torch.utils._sympy.functions import FloorDiv

        return _simplest(FloorDiv(self.expression, _expression(other)))

    def __rfloordiv__(self, other: Extent) -> Extent:
        from torch.utils._sympy.functions import FloorDiv

        return _simplest(FloorDiv(_expression(other), self.expression))

    def __neg__(self) -> Extent:
        return _simplest(-self.expression)

    __radd__ = __add__
    __rmul__ = __mul__

    def _refused(self, *_: Any) -> NoReturn:
        raise UnsupportedError(f"depends on an extent that is free ({self.expression})")

    __index__ = __int__ = __float__ = __bool__ = _refused
    __lt__ = __le__ = __gt__ = __ge__ = __mod__ = __rmod__ = __truediv__ = __rtruediv__ = __pow__ = _refused


Extent = int | FreeExtent


def own_extent(extent: Any) -> Any:
    """Return an extent, or another number, of an exported program. A free one becomes a FreeExtent."""
    import torch

    if isinstance(extent, (torch.SymInt, torch.SymFloat)):
        return _simplest(extent.node.expr)
    return extent


def own_shape(shape: Any) -> tuple[Extent, ...]:
    """Return a shape of an exported program."""
    return tuple(own_extent(extent) for extent in shape)


def _expression(extent: Extent) -> Any:
    import sympy

    return extent.expression if isinstance(extent, FreeExtent) else sympy.sympify(extent)


def _simplest(expression: Any) -> Extent:
    if not expression.is_number:
        return FreeExtent(expression)
    # A float is not an extent, but a number that a program computes from extents, such as a scale.
    return int(expression) if expression.is_integer else float(expression)  # type: ignore[return-value]
