#pragma once

// Convolutions whose outputs are interleaved, as in a transposed convolution. Each part is a separate
// convolution that writes to every n-th row and column. The kernels of convolution.h compute the parts.
// Stores of single pixels make this slower than a plain convolution.

#include "cpu/kernels/convolution/convolution.h"
#include "cpu/kernels/shared/pixel_epilogue.h"

namespace mpscnn::cpu {
namespace {

/// Return the part as a plain convolution, which may have no rows or columns.
inline ConvolutionTask part_task(const InterleavedConvolutionTask &task, const ConvolutionPart &part) {
    const PackedConvolution &packed = part.packed;
    ConvolutionTask own;
    own.packed = &packed;
    own.source = task.source;
    own.source.data += part.source_channel;
    own.source.channels = own.source.readable_channels = packed.groups * packed.inputs_per_group;

    const View &whole = task.destination;
    View &to = own.destination;
    to = whole;
    to.data += part.y * whole.row_stride + part.x * whole.pixel_stride + part.destination_channel;
    to.height = divide_up(max(whole.height - part.y, 0), task.step_y);
    to.width = divide_up(max(whole.width - part.x, 0), task.step_x);
    to.channels = packed.outputs;
    to.row_stride *= task.step_y;
    to.pixel_stride *= task.step_x;
    const bool last = part.destination_channel + packed.outputs == whole.channels;
    to.writable_channels = last ? whole.writable_channels - part.destination_channel : packed.outputs;

    own.vertical = task.vertical;
    own.vertical.kernel = packed.kernel_height;
    own.vertical.before += part.before_y;
    own.horizontal = task.horizontal;
    own.horizontal.kernel = packed.kernel_width;
    own.horizontal.before += part.before_x;
    own.epilogue = task.epilogue;
    if (own.epilogue.activation.slopes) own.epilogue.activation.slopes += part.destination_channel;
    return own;
}

inline bool has_outputs(const ConvolutionTask &task) {
    return task.destination.height > 0 && task.destination.width > 0;
}

/// Return true if a part writes to this row. column_written() does the same for a column.
inline bool row_written(const InterleavedConvolutionTask &task, std::int64_t y) {
    for (std::int64_t p = 0; p < task.part_count; ++p)
        if (task.parts[p].y == y % task.step_y) return true;
    return false;
}
inline bool column_written(const InterleavedConvolutionTask &task, std::int64_t x) {
    for (std::int64_t p = 0; p < task.part_count; ++p)
        if (task.parts[p].x == x % task.step_x) return true;
    return false;
}

/// Return the number of rows that may have pixels that no part writes, or 0 if there are no such pixels.
/// These pixels get the background.
inline std::int64_t background_rows(const InterleavedConvolutionTask &task) {
    return task.background ? task.destination.batch * task.destination.height : 0;
}

template <class V>
inline void fill_background(const InterleavedConvolutionTask &task, std::int64_t row_of_batch) {
    const View &to = task.destination;
    const std::int64_t image = row_of_batch / to.height, y = row_of_batch % to.height;
    const bool row_exists = row_written(task, y);
    for (std::int64_t x = 0; x < to.width; ++x) {
        if (row_exists && column_written(task, x)) continue;
        for (std::int64_t channel = 0; channel < to.channels; channel += V::width)
            finish_vector<V>(to, task.epilogue, image, y, x, channel, V::load(task.background + channel));
    }
}

/// Prepare each part; one without outputs has no work items. Items are numbered part by part, and the rows of
/// the background come last.
template <class V>
Prepared interleaved_prepare(const InterleavedConvolutionTask &task, const Planning &planning) {
    auto *parts = planning.make<Prepared>(task.part_count);
    if (!parts) return {};
    Prepared prepared{.items = background_rows(task), .plan = parts};
    for (std::int64_t p = 0; p < task.part_count; ++p) {
        const ConvolutionTask part = part_task(task, task.parts[p]);
        parts[p] = {};
        if (!has_outputs(part)) continue;
        parts[p] = convolution_prepare<V>(part, planning);
        prepared.items += parts[p].items;
        if (parts[p].scratch_bytes > prepared.scratch_bytes) prepared.scratch_bytes = parts[p].scratch_bytes;
    }
    return prepared;
}

template <class V>
void interleaved_run(const InterleavedConvolutionTask &task, const Prepared &prepared, std::int64_t begin,
                     std::int64_t end, Worker &worker) {
    const auto *parts = &prepared.plan_as<Prepared>();
    std::int64_t first = 0; // the number of the part's first item
    for (std::int64_t p = 0; p < task.part_count; ++p) {
        const Range own{max(begin - first, 0), min(end - first, parts[p].items)};
        if (!own.empty())
            convolution_run<V>(part_task(task, task.parts[p]), parts[p], own.begin, own.end, worker);
        first += parts[p].items;
    }
    for (std::int64_t row = max(begin - first, 0); row < end - first; ++row) fill_background<V>(task, row);
}

} // namespace
} // namespace mpscnn::cpu
