// Transposes axes, and interleaves the channels of two tensors. The method depends on which axis is
// contiguous in the source and which in the destination. If it is the same axis, runs are copied. Otherwise
// tiles of lanes x lanes floats are transposed in registers, unless an axis is very short: then elements are
// copied one by one. A row of a tile is contiguous in the source, and a column of a tile becomes contiguous
// in the destination. Bytes are moved one by one.
//
// Registers hold one tile. The speed is limited by shuffles, four for each vector of 16 lanes, or by memory.
// Axes shorter than a vector are slower, because they leave lanes of a tile empty. An inner axis of two
// elements, as in a channel shuffle of two groups, has a separate loop.

#include "cpu/isa/instance.h"
#include "cpu/isa/lane_shuffles.h"
#include "cpu/isa/lanes.h"
#include "cpu/kernels/shared/copy_channels.h"
#include "cpu/kernels/shared/pixels.h"
#include "cpu/kernels/shared/work_split.h"

namespace mpscnn::cpu {
namespace {

/// An axis, and the distances of its elements in the source and in the destination.
struct TransposedAxis {
    std::int64_t extent;
    std::ptrdiff_t from, to;
};

/// The loops of a transpose. `inner` is the axis that is contiguous in the destination. `across` is the axis
/// that is contiguous in the source. All other axes are outer loops.
struct TransposePlan {
    WorkSplit split; ///< items are positions on the outer axes, times blocks of `across`
    int outer_count;
    TransposedAxis outer[TransposeTask::max_axes];
    /// If the same axis is contiguous in both tensors, across.extent is 1, and runs along `inner` are copied.
    TransposedAxis inner, across;
    std::int64_t across_block;
};

/// Compute the strides of the axes of an image; the last two axes are columns and channels.
template <class AnyView>
void image_strides(const AnyView &view, const std::int64_t *extents, int count, std::ptrdiff_t *strides) {
    std::ptrdiff_t stride = view.row_stride;
    for (int axis = count - 1; axis >= 0; --axis) {
        if (axis == count - 1)
            strides[axis] = 1;
        else if (axis == count - 2)
            strides[axis] = view.pixel_stride;
        else
            strides[axis] = stride, stride *= extents[axis];
    }
}

/// Write the axes of the destination to `axes`, the outermost one first. Return their number.
inline int axes_of(const TransposeTask &task, TransposedAxis *axes) {
    const View &to = task.destination;
    const ConstView &from = task.source;
    if (task.groups > 0) {
        const std::int64_t size = to.channels / task.groups;
        axes[0] = {to.height, from.row_stride, to.row_stride};
        axes[1] = {to.width, from.pixel_stride, to.pixel_stride};
        axes[2] = {size, 1, task.groups};
        axes[3] = {task.groups, size, 1};
        return 4;
    }
    std::int64_t extents[TransposeTask::max_axes];
    std::ptrdiff_t from_strides[TransposeTask::max_axes], to_strides[TransposeTask::max_axes];
    for (int axis = 0; axis < task.count; ++axis) extents[axis] = task.extents[task.axes[axis]];
    image_strides(from, task.extents, task.count, from_strides);
    image_strides(to, extents, task.count, to_strides);
    for (int axis = 0; axis < task.count; ++axis)
        axes[axis] = {extents[axis], from_strides[task.axes[axis]], to_strides[axis]};
    return task.count;
}

/// Remove axes of extent 1, and join adjacent axes that are contiguous in both tensors. Return the number of
/// axes that remain.
inline int joined_axes(TransposedAxis *axes, int count) {
    int kept = 0;
    for (int axis = 0; axis < count; ++axis) {
        if (axes[axis].extent == 1) continue;
        TransposedAxis *last = kept > 0 ? &axes[kept - 1] : nullptr;
        const TransposedAxis own = axes[axis];
        if (last && last->from == own.from * own.extent && last->to == own.to * own.extent)
            *last = {last->extent * own.extent, own.from, own.to};
        else
            axes[kept++] = own;
    }
    if (kept == 0) axes[kept++] = {1, 1, 1};
    return kept;
}

inline int nearest(const TransposedAxis *axes, int count, std::ptrdiff_t TransposedAxis::*distance) {
    int best = 0;
    for (int axis = 1; axis < count; ++axis)
        if (axes[axis].*distance < axes[best].*distance) best = axis;
    return best;
}

template <class V> Prepared transpose_prepare(const TransposeTask &task, const Planning &planning) {
    TransposedAxis axes[TransposeTask::max_axes];
    const int count = joined_axes(axes, axes_of(task, axes));
    const int inner = nearest(axes, count, &TransposedAxis::to);
    const int across = nearest(axes, count, &TransposedAxis::from);
    TransposePlan plan;
    plan.inner = axes[inner];
    plan.across = across == inner ? TransposedAxis{1, 0, 0} : axes[across];
    plan.outer_count = 0;
    std::int64_t outer = 1, elements = 1;
    for (int axis = 0; axis < count; ++axis) {
        elements *= axes[axis].extent;
        if (axis == inner || axis == across) continue;
        plan.outer[plan.outer_count++] = axes[axis];
        outer *= axes[axis].extent;
    }
    plan.across_block = V::width;
    const std::int64_t images = task.destination.batch;
    plan.split = split_work(images, outer, divide_up(plan.across.extent, plan.across_block),
                            images * elements, min_elements, planning.threads);
    return planning.keep(plan, plan.split.items());
}

/// Copy the elements along an axis, whose distances in both tensors are constant.
template <class V, class Element>
MPSCNN_INLINE void copy_run(const Element *from, Element *to, const TransposedAxis &axis) {
    if (axis.from == 1 && axis.to == 1) return copy_channels<V>(from, to, axis.extent);
    for (std::int64_t i = 0; i < axis.extent; ++i) to[i * axis.to] = from[i * axis.from];
}

/// Interleave the elements of two runs of the source.
template <class V>
MPSCNN_INLINE void interleave_two(const float *a, const float *b, float *to, std::int64_t count) {
    std::int64_t i = 0;
    for (; i + V::width <= count; i += V::width) {
        const auto x = V::load(a + i), y = V::load(b + i);
        V::store(to + 2 * i, interleaved_lanes<V, false>(x, y));
        V::store(to + 2 * i + V::width, interleaved_lanes<V, true>(x, y));
    }
    for (; i < count; ++i) to[2 * i] = a[i], to[2 * i + 1] = b[i];
}
/// Interleave bytes; the compiler vectorises this loop.
template <class V>
MPSCNN_INLINE void interleave_two(const std::uint8_t *a, const std::uint8_t *b, std::uint8_t *to,
                                  std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) to[2 * i] = a[i], to[2 * i + 1] = b[i];
}

/// Transpose a tile of lanes x lanes elements, of which `rows` x `columns` exist. Its rows are contiguous in
/// the source.
template <class V>
MPSCNN_INLINE void transpose_tile(const float *from, std::ptrdiff_t from_step, float *to,
                                  std::ptrdiff_t to_step, std::int64_t rows, std::int64_t columns) {
    typename V::reg x[V::width];
    if (rows == V::width && columns == V::width) {
#pragma GCC unroll 16
        for (int i = 0; i < V::width; ++i) x[i] = V::load(from + i * from_step);
        transpose_lanes<V>(x);
#pragma GCC unroll 16
        for (int i = 0; i < V::width; ++i) V::store(to + i * to_step, x[i]);
        return;
    }
    for (int i = 0; i < V::width; ++i)
        x[i] = i < rows ? load_lanes<V>(from + i * from_step, columns) : V::zero();
    transpose_lanes<V>(x);
    for (int i = 0; i < V::width && i < columns; ++i) store_lanes<V>(to + i * to_step, x[i], rows);
}

/// Transpose `rows` x `columns` elements tile by tile. Rows are contiguous in the source.
template <class V>
MPSCNN_INLINE void transpose_tiles(const float *from, std::ptrdiff_t from_step, float *to,
                                   std::ptrdiff_t to_step, std::int64_t rows, std::int64_t columns) {
    for (std::int64_t i = 0; i < columns; i += V::width)
        for (std::int64_t j = 0; j < rows; j += V::width)
            transpose_tile<V>(from + j * from_step + i, from_step, to + i * to_step + j, to_step,
                              min(V::width, rows - j), min(V::width, columns - i));
}
template <class V>
MPSCNN_INLINE void transpose_tiles(const std::uint8_t *from, std::ptrdiff_t from_step, std::uint8_t *to,
                                   std::ptrdiff_t to_step, std::int64_t rows, std::int64_t columns) {
    for (std::int64_t i = 0; i < columns; ++i)
        for (std::int64_t j = 0; j < rows; ++j) to[i * to_step + j] = from[j * from_step + i];
}

/// Transpose the elements at one position of the outer axes, for positions [part) of `across`.
template <class V, class Element>
void transpose_block(const TransposePlan &plan, const Element *from, Element *to, Range part) {
    constexpr std::int64_t few = V::width / 4;
    const TransposedAxis &inner = plan.inner, &across = plan.across;
    if (across.extent == 1) return copy_run<V>(from, to, inner);
    const Element *source = from + part.begin * across.from;
    Element *target = to + part.begin * across.to;
    const bool near = across.from == 1 && inner.to == 1;
    if (near && inner.extent == 2 && across.to == 2)
        return interleave_two<V>(source, source + inner.from, target, part.size());
    if (near && inner.extent > few && across.extent > few)
        return transpose_tiles<V>(source, inner.from, target, across.to, inner.extent, part.size());
    for (std::int64_t i = 0; i < part.size(); ++i)
        copy_run<V>(source + i * across.from, target + i * across.to, inner);
}

template <class V, class Element>
void transpose_elements(const TransposeTask &task, const Prepared &prepared, std::int64_t begin,
                        std::int64_t end) {
    const auto &plan = prepared.plan_as<TransposePlan>();
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = plan.split.item(index);
        const Range across{item.vectors.begin * plan.across_block,
                           min(item.vectors.end * plan.across_block, plan.across.extent)};
        for (std::int64_t row = item.rows.begin; row < item.rows.end; ++row) {
            const auto *from = pixel_at<Element>(task.source, item.image, 0, 0);
            auto *to = pixel_at<Element>(task.destination, item.image, 0, 0);
            std::int64_t rest = row;
            for (int axis = plan.outer_count - 1; axis >= 0; --axis) {
                const std::int64_t position = rest % plan.outer[axis].extent;
                rest /= plan.outer[axis].extent;
                from += position * plan.outer[axis].from;
                to += position * plan.outer[axis].to;
            }
            transpose_block<V>(plan, from, to, across);
        }
    }
}

template <class V>
void transpose_run(const TransposeTask &task, const Prepared &prepared, std::int64_t begin, std::int64_t end,
                   Worker &) {
    if (task.destination.element == Element::uint8)
        return transpose_elements<V, std::uint8_t>(task, prepared, begin, end);
    transpose_elements<V, float>(task, prepared, begin, end);
}

template <class V> Prepared interleave_prepare(const InterleaveTask &task, const Planning &planning) {
    return prepare_elements(task.destination, planning);
}

template <class V>
void interleave_run(const InterleaveTask &task, const Prepared &prepared, std::int64_t begin,
                    std::int64_t end, Worker &) {
    const auto &split = prepared.plan_as<WorkSplit>();
    const View &to = task.destination;
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = split.item(index);
        for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y)
            for (std::int64_t x = 0; x < to.width; ++x)
                interleave_two<V>(pixel_at(task.source, item.image, y, x),
                                  pixel_at(task.second, item.image, y, x), pixel_at(to, item.image, y, x),
                                  task.source.channels);
    }
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(InterleaveTask, interleave)
MPSCNN_KERNEL(TransposeTask, transpose)
