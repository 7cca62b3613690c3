#pragma once

// The epilogue: the operations on results before they are stored, such as activation and residual. All kernel
// templates share this code. The rules of simd.h for kernel headers hold.

#include "cpu/isa/kernels.h"
#include "cpu/isa/simd.h"

namespace mpscnn::cpu {
namespace {

/// Apply the activation in place to `Count` vectors of consecutive channels of each of `MR` pixels. The kind
/// is tested once for all vectors, which stay in registers. `slopes` may be read in whole vectors from
/// `channel` on.
template <class V, int MR, int Count>
MPSCNN_INLINE void activate(const Activation &activation, typename V::reg (&x)[MR][Count],
                            std::int64_t channel) {
    const auto zero = V::zero();
    switch (activation.kind) {
    case Activation::Kind::none:
        return;
    case Activation::Kind::clamp: {
        const auto low = V::set1(activation.low), high = V::set1(activation.high);
#pragma GCC unroll 16
        for (int r = 0; r < MR; ++r)
#pragma GCC unroll 8
            for (int v = 0; v < Count; ++v) x[r][v] = V::min(high, V::max(low, x[r][v]));
        return;
    }
    case Activation::Kind::leaky: {
        const auto slope = V::set1(activation.slope), high = V::set1(activation.high);
#pragma GCC unroll 16
        for (int r = 0; r < MR; ++r)
#pragma GCC unroll 8
            for (int v = 0; v < Count; ++v)
                x[r][v] = V::min(high, V::select(V::less(x[r][v], zero), V::mul(slope, x[r][v]), x[r][v]));
        return;
    }
    case Activation::Kind::prelu:
#pragma GCC unroll 8
        for (int v = 0; v < Count; ++v) {
            const auto slope = V::load(activation.slopes + channel + v * V::width);
#pragma GCC unroll 16
            for (int r = 0; r < MR; ++r)
                x[r][v] = V::select(V::less(x[r][v], zero), V::mul(slope, x[r][v]), x[r][v]);
        }
        return;
    case Activation::Kind::linear: {
        const auto slope = V::set1(activation.slope), low = V::set1(activation.low);
#pragma GCC unroll 16
        for (int r = 0; r < MR; ++r)
#pragma GCC unroll 8
            for (int v = 0; v < Count; ++v) x[r][v] = V::fma(slope, x[r][v], low);
        return;
    }
    case Activation::Kind::function: {
        alignas(64) float values[MR * Count * V::width];
#pragma GCC unroll 16
        for (int r = 0; r < MR; ++r)
#pragma GCC unroll 8
            for (int v = 0; v < Count; ++v) V::store(values + (r * Count + v) * V::width, x[r][v]);
        activation.apply(activation, values, 0, 1, MR * Count * V::width);
#pragma GCC unroll 16
        for (int r = 0; r < MR; ++r)
#pragma GCC unroll 8
            for (int v = 0; v < Count; ++v) x[r][v] = V::load(values + (r * Count + v) * V::width);
        return;
    }
    }
}

/// If the activation is a function, apply it to `count` sums in one call and return true.
MPSCNN_INLINE bool call_function(const Activation &activation, float *sums, std::int64_t count) {
    if (activation.kind != Activation::Kind::function) return false;
    activation.apply(activation, sums, 0, 1, count);
    return true;
}

/// Round to bfloat16 if the kernels' tensors hold bfloat16 numbers, otherwise to half.
template <class V, int MR, int Count> MPSCNN_INLINE void round_results(typename V::reg (&x)[MR][Count]) {
#pragma GCC unroll 16
    for (int r = 0; r < MR; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < Count; ++v) {
            if constexpr (has_bfloat16<V>)
                x[r][v] = V::round_to_bfloat16(x[r][v]);
            else
                x[r][v] = V::round_to_half(x[r][v]);
        }
}

/// True if the epilogue is a function, and perhaps rounding. Kernels that store whole vectors may leave both
/// to finish_stored().
MPSCNN_INLINE bool is_function(const Epilogue &epilogue) {
    return epilogue.activation.kind == Activation::Kind::function && !epilogue.residual;
}

/// Finish results that a kernel has stored: the first `count` results of each of `rows` pixels. Apply the
/// activation if it is a function, and round to half if the epilogue rounds. A function needs whole vectors.
/// finish_stored() is not inlined, because the code of each block shape would contain it, and the results are
/// still in L1.
template <class V>
__attribute__((noinline)) void finish_stored(const Epilogue &epilogue, float *first, std::ptrdiff_t stride,
                                             std::int64_t rows, std::int64_t count) {
    if (is_function(epilogue)) epilogue.activation.apply(epilogue.activation, first, stride, rows, count);
    if (!epilogue.rounds) return;
    for (; rows > 0; --rows, first += stride) {
        std::int64_t i = 0;
        for (; i + V::width <= count; i += V::width)
            V::store(first + i, V::round_to_half(V::load(first + i)));
        if (i < count)
            V::store_partial(first + i, V::round_to_half(V::load_partial(first + i, count - i)), count - i);
    }
}

/// Apply the epilogue to `Count` vectors of `MR` pixels, from `channel` on. Only the first `channels` floats
/// exist. `residual` is the address of these elements in the residual, or null; its pixels are
/// `residual_stride` apart. `activated`: call_function() has already applied the activation.
template <class V, int MR, int Count>
MPSCNN_INLINE void apply_epilogue(const Epilogue &epilogue, typename V::reg (&x)[MR][Count],
                                  std::int64_t channel, std::int64_t channels,
                                  const typename V::element *residual, std::ptrdiff_t residual_stride,
                                  bool activated = false) {
    if (!activated) activate<V>(epilogue.activation, x, channel);
    if (epilogue.rounds) round_results<V>(x);
    if (!residual) return;
    const bool whole = channels >= Count * V::width;
#pragma GCC unroll 16
    for (int r = 0; r < MR; ++r) {
        const typename V::element *row = residual + r * residual_stride;
#pragma GCC unroll 8
        for (int v = 0; v < Count; ++v) {
            const bool last = v == Count - 1 && !whole;
            const auto other = last ? V::load_partial(row + v * V::width, channels - v * V::width)
                                    : V::load(row + v * V::width);
            x[r][v] = V::add(x[r][v], other);
        }
    }
    activate<V>(epilogue.residual_activation, x, channel);
    if (epilogue.residual_rounds) round_results<V>(x);
}

} // namespace
} // namespace mpscnn::cpu
