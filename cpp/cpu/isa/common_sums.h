#pragma once

// Sums along the lanes of vectors, in an order that does not depend on the processor's vector width. There
// are always 16 sums: sum i adds the elements i, i + 16, and so on. At the end the upper half of the sums is
// joined with the lower half, and so on until one sum remains. A narrower vector needs several registers for
// the 16 sums.

#include "cpu/isa/simd.h"

namespace mpscnn::cpu {
namespace {

inline constexpr int common_sums = 16;

/// The number of vectors that hold the 16 sums.
template <class V> inline constexpr int sum_vectors = common_sums / V::width;

/// The 16 sums of floats.
template <class V> struct CommonSums {
    typename V::reg parts[sum_vectors<V>];

    explicit MPSCNN_INLINE CommonSums(typename V::reg start) {
#pragma GCC unroll 4
        for (auto &part : parts) part = start;
    }
    /// Return the sums to which a vector of elements is added. The vector begins with element number
    /// `element`, a multiple of V::width.
    MPSCNN_INLINE typename V::reg &of_element(std::int64_t element) {
        return parts[element % common_sums / V::width];
    }
    template <class Join> MPSCNN_INLINE void join(const CommonSums &other, Join join) {
#pragma GCC unroll 4
        for (int i = 0; i < sum_vectors<V>; ++i) parts[i] = join(parts[i], other.parts[i]);
    }
    /// Join the sums of all registers into one vector.
    template <class Join> MPSCNN_INLINE typename V::reg folded(Join join) const {
        typename V::reg kept[sum_vectors<V>];
#pragma GCC unroll 4
        for (int i = 0; i < sum_vectors<V>; ++i) kept[i] = parts[i];
#pragma GCC unroll 2
        for (int half = sum_vectors<V> / 2; half > 0; half /= 2)
#pragma GCC unroll 2
            for (int i = 0; i < half; ++i) kept[i] = join(kept[i], kept[i + half]);
        return kept[0];
    }
    MPSCNN_INLINE typename V::reg folded() const {
        return folded([](typename V::reg a, typename V::reg b) { return V::add(a, b); });
    }
};

} // namespace
} // namespace mpscnn::cpu
