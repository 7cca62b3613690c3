#pragma once

// Copies that convert between float and bfloat16. The speed is limited by memory: 6 bytes for each number.

#include "cpu/kernels/shared/copy_channels.h"
#include "cpu/kernels/shared/pixels.h"
#include "cpu/kernels/shared/work_split.h"

namespace mpscnn::cpu {
namespace {

template <class V, class From, class To>
void convert_rows(const ConversionTask &task, const WorkSplit::Item &item) {
    const ConstView &source = task.source;
    const View &to = task.destination;
    const bool joined = source.channels == to.channels && source.pixel_stride == source.channels &&
                        to.pixel_stride == to.channels;
    const std::int64_t pieces = joined ? 1 : to.width, length = joined ? to.width : 1;
    for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y) {
        const From *from = pixel_at<From>(source, item.image, y, 0);
        To *out = pixel_at<To>(to, item.image, y, 0);
        std::int64_t x = 0;
        if constexpr (has_bfloat16<V> && sizeof(To) == 2 && requires { V::spread(from, 0u); }) {
            // For images of few channels (photos), convert a vector of whole pixels at a time.
            const std::int64_t pixels = V::width / to.channels;
            if (pixels > 1 && !joined && to.pixel_stride == to.channels && V::width % to.channels == 0 &&
                source.pixel_stride == source.channels) {
                unsigned lanes = 0; // lanes that hold channels of the source
                for (std::int64_t lane = 0; lane < V::width; ++lane)
                    lanes |= (lane % to.channels < source.channels ? 1u : 0u) << lane;
                for (; x + pixels <= to.width;
                     x += pixels, from += pixels * source.channels, out += pixels * to.channels)
                    V::store(out, V::spread(from, lanes));
            }
        }
        for (; x < pieces; ++x, from += source.pixel_stride, out += to.pixel_stride)
            convert_elements<V>(from, out, length * source.channels, length * to.channels);
    }
}

template <class V> Prepared conversion_prepare(const ConversionTask &task, const Planning &planning) {
    return prepare_elements(task.destination, planning);
}

template <class V>
void conversion_run(const ConversionTask &task, const Prepared &prepared, std::int64_t begin,
                    std::int64_t end, Worker &) {
    const auto &split = prepared.plan_as<WorkSplit>();
    const bool from_floats = task.source.element == Element::float32,
               to_floats = task.destination.element == Element::float32;
    const auto convert = to_floats     ? convert_rows<V, Bfloat16, float>
                         : from_floats ? convert_rows<V, float, Bfloat16>
                                       : convert_rows<V, Bfloat16, Bfloat16>;
    for (std::int64_t index = begin; index < end; ++index) convert(task, split.item(index));
}

} // namespace
} // namespace mpscnn::cpu
