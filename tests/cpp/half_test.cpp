#include "core/half.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "check.h"

using mpscnn::ErrorKind;
using mpscnn::float_from_half;
using mpscnn::half_from_float;

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

/// IEEE 754's definition of binary16, in double arithmetic; not for NaN.
double value_of_half(std::uint32_t half) {
    const int exponent = static_cast<int>((half >> 10) & 31);
    const int mantissa = static_cast<int>(half & 1023);
    const double magnitude = exponent == 31  ? HUGE_VAL
                             : exponent == 0 ? std::ldexp(mantissa, -24)
                                             : std::ldexp(1024 + mantissa, exponent - 25);
    return half & 0x8000 ? -magnitude : magnitude;
}

/// The value of the half nearest to a number that is not NaN, by scaling to whole multiples of the spacing
/// there.
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

/// Floats where rounding changes: each half, the midpoints between neighbours, and two floats on either side.
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

template <class Judge> std::uint32_t count_wrong_in_sweep(Judge correct) {
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

TEST(arrays_convert_like_single_values) {
    std::vector<std::uint16_t> halves(half_count);
    for (std::uint32_t half = 0; half < half_count; ++half) halves[half] = static_cast<std::uint16_t>(half);
    std::vector<float> floats(half_count);
    mpscnn::floats_from_halves(halves, floats);
    std::vector<std::uint16_t> back(half_count);
    mpscnn::halves_from_floats(floats, back);
    std::uint32_t wrong = 0;
    for (std::uint32_t half = 0; half < half_count; ++half) {
        const bool float_equal = bits_of(floats[half]) == bits_of(float_from_half(halves[half]));
        wrong += float_equal && back[half] == half_from_float(floats[half]) ? 0 : 1;
    }
    CHECK(wrong == 0);
    mpscnn::halves_from_floats({}, {});
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
