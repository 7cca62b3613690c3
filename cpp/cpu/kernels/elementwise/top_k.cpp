// The indices of each pixel's largest or smallest channels. The channels are read once, and each one that is
// better than the worst found so far is inserted into the sorted list, which is the pixel of the result. The
// speed is limited by one load and one comparison for each channel, and for long lists by the insertions.

#include "cpu/isa/instance.h"
#include "cpu/kernels/shared/pixels.h"
#include "cpu/kernels/shared/work_split.h"

namespace mpscnn::cpu {
namespace {

/// Return true if a comes before b. NaN is larger than all numbers.
MPSCNN_INLINE bool comes_first(float a, float b, bool of_maximum) {
    if (a != a || b != b) return of_maximum ? a != a && b == b : a == a && b != b;
    return of_maximum ? a > b : a < b;
}

template <class V> Prepared top_k_prepare(const TopKTask &task, const Planning &planning) {
    return prepare_pixels(task.source, planning);
}

template <class V>
void top_k_run(const TopKTask &task, const Prepared &prepared, std::int64_t begin, std::int64_t end,
               Worker &) {
    for_each_split_pixel(prepared, begin, end, [&](std::int64_t image, std::int64_t y, std::int64_t x) {
        const float *from = pixel_at(task.source, image, y, x);
        float *best = pixel_at(task.destination, image, y, x);
        std::int64_t found = 0;
        for (std::int64_t c = 0; c < task.source.channels; ++c) {
            const auto is_after = [&](std::int64_t place) {
                return comes_first(from[c], from[static_cast<std::int64_t>(best[place])], task.of_maximum);
            };
            if (found == task.destination.channels && !is_after(found - 1)) continue;
            std::int64_t place = found < task.destination.channels ? found++ : found - 1;
            for (; place > 0 && is_after(place - 1); --place) best[place] = best[place - 1];
            best[place] = static_cast<float>(c);
        }
    });
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(TopKTask, top_k)
