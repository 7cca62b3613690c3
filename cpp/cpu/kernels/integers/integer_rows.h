#pragma once

// Shared code of integer layers without weights, whose work items are rows of the result.

#include "cpu/kernels/integers/integer_bytes.h"
#include "cpu/kernels/shared/work_split.h"

namespace mpscnn::cpu {
namespace {

template <class TaskType> Prepared prepare_rows(const TaskType &task, const Planning &planning) {
    return prepare_elements(task.destination, planning);
}

/// Call visit(image, y) for each row of the items.
template <class Visit>
MPSCNN_INLINE void for_each_row(const Prepared &prepared, std::int64_t begin, std::int64_t end, Visit visit) {
    const auto &split = prepared.plan_as<WorkSplit>();
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = split.item(index);
        for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y) visit(item.image, y);
    }
}

/// How a row is divided into runs of elements that are contiguous in all tensors of a layer. A run includes
/// gaps between pixels if these may be overwritten.
struct RowRuns {
    std::int64_t count, elements;
};

template <class... Views> RowRuns runs_of(const View &to, const Views &...from) {
    const bool joined =
        to.writable_channels >= to.pixel_stride && ((from.pixel_stride == to.pixel_stride) && ...);
    return joined ? RowRuns{1, (to.width - 1) * to.pixel_stride + to.channels}
                  : RowRuns{to.width, to.channels};
}

/// The two operands of an elementwise layer. Each may be broadcast: it may have one row, column or channel
/// where the result has more.
class OperandPair {
public:
    template <class TaskType>
    explicit OperandPair(const TaskType &task)
        : a_(task.source, task.destination), b_(task.second, task.destination),
          runs_(a_.has_all() && b_.has_all() ? runs_of(task.destination, task.source, task.second)
                                             : RowRuns{task.destination.width, task.destination.channels}) {}

    /// Return the bytes between adjacent channels of the first or second operand: 1, or 0 if it has one
    /// channel only.
    std::int64_t channel_step_of_a() const { return a_.channel; }
    std::int64_t channel_step_of_b() const { return b_.channel; }

    /// Call visit(a, b, elements, result) for each run of contiguous elements.
    template <class TaskType, class Visit>
    MPSCNN_INLINE void for_each_run(const TaskType &task, const Prepared &prepared, std::int64_t begin,
                                    std::int64_t end, Visit visit) const {
        for_each_row(prepared, begin, end, [&](std::int64_t image, std::int64_t y) {
            for (std::int64_t x = 0; x < runs_.count; ++x)
                visit(bytes_at(task.source, image, y * a_.row, x * a_.pixel),
                      bytes_at(task.second, image, y * b_.row, x * b_.pixel), runs_.elements,
                      bytes_at(task.destination, image, y, x));
        });
    }

private:
    struct Steps {
        std::int64_t row, pixel, channel;

        Steps(const ConstView &operand, const View &to)
            : row(operand.height == to.height), pixel(operand.width == to.width),
              channel(operand.channels == to.channels) {}
        bool has_all() const { return row && pixel && channel; }
    };

    Steps a_, b_;
    RowRuns runs_;
};

/// Call visit(bytes) for each pixel of a result's window that is inside the source. Return their number.
template <class TaskType, class Visit>
MPSCNN_INLINE std::int64_t for_each_tap(const TaskType &task, std::int64_t image, std::int64_t y,
                                        std::int64_t x, Visit visit) {
    const WindowAxis &vertical = task.vertical, &horizontal = task.horizontal;
    const Range rows = taps_inside(vertical, y, task.source.height),
                columns = taps_inside(horizontal, x, task.source.width);
    for (std::int64_t u = rows.begin; u < rows.end; ++u)
        for (std::int64_t v = columns.begin; v < columns.end; ++v)
            visit(bytes_at(task.source, image, y * vertical.stride - vertical.before + u * vertical.dilation,
                           x * horizontal.stride - horizontal.before + v * horizontal.dilation));
    return max(rows.size(), 0) * max(columns.size(), 0);
}

} // namespace
} // namespace mpscnn::cpu
