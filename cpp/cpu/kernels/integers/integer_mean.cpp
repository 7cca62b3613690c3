// Means and sums of integers along the axes in which the result has extent 1, requantized. The speed is
// limited by memory.

#include "cpu/isa/instance.h"
#include "cpu/kernels/integers/integer_requantization.h"
#include "cpu/kernels/integers/integer_rows.h"

namespace mpscnn::cpu {
namespace {

/// Return the source positions along an axis whose mean or sum is position `place` of the result.
MPSCNN_INLINE Range places_of(std::int64_t have, std::int64_t want, std::int64_t place) {
    return have == want ? Range{place, place + 1} : Range{0, have};
}

void means_of_pixel(const IntegerMeanTask &task, const PanelRequantizer &requantizer, std::int64_t image,
                    std::int64_t y, std::int64_t x) {
    constexpr std::int64_t panel = IntegerWeights::panel;
    const ConstView &from = task.source;
    const View &to = task.destination;
    const Range rows = places_of(from.height, to.height, y), columns = places_of(from.width, to.width, x);
    const bool adds_channels = from.channels != to.channels;
    std::uint8_t *const result = bytes_at(to, image, y, x);
    for (std::int64_t first = 0; first < to.channels; first += panel) {
        const std::int64_t count = min(to.channels - first, panel);
        std::int32_t sums[panel] = {};
        for (std::int64_t row = rows.begin; row < rows.end; ++row)
            for (std::int64_t column = columns.begin; column < columns.end; ++column) {
                const std::uint8_t *const bytes = bytes_at(from, image, row, column);
                if (adds_channels)
                    for (std::int64_t c = 0; c < from.channels; ++c) sums[0] += bytes[c] - task.source_zero;
                else
                    for (std::int64_t c = 0; c < count; ++c) sums[c] += bytes[first + c] - task.source_zero;
            }
        requantizer.store(sums, count, result + first);
    }
}

template <class V> Prepared integer_mean_prepare(const IntegerMeanTask &task, const Planning &planning) {
    return prepare_rows(task, planning);
}

template <class V>
void integer_mean_run(const IntegerMeanTask &task, const Prepared &prepared, std::int64_t begin,
                      std::int64_t end, Worker &) {
    constexpr std::int64_t panel = IntegerWeights::panel;
    std::int32_t multipliers[panel], shifts[panel];
    for (std::int64_t i = 0; i < panel; ++i) multipliers[i] = task.multiplier, shifts[i] = task.shift;
    const Requantization requantization{multipliers, shifts, task.zero_point, task.low, task.high};
    const PanelRequantizer requantizer(requantization, 0);
    for_each_row(prepared, begin, end, [&](std::int64_t image, std::int64_t y) {
        for (std::int64_t x = 0; x < task.destination.width; ++x)
            means_of_pixel(task, requantizer, image, y, x);
    });
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(IntegerMeanTask, integer_mean)
