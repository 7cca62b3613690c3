// Bilinear resize of integers, one pixel at a time; the compiler vectorizes the loop over channels. The speed
// is limited by four loads and products for each element.

#include "cpu/isa/instance.h"
#include "cpu/kernels/integers/integer_rows.h"

namespace mpscnn::cpu {
namespace {

/// The two source positions around a sample along an axis, and the weight of the second one: a fraction, or a
/// number of 1024ths.
template <class Number> struct Neighbours {
    std::int64_t before, behind;
    Number share;
};

/// Find the source positions around output `place`. Each operation is rounded to float32, as in TensorFlow
/// Lite.
MPSCNN_INLINE Neighbours<float> neighbours(const IntegerResizeTask &task, float, std::int64_t have,
                                           std::int64_t want, std::int64_t place) {
    const bool corners = task.corners && want > 1;
    const float scale =
        static_cast<float>(have - (corners ? 1 : 0)) / static_cast<float>(want - (corners ? 1 : 0));
    const auto at = static_cast<float>(place);
    const float position = task.half_pixels ? (at + 0.5f) * scale - 0.5f : at * scale;
    auto below = static_cast<std::int64_t>(position);
    if (static_cast<float>(below) > position) --below;
    const std::int64_t above = static_cast<float>(below) < position ? below + 1 : below;
    const std::int64_t before = max(below, 0);
    return {before, min(above, have - 1), position - static_cast<float>(before)};
}

MPSCNN_INLINE Neighbours<std::int32_t> neighbours(const IntegerResizeTask &task, std::int32_t,
                                                  std::int64_t have, std::int64_t want, std::int64_t place) {
    const std::int64_t less = task.corners && want > 1 ? 1 : 0;
    const std::int64_t scale = (1024 * (have - less) + (want - less) / 2) / (want - less);
    const std::int64_t position = place * scale + (task.half_pixels ? scale / 2 - 512 : 0);
    const std::int64_t before = max(position / 1024, 0);
    return {before, min((position + 1023) / 1024, have - 1),
            static_cast<std::int32_t>(position - 1024 * before)};
}

/// The four source pixels around a sample: rows y0 and y1 in columns x0 and x1.
struct Corners {
    const std::uint8_t *y0_x0, *y1_x0, *y0_x1, *y1_x1;
};

MPSCNN_INLINE void interpolate(const Corners &from, float down, float right, std::int64_t channels,
                               std::uint8_t *result) {
    const float up = 1.0f - down, left = 1.0f - right;
    for (std::int64_t c = 0; c < channels; ++c) {
        float total = static_cast<float>(from.y0_x0[c]) * up * left;
        total += static_cast<float>(from.y1_x0[c]) * down * left;
        total += static_cast<float>(from.y0_x1[c]) * up * right;
        total += static_cast<float>(from.y1_x1[c]) * down * right;
        result[c] = static_cast<std::uint8_t>(static_cast<std::int32_t>(total + 0.5f));
    }
}

MPSCNN_INLINE void interpolate(const Corners &from, std::int32_t down, std::int32_t right,
                               std::int64_t channels, std::uint8_t *result) {
    const std::int32_t up = 1024 - down, left = 1024 - right, centre = 128;
    for (std::int64_t c = 0; c < channels; ++c) {
        const std::int32_t total =
            (from.y0_x0[c] - centre) * (up * left) + (from.y1_x0[c] - centre) * (down * left) +
            (from.y0_x1[c] - centre) * (up * right) + (from.y1_x1[c] - centre) * (down * right);
        const std::int32_t half = 1 << 19;
        const std::int32_t nearest = total < 0 ? -((half - total) >> 20) : (total + half) >> 20;
        result[c] = static_cast<std::uint8_t>(nearest + centre);
    }
}

template <class Number>
MPSCNN_INLINE void resize_row(const IntegerResizeTask &task, std::int64_t image, std::int64_t y) {
    const ConstView &from = task.source;
    const View &to = task.destination;
    const auto rows = neighbours(task, Number{}, from.height, to.height, y);
    for (std::int64_t x = 0; x < to.width; ++x) {
        const auto columns = neighbours(task, Number{}, from.width, to.width, x);
        const Corners corners{bytes_at(from, image, rows.before, columns.before),
                              bytes_at(from, image, rows.behind, columns.before),
                              bytes_at(from, image, rows.before, columns.behind),
                              bytes_at(from, image, rows.behind, columns.behind)};
        interpolate(corners, rows.share, columns.share, to.channels, bytes_at(to, image, y, x));
    }
}

template <class V> Prepared integer_resize_prepare(const IntegerResizeTask &task, const Planning &planning) {
    return prepare_rows(task, planning);
}

template <class V>
void integer_resize_run(const IntegerResizeTask &task, const Prepared &prepared, std::int64_t begin,
                        std::int64_t end, Worker &) {
    for_each_row(prepared, begin, end, [&](std::int64_t image, std::int64_t y) {
        task.is_signed ? resize_row<std::int32_t>(task, image, y) : resize_row<float>(task, image, y);
    });
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(IntegerResizeTask, integer_resize)
