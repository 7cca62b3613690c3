#pragma once

// The pixels whose channels a reduction processes together, and the loop over them.

#include "cpu/isa/lanes.h"
#include "cpu/kernels/shared/pixels.h"
#include "cpu/kernels/shared/work_split.h"

namespace mpscnn::cpu {
namespace {

/// Adjacent pixels of a row that are reduced together. Each pixel has a lane of a vector, so the number of
/// lanes limits the number of pixels.
template <class V> struct ReductionTile {
    const float *from;
    std::ptrdiff_t stride;
    std::int64_t channels, pixels;

    const float *pixel(std::int64_t i) const { return from + i * stride; }
};

/// Store one channel of consecutive pixels, one lane for each pixel.
template <class V>
MPSCNN_INLINE void store_channel(float *out, std::ptrdiff_t stride, std::int64_t pixels,
                                 typename V::reg values, bool round_to_half) {
    if (round_to_half) values = V::round_to_half(values);
    if (stride == 1) return store_lanes<V>(out, values, pixels);
    float lanes[V::width];
    V::store(lanes, values);
    for (std::int64_t i = 0; i < pixels; ++i) out[i * stride] = lanes[i];
}

/// Reduce the pixels of the items. result(tile, image, y, x) returns one lane for each pixel of a tile that
/// begins at (y, x). With `join`, adjacent rows without gaps may be treated as one row.
template <class V, class Result>
MPSCNN_INLINE void reduce_tiles(const ConstView &from, const View &to, bool round_to_half,
                                const WorkSplit &split, std::int64_t begin, std::int64_t end, bool join,
                                Result result) {
    join = join && rows_join(from) && rows_join(to);
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = split.item(index);
        for_each_strip(item.rows, to.width, join, [&](std::int64_t y, std::int64_t strip) {
            ReductionTile<V> tile{pixel_at(from, item.image, y, 0), from.pixel_stride, from.channels,
                                  V::width};
            float *out = pixel_at(to, item.image, y, 0);
            for (std::int64_t x = 0; x < strip; x += V::width) {
                tile.pixels = min(V::width, strip - x);
                store_channel<V>(out, to.pixel_stride, tile.pixels, result(tile, item.image, y, x),
                                 round_to_half);
                tile.from += V::width * tile.stride;
                out += V::width * to.pixel_stride;
            }
        });
    }
}

} // namespace
} // namespace mpscnn::cpu
