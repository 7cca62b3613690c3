"""Compute layers of quantised networks in integers, bit for bit like TensorFlow Lite's reference kernels.

A tensor is 64-bit integers with a `Quantization`: number = (integer - zero point) * scale.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import window

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Quantization:
    """The numbers that the uint8 or int8 elements of a tensor represent: (element - zero_point) * scale."""

    scale: float
    zero_point: int
    dtype: str = "uint8"

    @property
    def limits(self) -> tuple[int, int]:
        """Return the least and the greatest integer."""
        return (0, 255) if self.dtype == "uint8" else (-128, 127)

    def clamped(self, activation: tuple[float, float] | None) -> tuple[int, int]:
        """Return the least and the greatest integer within an activation's limits, which are given as numbers."""
        low, high = self.limits
        if activation is None:
            return low, high
        scale = np.float32(self.scale)
        ends = [
            self.zero_point + _away_from_zero(float(np.float32(end) / scale)) if math.isfinite(end) else end
            for end in activation
        ]
        return int(max(low, ends[0])), int(min(high, ends[1]))


def _away_from_zero(x: float) -> int:
    return int(math.copysign(math.floor(abs(x) + 0.5), x))


# ---- Fixed-point numbers -----------------------------------------------------------------------------------


def multiplier_of(factor: float) -> tuple[int, int]:
    """Return (m, shift) with factor = m * 2^(shift - 31), where m has 31 bits."""
    if factor == 0.0:
        return 0, 0
    fraction, shift = math.frexp(factor)
    m = _away_from_zero(fraction * 2.0**31)
    if m == 1 << 31:
        m, shift = m // 2, shift + 1
    return (0, 0) if shift < -31 else (m, shift)


def high_product(x: Any, m: Any) -> Integers:
    """Return x * m / 2^31, rounded to nearest, ties up."""
    return (np.asarray(x, np.int64) * np.asarray(m, np.int64) + (1 << 30)) >> 31


def rounding_shift(x: Any, bits: Any) -> Integers:
    """Return x / 2^bits, rounded to nearest, ties away from zero."""
    x, bits = np.asarray(x, np.int64), np.asarray(bits, np.int64)
    mask = (np.int64(1) << bits) - 1
    return (x >> bits) + ((x & mask) > (mask >> 1) + (x < 0))


def scaled(x: Any, m: Any, shift: Any) -> Integers:
    """Return x * m * 2^(shift - 31), rounded twice."""
    shift = np.asarray(shift, np.int64)
    product = high_product(np.asarray(x, np.int64) << np.maximum(shift, 0), m)
    return rounding_shift(product, np.maximum(-shift, 0))


def scaled_once(x: Any, m: Any, shift: Any) -> Integers:
    """Return x * m * 2^(shift - 31), rounded once to nearest, ties up."""
    bits = 31 - np.asarray(shift, np.int64)
    return (np.asarray(x, np.int64) * m + (np.int64(1) << (bits - 1))) >> bits


def _factor(a: float, b: float, result: float) -> float:
    """Return a * b / result, computed in double from scales that are float32 numbers."""
    return float(np.float32(a)) * float(np.float32(b)) / float(np.float32(result))


# ---- Products ----------------------------------------------------------------------------------------------


def convolution(
    x: Integers,
    source: Quantization,
    weight: NDArray[Any],
    scales: Any,
    zero_points: Any,
    bias: Any,
    result: Quantization,
    attributes: dict[str, Any],
    activation: tuple[float, float] | None = None,
    *,
    dense: bool = False,
) -> Integers:
    """Convolve with weights [out][kernel height][kernel width][in / groups].

    The weights have one scale and one zero point, or one of each per output. Pixels outside the image are zero points.
    The bias has the scale of the products. With `dense` the sums are rounded once, as dense layers do.
    """
    weight = weight.astype(np.int64) - np.reshape(np.asarray(zero_points, np.int64), (-1, 1, 1, 1))
    outputs, inputs = weight.shape[0], weight.shape[3]
    height, width = x.shape[1:3]
    rows, columns = window.positions(attributes, height, width)
    group_of = np.arange(outputs) // (outputs // attributes.get("groups", 1))
    sums = np.broadcast_to(np.asarray(bias, np.int64), (x.shape[0], len(rows), len(columns), outputs)).copy()
    centred = np.asarray(x, np.int64) - source.zero_point
    for u in range(weight.shape[1]):
        for v in range(weight.shape[2]):
            ys, xs = np.array([taps[u] for taps in rows]), np.array([taps[v] for taps in columns])
            inside = ((ys >= 0) & (ys < height))[:, None] & ((xs >= 0) & (xs < width))
            taps = centred[:, ys.clip(0, height - 1)][:, :, xs.clip(0, width - 1)] * inside[..., None]
            # The sums stay below 2^53, so that float64 computes them exactly.
            if attributes.get("groups", 1) == 1:
                sums += np.rint(taps.astype(np.float64) @ weight[:, u, v].T.astype(np.float64)).astype(
                    np.int64
                )
                continue
            for k in range(inputs):
                sums += taps[..., group_of * inputs + k] * weight[:, u, v, k]
    own = np.broadcast_to(np.asarray(scales, np.float32).reshape(-1), (outputs,))
    # Convolutions of uint8 multiply both scales in float32, everything else in float64.
    product_type = np.float32 if source.dtype == "uint8" and not dense else np.float64
    products = (product_type(np.float32(source.scale)) * own.astype(product_type)).astype(np.float64)
    m, shift = np.array(
        [multiplier_of(float(one / np.float64(np.float32(result.scale)))) for one in products]
    ).T
    numbers = (scaled_once if dense else scaled)(sums, m, shift)
    return np.clip(numbers + result.zero_point, *result.clamped(activation))


# ---- Layers without weights --------------------------------------------------------------------------------


def average_pool(x: Integers, attributes: dict[str, Any], limits: tuple[int, int]) -> Integers:
    """Return means over the pixels of each window that lie in the image, rounded to nearest, ties away from zero."""

    def mean_of(pixels: Integers) -> Integers:
        total, count = pixels.sum(axis=(1, 2)), pixels.shape[1] * pixels.shape[2]
        return np.asarray(np.sign(total) * ((np.abs(total) + count // 2) // count))

    return _pool(x, attributes, limits, mean_of)


def max_pool(x: Integers, attributes: dict[str, Any], limits: tuple[int, int]) -> Integers:
    """Return maxima over the pixels of each window that lie in the image, within an activation's limits."""
    return _pool(x, attributes, limits, lambda pixels: pixels.max(axis=(1, 2)))


def _pool(
    x: Integers,
    attributes: dict[str, Any],
    limits: tuple[int, int],
    function: Callable[[Integers], Integers],
) -> Integers:
    height, width = x.shape[1:3]
    rows, columns = window.positions(attributes, height, width)
    result = np.zeros((x.shape[0], len(rows), len(columns), x.shape[3]), np.int64)
    for i, row_taps in enumerate(rows):
        for j, column_taps in enumerate(columns):
            ys = [y for y in row_taps if 0 <= y < height]
            xs = [c for c in column_taps if 0 <= c < width]
            result[:, i, j] = function(x[:, ys][:, :, xs])
    return np.clip(result, *limits)


def resize_nearest(
    x: Integers, size: tuple[int, int], *, corners: bool = False, half_pixels: bool = False
) -> Integers:
    """Return the nearest pixels. Positions are computed in float32."""
    places = []
    for have, want in zip(x.shape[1:3], size, strict=True):
        scale = np.float32(have) / np.float32(want)
        if corners and want > 1:
            scale = np.float32(have - 1) / np.float32(want - 1)
        at = (np.arange(want, dtype=np.float32) + np.float32(0.5 if half_pixels else 0.0)) * scale
        whole = np.floor(at + np.float32(0.5)) if corners else np.floor(at)
        places.append(np.minimum(whole.astype(np.int64), have - 1))
    return x[:, places[0]][:, :, places[1]]


def add(
    a: Integers,
    of_a: Quantization,
    b: Integers,
    of_b: Quantization,
    result: Quantization,
    activation: tuple[float, float] | None = None,
    *,
    sign: int = 1,
) -> Integers:
    """Add. Both operands get 20 more bits and twice the larger of their scales. Then the sum is scaled."""
    largest = 2.0 * max(np.float64(np.float32(of_a.scale)), np.float64(np.float32(of_b.scale)))
    total = np.int64(0)
    for x, own, factor in ((a, of_a, 1), (b, of_b, sign)):
        m, shift = multiplier_of(float(np.float64(np.float32(own.scale)) / largest))
        total = total + factor * scaled((np.asarray(x, np.int64) - own.zero_point) << 20, m, shift)
    m, shift = multiplier_of(float(largest / ((1 << 20) * np.float64(np.float32(result.scale)))))
    return np.clip(scaled(total, m, shift) + result.zero_point, *result.clamped(activation))


#: It has the steps of `add`.
subtract = partial(add, sign=-1)


def multiply(
    a: Integers,
    of_a: Quantization,
    b: Integers,
    of_b: Quantization,
    result: Quantization,
    activation: tuple[float, float] | None = None,
) -> Integers:
    """Multiply the differences from the zero points, and scale the product. The factor is a float32 number."""
    factor = float(np.float32(of_a.scale) * np.float32(of_b.scale) / np.float32(result.scale))
    product = (np.asarray(a, np.int64) - of_a.zero_point) * (np.asarray(b, np.int64) - of_b.zero_point)
    numbers = scaled(product, *multiplier_of(factor)) + result.zero_point
    return np.clip(numbers, *result.clamped(activation))


def joined(x: Integers, source: Quantization, result: Quantization) -> Integers:
    """Convert an operand of a concatenation in float32. In LiteRT only uint8 may have another scale than the result."""
    if source == result:
        return x
    scale = np.float32(source.scale) * (np.float32(1.0) / np.float32(result.scale))
    moved = np.asarray(x, np.float32) * scale + np.float32(-source.zero_point) * scale
    nearest = np.copysign(np.floor(np.abs(moved.astype(np.float64)) + 0.5), moved)
    return np.clip(nearest + result.zero_point, *result.limits).astype(np.int64)


def absolute(x: Integers, source: Quantization, result: Quantization) -> Integers:
    """Return absolute values: distances from the zero point. The ratio of the scales is a float32 number."""
    factor = float(np.float32(source.scale) / np.float32(result.scale))
    moved = scaled(np.abs(np.asarray(x, np.int64) - source.zero_point), *multiplier_of(factor))
    return np.clip(moved + result.zero_point, *result.limits)


def total(x: Integers, axes: tuple[int, ...], source: Quantization, result: Quantization) -> Integers:
    """Return sums over axes, whose extents become 1. (LiteRT's own reference kernel reads int8 as if it were uint8.)"""
    count = math.prod(x.shape[axis] for axis in axes)
    above = x.sum(axis=axes, keepdims=True) - count * source.zero_point
    moved = scaled(above, *multiplier_of(_factor(source.scale, 1.0, result.scale)))
    return np.clip(moved + result.zero_point, *result.limits)


def nearest(values: NDArray[np.float32], result: Quantization) -> Integers:
    """Return the nearest integers, ties away from zero, to a function's values, multiplied by the scale's inverse."""
    steps = (values.astype(np.float32) * (np.float32(1.0) / np.float32(result.scale))).astype(np.float64)
    whole = np.copysign(np.floor(np.abs(steps) + 0.5), steps)
    return np.clip(whole + result.zero_point, *result.limits).astype(np.int64)


def requantized(x: Integers, source: Quantization, result: Quantization) -> Integers:
    """Express the same numbers with another scale and zero point."""
    return _with_factor(x, source, result, _factor(source.scale, 1.0, result.scale))


def rectified(
    x: Integers, source: Quantization, result: Quantization, activation: tuple[float, float] | None
) -> Integers:
    """Limit the numbers to an activation's limits. The ratio of the scales is a float32 number."""
    factor = float(np.float32(source.scale) / np.float32(result.scale))
    return np.clip(_with_factor(x, source, result, factor), *result.clamped(activation))


def _with_factor(x: Integers, source: Quantization, result: Quantization, factor: float) -> Integers:
    moved = scaled(np.asarray(x, np.int64) - source.zero_point, *multiplier_of(factor))
    return np.clip(moved + result.zero_point, *result.limits)


def mean(x: Integers, axes: tuple[int, ...], source: Quantization, result: Quantization) -> Integers:
    """Return means over axes, whose extents become 1. The sums' multiplier is divided by the number of elements."""
    count = math.prod(x.shape[axis] for axis in axes)
    m, shift = multiplier_of(_factor(source.scale, 1.0, result.scale))
    more = min(count.bit_length() - 1, 32, 31 + shift)
    total = x.sum(axis=axes, keepdims=True) - count * source.zero_point
    moved = scaled(total, (m << more) // count, shift - more)
    return np.clip(moved + result.zero_point, *result.limits)


def quantize(x: NDArray[np.float32], to: Quantization) -> Integers:
    """Return the nearest integers to numbers, ties away from zero."""
    steps = (x / np.float32(to.scale)).astype(np.float64)
    nearest = np.copysign(np.floor(np.abs(steps) + 0.5), steps).astype(np.int64)
    return np.clip(nearest + to.zero_point, *to.limits)


def dequantize(x: Integers, source: Quantization) -> NDArray[np.float32]:
    """Return the numbers that integers stand for."""
    return (x - source.zero_point).astype(np.float32) * np.float32(source.scale)


# ---- Bilinear resize ---------------------------------------------------------------------------------------


def resize_bilinear(
    x: Integers, size: tuple[int, int], dtype: str, *, corners: bool = False, half_pixels: bool = False
) -> Integers:
    """Interpolate uint8 in float32, and int8 by positions and weights with 10 fractional bits."""
    if dtype == "uint8":
        return _resize_by_floats(x, size, corners=corners, half_pixels=half_pixels)
    (y0, y1, down), (x0, x1, right) = (
        _positions_of_10_bits(have, want, corners=corners, half_pixels=half_pixels)
        for have, want in zip(x.shape[1:3], size, strict=True)
    )
    total = np.int64(0)
    for y, vertical in ((y0, 1024 - down), (y1, down)):
        for column, horizontal in ((x0, 1024 - right), (x1, right)):
            total = total + x[:, y][:, :, column] * (vertical[:, None] * horizontal)[..., None]
    return np.sign(total) * ((np.abs(total) + (1 << 19)) >> 20)


def _positions_of_10_bits(
    have: int, want: int, *, corners: bool, half_pixels: bool
) -> tuple[Integers, Integers, Integers]:
    """Return the pixels before and after each position, and 1024 times the weight of the pixel after it."""
    scale = (1024 * have + want // 2) // want
    if corners and want > 1:
        scale = (1024 * (have - 1) + (want - 1) // 2) // (want - 1)
    at = np.arange(want, dtype=np.int64) * scale + (scale // 2 - 512 if half_pixels else 0)
    before = np.maximum(np.sign(at) * (np.abs(at) // 1024), 0)
    behind = np.minimum(np.sign(at + 1023) * (np.abs(at + 1023) // 1024), have - 1)
    return before, behind, at - 1024 * before


def _resize_by_floats(x: Integers, size: tuple[int, int], *, corners: bool, half_pixels: bool) -> Integers:
    one, half = np.float32(1.0), np.float32(0.5)
    axes = []
    for have, want in zip(x.shape[1:3], size, strict=True):
        scale = np.float32(have) / np.float32(want)
        if corners and want > 1:
            scale = np.float32(have - 1) / np.float32(want - 1)
        at = np.arange(want, dtype=np.float32)
        at = (at + half) * scale - half if half_pixels else at * scale
        before = np.maximum(np.floor(at).astype(np.int64), 0)
        behind = np.minimum(np.ceil(at).astype(np.int64), have - 1)
        axes.append((before, behind, (at - before.astype(np.float32)).astype(np.float32)))
    (y0, y1, down), (x0, x1, right) = axes
    samples = x.astype(np.float32)
    total = np.float32(0.0)
    # The order matters: each product and each sum is rounded to float32.
    for column, horizontal in ((x0, one - right), (x1, right)):
        for y, vertical in ((y0, one - down), (y1, down)):
            taken = samples[:, y][:, :, column]
            total = total + taken * vertical[:, None, None] * horizontal[:, None]
    return (total + half).astype(np.float32).astype(np.int64)


# ---- Softmax -----------------------------------------------------------------------------------------------

_LARGEST = (1 << 31) - 1


def softmax(x: Integers, source: Quantization, beta: float = 1.0) -> Integers:
    """Return softmax of the last axis, with the scale 1 / 256 and the least integer as zero point."""
    low, high = source.limits
    factor = min(float(np.float32(beta)) * float(np.float32(source.scale)) * (1 << 26), float(_LARGEST))
    m, shift = multiplier_of(factor)
    minimum = -math.floor(31.0 * (1 << 26) / (1 << shift))
    difference = x - x.max(axis=-1, keepdims=True)
    near = difference >= minimum
    exponentials = _exponential(high_product(np.where(near, difference, 0) << shift, m))
    totals = np.where(near, rounding_shift(exponentials, 12), 0).sum(axis=-1, keepdims=True)
    leading = np.array([32 - int(total).bit_length() for total in totals.reshape(-1)]).reshape(totals.shape)
    inverse = _inverse((totals << leading) - (1 << 31))
    shares = rounding_shift(high_product(inverse, exponentials), 12 - leading + 31 - 8) + low
    return np.where(near, np.clip(shares, low, high), low)


def _exponential(a: Integers, integer_bits: int = 5) -> Integers:
    """Return e^a as a fraction of 31 bits.

    a <= 0 has `integer_bits` bits before the binary point, and the rest of its 31 bits after it.
    """
    first = 29 - integer_bits
    quarter = np.int64(1 << first)
    part = (a & (quarter - 1)) - quarter
    remainder = part - a
    x = (part << integer_bits) + (1 << 28)
    x2 = high_product(x, x)
    x3, x4 = high_product(x2, x), high_product(x2, x2)
    inner = high_product(rounding_shift(x4, 2) + x3, 715827883) + x2
    result = 1895147668 + high_product(1895147668, x + rounding_shift(inner, 1))
    factors = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)[: integer_bits + 2]
    for bit, factor in enumerate(factors, first):
        result = np.where(remainder & (1 << bit), high_product(result, factor), result)
    return np.where(a == 0, _LARGEST, result)


def _inverse(a: Integers) -> Integers:
    """Return 1 / (1 + a) for fractions a of 31 bits, by Newton's method."""
    total = a + _LARGEST
    half = (total + 1) >> 1
    x = 1515870810 + high_product(half, -1010580540)
    for _ in range(3):
        missing = (1 << 29) - high_product(half, x)
        x = x + np.clip(high_product(x, missing) << 2, -_LARGEST - 1, _LARGEST)
    return np.clip(x << 1, -_LARGEST - 1, _LARGEST)


def log_softmax(x: Integers, source: Quantization) -> Integers:
    """Return log softmax of the last axis, with the scale 16 / 256 and the greatest integer as zero point."""
    low, high = source.limits
    m, shift = multiplier_of(min(float(np.float32(source.scale)) * (1 << 26), float(_LARGEST)))
    minimum = -math.floor(31.0 * (1 << 26) / (1 << shift))
    back, back_shift = multiplier_of((1 << (31 - shift)) / m)
    difference = x - x.max(axis=-1, keepdims=True)
    near = difference >= minimum
    number = high_product(np.where(near, difference, 0) << shift, m)
    totals = np.where(near, rounding_shift(_exponential(number), 12), 0).sum(axis=-1, keepdims=True)
    logarithm = np.vectorize(_logarithm)(totals)
    reached = np.maximum(minimum - 1, scaled(logarithm - _LARGEST - 1, back, back_shift))
    steps = rounding_shift(number - logarithm, 22) + high
    return np.where(difference > reached, np.clip(steps, low, high), low)


def _logarithm(total: int) -> int:
    """Return the logarithm of a number of at least 1. The number has 12 bits before the point, the logarithm 5.

    The number is 2^n times a fraction r near 1, for which a rational function gives the logarithm.
    """
    root, quarter_root = 1518500250, 1805811301  # the square root and fourth root of 1/2, times 2^31
    leading = 32 - int(total).bit_length()
    first = min(2 * int(high_product(total << (leading - 1), root)), _LARGEST)
    smaller = int(high_product(total, root))
    other = 31 - smaller.bit_length()
    r = min(first, min(total << other, _LARGEST))
    power = max(((12 - leading) << 25) + (1 << 23), ((12 - other) << 25) - (1 << 23))
    p = int(np.sign(r + quarter_root)) + r + quarter_root >> 1
    q = 2 * (r - quarter_root)
    square = int(high_product(q, q))
    above = int(high_product(q, r) + high_product(high_product(q, square), 117049297))
    below = high_product(p, 1057819769 + q + high_product(127690142, square)) + high_product(638450708, q)
    share = high_product(rounding_shift(above, 6), _inverse(np.int64(below)))
    return min(2 * int(high_product(power, 1488522236) + share), _LARGEST)


def unit_norm(x: Integers, source: Quantization) -> Integers:
    """Divide by the L2 norm of the last axis. The scale is 1 / 128, and the zero point is 128 (uint8) or 0 (int8)."""
    low, high = source.limits
    above = np.asarray(x, np.int64) - source.zero_point
    m, right = np.vectorize(_inverse_root)(np.square(above).sum(axis=-1, keepdims=True))
    if source.dtype == "uint8":
        return np.clip(rounding_shift(high_product(128 * above, m), right) + 128, low, high)
    return np.clip(scaled(above, m, 7 - right), low, high)


def _inverse_root(total: int) -> tuple[int, int]:
    """Return (m, right) with 1 / sqrt(total) = m * 2^(-31 - right), by five steps of Newton's method."""
    total, right = int(total), 11
    if total <= 1:
        return _LARGEST, 0
    while total >= 1 << 29:
        total, right = total // 4, right + 1
    pairs = (31 - total.bit_length()) // 2 - 1
    total, right = total << (2 * pairs), right - pairs
    half = int(rounding_shift(total >> 1, 1))
    x = 1 << 28
    for _ in range(5):
        cube = int(high_product(high_product(x, x), x)) << 6
        x = int(high_product((1 << 28) + (1 << 27), x) - high_product(half, cube)) << 3
    m = int(high_product(x, 1518500250))
    return m << max(-right, 0), max(right, 0)


# ---- Functions of each element -----------------------------------------------------------------------------


def logistic(x: Integers, source: Quantization) -> Integers:
    """Return 1 / (1 + e^-x) of int8, with the scale 1 / 256 and the zero point -128."""
    m, shift = multiplier_of(float(np.float32(source.scale)) * (1 << 27))
    radius = math.floor(15.0 * (1 << 27) / 2.0**shift)
    centred = np.asarray(x, np.int64) - source.zero_point
    number = scaled(np.clip(centred, -radius, radius), m, shift)
    positive = _inverse(_exponential(-np.abs(number), 4))
    fraction = np.where(number > 0, positive, _LARGEST - positive)
    fraction = np.where(number == 0, 1 << 30, fraction)
    result = np.clip(rounding_shift(fraction, 23) - 128, -128, 127)
    return np.where(centred <= -radius, -128, np.where(centred >= radius, 127, result))


def hard_swish(x: Integers, source: Quantization, result: Quantization) -> Integers:
    """Compute x * relu6(x + 3) / 6 in integers of 16 bits, where x gets 7 more bits."""
    fine = float(np.float32(source.scale)) / 128.0
    of_gate, gate_shift = _multiplier_of_16_bits(fine / (3.0 / 32768.0))
    of_result, result_shift = _multiplier_of_16_bits(fine / float(np.float32(result.scale)))
    number = (np.asarray(x, np.int64) - source.zero_point) << 7
    gate = number
    if gate_shift > 0:
        gate = _clip_to_16_bits(gate << (gate_shift - 1))
    gate = _high_product_of_16_bits(gate, of_gate)
    gate = _clip_to_16_bits(gate << 1) if gate_shift > 0 else _rounding_shift_of_16_bits(gate, -gate_shift)
    gate = (gate + (1 << 15)) >> 1
    product = gate * _high_product_of_16_bits(number, of_result)
    product = np.sign(product) * (np.abs(product) >> 15)
    return np.clip(_rounding_shift_of_16_bits(product, -result_shift) + result.zero_point, *result.limits)


def _multiplier_of_16_bits(factor: float) -> tuple[int, int]:
    m, shift = multiplier_of(factor)
    return min((m + (1 << 15)) >> 16, (1 << 15) - 1), shift


def _high_product_of_16_bits(a: Integers, b: int) -> Integers:
    return _clip_to_16_bits((a * b + (1 << 14)) >> 15)


def _rounding_shift_of_16_bits(x: Integers, bits: int) -> Integers:
    """Shift like `rounding_shift`. From 16 bits on, LiteRT's mask overflows, and its kernel gives 1 or -1."""
    return rounding_shift(x, bits) if bits < 16 else np.where(x < 0, -1, 1)


def _clip_to_16_bits(x: Integers) -> Integers:
    return np.clip(x, -(1 << 15), (1 << 15) - 1)
