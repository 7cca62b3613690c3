// Copies of elements along an axis by indices that were computed before. The speed is limited by one load of
// an index and one of an element for each element of the result. Whole pixels are copied by vectors if all
// their channels have one index.

#include "cpu/isa/instance.h"
#include "cpu/kernels/shared/copy_channels.h"
#include "cpu/kernels/shared/pixels.h"
#include "cpu/kernels/shared/work_split.h"

namespace mpscnn::cpu {
namespace {

/// Return the position that an index means on an axis. Fractions are dropped, and negative numbers count from
/// the end. Numbers beyond the axis give its ends, and NaN gives 0.
MPSCNN_INLINE std::int64_t position_of(float index, std::int64_t extent) {
    const float last = static_cast<float>(extent - 1), whole = __builtin_truncf(index);
    const float counted = whole < 0.0f ? whole + static_cast<float>(extent) : whole;
    if (!(counted > 0.0f)) return 0;
    return counted < last ? static_cast<std::int64_t>(counted) : extent - 1;
}

template <class V> Prepared take_along_prepare(const TakeAlongTask &task, const Planning &planning) {
    return prepare_elements(task.destination, planning);
}

template <class V>
void take_along_run(const TakeAlongTask &task, const Prepared &prepared, std::int64_t begin, std::int64_t end,
                    Worker &) {
    using Axis = TakeAlongTask::Axis;
    const ConstView &from = task.source, &indices = task.second;
    const bool of_rows = task.axis == Axis::rows, of_columns = task.axis == Axis::columns;
    const std::int64_t extent = of_rows ? from.height : of_columns ? from.width : from.channels;
    const std::ptrdiff_t step = of_rows ? from.row_stride : of_columns ? from.pixel_stride : 1;
    // The steps in the source that belong to one step in the result along each axis: 0 along the axis whose
    // position the index gives, and along axes of one element, which repeat.
    const std::ptrdiff_t row = of_rows || from.height == 1 ? 0 : from.row_stride,
                         column = of_columns || from.width == 1 ? 0 : from.pixel_stride,
                         channel = task.axis == Axis::channels || from.channels == 1 ? 0 : 1,
                         index_channel = indices.channels == 1 ? 0 : 1;
    const bool copies_pixels = index_channel == 0 && channel == 1;
    const auto &split = prepared.plan_as<WorkSplit>();
    const View &to = task.destination;
    for (std::int64_t item_index = begin; item_index < end; ++item_index) {
        const WorkSplit::Item item = split.item(item_index);
        for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y)
            for (std::int64_t x = 0; x < to.width; ++x) {
                const float *index =
                    pixel_at(indices, item.image, indices.height == 1 ? 0 : y, indices.width == 1 ? 0 : x);
                const float *source = pixel_at(from, item.image, 0, 0) + y * row + x * column;
                float *out = pixel_at(to, item.image, y, x);
                if (copies_pixels) {
                    copy_channels<V>(source + position_of(*index, extent) * step, out, to.channels);
                    continue;
                }
                for (std::int64_t c = 0; c < to.channels; ++c)
                    out[c] = source[c * channel + position_of(index[c * index_channel], extent) * step];
            }
    }
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(TakeAlongTask, take_along)
