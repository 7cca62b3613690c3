"""Write the expressions of free extents as ONNX nodes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from mpscnn.converters.pytorch.extents import FreeExtent
from mpscnn.errors import UnsupportedError

_INT64, _DOUBLE = 7, 11


class Model(Protocol):
    """The methods of an ONNX model in memory that write constants and nodes."""

    def add(self, kind: str, *inputs: str | None, **attributes: Any) -> str:
        """Add a node and return the name of its first result."""

    def constant(self, array: np.ndarray[Any, Any], name: str | None = None) -> str:
        """Add a constant and return its name."""

    def integers(self, values: Any) -> str:
        """Return the name of a list of integers."""


class ExtentNodes:
    """Writes expressions as tensors of one integer. Each expression is written once.

    Args:
        model: the model to which nodes are added.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._known: dict[Any, str] = {}

    def read_input(self, name: str, shape: tuple[Any, ...]) -> None:
        """Find the symbols that are known from the extents of an input."""
        import sympy

        for axis, extent in enumerate(shape):
            if not isinstance(extent, FreeExtent):
                continue
            symbols = extent.expression.free_symbols
            (symbol,) = symbols if len(symbols) == 1 else (None,)
            if symbol is None or (symbol in self._known and extent.expression != symbol):
                continue
            read = self._model.add("Shape", name, start=axis, end=axis + 1)
            polynomial = sympy.Poly(extent.expression, symbol)
            if polynomial.degree() == 1:
                factor, offset = (int(number) for number in polynomial.all_coeffs())
                read = self._model.add("Sub", read, self._number(offset)) if offset else read
                read = self._model.add("Div", read, self._number(factor)) if factor != 1 else read
                self._known[symbol] = read

    def write(self, expression: Any) -> str:
        """Return a tensor of one element with the value of an expression. Integers are int64, others double."""
        if expression not in self._known:
            self._known[expression] = self._written(expression)
        return self._known[expression]

    def _written(self, expression: Any) -> str:
        if expression.is_Integer:
            return self._number(int(expression))
        if expression.is_Float or expression.is_Rational:
            return self._model.constant(np.asarray([float(expression)], np.float64))
        kind = type(expression).__name__
        if kind == "Mul":
            return self._product(expression)
        if kind not in _FUNCTIONS:
            raise UnsupportedError(f"an extent that is computed as {expression}")
        return _FUNCTIONS[kind](self._model, *map(self.write, expression.args))

    def _product(self, expression: Any) -> str:
        """Write a product. Its rational factor is written as a product and an exact quotient."""
        factor, rest = expression.as_coeff_Mul()
        parts = [self.write(one) for one in type(rest).make_args(rest)] if rest.is_Mul else [self.write(rest)]
        if not factor.is_Rational:
            return self._folded("Mul", [self.write(factor), *parts])
        if factor.p != 1:
            parts.insert(0, self._number(int(factor.p)))
        made = self._folded("Mul", parts)
        return made if factor.q == 1 else self._model.add("Div", made, self._number(int(factor.q)))

    def _folded(self, kind: str, parts: list[str]) -> str:
        return functools.reduce(lambda x, y: self._model.add(kind, x, y), parts)

    def _number(self, value: int) -> str:
        return self._model.integers([value])


def _of_all(kind: str) -> Callable[..., str]:
    return lambda g, *parts: functools.reduce(lambda x, y: g.add(kind, x, y), parts)


def _floor_of_quotient(g: Model, x: str, y: str) -> str:
    """Write x // y. ONNX's quotient of integers is exact if the remainder is subtracted before."""
    return g.add("Div", g.add("Sub", x, g.add("Mod", x, y)), y)


def _real_quotient(g: Model, x: str, y: str) -> str:
    return g.add("Div", *(g.add("Cast", one, to=_DOUBLE) for one in (x, y)))


def _integer(kind: str | None) -> Callable[[Model, str], str]:
    return lambda g, x: g.add("Cast", g.add(kind, x) if kind else x, to=_INT64)


_FUNCTIONS: dict[str, Callable[..., str]] = {
    "Add": _of_all("Add"),
    "Max": _of_all("Max"),
    "Min": _of_all("Min"),
    "FloorDiv": _floor_of_quotient,
    "CleanDiv": _floor_of_quotient,
    **dict.fromkeys(["Mod", "PythonMod"], lambda g, x, y: g.add("Mod", x, y)),
    **dict.fromkeys(["Pow", "PowByNatural"], lambda g, x, y: g.add("Pow", x, y)),
    **dict.fromkeys(["IntTrueDiv", "FloatTrueDiv"], _real_quotient),
    "ToFloat": lambda g, x: g.add("Cast", x, to=_DOUBLE),
    "FloorToInt": _integer("Floor"),
    "CeilToInt": _integer("Ceil"),
    "RoundToInt": _integer("Round"),
    "TruncToInt": _integer(None),
}
