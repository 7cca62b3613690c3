"""Recognise the activation that a tree of elementwise functions computes: sigmoid, swish, hard-swish, mish, GELU, ...

Products and sums have a normal form, so that the order in which a file computes them does not matter. The expression is
then compared with those of known activations.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mpscnn.converters.finishing.simplify.layers import LARGEST
from mpscnn.graph.layer_arguments import Activation

_ROUNDING = 1e-5  # the relative tolerance for constants, which a file rounds to float32 or to a few digits


@dataclass(frozen=True)
class Expression:
    """A function of x as a tree of expressions.

    The kind is "x", "number", "product" (`number` times all operands), "sum" (`number` plus all operands), or the name
    of a function of the operands.
    """

    kind: str
    number: float = 0.0
    operands: tuple[Expression, ...] = ()
    size: int = field(init=False, compare=False, default=1)
    """The number of expressions in the tree."""

    def __post_init__(self) -> None:
        if self.operands:
            object.__setattr__(self, "size", 1 + sum([one.size for one in self.operands]))

    def __str__(self) -> str:
        return f"{self.kind}[{self.number:.4g}]({', '.join(map(str, self.operands))})"


X = Expression("x")


def product(number: float, factors: Sequence[Expression]) -> Expression:
    """Return a number times all factors."""
    return _joined("product", operator.mul, 1.0, number, factors)


def total(number: float, terms: Sequence[Expression]) -> Expression:
    """Return a number plus all terms."""
    return _joined("sum", operator.add, 0.0, number, terms)


def _joined(
    kind: str,
    join: Callable[[float, float], float],
    neutral: float,
    number: float,
    operands: Sequence[Expression],
) -> Expression:
    """Return a number and operands as one expression of a kind. Operands of this kind are merged into it."""
    flat: list[Expression] = []
    for operand in operands:
        if operand.kind == kind:
            number = join(number, operand.number)
            flat += operand.operands
        else:
            flat.append(operand)
    if len(flat) == 1 and number == neutral:
        return flat[0]
    return Expression(kind, number, tuple(flat if len(flat) == 1 else sorted(flat, key=str)))


def line(factor: float, offset: float, x: Expression) -> Expression:
    """Return factor * x + offset."""
    return total(offset, [product(factor, [x])])


def limited(x: Expression, low: float, high: float) -> Expression:
    """Return a clip of an expression to a range. Two clips are one, whose limits are the inner ones, clipped."""
    low, high = (-math.inf if low < -LARGEST else low), (math.inf if high > LARGEST else high)
    if x.kind == "limits":
        x, inner_low, inner_high = x.operands
        low, high = min(max(inner_low.number, low), high), min(max(inner_high.number, low), high)
    return Expression("limits", operands=(x, Expression("number", low), Expression("number", high)))


def thresholded(x: Expression, number: float) -> Expression:
    """Return an expression where it is at least a number, and 0 elsewhere."""
    return Expression("thresholded", number, (x,))


def function(kind: str, x: Expression) -> Expression:
    """Return a function of an expression, which has no parameters."""
    return Expression(kind, operands=(x,))


def neuron(attributes: Mapping[str, Any], x: Expression) -> Expression | None:
    """Return an activation of an expression; None for an activation that is not part of a longer one."""
    kind, number = attributes["kind"], attributes.get
    a, b, c = float(number("a", 0.0)), float(number("b", 0.0)), float(number("c", 0.0))
    if kind in ("sigmoid", "erf"):
        return function(kind, x)
    if kind == "linear":
        return line(a, b, x)
    if kind in ("tanh", "softplus"):  # a * f(b * x)
        return product(a, [function(kind, product(b, [x]))])
    if kind == "hard_sigmoid":
        return limited(line(a, b, x), 0.0, 1.0)
    if kind == "clamp":
        return limited(x, a, b)
    if kind in ("relu", "relun") and a == 0.0:
        return limited(x, 0.0, b if kind == "relun" else math.inf)
    if kind == "power" and c in (2.0, 3.0):
        return product(1.0, [line(a, b, x)] * int(c))
    if kind == "power" and c == -1.0:
        return function("reciprocal", line(a, b, x))
    if kind == "exponential" and c == -1.0:  # the base e
        return function("exponential", line(a, b, x))
    return None


# ---- Known activations ---------------------------------------------------------------------------------------------

_RELU6 = limited(total(3.0, [X]), 0.0, 6.0)
_GATE = limited(line(1 / 6, 0.5, X), 0.0, 1.0)
_THRESHOLDED = thresholded(X, -3.0)  # coremltools writes hard-swish so
_CUBE = product(0.044715, [X, X, X])
_TANH = function("tanh", product(math.sqrt(2 / math.pi), [total(0.0, [X, _CUBE])]))
_HALF_TANH = function("tanh", product(0.5, [X]))
_EXPONENTIAL = function("exponential", X)
_TABLE: list[tuple[Expression, Activation]] = [
    (function("reciprocal", total(1.0, [function("exponential", product(-1.0, [X]))])), "sigmoid"),
    (product(1.0, [_EXPONENTIAL, function("reciprocal", total(1.0, [_EXPONENTIAL]))]), "sigmoid"),
    (total(0.5, [product(0.5, [_HALF_TANH])]), "sigmoid"),
    (product(0.5, [total(1.0, [_HALF_TANH])]), "sigmoid"),
    (product(1.0, [X, function("sigmoid", X)]), "swish"),
    (product(1.0, [X, function("tanh", function("softplus", X))]), "mish"),
    (product(1 / 6, [X, _RELU6]), "hard_swish"),
    (product(1.0, [X, _GATE]), "hard_swish"),
    (product(1.0, [_THRESHOLDED, limited(line(1 / 6, 0.5, _THRESHOLDED), 0.0, 1.0)]), "hard_swish"),
    (product(1 / 6, [_RELU6]), {"kind": "hard_sigmoid", "a": 1 / 6, "b": 0.5}),
    (product(0.5, [X, total(1.0, [function("erf", product(math.sqrt(0.5), [X]))])]), "gelu"),
    (product(0.5, [X, total(1.0, [_TANH])]), "gelu_tanh"),
]
MAX_SIZE = 24  # the maximum size of an expression; the longest activation has about half of that
MAX_STEPS = 12  # the maximum number of functions from x to the result; the longest activation has 9


_BY_KIND = {
    kind: [row for row in _TABLE if row[0].kind == kind] for kind in {pattern.kind for pattern, _ in _TABLE}
}


def known_activation(expression: Expression) -> Activation:
    """Return the activation that an expression is; None for other expressions."""
    for pattern, activation in _BY_KIND.get(expression.kind, ()):
        if _equal(expression, pattern):
            return activation
    return _swish_with_factor(expression) or _hard_sigmoid(expression) or _clip(expression)


def _swish_with_factor(expression: Expression) -> Activation:
    """Return swish with a factor, x * sigmoid(b * x), if the expression is that; otherwise None."""
    if expression.kind != "product" or expression.number != 1.0 or len(expression.operands) != 2:
        return None
    inner = [one.operands[0] for one in expression.operands if one.kind == "sigmoid"]
    if X in expression.operands and inner and inner[0].kind == "product" and inner[0].operands == (X,):
        return {"kind": "swish", "b": inner[0].number}
    return None


def _hard_sigmoid(expression: Expression) -> Activation:
    """Return a hard sigmoid, a clip of a * x + b to 0..1, if the expression is that; otherwise None.

    The clip may be to another range from 0 and be scaled to 0..1. The limits of a line through 0 are no sigmoid.
    """
    scale, clip = _factor(expression)
    if clip.kind != "limits":
        return None
    inner, low, high = clip.operands
    is_unit = low.number == 0.0 and abs(scale * high.number - 1.0) <= _ROUNDING
    if not is_unit or inner.kind != "sum" or len(inner.operands) != 1:
        return None
    slope, x = _factor(inner.operands[0])
    offset = scale * inner.number
    if x != X or not 0.0 < offset < 1.0:
        return None
    return {"kind": "hard_sigmoid", "a": scale * slope, "b": offset}


def _clip(expression: Expression) -> Activation:
    """Return a clip, which files write as a minimum and a maximum, if the expression is that; otherwise None."""
    if expression.kind != "limits" or expression.operands[0] != X:
        return None
    low, high = (one.number for one in expression.operands[1:])
    return {"kind": "clamp", "a": low, "b": high} if math.isfinite(low) and math.isfinite(high) else None


def _factor(expression: Expression) -> tuple[float, Expression]:
    """Return a number and an expression whose product is the expression."""
    if expression.kind == "product" and len(expression.operands) == 1:
        return expression.number, expression.operands[0]
    return 1.0, expression


def _equal(a: Expression, b: Expression) -> bool:
    """Return True if two expressions in normal form are equal up to the rounding of constants."""
    is_close = a.number == b.number or abs(a.number - b.number) <= _ROUNDING * abs(b.number)
    return (
        a.kind == b.kind
        and is_close
        and len(a.operands) == len(b.operands)
        and all(map(_equal, a.operands, b.operands))
    )
