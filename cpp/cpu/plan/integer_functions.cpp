#include "cpu/plan/integer_functions.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "cpu/kernels/tasks/fixed_point.h"

namespace mpscnn::cpu {

using engine::Quantization;
using ops::Neuron;
using ops::NeuronKind;

FixedPoint fixed_point(double factor) {
    int shift = 0;
    auto m = static_cast<std::int64_t>(std::round(std::frexp(factor, &shift) * 2147483648.0));
    if (m == std::int64_t{1} << 31) m /= 2, ++shift;
    if (shift < -31) return {};
    return {static_cast<std::int32_t>(m), shift};
}

FixedPoint factor_between(const Quantization &source, const Quantization &result) {
    return fixed_point(static_cast<double>(source.scale) / static_cast<double>(result.scale));
}

/// Return the factor divided by `count`. The factor is shifted left before the division by as many bits as
/// fit, so the quotient keeps its precision.
FixedPoint factor_of_mean(const Quantization &source, const Quantization &result, std::int64_t count) {
    const FixedPoint whole = factor_between(source, result);
    int bits = 0;
    while (count >> (bits + 1) != 0) ++bits;
    bits = std::min({bits, 32, 31 + whole.shift});
    const std::int64_t wide = static_cast<std::int64_t>(whole.multiplier) * (std::int64_t{1} << bits);
    return {static_cast<std::int32_t>(wide / count), whole.shift - bits};
}

namespace {

// ---- In float32 ----

// TensorFlow Lite's kernels compute these functions in float32 and round after each operation. Here sigmoid
// and GELU do so, too, but their exponential and error function are computed in float64 and then rounded. All
// other functions are computed in float64.

float sigmoid(double x) {
    constexpr double largest = 88.0; // a little below the largest x whose exponential fits float32
    return 1.0f / (1.0f + static_cast<float>(std::exp(std::min(-x, largest))));
}

float gelu(float x) {
    const float argument = x * -0.70710678118654752440f;
    return 0.5f * x * static_cast<float>(std::erfc(static_cast<double>(argument)));
}

/// Return the activation's value for a real number. Functions of the C library are computed in float64, so
/// that all C libraries almost always give the same result after rounding.
double value_of(const Neuron &neuron, double x) {
    const auto limited_to_1 = [](double value) { return std::clamp(value, 0.0, 1.0); };
    const auto a = static_cast<double>(neuron.a), b = static_cast<double>(neuron.b);
    switch (neuron.kind) {
    case NeuronKind::linear:
        return a * x + b;
    case NeuronKind::hard_sigmoid:
        return limited_to_1(a * x + b);
    case NeuronKind::hard_swish:
        return x * limited_to_1((x + 3.0) / 6.0);
    case NeuronKind::swish:
        return x / (1.0 + std::exp(-b * x));
    case NeuronKind::tanh:
        return a * std::tanh(b * x);
    case NeuronKind::softplus: // ln(1 + e^y), without overflow
        return a * (std::max(b * x, 0.0) + std::log1p(std::exp(-std::fabs(b * x))));
    case NeuronKind::softsign:
        return x / (1.0 + std::fabs(x));
    case NeuronKind::elu:
        return x < 0.0 ? a * std::expm1(x) : x;
    case NeuronKind::gelu:
        return static_cast<double>(gelu(static_cast<float>(x)));
    case NeuronKind::gelu_tanh:
        return x / 2.0 * (1.0 + std::tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
    case NeuronKind::mish:
        return x * std::tanh(std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))));
    case NeuronKind::erf:
        return std::erf(x);
    default:
        return static_cast<double>(sigmoid(x));
    }
}

std::uint8_t through_numbers(const Neuron &neuron, const Quantization &source, const Quantization &result,
                             int byte) {
    const float x = source.scale * static_cast<float>(byte - stored(source, source.zero_point));
    const auto value = static_cast<float>(value_of(neuron, static_cast<double>(x)));
    const float steps = std::round(value * (1.0f / result.scale));
    const double moved = static_cast<double>(steps) + stored(result, result.zero_point);
    return static_cast<std::uint8_t>(std::clamp(moved, 0.0, 255.0));
}

/// Convert an integer of a concatenation's operand to the result's scale and zero point. Each operation is
/// rounded to float32, as in TensorFlow Lite's kernel for uint8. (TensorFlow Lite's kernel for int8 requires
/// equal scales.)
std::uint8_t joined(const Quantization &operand, const Quantization &result, int byte) {
    const float scale = operand.scale * (1.0f / result.scale);
    const float zero = -static_cast<float>(operand.zero_point) * scale;
    const float moved = std::round(static_cast<float>(byte + operand.lowest()) * scale + zero);
    return static_cast<std::uint8_t>(
        std::clamp(static_cast<double>(moved) + stored(result, result.zero_point), 0.0, 255.0));
}

// ---- In fixed-point arithmetic ----

std::uint8_t leaky(const Neuron &neuron, const Quantization &source, const Quantization &result, int byte) {
    const std::int32_t x = byte - stored(source, source.zero_point);
    const float factor = x >= 0 ? source.scale / result.scale : source.scale * neuron.a / result.scale;
    const FixedPoint fixed = fixed_point(static_cast<double>(factor));
    const std::int64_t moved = rounded_twice(x, fixed.multiplier, std::min(fixed.shift, 22));
    return static_cast<std::uint8_t>(limited(moved + stored(result, result.zero_point), 0, 255));
}

/// Return the absolute value: the distance from the zero point, converted to the result's scale.
std::uint8_t absolute(const Quantization &source, const Quantization &result, int byte) {
    const std::int32_t x = std::abs(byte - stored(source, source.zero_point));
    const FixedPoint fixed = fixed_point(static_cast<double>(source.scale / result.scale));
    const std::int64_t moved = rounded_twice(x, fixed.multiplier, std::min(fixed.shift, 22));
    return static_cast<std::uint8_t>(limited(moved + stored(result, result.zero_point), 0, 255));
}

constexpr std::int32_t lowest_16 = -32768, highest_16 = 32767;

/// Return a * b / 2^15 of 16-bit integers, rounded to nearest, ties up. -1 * -1, which overflows, is 32767.
std::int32_t product_16(std::int32_t a, std::int32_t b) {
    if (a == lowest_16 && b == lowest_16) return highest_16;
    const std::int32_t product = a * b;
    return (product + (product >= 0 ? 1 << 14 : 1 - (1 << 14))) / (1 << 15);
}

/// Return x / 2^bits of 16-bit integers, rounded to nearest, ties away from zero. For 16 bits and more the
/// result is 1 or -1, as in TensorFlow Lite's reference kernel, whose mask overflows there.
std::int32_t rounding_shift_16(std::int32_t x, std::int32_t bits) {
    return bits < 16 ? rounding_shift(x, bits) : (x < 0 ? -1 : 1);
}

std::int32_t left_16(std::int32_t x, std::int32_t bits) {
    return limited(static_cast<std::int64_t>(x) * (std::int64_t{1} << bits), lowest_16, highest_16);
}

/// Return a factor as FixedPoint with a multiplier of 15 bits.
FixedPoint fixed_point_16(float factor) {
    const FixedPoint fixed = fixed_point(static_cast<double>(factor));
    constexpr std::int32_t half = 1 << 15;
    const bool ends = fixed.multiplier >= std::numeric_limits<std::int32_t>::max() - half;
    return {ends ? highest_16 : (fixed.multiplier + half) >> 16, fixed.shift};
}

/// Compute 1 / (1 + e^-x) in fixed-point arithmetic, where x has 4 bits before the binary point.
std::uint8_t sigmoid(const Quantization &source, int byte) {
    const FixedPoint scale = fixed_point(static_cast<double>(source.scale) * 134217728.0);
    const auto radius = static_cast<std::int32_t>(
        std::min(std::floor(15.0 * 134217728.0 / std::ldexp(1.0, scale.shift)), 256.0));
    const std::int32_t x = byte - stored(source, source.zero_point);
    if (x < -radius) return 0;
    if (x > radius) return 255;
    const std::int32_t number = rounded_twice(x, scale.multiplier, scale.shift);
    const std::int32_t positive = inverse_of_one_and(exponential(4, -std::abs(number)));
    const std::int32_t share = number == 0  ? 1 << 30
                               : number > 0 ? positive
                                            : std::numeric_limits<std::int32_t>::max() - positive;
    return static_cast<std::uint8_t>(limited(rounding_shift(share, 23), 0, 255));
}

/// Compute x * min(max(x + 3, 0), 6) / 6 in fixed-point arithmetic. x has 7 additional bits, and the second
/// factor is a fraction of 15 bits.
std::uint8_t hard_swish(const Quantization &source, const Quantization &result, int byte) {
    const float scale = (1.0f / 128.0f) * source.scale;
    const FixedPoint to_result = fixed_point_16(scale / result.scale),
                     to_share = fixed_point_16(scale / (3.0f / 32768.0f));
    const std::int32_t x = (byte - stored(source, source.zero_point)) * 128;
    std::int32_t share = to_share.shift > 0 ? left_16(x, to_share.shift - 1) : x;
    share = product_16(share, to_share.multiplier);
    if (to_share.shift > 0) share = left_16(share, 1);
    if (to_share.shift < 0) share = rounding_shift_16(share, -to_share.shift);
    share = (share + (1 << 15)) >> 1;
    const std::int32_t whole = share * product_16(x, to_result.multiplier) / (1 << 15);
    const std::int32_t moved = rounding_shift_16(whole, -to_result.shift);
    return static_cast<std::uint8_t>(limited(moved + stored(result, result.zero_point), 0, 255));
}

/// True if TensorFlow Lite computes a sigmoid, or a hard swish, with these quantizations in fixed-point
/// arithmetic.
bool has_fixed_sigmoid(const Quantization &source, const Quantization &result) {
    return source.is_signed && result == Quantization{1.0f / 256.0f, -128, true};
}
bool has_fixed_hard_swish(const Quantization &source, const Quantization &result) {
    return source.is_signed == result.is_signed && source.scale <= 128.0f * result.scale &&
           fixed_point_16((1.0f / 128.0f) * source.scale / result.scale).shift <= 0;
}

} // namespace

std::array<std::uint8_t, 256> function_of_integers(const Neuron &neuron, const Quantization &source,
                                                   const Quantization &result) {
    const bool is_leaky = neuron.kind == NeuronKind::relu, is_absolute = neuron.kind == NeuronKind::absolute,
               is_sigmoid = neuron.kind == NeuronKind::sigmoid && has_fixed_sigmoid(source, result),
               is_hard_swish = neuron.kind == NeuronKind::hard_swish && has_fixed_hard_swish(source, result);
    std::array<std::uint8_t, 256> table{};
    for (int byte = 0; byte < 256; ++byte)
        table[static_cast<std::size_t>(byte)] = is_leaky      ? leaky(neuron, source, result, byte)
                                                : is_absolute ? absolute(source, result, byte)
                                                : is_sigmoid  ? sigmoid(source, byte)
                                                : is_hard_swish
                                                    ? hard_swish(source, result, byte)
                                                    : through_numbers(neuron, source, result, byte);
    return table;
}

std::array<std::uint8_t, 256> joined_integers(const Quantization &operand, const Quantization &result) {
    std::array<std::uint8_t, 256> table{};
    for (int byte = 0; byte < 256; ++byte)
        table[static_cast<std::size_t>(byte)] = joined(operand, result, byte);
    return table;
}

} // namespace mpscnn::cpu
