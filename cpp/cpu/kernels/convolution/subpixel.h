#pragma once

// Rearranges channels to blocks of pixels (depth to space): of a tensor, or of a convolution's result while
// it is in the cache.
//
// The speed is limited by memory (8 bytes for each element). With interleaved channels it is limited by
// shuffles, two for each vector of the result, for blocks of 2 x 2; other block sizes copy single elements.

#include "cpu/isa/lane_shuffles.h"
#include "cpu/kernels/convolution/convolution.h"
#include "cpu/kernels/shared/copy_channels.h"
#include "cpu/kernels/shared/work_split.h"

namespace mpscnn::cpu {
namespace {

/// Copy the channels of the pixel at `position` in a block. With `channel_major`, the channels of all
/// positions are interleaved.
template <class V>
MPSCNN_INLINE void copy_block_pixel(const float *from, float *to, std::int64_t channels,
                                    std::int64_t position, std::int64_t positions, bool channel_major) {
    if (!channel_major) return copy_floats(from + position * channels, to, channels);
    from += position;
    for (std::int64_t channel = 0; channel < channels; ++channel) to[channel] = from[channel * positions];
}

/// Copy both pixels of one row of a block of 2 x 2 pixels, whose channels are interleaved.
template <class V>
MPSCNN_INLINE void copy_pair(const float *from, float *first, float *second, std::int64_t channels,
                             bool lower_row) {
    std::int64_t channel = 0;
    for (; channel + V::width <= channels; channel += V::width, from += 4 * V::width) {
        typename V::reg rows[2];
        for (int half = 0; half < 2; ++half) {
            const auto a = V::load(from + 2 * half * V::width), b = V::load(from + (2 * half + 1) * V::width);
            rows[half] = lower_row ? every_second_pair<V, 1>(a, b) : every_second_pair<V, 0>(a, b);
        }
        V::store(first + channel, every_second<V, 0>(rows[0], rows[1]));
        V::store(second + channel, every_second<V, 1>(rows[0], rows[1]));
    }
    for (from += 2 * lower_row; channel < channels; ++channel, from += 4)
        first[channel] = from[0], second[channel] = from[1];
}

/// Write row y of an image of the destination from the source row that contains it.
template <class V>
inline void rearrange_row(const float *source, std::ptrdiff_t source_pixel, const View &to, float *row,
                          std::int64_t y, std::int64_t scale, bool channel_major) {
    const std::int64_t first = y % scale * scale; // position of the row's first pixel in its block
    std::int64_t x = 0;
    if (channel_major && scale == 2)
        for (; x + 2 <= to.width; x += 2, source += source_pixel)
            copy_pair<V>(source, row + x * to.pixel_stride, row + (x + 1) * to.pixel_stride, to.channels,
                         first > 0);
    for (; x < to.width; source += source_pixel)
        for (std::int64_t position = first; position < first + scale && x < to.width; ++position, ++x)
            copy_block_pixel<V>(source, row + x * to.pixel_stride, to.channels, position, scale * scale,
                                channel_major);
}

template <class V> Prepared depth_to_space_prepare(const DepthToSpaceTask &task, const Planning &planning) {
    return prepare_elements(task.destination, planning);
}

template <class V>
void depth_to_space_run(const DepthToSpaceTask &task, const Prepared &prepared, std::int64_t begin,
                        std::int64_t end, Worker &) {
    const auto &split = prepared.plan_as<WorkSplit>();
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = split.item(index);
        for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y)
            rearrange_row<V>(pixel_at(task.source, item.image, y / task.scale, 0), task.source.pixel_stride,
                             task.destination, pixel_at(task.destination, item.image, y, 0), y, task.scale,
                             task.channel_major);
    }
}

/// The plan of a subpixel convolution. The convolution is divided into blocks of rows, whose results are
/// rearranged from scratch memory.
struct SubpixelPlan {
    std::int64_t rows, width;    ///< extents of the convolution's result
    std::int64_t blocks;         ///< blocks of each image
    std::int64_t max_rows;       ///< rows of a block
    std::ptrdiff_t pixel_stride; ///< stride in scratch memory
    std::size_t result_bytes;
    const Prepared *convolution; ///< plans for each block
};

template <class V>
inline SubpixelPlan subpixel_plan(const SubpixelConvolutionTask &task, const Planning &planning) {
    const int threads = planning.threads;
    const std::int64_t cached_floats = planning.caches.second / 4 / static_cast<std::int64_t>(sizeof(float));
    SubpixelPlan plan;
    plan.rows = divide_up(task.destination.height, task.scale);
    plan.width = divide_up(task.destination.width, task.scale);
    plan.pixel_stride = round_up_to_width<V>(task.packed->outputs);
    const std::int64_t row_floats = plan.width * plan.pixel_stride;
    const std::int64_t cached_rows = max(1, cached_floats / row_floats);
    const std::int64_t wanted = threads == 1 ? 1 : divide_up(4 * threads, task.destination.batch);
    plan.blocks = min(plan.rows, max(divide_up(plan.rows, cached_rows), wanted));
    plan.max_rows = divide_up(plan.rows, plan.blocks);
    plan.result_bytes = static_cast<std::size_t>(round_up(plan.max_rows * row_floats, 16)) * sizeof(float);
    return plan;
}

/// Return the convolution of a block's rows, which writes to `result`.
template <class V>
inline ConvolutionTask block_task(const SubpixelConvolutionTask &task, const SubpixelPlan &plan,
                                  std::int64_t image, const Range &rows, float *result) {
    ConvolutionTask own;
    own.packed = task.packed;
    own.source = task.source;
    own.source.data += image * task.source.image_stride;
    own.source.batch = 1;
    const std::ptrdiff_t row_stride = plan.width * plan.pixel_stride;
    own.destination = {result,
                       1,
                       rows.size(),
                       plan.width,
                       task.packed->outputs,
                       rows.size() * row_stride,
                       row_stride,
                       plan.pixel_stride,
                       plan.pixel_stride};
    own.vertical = task.vertical;
    own.vertical.before -= rows.begin * task.vertical.stride;
    own.horizontal = task.horizontal;
    own.epilogue = task.epilogue;
    return own;
}

template <class V> Prepared subpixel_prepare(const SubpixelConvolutionTask &task, const Planning &planning) {
    SubpixelPlan plan = subpixel_plan<V>(task, planning);
    auto *convolution = planning.make<Prepared>(plan.blocks);
    if (!convolution) return {};
    plan.convolution = convolution;
    std::size_t convolution_bytes = 0;
    for (std::int64_t block = 0; block < plan.blocks; ++block) {
        const Range rows = part_of(plan.rows, plan.blocks, block);
        convolution[block] = convolution_prepare<V>(block_task<V>(task, plan, 0, rows, task.destination.data),
                                                    planning.alone());
        const std::size_t bytes = convolution[block].scratch_bytes;
        if (bytes > convolution_bytes) convolution_bytes = bytes;
    }
    return planning.keep(plan, task.destination.batch * plan.blocks, plan.result_bytes + convolution_bytes);
}

template <class V>
void subpixel_run(const SubpixelConvolutionTask &task, const Prepared &prepared, std::int64_t begin,
                  std::int64_t end, Worker &worker) {
    const auto &plan = prepared.plan_as<SubpixelPlan>();
    Worker inner{worker.scratch + plan.result_bytes};
    auto *result = reinterpret_cast<float *>(worker.scratch);
    for (std::int64_t index = begin; index < end; ++index) {
        const std::int64_t image = index / plan.blocks;
        const Range rows = part_of(plan.rows, plan.blocks, index % plan.blocks);
        const ConvolutionTask block = block_task<V>(task, plan, image, rows, result);
        const Prepared &own = plan.convolution[index % plan.blocks];
        convolution_run<V>(block, own, 0, own.items, inner);
        const std::int64_t last = min(rows.end * task.scale, task.destination.height);
        for (std::int64_t y = rows.begin * task.scale; y < last; ++y)
            rearrange_row<V>(result + (y / task.scale - rows.begin) * block.destination.row_stride,
                             plan.pixel_stride, task.destination, pixel_at(task.destination, image, y, 0), y,
                             task.scale, task.channel_major);
    }
}

} // namespace
} // namespace mpscnn::cpu
