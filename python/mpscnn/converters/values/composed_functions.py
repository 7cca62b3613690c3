"""Compute functions of values that no layer computes: angles, rests of divisions, and the search for infinities.

The network's tensors get several layers. The trigonometric functions are those of Cephes (S. L. Moshier) in float32: an
angle is brought near 0, where a polynomial is accurate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from mpscnn.converters.opening.budget import Cost
from mpscnn.converters.values.constant import Constant
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.converters.values.value import Value

# Three parts of pi. The products of the first two with whole numbers below 2^13 are exact.
_PI = (3.140625, 9.67502593994140625e-4, 1.509957990978376432e-7)
# The factors of r^3, r^5, ... in the Taylor series of the sine, whose error from -pi/2 to pi/2 is below 6e-8.
_SINE = [(-1) ** (power // 2) / math.factorial(power) for power in (3, 5, 7, 9, 11)]
# The factors of r^3, r^5, ... in Cephes' polynomial for the arc tangent.
_ARC_TANGENT = [-3.33329491539e-1, 1.99777106478e-1, -1.38776856032e-1, 8.05374449538e-2]
EXACT_BELOW = -0.5
"""For numbers from -1 to this one, 1 + x is exact in every precision."""
LARGE = 2.0**15
"""A number of float16, too. From here on, rounding 1 + x does not change the logarithm."""
_LAYERS = 25  # the number of layers of a function
_EIGHTH = math.tan(math.pi / 8)


def sine(x: Value, *, shifted: bool = False) -> Value:
    """Return the sine of each element, or with `shifted` the cosine.

    The absolute error is about 1e-7 for angles up to 10,000, and grows with them. Results are between -1 and 1, also
    for angles beyond 2^24, whose neighbours in float32 are more than a radian away.
    """
    if isinstance(x, Constant):
        return x.cos() if shifted else x.sin()
    assert isinstance(x, FileTensor)
    x.arranger.budget.spend(Cost.of_layers(_LAYERS))
    half = 0.5 if shifted else 0.0
    turns = x.linear(1.0 / math.pi, -half, "/turns").map("round", "/half_turns")
    rest = x
    for place, part in enumerate(_PI):
        rest = rest.combine("add", turns.linear(-part, -part * half, f"/part{place}"), f"/rest{place}")
    rest = rest.map({"kind": "clamp", "a": -math.pi / 2, "b": math.pi / 2}, "/limited")
    odd = turns.linear(0.5, suffix="/half").map("floor", "/whole").linear(-2.0, suffix="/even")
    signs = turns.combine("add", odd, "/odd").linear(*((2.0, -1.0) if shifted else (-2.0, 1.0)), "/signs")
    return _odd_polynomial(rest, _SINE).combine("multiply", signs)


def arc_tangent(x: FileTensor, suffix: str = "") -> FileTensor:
    """Return the arc tangent of each element, with an absolute error of about 1e-7."""
    x.arranger.budget.spend(Cost.of_layers(_LAYERS))
    magnitude = x.map("absolute", "/magnitude")
    inverse = magnitude.map({"kind": "power", "a": 1.0, "c": -1.0}, "/inverse")
    small = magnitude.combine("minimum", inverse, "/small")
    beyond = small.linear(-1.0, suffix="/negative").less_than(-_EIGHTH, "/beyond")
    turned = small.linear(1.0, -1.0, "/less").combine("divide", small.linear(1.0, 1.0, "/more"), "/turned")
    moved = turned.combine("subtract", small, "/difference").combine("multiply", beyond, "/chosen")
    angle = _odd_polynomial(small.combine("add", moved, "/near"), _ARC_TANGENT)
    angle = angle.combine("add", beyond.linear(math.pi / 4, suffix="/eighth"), "/angle")
    large = magnitude.linear(-1.0, suffix="/opposite").less_than(-1.0, "/large")
    # The angle of a number above 1 is a quarter turn minus that of its inverse.
    angle = angle.combine("multiply", large.linear(-2.0, 1.0, "/direction"), "/directed")
    angle = angle.combine("add", large.linear(math.pi / 2, suffix="/quarter"), "/whole_angle")
    return angle.combine("multiply", x.map("sign", "/sign"), suffix)


def log1p(x: FileTensor) -> FileTensor:
    """Return ln(1 + x) for each element, without losing the digits of x near 0; see reading.onnx.near_zero."""
    limited = x.map({"kind": "clamp", "a": EXACT_BELOW, "b": LARGE}, "/limited")
    w = limited.linear(1.0, 1.0, "/rounded")
    lost = limited.combine("subtract", w.linear(1.0, -1.0, "/without_one"), "/lost")
    logarithm = x.map({"kind": "logarithm", "a": 1.0, "b": 1.0, "c": -1.0}, "/logarithm")
    return logarithm.combine("add", lost.combine("divide", w, "/correction"))


def _odd_polynomial(x: FileTensor, factors: Sequence[float]) -> FileTensor:
    """Return x + factors[0] x^3 + factors[1] x^5 + ..."""
    square = x.combine("multiply", x, "/square")
    *others, last = factors
    y = square.linear(last, others[-1], "/term")
    for place, factor in enumerate([*others[-2::-1], 0.0]):
        y = y.combine("multiply", square, f"/power{place}", {"kind": "linear", "a": 1.0, "b": factor})
    return y.combine("multiply", x, "/odd_part").combine("add", x, "/series")


def is_infinite(x: Value, *, negative: bool, positive: bool) -> Value:
    """Return whether each element is minus infinity (`negative`) or infinity (`positive`).

    Infinities are equal to themselves, but their difference from themselves is NaN.
    """
    if isinstance(x, Constant):
        return x.is_infinite(negative=negative, positive=positive)
    assert isinstance(x, FileTensor)
    difference = x.combine("subtract", x, "/difference")
    not_finite = difference.combine("not_equal", difference, "/not_finite")
    found = not_finite.combine("subtract", x.combine("not_equal", x, "/not_a_number"), "/infinite")
    for name, factor, is_found in (("negative", 1.0, negative), ("positive", -1.0, positive)):
        if not is_found:
            sign = x.linear(factor, suffix=f"/{name}_side").less_than(0.0, f"/not_{name}")
            found = found.combine("multiply", sign.linear(-1.0, 1.0, f"/{name}"), f"/without_{name}")
    return found.map({"kind": "none"}).mark_as_integers()


def remainder(x: Value, divisor: Value, *, of_dividend: bool) -> Value:
    """Return the rest of a division. It has the sign of x (`of_dividend`), or that of the divisor.

    The rest is exact, as that of C's `fmod`, if the quotient is below 2^24 and both magnitudes are above 2^-100.
    """
    if isinstance(x, Constant) and isinstance(divisor, Constant):
        return x.remainder(divisor, of_dividend=of_dividend)
    assert isinstance(x, FileTensor)
    assert isinstance(divisor, FileTensor)
    whole = x.combine("divide", divisor, "/quotient").truncate("/multiples")
    product = whole.combine("multiply", divisor, "/multiple")
    # A divisor that is infinite is taken 0 times, which leaves x.
    rest = x.combine("subtract", whole.combine("mask", product, "/product"), "/rest")
    are_whole = x.whole_numbers and divisor.whole_numbers
    if not are_whole:
        x.arranger.budget.spend(Cost.of_layers(_LAYERS))
        error = whole.combine("mask", _rounding_error(whole, divisor, product), "/error")
        rest = _within_divisor(rest.combine("subtract", error, "/exact"), x, divisor)
    if of_dividend:
        made = rest.map({"kind": "none"})
    else:
        signs = rest.map("sign", "/sign").combine(
            "multiply", divisor.map("sign", "/sign_of_divisor"), "/signs"
        )
        made = rest.combine("add", signs.less_than(0.0, "/differ").combine("mask", divisor, "/added"))
    return made.mark_as_integers() if are_whole else made


def _rounding_error(whole: FileTensor, factor: FileTensor, product: FileTensor) -> FileTensor:
    """Return whole * factor - product, which is exact for whole numbers below 2^24 (Dekker's product).

    Both factors are split into two parts of 12 bits, whose products float32 has. Veltkamp's split of the second factor
    is that of its 2^-14th, so that no large number becomes infinite.
    """
    whole_high = (
        whole.linear(2.0**-12, suffix="/shifted").truncate("/high").linear(2.0**12, suffix="/high_part")
    )
    whole_low = whole.combine("subtract", whole_high, "/low_part")
    scaled = factor.linear(2.0**-14, suffix="/scaled")
    wide = scaled.linear(4097.0, suffix="/wide")
    rounded = wide.combine("subtract", wide.combine("subtract", scaled, "/lost"), "/rounded")
    high = rounded.linear(2.0**14, suffix="/divisor_high")
    low = factor.combine("subtract", high, "/divisor_low")
    error = whole_high.combine("multiply", high, "/high_high").combine("subtract", product, "/error_high")
    for place, (first, second) in enumerate(((whole_high, low), (whole_low, high), (whole_low, low))):
        error = error.combine("add", first.combine("multiply", second, f"/cross{place}"), f"/error{place}")
    return error


def _within_divisor(rest: FileTensor, x: FileTensor, divisor: FileTensor) -> FileTensor:
    """Return a rest of x that has its sign and is smaller than the divisor: the rounded quotient may be one off."""
    sign = x.map("sign", "/sign_of_dividend")
    size = divisor.map("absolute", "/size")
    step = sign.combine("multiply", size, "/step")
    is_below = rest.combine("multiply", sign, "/signed").less_than(0.0, "/below")
    rest = rest.combine("add", is_below.combine("mask", step, "/missing"), "/raised")
    is_small = (
        rest.map("absolute", "/rest_size").combine("subtract", size, "/excess").less_than(0.0, "/small")
    )
    is_large = is_small.linear(-1.0, 1.0, "/large")
    return rest.combine("subtract", is_large.combine("mask", step, "/surplus"), "/lowered")
