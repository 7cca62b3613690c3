#pragma once

// The transforms of Winograd's algorithm along one axis, for tiles of six inputs (convolution_winograd.h).

#include "cpu/isa/kernels.h"
#include "cpu/isa/simd.h"
#include "cpu/kernels/shared/work_split.h"

namespace mpscnn::cpu {
namespace {

struct Winograd {
    static constexpr int points = 6,
                         all_points = points * points; ///< inputs of a tile along one axis; along both
    static constexpr float near_point = 0.625f, far_point = 1.5f;
    static constexpr float near_square = near_point * near_point, far_square = far_point * far_point;
};

/// Round up the distance of arrays in floats, so that arrays do not share one set of L1.
constexpr std::int64_t spread(std::int64_t floats) {
    constexpr std::int64_t line = 16;
    return ((floats + line - 1) / line | 1) * line;
}

/// Transform six inputs along an axis to the values at the points.
template <class V> MPSCNN_INLINE void transform_inputs(typename V::reg (&d)[Winograd::points]) {
    constexpr float near = Winograd::near_point, far = Winograd::far_point;
    const auto minus_near = V::set1(-Winograd::near_square), minus_far = V::set1(-Winograd::far_square);
    const auto minus_sum = V::set1(-Winograd::near_square - Winograd::far_square);
    const auto product = V::set1(Winograd::near_square * Winograd::far_square);
    const auto first = V::fma(product, d[0], V::fma(minus_sum, d[2], d[4]));
    const auto last = V::fma(product, d[1], V::fma(minus_sum, d[3], d[5]));
    const auto near_even = V::fma(minus_far, d[2], d[4]), near_odd = V::fma(minus_far, d[1], d[3]);
    const auto far_even = V::fma(minus_near, d[2], d[4]), far_odd = V::fma(minus_near, d[1], d[3]);
    d[0] = first;
    d[1] = V::fma(V::set1(near), near_odd, near_even);
    d[2] = V::fma(V::set1(-near), near_odd, near_even);
    d[3] = V::fma(V::set1(far), far_odd, far_even);
    d[4] = V::fma(V::set1(-far), far_odd, far_even);
    d[5] = last;
}

/// Transform six products along an axis to the outputs.
template <class V, int outputs>
MPSCNN_INLINE void transform_products(const typename V::reg (&m)[Winograd::points],
                                      typename V::reg (&y)[outputs]) {
    const auto near_even = V::add(m[1], m[2]), near_odd = V::sub(m[1], m[2]);
    const auto far_even = V::add(m[3], m[4]), far_odd = V::sub(m[3], m[4]);
    // Output i is a sum of products times the i-th powers of the points. Odd powers of +-p multiply
    // differences, even powers sums.
    y[0] = V::add(V::add(m[0], near_even), far_even);
    float near = Winograd::near_point, far = Winograd::far_point;
#pragma GCC unroll 4
    for (int i = 1; i < outputs; ++i) {
        const auto near_term = V::set1(near), far_term = V::set1(far);
        const auto last = V::mul(near_term, i % 2 ? near_odd : near_even);
        y[i] = V::fma(far_term, i % 2 ? far_odd : far_even, i + 1 < outputs ? last : V::add(last, m[5]));
        near *= Winograd::near_point, far *= Winograd::far_point;
    }
}

} // namespace
} // namespace mpscnn::cpu
