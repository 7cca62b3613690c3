// Compares the fixed-point arithmetic of int8 networks with its definition in exact numbers.

#include "cpu/kernels/tasks/fixed_point.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "tests/cpp/check.h"

namespace {

using mpscnn::cpu::high_product;
using mpscnn::cpu::inverse_of_root;
using mpscnn::cpu::logarithm_of_sum;
using mpscnn::cpu::rounded_once;
using mpscnn::cpu::rounded_twice;
using mpscnn::cpu::rounding_shift;

__extension__ using Wide = __int128;

/// Return floor(x / 2^bits).
std::int64_t floor_of(Wide x, int bits) {
    const Wide unit = static_cast<Wide>(1) << bits;
    return static_cast<std::int64_t>(x >= 0 ? x / unit : -((-x + unit - 1) / unit));
}

std::int64_t nearest_up(Wide x, int bits) {
    return floor_of(2 * x + (static_cast<Wide>(1) << bits), bits + 1);
}

std::int64_t nearest_away(Wide x, int bits) { return x < 0 ? -nearest_up(-x, bits) : nearest_up(x, bits); }

constexpr std::int32_t multipliers[] = {1 << 30, (1 << 30) + 1, 1256584746, 1672461947,
                                        std::numeric_limits<std::int32_t>::max()};
constexpr std::int64_t minimum = std::numeric_limits<std::int32_t>::min(), maximum = -(minimum + 1);

/// Return the number of wrong results, for sums across the 32-bit range and around zero.
template <class IsRight> int count_wrong(std::int64_t step, IsRight is_right) {
    int wrong = 0;
    for (std::int64_t x = minimum; x <= maximum; x += step)
        wrong += is_right(static_cast<std::int32_t>(x)) ? 0 : 1;
    for (std::int32_t x = -70000; x <= 70000; ++x) wrong += is_right(x) ? 0 : 1;
    return wrong;
}

TEST(high_products_are_the_nearest) {
    for (const std::int32_t m : multipliers)
        CHECK(count_wrong(40009, [&](std::int32_t x) {
                  return high_product(x, m) == nearest_up(static_cast<Wide>(x) * m, 31);
              }) == 0);
}

TEST(shifts_round_away_from_zero) {
    for (int bits = 0; bits <= 31; ++bits)
        CHECK(count_wrong(400009, [&](std::int32_t x) {
                  return rounding_shift(x, bits) == nearest_away(x, bits);
              }) == 0);
}

/// Test sums that fit 32 bits after the left shift.
TEST(requantisation_is_that_of_its_definition) {
    for (const std::int32_t m : multipliers)
        for (int shift = -31; shift <= 8; ++shift)
            CHECK(count_wrong(4000037, [&](std::int32_t x) {
                      const std::int64_t larger = shift > 0 ? std::int64_t{x} * (1 << shift) : x;
                      if (larger < minimum || larger > maximum) return true;
                      const Wide product = static_cast<Wide>(larger) * m;
                      const int right = shift > 0 ? 0 : -shift;
                      return rounded_twice(x, m, shift) == nearest_away(nearest_up(product, 31), right) &&
                             rounded_once(x, m, shift) == nearest_up(product, 31 + right);
                  }) == 0);
}

/// Test numbers with 12 bits before the binary point. The logarithm has 26 bits after it.
TEST(logarithms_are_near) {
    double largest = 0.0;
    for (std::int64_t sum = 1 << 19; sum <= maximum; sum += 1 + sum / 5000) {
        const double found = std::ldexp(logarithm_of_sum(static_cast<std::int32_t>(sum)), -26),
                     right = std::log(std::ldexp(static_cast<double>(sum), -19));
        largest = std::max(largest, std::fabs(found - right));
    }
    CHECK(largest < 1e-6);
}

TEST(inverse_roots_are_near) {
    double largest = 0.0;
    for (std::int64_t sum = 1; sum <= maximum; sum += 1 + sum / 5000) {
        std::int32_t shift = 0;
        const std::int32_t m = inverse_of_root(static_cast<std::int32_t>(sum), shift);
        CHECK(shift <= 0);
        const double product = std::ldexp(m, shift - 31) * std::sqrt(static_cast<double>(sum));
        largest = std::max(largest, std::fabs(product - 1.0));
    }
    CHECK(largest < 2e-6);
}

} // namespace
