// Tests conversions between float32 and float16, of single numbers and of arrays.

#include "core/half.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "core/half_blocks.h"
#include "tests/cpp/check.h"

using mpscnn::ErrorKind;
using mpscnn::float_from_half;
using mpscnn::half_from_float;
using mpscnn::HalfBlocks;

namespace {

constexpr std::uint32_t half_count = 1u << 16;
constexpr std::uint32_t sweep_step = 311; // prime, so that every exponent meets many mantissa endings

static_assert(half_from_float(1.0f) == 0x3c00 && float_from_half(0x3c00) == 1.0f);

float float_of_bits(std::uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

std::uint32_t bits_of(float value) {
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

bool is_nan_half(std::uint32_t half) { return (half & 0x7fff) > 0x7c00; }

/// Return the value of a half by IEEE 754's definition of binary16, in double arithmetic; not for NaN.
double value_of_half(std::uint32_t half) {
    const int exponent = static_cast<int>((half >> 10) & 31);
    const int mantissa = static_cast<int>(half & 1023);
    const double magnitude = exponent == 31  ? HUGE_VAL
                             : exponent == 0 ? std::ldexp(mantissa, -24)
                                             : std::ldexp(1024 + mantissa, exponent - 25);
    return half & 0x8000 ? -magnitude : magnitude;
}

/// Return the value of the half nearest to a number that is not NaN, by scaling to whole multiples of the
/// spacing.
double nearest_half(double value) {
    if (std::isinf(value) || value == 0) return value;
    int exponent;
    std::frexp(value, &exponent); // value = m * 2^exponent, 0.5 <= |m| < 1
    const int spacing = std::max(exponent - 11, -24);
    const double rounded = std::ldexp(std::nearbyint(std::ldexp(value, -spacing)), spacing);
    return std::abs(rounded) < 65536 ? rounded : std::copysign(HUGE_VAL, value);
}

bool same_value_and_sign(double a, double b) { return a == b && std::signbit(a) == std::signbit(b); }

bool converts_correctly(std::uint32_t bits) {
    const std::uint16_t half = half_from_float(float_of_bits(bits));
    if ((bits & 0x7fffffff) > 0x7f800000)
        return half == ((bits >> 16 & 0x8000) | 0x7e00 | (bits >> 13 & 0x3ff));
    return !is_nan_half(half) && same_value_and_sign(value_of_half(half), nearest_half(float_of_bits(bits)));
}

/// Return floats at which rounding changes: each half, the midpoints between neighbours, and two floats on
/// either side.
std::vector<std::uint32_t> boundary_floats() {
    std::vector<std::uint32_t> result;
    for (std::uint32_t half = 0; half < 0x7c00; ++half) {
        const double here = value_of_half(half);
        const double next = half + 1 < 0x7c00 ? value_of_half(half + 1) : 65536.0;
        for (const double centre : {here, (here + next) / 2}) {
            const std::uint32_t bits = bits_of(static_cast<float>(centre));
            for (const int step : {-2, -1, 0, 1, 2}) {
                const std::uint32_t near = (bits + static_cast<std::uint32_t>(step)) & 0x7fffffff;
                result.push_back(near);
                result.push_back(near | 0x80000000);
            }
        }
    }
    return result;
}

template <class Check> std::uint32_t count_wrong_in_sweep(Check correct) {
    std::uint32_t wrong = 0;
    for (std::uint64_t bits = 0; bits <= 0xffffffff; bits += sweep_step)
        wrong += correct(static_cast<std::uint32_t>(bits)) ? 0 : 1;
    for (const std::uint32_t bits : boundary_floats()) wrong += correct(bits) ? 0 : 1;
    return wrong;
}

} // namespace

TEST(every_half_has_its_defined_value) {
    std::uint32_t wrong = 0;
    for (std::uint32_t half = 0; half < half_count; ++half) {
        const float value = float_from_half(static_cast<std::uint16_t>(half));
        const std::uint32_t quiet_nan = (half & 0x8000) << 16 | 0x7fc00000 | (half & 0x3ff) << 13;
        const bool correct =
            is_nan_half(half) ? bits_of(value) == quiet_nan : same_value_and_sign(value, value_of_half(half));
        wrong += correct ? 0 : 1;
    }
    CHECK(wrong == 0);
}

TEST(every_half_survives_the_way_through_float) {
    std::uint32_t wrong = 0;
    for (std::uint32_t half = 0; half < half_count; ++half) {
        const std::uint32_t expected = is_nan_half(half) ? half | 0x0200 : half;
        wrong += half_from_float(float_from_half(static_cast<std::uint16_t>(half))) == expected ? 0 : 1;
    }
    CHECK(wrong == 0);
}

TEST(floats_round_to_the_nearest_half_ties_to_even) { CHECK(count_wrong_in_sweep(converts_correctly) == 0); }

TEST(landmarks) {
    CHECK(half_from_float(65504.0f) == 0x7bff);
    CHECK(half_from_float(65519.996f) == 0x7bff);
    CHECK(half_from_float(65520.0f) == 0x7c00);
    CHECK(half_from_float(-std::numeric_limits<float>::infinity()) == 0xfc00);
    CHECK(half_from_float(2049.0f) == half_from_float(2048.0f));
    CHECK(half_from_float(2051.0f) == half_from_float(2052.0f));
    CHECK(half_from_float(std::ldexp(1.0f, -24)) == 0x0001);
    CHECK(half_from_float(std::ldexp(1.0f, -25)) == 0x0000);
    CHECK(half_from_float(std::ldexp(1.5f, -25)) == 0x0001);
    CHECK(half_from_float(-0.0f) == 0x8000);
    CHECK(half_from_float(float_of_bits(0x7f800001)) == 0x7e00);
    CHECK(half_from_float(float_of_bits(0xffc2a000)) == 0xfe15);
    CHECK(mpscnn::round_to_half(0.1f) == 0.0999755859375f);
}

TEST(every_way_has_the_bits_of_single_values) {
    std::vector<std::uint16_t> all(half_count), halves(half_count);
    std::iota(all.begin(), all.end(), std::uint16_t{0});
    std::vector<float> floats(half_count);
    for (const HalfBlocks &way : mpscnn::half_blocks()) {
        way.to_floats(all.data(), floats.data(), half_count / HalfBlocks::size, false);
        std::uint32_t wrong = 0;
        for (std::uint32_t half = 0; half < half_count; ++half)
            wrong += bits_of(floats[half]) == bits_of(float_from_half(all[half])) ? 0 : 1;
        CHECK(wrong == 0);
    }
    std::vector<std::uint32_t> swept = boundary_floats();
    for (std::uint64_t bits = 0; bits <= 0xffffffff; bits += sweep_step)
        swept.push_back(static_cast<std::uint32_t>(bits));
    swept.resize(swept.size() / HalfBlocks::size * HalfBlocks::size);
    floats.assign(swept.size(), 0.0f);
    std::memcpy(floats.data(), swept.data(), swept.size() * sizeof(float));
    halves.resize(swept.size());
    for (const HalfBlocks &way : mpscnn::half_blocks()) {
        way.to_halves(floats.data(), halves.data(), swept.size() / HalfBlocks::size, false);
        std::uint32_t wrong = 0;
        for (std::size_t i = 0; i < swept.size(); ++i)
            wrong += halves[i] == half_from_float(float_of_bits(swept[i])) ? 0 : 1;
        CHECK(wrong == 0);
    }
}

TEST(every_way_says_whether_a_float_is_beyond_the_halves) {
    for (const HalfBlocks &way : mpscnn::half_blocks())
        for (std::size_t place = 0; place < 2 * HalfBlocks::size; ++place)
            for (const float value : {65519.996f, 65520.0f, -65520.0f, HUGE_VALF}) {
                float floats[2 * HalfBlocks::size] = {};
                std::uint16_t halves[2 * HalfBlocks::size];
                floats[place] = value;
                CHECK(way.to_halves(floats, halves, 2, false) == (std::abs(value) >= 65520.0f));
            }
}

TEST(arrays_of_any_length_and_place_convert_and_nothing_else_is_touched) {
    constexpr std::size_t maximum = 100;
    for (std::size_t place = 0; place < 20; ++place)
        for (std::size_t count = 0; count + place + 1 < maximum; ++count) {
            std::vector<float> floats(maximum), back(maximum, -1.0f);
            for (std::size_t i = 0; i < maximum; ++i) floats[i] = static_cast<float>(i) + 0.1f;
            std::vector<std::uint16_t> halves(maximum, 0xabcd);
            const auto given = std::span<const float>(floats).subspan(place, count);
            mpscnn::halves_from_floats(given, std::span(halves).subspan(place, count));
            mpscnn::floats_from_halves(std::span<const std::uint16_t>(halves).subspan(place, count),
                                       std::span(back).subspan(place, count));
            bool right = halves[place + count] == 0xabcd && back[place + count] == -1.0f &&
                         (place == 0 || (halves[place - 1] == 0xabcd && back[place - 1] == -1.0f));
            for (std::size_t i = place; i < place + count; ++i)
                right = right && back[i] == mpscnn::round_to_half(floats[i]);
            CHECK(right);
        }
}

TEST(arrays_that_go_past_the_caches_have_the_same_bits) {
    constexpr std::size_t count = (std::size_t{8} << 20) / sizeof(std::uint16_t) + 77;
    for (const std::size_t place : {0u, 1u, 5u}) {
        std::vector<float> floats(place + count), back(place + count, -1.0f);
        for (std::size_t i = 0; i < count; ++i)
            floats[place + i] = static_cast<float>(i % 70001) * (i % 2 ? 0.37f : -0.011f);
        std::vector<std::uint16_t> halves(place + count, 0xabcd);
        const auto converted = std::span(halves).subspan(place);
        CHECK(mpscnn::halves_from_floats(std::span<const float>(floats).subspan(place), converted) == 0);
        mpscnn::floats_from_halves(converted, std::span(back).subspan(place));
        std::size_t wrong = 0;
        for (std::size_t i = place; i < place + count; ++i) {
            wrong += halves[i] == half_from_float(floats[i]) ? 0 : 1;
            wrong += back[i] == float_from_half(halves[i]) ? 0 : 1;
        }
        CHECK(wrong == 0 && (place == 0 || (halves[place - 1] == 0xabcd && back[place - 1] == -1.0f)));
    }
}

TEST(overflows_are_counted) {
    std::vector<float> floats(100000, 1.0f);
    std::vector<std::uint16_t> halves(floats.size());
    CHECK(mpscnn::halves_from_floats(floats, halves) == 0);
    floats[0] = HUGE_VALF;
    floats[17] = std::numeric_limits<float>::quiet_NaN();
    floats[18] = 65519.996f;
    CHECK(mpscnn::halves_from_floats(floats, halves) == 0);
    floats[1] = 65520.0f;
    floats[70000] = -1e30f;
    floats.back() = std::numeric_limits<float>::max();
    CHECK(mpscnn::halves_from_floats(floats, halves) == 3);
    CHECK(halves[70000] == 0xfc00 && halves[17] == 0x7e00);
    CHECK(mpscnn::halves_from_floats({}, {}) == 0);
}

TEST(arrays_of_different_lengths_are_refused) {
    std::vector<float> floats(3);
    std::vector<std::uint16_t> halves(4);
    CHECK_THROWS(mpscnn::halves_from_floats(floats, halves), ErrorKind::shape, "3 values");
    CHECK_THROWS(mpscnn::floats_from_halves(halves, floats), ErrorKind::shape, "4 values");
}

#if defined(__SSE2__)
TEST(floating_point_modes_do_not_matter) {
    const std::vector<std::uint32_t> inputs = boundary_floats();
    std::vector<std::uint16_t> expected;
    for (const std::uint32_t bits : inputs) expected.push_back(half_from_float(float_of_bits(bits)));

    std::vector<float> floats(inputs.size());
    std::memcpy(floats.data(), inputs.data(), inputs.size() * sizeof(float));
    std::vector<std::uint16_t> halves(inputs.size());
    const unsigned saved = _mm_getcsr();
    constexpr unsigned flush_to_zero = 0x8000, denormals_are_zero = 0x0040, rounding_shift = 13;
    std::uint32_t wrong = 0;
    for (unsigned rounding = 0; rounding < 4; ++rounding) {
        _mm_setcsr((saved & ~(3u << rounding_shift)) | rounding << rounding_shift | flush_to_zero |
                   denormals_are_zero);
        for (std::size_t i = 0; i < inputs.size(); ++i) {
            const std::uint16_t half = half_from_float(float_of_bits(inputs[i]));
            const float back = float_from_half(half);
            wrong += half == expected[i] && half_from_float(back) == half ? 0 : 1;
        }
        mpscnn::halves_from_floats(floats, halves);
        wrong += halves == expected ? 0 : 1;
    }
    _mm_setcsr(saved);
    CHECK(wrong == 0);
}
#endif

#if defined(__F16C__)
TEST(agrees_with_the_processor) {
    CHECK(count_wrong_in_sweep([](std::uint32_t bits) {
              const float value = float_of_bits(bits);
              return half_from_float(value) == _cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT);
          }) == 0);
    std::uint32_t wrong = 0;
    for (std::uint32_t half = 0; half < half_count; ++half) {
        const auto bits = static_cast<std::uint16_t>(half);
        wrong += bits_of(float_from_half(bits)) == bits_of(_cvtsh_ss(bits)) ? 0 : 1;
    }
    CHECK(wrong == 0);
}
#endif
