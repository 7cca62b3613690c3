#pragma once

// Loops for kernels in which each result depends on one element of every source. All tensors have the same
// shape.
//
// Axes are joined if no tensor has gaps along them. So a run, a sequence of contiguous elements, is as long
// as possible. Usually it is the whole tensor, otherwise the channels of a pixel.
//
// The kernel chooses how many result vectors are in registers; four are usual for short functions. The speed
// is limited by memory, 4 bytes for each element of each tensor, unless the function is long. Pixels of few
// channels with gaps between them are slower, because they leave lanes empty.

#include "cpu/isa/lanes.h"
#include "cpu/kernels/shared/stream.h"
#include "cpu/kernels/shared/work_split.h"

namespace mpscnn::cpu {
namespace {

/// The runs of a destination and its sources, and the strides between runs; index 0 is the destination.
template <int sources> struct ElementRuns {
    struct Steps {
        std::ptrdiff_t image, row, pixel;
    };
    std::int64_t images, rows, pixels, length; ///< `length` elements in each run
    /// The elements of the destination that may be overwritten, counted from the beginning of a run.
    std::int64_t writable;
    Steps steps[sources + 1];
    WorkSplit split; ///< work items are rows of runs

    MPSCNN_INLINE std::int64_t runs() const { return images * rows * pixels; }
};

/// True if runs of `length` elements can be joined along an axis of `extent` positions that are `stride`
/// apart.
MPSCNN_INLINE bool continues(std::int64_t extent, std::ptrdiff_t stride, std::int64_t length) {
    return extent == 1 || stride == length;
}

/// Divide tensors of one shape into runs of contiguous elements. Without `join`, each pixel is a run.
template <class V, int sources>
MPSCNN_INLINE ElementRuns<sources> element_runs(const View &to, const ConstView *const (&from)[sources],
                                                bool join, int threads) {
    using Runs = ElementRuns<sources>;
    Runs runs{to.batch, to.height, to.width, to.channels, to.writable_channels, {}, {}};
    runs.steps[0] = {to.image_stride, to.row_stride, to.pixel_stride};
    for (int i = 0; i < sources; ++i)
        runs.steps[i + 1] = {from[i]->image_stride, from[i]->row_stride, from[i]->pixel_stride};
    const auto join_axis = [&](std::int64_t &extent, std::ptrdiff_t Runs::Steps::*stride) {
        for (const auto &steps : runs.steps) join = join && continues(extent, steps.*stride, runs.length);
        if (!join || extent == 1) return;
        runs.writable = runs.length *= extent;
        extent = 1;
    };
    join_axis(runs.pixels, &Runs::Steps::pixel);
    join_axis(runs.rows, &Runs::Steps::row);
    join_axis(runs.images, &Runs::Steps::image);
    runs.split = split_work(1, runs.runs(), divide_up(runs.length, V::width), runs.runs() * runs.length,
                            min_elements, threads);
    return runs;
}

/// A run, or a part of one, with its addresses.
template <int sources> struct ElementRun {
    float *to; ///< the beginning of the run
    const float *from[sources];
    Range elements;
    std::int64_t length, writable; ///< elements of the whole run
};

/// Call function(run) for all runs or parts of runs in the items [begin, end).
template <class V, int sources, class Function>
MPSCNN_INLINE void for_each_run(const ElementRuns<sources> &runs, const View &to,
                                const ConstView *const (&from)[sources], std::int64_t begin, std::int64_t end,
                                Function function) {
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = runs.split.item(index);
        std::int64_t x = item.rows.begin % runs.pixels, y = item.rows.begin / runs.pixels % runs.rows;
        std::int64_t image = item.rows.begin / runs.pixels / runs.rows;
        ElementRun<sources> run;
        run.elements = {item.vectors.begin * V::width, min(item.vectors.end * V::width, runs.length)};
        run.length = runs.length, run.writable = runs.writable;
        for (std::int64_t left = item.rows.size(); left > 0; --left) {
            const auto offset = [&](const auto &steps) {
                return image * steps.image + y * steps.row + x * steps.pixel;
            };
            run.to = to.data + offset(runs.steps[0]);
            for (int i = 0; i < sources; ++i) run.from[i] = from[i]->data + offset(runs.steps[i + 1]);
            function(run);
            if (++x < runs.pixels) continue;
            x = 0;
            if (++y < runs.rows) continue;
            y = 0, ++image;
        }
    }
}

/// Store function(vectors of the sources) for each vector of a run, `block` vectors at a time.
template <class V, int block, int sources, class Function>
MPSCNN_INLINE void map_run(const ElementRun<sources> &run, Function function) {
    std::int64_t i = run.elements.begin;
    for (; i + block * V::width <= run.elements.end; i += block * V::width) {
        for (int s = 0; s < sources; ++s) prefetch<block * V::width>(run.from[s] + i);
#pragma GCC unroll 4
        for (int v = 0; v < block; ++v) {
            typename V::reg x[sources];
            for (int s = 0; s < sources; ++s) x[s] = V::load(run.from[s] + i + v * V::width);
            V::store(run.to + i + v * V::width, function(x));
        }
    }
    for (; i < run.elements.end; i += V::width) {
        typename V::reg x[sources];
        for (int s = 0; s < sources; ++s) x[s] = load_lanes<V>(run.from[s] + i, run.length - i);
        store_lanes<V>(run.to + i, function(x), run.writable - i);
    }
}

} // namespace
} // namespace mpscnn::cpu
