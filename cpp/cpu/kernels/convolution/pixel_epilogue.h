#pragma once

// The epilogue for kernels that store one vector of one pixel at a time, and addresses of pixels.

#include "cpu/isa/kernel_math.h"
#include "cpu/isa/kernels.h"
#include "cpu/kernels/convolution/epilogue.h"

namespace mpscnn::cpu {
namespace {

/// Return the address of a pixel.
template <class Element = float>
MPSCNN_INLINE Element *pixel_at(const View &view, std::int64_t image, std::int64_t y, std::int64_t x) {
    return reinterpret_cast<Element *>(view.data) + image * view.image_stride + y * view.row_stride +
           x * view.pixel_stride;
}
template <class Element = float>
MPSCNN_INLINE const Element *pixel_at(const ConstView &view, std::int64_t image, std::int64_t y,
                                      std::int64_t x) {
    return reinterpret_cast<const Element *>(view.data) + image * view.image_stride + y * view.row_stride +
           x * view.pixel_stride;
}

/// Return true if there is no gap between rows, so that several rows can be treated as one.
template <class AnyView> MPSCNN_INLINE bool rows_join(const AnyView &view) {
    return view.row_stride == view.width * view.pixel_stride;
}

/// Return true if there are no gaps between rows and between images.
template <class AnyView> MPSCNN_INLINE bool images_join(const AnyView &view) {
    return rows_join(view) && (view.batch == 1 || view.image_stride == view.height * view.row_stride);
}

/// Call visit(y, count) for `count` pixels at constant distances, from the start of row y on. With `join`
/// this is one call for all rows, otherwise one for each row.
template <class Visit>
MPSCNN_INLINE void for_each_strip(const Range &rows, std::int64_t width, bool join, Visit visit) {
    if (join) return visit(rows.begin, rows.size() * width);
    for (std::int64_t y = rows.begin; y < rows.end; ++y) visit(y, width);
}

/// Load the vector at p, of which only `remaining` channels exist. The other lanes are zero.
template <class V, class Element>
MPSCNN_INLINE typename V::reg load_lanes(const Element *p, std::int64_t remaining) {
    return remaining >= V::width ? V::load(p) : V::load_partial(p, remaining);
}

/// Store the first `writable` lanes, or all.
template <class V, class Element>
MPSCNN_INLINE void store_lanes(Element *p, typename V::reg value, std::int64_t writable) {
    if (writable >= V::width)
        V::store(p, value);
    else
        V::store_partial(p, value, writable);
}

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
    const float *residual = epilogue.residual ? pixel_at(*epilogue.residual, image, y, x) + channel : nullptr;
    apply_epilogue<V>(epilogue, block, channel, to.channels - channel, residual, 0, activated);
    store_lanes<V>(pixel_at(to, image, y, x) + channel, block[0][0], to.writable_channels - channel);
}

} // namespace
} // namespace mpscnn::cpu
