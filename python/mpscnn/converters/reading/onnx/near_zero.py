"""Compose functions that lose no digits near 0, where their formulas would subtract or add numbers of about 1.

Each function adds all operators but the last one, and returns that one as a kind and its operands.
"""

from __future__ import annotations

from mpscnn.converters.reading.onnx.expansions import Operand, Operators
from mpscnn.converters.values.composed_functions import EXACT_BELOW, LARGE

Last = tuple[str, Operand, Operand]

_LARGE_ROOT = (
    2.0**14
)  # 1 does not change the square of this number in float32, and twice the number is in float16


def expm1(b: Operators, x: str) -> Last:
    """Return e^x - 1 as tanh(x / 2) (e^x + 1)."""
    return "Mul", b.op("Tanh", b.op("Mul", x, 0.5)), b.op("Add", b.op("Exp", x), 1.0)


def log1p(b: Operators, x: str) -> Last:
    """Return ln(1 + x) as ln w + d / w, where w is 1 + x, rounded, and d is what the rounding has lost."""
    limited = b.op("Clip", x, EXACT_BELOW, LARGE)
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

    m is |x| up to a large number, r is m / (1 + sqrt(m^2 + 1)), and q is 1, or |x| / m if that is above 1. No square is
    above 1: r is u / (t + sqrt(t^2 + u^2)) with t = 1 / max(m, 1) and u = min(m, 1).
    """
    magnitude = b.op("Abs", x)
    m = b.op("Min", magnitude, _LARGE_ROOT)
    t, u = b.op("Div", 1.0, b.op("Max", m, 1.0)), b.op("Min", m, 1.0)
    root = b.op("Sqrt", b.op("Add", b.op("Mul", t, t), b.op("Mul", u, u)))
    r = b.op("Div", u, b.op("Add", t, root))
    small = b.op(*log1p(b, b.op("Mul", m, b.op("Add", r, 1.0))))
    q = b.op("Max", b.op("Mul", magnitude, 1.0 / _LARGE_ROOT), 1.0)
    return "Mul", b.op("Sign", x), b.op("Add", small, b.op("Log", q))


def acosh(b: Operators, x: str) -> Last:
    """Return ln(x + sqrt(x^2 - 1)), as 2 ln(1 + s + s r) with s = sqrt((x - 1) / 2).

    r is s / (sqrt(s^2 + 1) + 1), as 1 / (t + sqrt(t^2 + 1)) with t = 1 / s.
    """
    s = b.op("Sqrt", b.op("Mul", b.op("Sub", x, 1.0), 0.5))
    t = b.op("Div", 1.0, s)
    r = b.op("Div", 1.0, b.op("Add", t, b.op("Sqrt", b.op("Add", b.op("Mul", t, t), 1.0))))
    return "Mul", b.op(*log1p(b, b.op("Mul", s, b.op("Add", r, 1.0)))), 2.0


def atanh(b: Operators, x: str) -> Last:
    """Return the sign of x times ln(1 + 2 |x| / (1 - |x|)) / 2."""
    magnitude = b.op("Abs", x)
    ratio = b.op("Div", b.op("Mul", magnitude, 2.0), b.op("Sub", 1.0, magnitude))
    return "Mul", b.op("Mul", b.op(*log1p(b, ratio)), 0.5), b.op("Sign", x)
