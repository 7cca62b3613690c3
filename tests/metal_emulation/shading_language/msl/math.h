// The functions of <metal_math>, <metal_common>, <metal_geometric>, <metal_relational> and <metal_integer>
// that are common in compute kernels. All arguments must have the same type, because Metal refuses mixed
// types as ambiguous.
#pragma once

#include "msl/vector.h"

#include <cmath>

namespace metal {

// Half precision: computed in float and rounded once, which is exact for the basic operations.
#define MSL_UNARY(NAME, EXPRESSION)                                                                          \
    template <class V>                                                                                       \
        requires msl::is_float<V>                                                                            \
    V NAME(V value) {                                                                                        \
        return msl::each<V>([&](int i) {                                                                     \
            const float x = static_cast<float>(msl::component(value, i));                                    \
            return static_cast<msl::Element<V>>(EXPRESSION);                                                 \
        });                                                                                                  \
    }
#define MSL_BINARY(NAME, EXPRESSION)                                                                         \
    template <class V>                                                                                       \
        requires msl::is_float<V>                                                                            \
    V NAME(V first, V second) {                                                                              \
        return msl::each<V>([&](int i) {                                                                     \
            const float x = static_cast<float>(msl::component(first, i));                                    \
            const float y = static_cast<float>(msl::component(second, i));                                   \
            return static_cast<msl::Element<V>>(EXPRESSION);                                                 \
        });                                                                                                  \
    }

MSL_UNARY(acos, std::acos(x))
MSL_UNARY(asin, std::asin(x))
MSL_UNARY(atan, std::atan(x))
MSL_UNARY(ceil, std::ceil(x))
MSL_UNARY(cos, std::cos(x))
MSL_UNARY(cosh, std::cosh(x))
MSL_UNARY(exp, std::exp(x))
MSL_UNARY(exp2, std::exp2(x))
MSL_UNARY(fabs, std::fabs(x))
MSL_UNARY(floor, std::floor(x))
MSL_UNARY(fract, std::fmin(x - std::floor(x), 0x1.fffffep-1f))
MSL_UNARY(log, std::log(x))
MSL_UNARY(log10, std::log10(x))
MSL_UNARY(log2, std::log2(x))
MSL_UNARY(rint, std::nearbyint(x))
MSL_UNARY(round, std::round(x))
MSL_UNARY(rsqrt, 1.0f / std::sqrt(x))
MSL_UNARY(saturate, std::fmin(std::fmax(x, 0.0f), 1.0f))
MSL_UNARY(sign, x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x == 0.0f ? x : 0.0f)
MSL_UNARY(sin, std::sin(x))
MSL_UNARY(sinh, std::sinh(x))
MSL_UNARY(sqrt, std::sqrt(x))
MSL_UNARY(tan, std::tan(x))
MSL_UNARY(tanh, std::tanh(x))
MSL_UNARY(trunc, std::trunc(x))
MSL_BINARY(atan2, std::atan2(x, y))
MSL_BINARY(copysign, std::copysign(x, y))
MSL_BINARY(fmax, std::fmax(x, y))
MSL_BINARY(fmin, std::fmin(x, y))
MSL_BINARY(fmod, std::fmod(x, y))
MSL_BINARY(pow, std::pow(x, y))
MSL_BINARY(powr, std::pow(x, y))
MSL_BINARY(step, y < x ? 0.0f : 1.0f)
#undef MSL_UNARY
#undef MSL_BINARY

template <class V> V abs(V value) {
    return msl::each<V>([&](int i) {
        const auto x = msl::component(value, i);
        return static_cast<msl::Element<V>>(x < 0 ? -x : msl::is_float<V> && x == 0 ? 0 : x);
    });
}

// For a number and a NaN these functions return the number, like fmax and fmin. Code that must keep NaN needs
// a comparison.
template <class V> V max(V first, V second) {
    if constexpr (msl::is_float<V>)
        return fmax(first, second);
    else
        return msl::each<V>([&](int i) {
            const auto x = msl::component(first, i), y = msl::component(second, i);
            return x < y ? y : x;
        });
}
template <class V> V min(V first, V second) {
    if constexpr (msl::is_float<V>)
        return fmin(first, second);
    else
        return msl::each<V>([&](int i) {
            const auto x = msl::component(first, i), y = msl::component(second, i);
            return y < x ? y : x;
        });
}
template <class V> V clamp(V value, V low, V high) { return min(max(value, low), high); }

template <class V>
    requires msl::is_float<V>
V fma(V a, V b, V c) {
    return msl::each<V>([&](int i) {
        return static_cast<msl::Element<V>>(std::fma(static_cast<float>(msl::component(a, i)),
                                                     static_cast<float>(msl::component(b, i)),
                                                     static_cast<float>(msl::component(c, i))));
    });
}
template <class V>
    requires msl::is_float<V>
V mix(V from, V to, V weight) {
    return from + (to - from) * weight;
}

template <class T, int N> T dot(vec<T, N> first, vec<T, N> second) {
    T sum = first[0] * second[0];
    for (int i = 1; i < N; ++i) sum += first[i] * second[i];
    return sum;
}

// Comparisons of vectors give integers, 0 or -1; in Metal they give bools. any, all and select accept the
// integers.
template <class T>
    requires std::is_arithmetic_v<T> || std::is_same_v<T, half>
bool isnan(T value) {
    return value != value;
}
template <class T>
    requires std::is_same_v<T, float> || std::is_same_v<T, half>
bool isinf(T value) {
    return __builtin_isinf(static_cast<float>(value));
}
template <class T>
    requires std::is_same_v<T, float> || std::is_same_v<T, half>
bool isfinite(T value) {
    return __builtin_isfinite(static_cast<float>(value));
}
template <class T, int N> auto isnan(vec<T, N> value) { return value != value; }
template <class T, int N> bool any(vec<T, N> condition) {
    for (int i = 0; i < N; ++i)
        if (condition[i]) return true;
    return false;
}
template <class T, int N> bool all(vec<T, N> condition) {
    for (int i = 0; i < N; ++i)
        if (!condition[i]) return false;
    return true;
}
template <class V, class Condition> V select(V if_false, V if_true, Condition condition) {
    static_assert(msl::Shape<V>::size == msl::Shape<Condition>::size);
    return msl::each<V>(
        [&](int i) { return msl::component(msl::component(condition, i) ? if_true : if_false, i); });
}

template <class V>
    requires std::is_integral_v<msl::Element<V>> && (sizeof(msl::Element<V>) == 4)
V popcount(V value) {
    return msl::each<V>([&](int i) {
        return static_cast<msl::Element<V>>(
            __builtin_popcount(static_cast<unsigned>(msl::component(value, i))));
    });
}
/// Return the upper half of a product.
inline uint mulhi(uint first, uint second) {
    return static_cast<uint>((static_cast<std::uint64_t>(first) * second) >> 32);
}

// The emulation has one precision: both namespaces of Metal contain the same functions.
namespace precise {
using metal::cos;
using metal::exp;
using metal::exp2;
using metal::log;
using metal::log2;
using metal::pow;
using metal::rsqrt;
using metal::sin;
using metal::sqrt;
using metal::tanh;
} // namespace precise
namespace fast = precise;

} // namespace metal
