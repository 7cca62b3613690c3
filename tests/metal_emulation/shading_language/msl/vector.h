// Scalars and vectors. Metal's own vectors are clang's extended vectors as well. So swizzles, operators and
// the lack of implicit conversions are the same. Only the construction `float4(a, b)` is not C++: see
// keywords.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace metal {

using half = _Float16;
using uchar = unsigned char;
using ushort = unsigned short;
using uint = unsigned int;
using ulong = std::uint64_t;
using size_t = std::size_t;
using std::int16_t;
using std::int32_t;
using std::int8_t;
using std::uint16_t;
using std::uint32_t;
using std::uint8_t;

template <class T, int N> using vec = T __attribute__((ext_vector_type(N)));

#define MSL_VECTORS(T)                                                                                       \
    using T##2 = vec<T, 2>;                                                                                  \
    using T##3 = vec<T, 3>;                                                                                  \
    using T##4 = vec<T, 4>;
MSL_VECTORS(char)
MSL_VECTORS(uchar)
MSL_VECTORS(short)
MSL_VECTORS(ushort)
MSL_VECTORS(int)
MSL_VECTORS(uint)
MSL_VECTORS(ulong)
MSL_VECTORS(half)
MSL_VECTORS(float)
#undef MSL_VECTORS

} // namespace metal

namespace msl {

template <class V> struct Shape {
    using Element = V;
    static constexpr int size = 1;
};
template <class T, int N> struct Shape<metal::vec<T, N>> {
    using Element = T;
    static constexpr int size = N;
};
template <class V> using Element = typename Shape<V>::Element;

template <class V> constexpr bool is_vector = Shape<V>::size > 1;
template <class V>
constexpr bool is_float = std::is_same_v<Element<V>, float> || std::is_same_v<Element<V>, metal::half>;

template <class V> constexpr Element<V> component(const V &value, int i) {
    if constexpr (is_vector<V>)
        return value[i];
    else
        return value;
}

/// Return the vector of f(component 0), f(component 1), ...
template <class V, class Function> constexpr V each(Function f) {
    if constexpr (is_vector<V>)
        return [&]<std::size_t... I>(std::index_sequence<I...>) {
            return V{f(static_cast<int>(I))...};
        }(std::make_index_sequence<Shape<V>::size>());
    else
        return f(0);
}

/// Implements `float4(a, b)`: one scalar fills the vector, one vector is converted, and several parts are
/// joined.
template <class V, class... Parts> constexpr V make(const Parts &...parts) {
    using T = Element<V>;
    constexpr int given = (0 + ... + Shape<Parts>::size);
    std::array<T, given> all{};
    int next = 0;
    auto append = [&](const auto &part) {
        for (int i = 0; i < Shape<std::remove_cvref_t<decltype(part)>>::size; ++i)
            all[static_cast<std::size_t>(next++)] = static_cast<T>(component(part, i));
    };
    (append(parts), ...);
    if constexpr (given == 1) return each<V>([&](int) { return all[0]; });
    static_assert(given == 1 || given == Shape<V>::size, "the parts of a vector do not fill it exactly");
    return each<V>([&](int i) { return all[static_cast<std::size_t>(i) % given]; });
}

} // namespace msl

namespace metal {

template <class To, class From> To as_type(const From &value) {
    static_assert(sizeof(To) == sizeof(From), "as_type between types of different size");
    return __builtin_bit_cast(To, value);
}

// Metal's suffix of half literals, as in 0.5h.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wuser-defined-literals"
constexpr half operator""h(long double value) { return static_cast<half>(value); }
#pragma clang diagnostic pop

} // namespace metal
