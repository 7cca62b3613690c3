#pragma once

// The epilogue for kernels that store one vector of one pixel at a time.

#include "cpu/isa/kernel_math.h"
#include "cpu/isa/kernels.h"
#include "cpu/isa/lanes.h"
#include "cpu/kernels/shared/epilogue.h"
#include "cpu/kernels/shared/pixels.h"

namespace mpscnn::cpu {
namespace {

/// Return true if the epilogue is only a clamp, and perhaps rounding. A clamp costs almost nothing while
/// results are in registers.
MPSCNN_INLINE bool is_clamp(const Epilogue &epilogue) {
    const Activation::Kind kind = epilogue.activation.kind;
    return (kind == Activation::Kind::none || kind == Activation::Kind::clamp) && !epilogue.residual;
}

/// The limits of an epilogue for which is_clamp() is true.
struct Limits {
    float low = -__builtin_inff(), high = __builtin_inff();
};
MPSCNN_INLINE Limits limits_of(const Activation &activation) {
    if (activation.kind != Activation::Kind::clamp) return {};
    return {activation.low, activation.high};
}

template <class V> struct Clamp {
    typename V::reg low, high;

    explicit MPSCNN_INLINE Clamp(const Limits &limits)
        : low(V::set1(limits.low)), high(V::set1(limits.high)) {}
    MPSCNN_INLINE typename V::reg operator()(typename V::reg x) const { return V::min(high, V::max(low, x)); }
};

/// Apply the epilogue to the vector of a pixel that begins at `channel`, and store it. `activated`: see
/// apply_epilogue().
template <class V>
MPSCNN_INLINE void finish_vector(const View &to, const Epilogue &epilogue, std::int64_t image, std::int64_t y,
                                 std::int64_t x, std::int64_t channel, typename V::reg value,
                                 bool activated = false) {
    typename V::reg block[1][1] = {{value}};
    using Element = typename V::element;
    const Element *residual =
        epilogue.residual ? pixel_at<Element>(*epilogue.residual, image, y, x) + channel : nullptr;
    apply_epilogue<V>(epilogue, block, channel, to.channels - channel, residual, 0, activated);
    store_lanes<V>(pixel_at<Element>(to, image, y, x) + channel, block[0][0], to.writable_channels - channel);
}

} // namespace
} // namespace mpscnn::cpu
