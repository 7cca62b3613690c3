#pragma once

// The fixed-point arithmetic of TensorFlow Lite's reference kernels, which defines the bits of int8 networks.
// tests/cpp/cpu/fixed_point_test.cpp compares it with exact fractions. Each file that includes this header
// gets separate copies of the functions, compiled for the file's instruction set.

#include <cstdint>

namespace mpscnn::cpu {
namespace {

#define MPSCNN_FIXED_POINT __attribute__((always_inline, unused)) inline

/// Return x * m / 2^31 rounded to nearest, ties up. x and m may not both be the smallest integer.
MPSCNN_FIXED_POINT std::int32_t high_product(std::int32_t x, std::int32_t m) {
    return static_cast<std::int32_t>((static_cast<std::int64_t>(x) * m + (std::int64_t{1} << 30)) >> 31);
}

/// Return x / 2^bits rounded to nearest, ties away from zero; bits is 0 to 31.
MPSCNN_FIXED_POINT std::int32_t rounding_shift(std::int32_t x, std::int32_t bits) {
    const auto mask = static_cast<std::int32_t>((std::int64_t{1} << bits) - 1);
    const std::int32_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);
    return (x >> bits) + ((x & mask) > threshold ? 1 : 0);
}

/// Return x * m * 2^(shift - 31), rounded twice; shift is -31 to 30.
MPSCNN_FIXED_POINT std::int32_t rounded_twice(std::int32_t x, std::int32_t m, std::int32_t shift) {
    const std::int32_t left = shift > 0 ? shift : 0, right = shift > 0 ? 0 : -shift;
    const auto larger = static_cast<std::int32_t>(static_cast<std::uint32_t>(x) << left);
    return rounding_shift(high_product(larger, m), right);
}

/// Return x * m * 2^(shift - 31), rounded once, ties up.
MPSCNN_FIXED_POINT std::int32_t rounded_once(std::int32_t x, std::int32_t m, std::int32_t shift) {
    const std::int32_t bits = 31 - shift;
    return static_cast<std::int32_t>((static_cast<std::int64_t>(x) * m + (std::int64_t{1} << (bits - 1))) >>
                                     bits);
}

MPSCNN_FIXED_POINT std::int32_t limited(std::int64_t x, std::int32_t low, std::int32_t high) {
    return x < low ? low : (x > high ? high : static_cast<std::int32_t>(x));
}

/// Return e^a for a <= 0 as a fraction of 31 bits. `a` has `bits` bits before the binary point and 31 bits in
/// total without the sign. The result is a polynomial of the part of `a` below 1/4, multiplied by a constant
/// for each higher bit.
MPSCNN_FIXED_POINT std::int32_t exponential(int bits, std::int32_t a) {
    if (a == 0) return INT32_MAX;
    const std::int32_t quarter = 1 << (29 - bits);
    const std::int32_t part = (a & (quarter - 1)) - quarter, remainder = part - a;
    const std::int32_t x = part * (1 << bits) + (1 << 28), x2 = high_product(x, x), x3 = high_product(x2, x),
                       x4 = high_product(x2, x2);
    const std::int32_t inner = high_product(rounding_shift(x4, 2) + x3, 715827883) + x2;
    std::int32_t result = 1895147668 + high_product(x + rounding_shift(inner, 1), 1895147668);
    constexpr std::int32_t factors[] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    for (int bit = 0; bit < bits + 2; ++bit)
        if (remainder & (1 << (29 - bits + bit))) result = high_product(result, factors[bit]);
    return result;
}

/// Return 1 / (1 + a) as a fraction of 31 bits. Newton's method takes three steps from 48/17 - 32/17 * (1 +
/// a) / 2.
MPSCNN_FIXED_POINT std::int32_t inverse_of_one_and(std::int32_t a) {
    constexpr std::int64_t largest = INT32_MAX;
    const auto half = static_cast<std::int32_t>((static_cast<std::int64_t>(a) + largest + 1) >> 1);
    const auto larger = [](std::int32_t p, int bits) {
        return limited(static_cast<std::int64_t>(p) * (1 << bits), INT32_MIN, INT32_MAX);
    };
    std::int32_t x = 1515870810 + high_product(half, -1010580540);
    for (int step = 0; step < 3; ++step) x += larger(high_product(x, (1 << 29) - high_product(half, x)), 2);
    return larger(x, 1);
}

/// Return the logarithm of a number of at least 1. The number has 12 bits before the binary point, and the
/// result has 5. The number is written as 2^n * r with r near the 4th root of 1/2. A quotient of polynomials
/// gives the logarithm of r.
MPSCNN_FIXED_POINT std::int32_t logarithm_of_sum(std::int32_t sum) {
    constexpr std::int32_t root = 1518500250, fourth_root = 1805811301; // of 1/2
    const auto larger = [](std::int32_t p, int bits) {
        return limited(static_cast<std::int64_t>(p) * (std::int64_t{1} << bits), INT32_MIN, INT32_MAX);
    };
    // There are two choices of n and r. Take the smaller r, which is between sqrt(1/2) and 1, and the larger
    // n.
    const int leading = __builtin_clz(static_cast<std::uint32_t>(sum));
    const std::int32_t first = larger(high_product(larger(sum, leading - 1), root), 1);
    const int other = __builtin_clz(static_cast<std::uint32_t>(high_product(sum, root))) - 1;
    const std::int32_t second = larger(sum, other), r = first < second ? first : second;
    const std::int32_t first_power = (12 - leading) * (1 << 25) + (1 << 23),
                       second_power = (12 - other) * (1 << 25) - (1 << 23),
                       power = first_power > second_power ? first_power : second_power;
    const auto middle =
        static_cast<std::int32_t>((static_cast<std::int64_t>(r) + fourth_root + 1) / 2); // both are positive
    const std::int32_t q = 2 * (r - fourth_root), square = high_product(q, q),
                       above = high_product(q, r) + high_product(high_product(q, square), 117049297),
                       below = high_product(middle, 1057819769 + q + high_product(127690142, square)) +
                               high_product(638450708, q);
    const std::int32_t part = high_product(rounding_shift(above, 6), inverse_of_one_and(below));
    return larger(high_product(power, 1488522236) + part, 1);
}

/// Return m, and set `shift`, with 1 / sqrt(sum) = m * 2^(shift - 31); the shift is at most 0. Newton's
/// method takes five steps from 1. A sum of 0 counts as 1.
MPSCNN_FIXED_POINT std::int32_t inverse_of_root(std::int32_t sum, std::int32_t &shift) {
    shift = 0;
    if (sum <= 1) return INT32_MAX;
    int right = 11;
    for (; sum >= 1 << 29; sum /= 4) ++right;
    const int pairs = (__builtin_clz(static_cast<std::uint32_t>(sum)) - 1) / 2 - 1;
    const std::int32_t half = rounding_shift(sum << (2 * pairs) >> 1, 1);
    right -= pairs;
    std::int32_t x = 1 << 28;
    for (int step = 0; step < 5; ++step) {
        const std::int32_t cube = high_product(high_product(x, x), x) * (1 << 6);
        x = (high_product((1 << 28) + (1 << 27), x) - high_product(half, cube)) * (1 << 3);
    }
    const std::int32_t result = high_product(x, 1518500250);
    if (right < 0) return result * (1 << -right);
    shift = -right;
    return result;
}

#undef MPSCNN_FIXED_POINT

} // namespace
} // namespace mpscnn::cpu
