"""Compose functions that lose no digits near 0, where their formulas would subtract or add numbers of about 1.

Each function adds all operators but the last one, and returns that one as a kind and its operands.
"""

from __future__ import annotations

from mpscnn.converters.reading.onnx.expansions import Operand, Operators
from mpscnn.converters.values.composed_functions import ALL_WHOLE, NEXT_TO_MINUS_ONE

Last = tuple[str, Operand, Operand]

_LARGE = 2.0**127
_LARGE_ROOT = 2.0**40  # 1 does not change the square of this number in float32


def expm1(b: Operators, x: str) -> Last:
    """Return e^x - 1 as tanh(x / 2) (e^x + 1)."""
    return "Mul", b.op("Tanh", b.op("Mul", x, 0.5)), b.op("Add", b.op("Exp", x), 1.0)


def log1p(b: Operators, x: str) -> Last:
    """Return ln(1 + x) as ln w + d / w, where w is 1 + x, rounded, and d is what the rounding has lost."""
    limited = b.op("Clip", x, NEXT_TO_MINUS_ONE, ALL_WHOLE)
    w = b.op("Add", limited, 1.0)
    lost = b.op("Sub", limited, b.op("Sub", w, 1.0))
    return "Add", b.op("Log", b.op("Add", x, 1.0)), b.op("Div", lost, w)


def sinh(b: Operators, x: str) -> Last:
    """Return tanh x cosh x."""
    return "Mul", b.op("Tanh", x), b.op(*cosh(b, x))


def cosh(b: Operators, x: str) -> Last:
    """Return (e^x + e^-x) / 2. The square roots of the exponentials are finite where the result is."""
    roots = [b.op("Exp", b.op("Mul", x, factor)) for factor in (0.5, -0.5)]
    first, second = (b.op("Mul", b.op("Mul", root, 0.5), root) for root in roots)
    return "Add", first, second


def asinh(b: Operators, x: str) -> Last:
    """Return the sign of x times ln(|x| + sqrt(x^2 + 1)), as ln(1 + m (1 + r)) + ln q.

    m is |x| up to a large number, r is m / (1 + sqrt(m^2 + 1)), and q is 1, or |x| / m if that is above 1.
    """
    magnitude = b.op("Abs", x)
    m = b.op("Min", magnitude, _LARGE_ROOT)
    root = b.op("Sqrt", b.op("Add", b.op("Mul", m, m), 1.0))
    r = b.op("Div", m, b.op("Add", root, 1.0))
    small = b.op(*log1p(b, b.op("Mul", m, b.op("Add", r, 1.0))))
    q = b.op("Max", b.op("Mul", magnitude, 1.0 / _LARGE_ROOT), 1.0)
    return "Mul", b.op("Sign", x), b.op("Add", small, b.op("Log", q))


def acosh(b: Operators, x: str) -> Last:
    """Return ln(x + sqrt(x^2 - 1)), as 2 ln(1 + sqrt h + h / (sqrt(h + 1) + 1)) with h = (x - 1) / 2."""
    h = b.op("Mul", b.op("Sub", x, 1.0), 0.5)
    limited = b.op("Clip", h, 0.0, _LARGE)
    rest = b.op("Div", limited, b.op("Add", b.op("Sqrt", b.op("Add", limited, 1.0)), 1.0))
    return "Mul", b.op(*log1p(b, b.op("Add", b.op("Sqrt", h), rest))), 2.0


def atanh(b: Operators, x: str) -> Last:
    """Return the sign of x times ln(1 + 2 |x| / (1 - |x|)) / 2."""
    magnitude = b.op("Abs", x)
    ratio = b.op("Div", b.op("Mul", magnitude, 2.0), b.op("Sub", 1.0, magnitude))
    return "Mul", b.op("Mul", b.op(*log1p(b, ratio)), 0.5), b.op("Sign", x)
