// Layers that only choose integers of their source: maxima of windows, nearest pixels, borders. They work on
// one pixel at a time, and the compiler vectorizes the loop over channels. The speed is limited by memory.

#include <cstring>

#include "cpu/isa/instance.h"
#include "cpu/kernels/integers/integer_rows.h"

namespace mpscnn::cpu {
namespace {

// ---- Max pooling ----

void maxima_of_window(const IntegerMaximumTask &task, std::int64_t image, std::int64_t y, std::int64_t x) {
    constexpr int max_channels = 64;
    std::uint8_t *const result = bytes_at(task.destination, image, y, x);
    for (std::int64_t channel = 0; channel < task.destination.channels; channel += max_channels) {
        const std::int64_t left = min(task.destination.channels - channel, max_channels);
        std::uint8_t largest[max_channels] = {};
        for_each_tap(task, image, y, x, [&](const std::uint8_t *bytes) {
            bytes += channel;
            for (std::int64_t c = 0; c < left; ++c)
                largest[c] = bytes[c] > largest[c] ? bytes[c] : largest[c];
        });
        for (std::int64_t c = 0; c < left; ++c)
            result[channel + c] = static_cast<std::uint8_t>(limited(largest[c], task.low, task.high));
    }
}

template <class V>
Prepared integer_maximum_prepare(const IntegerMaximumTask &task, const Planning &planning) {
    return prepare_rows(task, planning);
}
template <class V>
void integer_maximum_run(const IntegerMaximumTask &task, const Prepared &prepared, std::int64_t begin,
                         std::int64_t end, Worker &) {
    for_each_row(prepared, begin, end, [&](std::int64_t image, std::int64_t y) {
        for (std::int64_t x = 0; x < task.destination.width; ++x) maxima_of_window(task, image, y, x);
    });
}

// ---- Nearest pixels ----

/// Return the nearest source position of a resize. Each operation is rounded to float32, as in TensorFlow
/// Lite.
std::int64_t nearest(const IntegerNearestTask &task, std::int64_t have, std::int64_t want,
                     std::int64_t place) {
    const bool corners = task.corners && want > 1;
    const float scale =
        static_cast<float>(have - (corners ? 1 : 0)) / static_cast<float>(want - (corners ? 1 : 0));
    const float position = (static_cast<float>(place) + (task.half_pixels ? 0.5f : 0.0f)) * scale;
    const auto below = static_cast<std::int64_t>(position); // position is not negative
    const float rest = position - static_cast<float>(below);
    return min(below + (task.corners && rest >= 0.5f ? 1 : 0), have - 1);
}

template <class V>
Prepared integer_nearest_prepare(const IntegerNearestTask &task, const Planning &planning) {
    return prepare_rows(task, planning);
}
template <class V>
void integer_nearest_run(const IntegerNearestTask &task, const Prepared &prepared, std::int64_t begin,
                         std::int64_t end, Worker &) {
    const ConstView &from = task.source;
    const View &to = task.destination;
    for_each_row(prepared, begin, end, [&](std::int64_t image, std::int64_t y) {
        const std::int64_t row = nearest(task, from.height, to.height, y);
        for (std::int64_t x = 0; x < to.width; ++x)
            std::memcpy(bytes_at(to, image, y, x),
                        bytes_at(from, image, row, nearest(task, from.width, to.width, x)),
                        static_cast<std::size_t>(to.channels));
    });
}

// ---- Borders ----

template <class V> Prepared integer_border_prepare(const IntegerBorderTask &task, const Planning &planning) {
    return prepare_rows(task, planning);
}
template <class V>
void integer_border_run(const IntegerBorderTask &task, const Prepared &prepared, std::int64_t begin,
                        std::int64_t end, Worker &) {
    const ConstView &from = task.source;
    const View &to = task.destination;
    const auto inside = [](std::int64_t place, std::int64_t size) { return place >= 0 && place < size; };
    const std::int64_t first = max(task.front, 0), last = min(task.front + from.channels, to.channels);
    for_each_row(prepared, begin, end, [&](std::int64_t image, std::int64_t y) {
        for (std::int64_t x = 0; x < to.width; ++x) {
            std::uint8_t *const result = bytes_at(to, image, y, x);
            std::memset(result, task.value, static_cast<std::size_t>(to.channels));
            if (first < last && inside(y - task.top, from.height) && inside(x - task.left, from.width))
                std::memcpy(result + first,
                            bytes_at(from, image, y - task.top, x - task.left) + first - task.front,
                            static_cast<std::size_t>(last - first));
        }
    });
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(IntegerMaximumTask, integer_maximum)
MPSCNN_KERNEL(IntegerNearestTask, integer_nearest)
MPSCNN_KERNEL(IntegerBorderTask, integer_border)
