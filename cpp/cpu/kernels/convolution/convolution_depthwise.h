#pragma once

// Depthwise convolution: output channel o only reads input channel o / multiplier. This file divides the
// outputs into strips and the work into items. depthwise_strip.h has the arithmetic.

#include "cpu/kernels/convolution/depthwise_strip.h"
#include "cpu/kernels/convolution/thread_cuts.h"
#include "cpu/kernels/shared/work_split.h"

namespace mpscnn::cpu {
namespace {

/// Return the number of floats of packed weights: [output channel vectors][kernel rows][kernel
/// columns][lanes], padded with zeros.
template <class V> std::size_t depthwise_packed_size(const ConvolutionShape &shape) {
    return static_cast<std::size_t>(divide_up(shape.outputs, V::width) * shape.kernel_height *
                                    shape.kernel_width * V::width);
}

template <class V> void depthwise_pack(const ConvolutionShape &shape, const float *weights, float *packed) {
    const std::int64_t taps = shape.kernel_height * shape.kernel_width;
    for (std::int64_t first = 0; first < shape.outputs; first += V::width) {
        for (std::int64_t tap = 0; tap < taps; ++tap) {
            for (std::int64_t channel = first; channel < first + V::width; ++channel) {
                *packed++ = channel < shape.outputs ? weights[channel * taps + tap] : 0.0f;
            }
        }
    }
}

inline std::int64_t channel_multiplier(const ConvolutionTask &task) {
    return task.packed->outputs / task.packed->groups;
}

/// The number of channel vectors whose inputs are repeated at a time for a channel multiplier: 64 channels.
template <class V> inline constexpr std::int64_t depthwise_repeated_vectors = 64 / V::width;

/// Divide the work into items. Small images of many channels are divided by channels, like most matrix
/// products before and after them (cuts_pixels()). Then a thread reads what it has written itself.
template <class V> WorkSplit depthwise_split(const ConvolutionTask &task, int threads) {
    const View &to = task.destination;
    const std::int64_t taps = task.packed->kernel_height * task.packed->kernel_width;
    constexpr std::int64_t min_cost = 1 << 17; // minimum products in a work item: some 5 microseconds
    const std::int64_t rows = divide_up(to.height, depthwise_group_rows(task));
    const bool cuts_channels = to.height * to.width * 4 < to.channels;
    WorkSplit split = split_work(to.batch, cuts_channels ? 1 : rows, divide_up(to.channels, V::width),
                                 to.batch * to.height * to.width * to.channels * taps, min_cost, threads);
    split.rows = rows;
    return split;
}

/// Compute the channel vectors of `columns` outputs, several vectors at a time. This gives enough independent
/// sums to hide the latency of an FMA.
template <class V, int columns, bool partial>
void depthwise_vectors(const DepthwiseStrip &strip, const DepthwiseOutput<V> &output) {
    constexpr int vectors = columns > 1 ? 2 : 4;
    std::int64_t chunk = strip.chunks.begin;
    if constexpr (!partial) {
        for (; chunk + vectors <= strip.chunks.end; chunk += vectors)
            depthwise_any<V, columns, vectors, false>(strip, output, chunk);
    }
    for (; chunk < strip.chunks.end; ++chunk) depthwise_any<V, columns, 1, partial>(strip, output, chunk);
}

/// Compute one output row by the generic fallback: four outputs at a time where all taps are inside the
/// source, otherwise one.
template <class V, bool partial> void depthwise_row_any(DepthwiseStrip strip) {
    const ConvolutionTask &task = *strip.task;
    const WindowAxis &window = task.horizontal;
    const DepthwiseSource &source = *strip.source;
    const std::int64_t end = task.destination.width;
    while (strip.x < end) {
        const std::int64_t first = window_begin(window, strip.x);
        const std::int64_t last = first + 3 * window.stride + (window.kernel - 1) * window.dilation;
        const bool whole = first >= 0 && last < source.width && strip.x + 4 <= end;
        strip.taps = taps_within(first, window.dilation, window.kernel, 0, source.width);
        strip.first_offset = first * source.pixel_stride;
        depthwise_compute<V>(strip, 1, whole ? 4 : 1,
                             [&](const DepthwiseStrip &part, const DepthwiseOutput<V> &output) {
                                 if (whole)
                                     depthwise_vectors<V, 4, partial>(part, output);
                                 else
                                     depthwise_vectors<V, 1, partial>(part, output);
                             });
        strip.x += whole ? 4 : 1;
    }
}

/// Select the kernel for a strip of `columns` columns, by its rows and by its tap columns outside the source.
/// Strips inside the image, and strips with the usual padding of 3x3 windows, have special kernels without a
/// branch on columns. Narrow strips and single last rows would not gain from special kernels. With stride 2
/// the speed is limited by memory, so a branch on rows costs nothing.
template <class V, class Shape, int rows, int columns>
void depthwise_columns(const DepthwiseStrip &strip, const typename V::element *const *source_rows,
                       const DepthwiseOutput<V> &output) {
    if constexpr (rows == 2 && columns > 2) {
        constexpr bool single_step = Shape::horizontal_stride == 1;
        constexpr bool usual = Shape::kernel_width == 3 && !has_few_strips<V>;
        const std::int64_t left = strip.taps.begin, right = Shape::tap_columns(columns) - strip.taps.end;
        bool all_rows = true;
        for (int i = 0; i < Shape::source_rows(rows); ++i) all_rows = all_rows && source_rows[i];
        if constexpr (single_step)
            if (left == 0 && right == 0 && all_rows)
                return depthwise_strip<V, Shape, rows, columns, true, 0, 0>(strip, source_rows, output);
        if constexpr (usual || !single_step)
            if (left == 0 && right == 0)
                return depthwise_strip<V, Shape, rows, columns, false, 0, 0>(strip, source_rows, output);
        if constexpr (usual) {
            if (left == 1 && right == 0)
                return depthwise_strip<V, Shape, rows, columns, false, 1, 0>(strip, source_rows, output);
            if (left == 0 && right == 1)
                return depthwise_strip<V, Shape, rows, columns, false, 0, 1>(strip, source_rows, output);
        }
    }
    depthwise_strip<V, Shape, rows, columns, false, any_number, any_number>(strip, source_rows, output);
}

/// Call depthwise_columns() for `count` columns. `count` is only known at run time, and at most `columns`.
template <class V, class Shape, int rows, int columns>
void depthwise_dispatch(const DepthwiseStrip &strip, const typename V::element *const *source_rows,
                        const DepthwiseOutput<V> &output, std::int64_t count) {
    if constexpr (has_strip_columns<V>(columns))
        if (count == columns) return depthwise_columns<V, Shape, rows, columns>(strip, source_rows, output);
    if constexpr (columns > 1)
        depthwise_dispatch<V, Shape, rows, columns - 1>(strip, source_rows, output, count);
}

/// Compute `rows` output rows from strip.y on, for whole channel vectors and a kernel and stride known at
/// compile time. With a dilation d, the columns x, x + d, x + 2 d, ... are treated as a separate row for each
/// x below d.
template <class V, class Shape, int rows> void depthwise_rows(DepthwiseStrip strip) {
    const ConvolutionTask &task = *strip.task;
    const DepthwiseSource &source = *strip.source;
    const WindowAxis &window = task.horizontal;
    const typename V::element *source_rows[Shape::source_rows(rows)];
    for (int i = 0; i < Shape::source_rows(rows); ++i) {
        const std::int64_t y = window_begin(task.vertical, strip.y) + i * task.vertical.dilation;
        source_rows[i] = source.row<typename V::element>(y);
    }
    strip.column_step = window.dilation;
    const bool repeats = can_repeat<V>(task.epilogue);
    for (std::int64_t phase = 0; phase < min(window.dilation, task.destination.width); ++phase) {
        const std::int64_t count = divide_up(task.destination.width - phase, window.dilation);
        for (std::int64_t done = 0, columns = 0; done < count; done += columns * strip.count) {
            columns = next_strip_columns<V>(count - done);
            const auto taps = static_cast<std::int64_t>(Shape::tap_columns(static_cast<int>(columns)));
            strip.x = phase + done * window.dilation;
            const std::int64_t first = window_begin(window, strip.x);
            strip.taps = taps_within(first, window.dilation, taps, 0, source.width);
            strip.first_offset = first * source.pixel_stride;
            // Repeat the same kernel for all strips except the last two, whose windows may reach beyond the
            // edge.
            strip.count = repeats && strip.taps.size() == taps ? max((count - done) / columns - 2, 1) : 1;
            depthwise_compute<V>(strip, rows, static_cast<int>(columns),
                                 [&](const DepthwiseStrip &part, const DepthwiseOutput<V> &output) {
                                     depthwise_dispatch<V, Shape, rows, depthwise_strip_columns<V>>(
                                         part, source_rows, output, columns);
                                 });
        }
    }
}

/// Compute the output rows from rows.begin to rows.end - 1, for the channel vectors strip.chunks. Rows y and
/// y + dilation are computed together if the convolution has the vertical stride that `Shape` is compiled
/// for.
template <class V, class Shape> void depthwise_band(DepthwiseStrip strip, Range rows) {
    const WindowAxis &window = strip.task->vertical;
    const bool pairs =
        window.stride == Shape::vertical_stride && (window.stride == 1 || window.dilation == 1);
    strip.row_step = window.dilation;
    for (std::int64_t group = rows.begin; group < rows.end; group += 2 * window.dilation) {
        const std::int64_t end = min(group + window.dilation, rows.end);
        for (std::int64_t y = group; y < end; ++y) {
            const bool has_partner = y + window.dilation < rows.end;
            strip.y = y;
            if constexpr (Shape::pairs_rows) {
                if (pairs && has_partner) {
                    depthwise_rows<V, Shape, 2>(strip);
                    continue;
                }
            }
            depthwise_rows<V, Shape, 1>(strip);
            strip.y += window.dilation;
            if (has_partner) depthwise_rows<V, Shape, 1>(strip);
        }
    }
}

template <class V, bool partial> void depthwise_band_any(DepthwiseStrip strip, Range rows) {
    for (strip.y = rows.begin; strip.y < rows.end; ++strip.y) depthwise_row_any<V, partial>(strip);
}

/// Return true if the window of every output overlaps the source or touches its edge, so that less than
/// `kernel * dilation` positions of the window lie outside. Kernels of strips rely on this at edges.
inline bool has_small_overhang(const WindowAxis &window, std::int64_t outputs, std::int64_t inputs) {
    const std::int64_t reach = (window.kernel - 1) * window.dilation;
    const std::int64_t after = window_begin(window, outputs - 1) + reach - (inputs - 1);
    return window.before <= reach && after <= reach;
}

/// Call use.template operator()<Shape>() with the shape of a window of at most 2 x 2 taps.
template <int rows, int columns, class Use>
void with_small_shape(std::int64_t height, std::int64_t width, Use use) {
    if constexpr (rows < 2)
        if (height > rows) return with_small_shape<2, columns>(height, width, use);
    if constexpr (columns < 2)
        if (width > columns) return with_small_shape<rows, 2>(height, width, use);
    use.template operator()<DepthwiseShape<rows, columns, 1, 1>>();
}

/// Call use.template operator()<Shape>() with the special shape for the task's window. Return false if there
/// is none.
template <class V, class Use> bool with_depthwise_shape(const ConvolutionTask &task, Use use) {
    const std::int64_t height = task.packed->kernel_height, width = task.packed->kernel_width;
    const std::int64_t stride = task.horizontal.stride, dilation = task.horizontal.dilation;
    [[maybe_unused]] const bool fives = height == 5 && width == 5;
    if (!has_small_overhang(task.horizontal, task.destination.width, task.source.width)) return false;
    if constexpr (V::has_fma && !has_bfloat16<V>) // parts of gradients of 3x3 with stride 2
        if (height <= 2 && width <= 2 && stride == 1 && dilation == 1) {
            with_small_shape<1, 1>(height, width, use);
            return true;
        }
    if (height == 3 && width == 3 && stride == 1)
        use.template operator()<DepthwiseShape<3, 3, 1, 1>>();
    else if (height == 3 && width == 3 && stride == 2 && dilation == 1)
        use.template operator()<DepthwiseShape<3, 3, 2, 2>>();
    else if constexpr (!V::has_fma)
        return false;
    else if (fives && stride == 1)
        use.template operator()<DepthwiseShape<5, 5, 1, 1>>();
    else if (fives && stride == 2 && dilation == 1)
        use.template operator()<DepthwiseShape<5, 5, 2, 2>>();
    else
        return false;
    return true;
}

/// Compute output rows. Whole channel vectors use the kernels for the window's shape if there are any. The
/// remaining channels are a whole vector too if source and destination have padding after them. Otherwise
/// they use the generic fallback.
template <class V> void depthwise_block(DepthwiseStrip strip, Range rows) {
    const ConvolutionTask &task = *strip.task;
    const View &to = task.destination;
    const std::int64_t all_vectors = divide_up(to.channels, V::width);
    const bool is_padded = strip.source->is_padded && to.writable_channels >= all_vectors * V::width;
    const std::int64_t whole = is_padded ? all_vectors : to.channels / V::width;
    const Range all = strip.chunks;
    strip.chunks = {all.begin, min(all.end, whole)};
    if (!strip.chunks.empty()) {
        const bool done =
            with_depthwise_shape<V>(task, [&]<class Shape>() { depthwise_band<V, Shape>(strip, rows); });
        if (!done) depthwise_band_any<V, false>(strip, rows);
    }
    strip.chunks = {max(all.begin, whole), all.end};
    if (!strip.chunks.empty()) depthwise_band_any<V, true>(strip, rows);
}

/// Return the number of source rows that a group of output rows reads (see depthwise_group_rows()).
inline std::int64_t group_window_rows(const ConvolutionTask &task) {
    return source_rows(task, depthwise_group_rows(task), task.source.height);
}

/// Copy the source rows [rows), with every channel repeated `multiplier` times, for the output channel
/// vectors [chunks).
template <class V>
void repeat_channels(const ConvolutionTask &task, std::int64_t image, Range rows, Range chunks,
                     const DepthwiseSource &to, float *data) {
    const std::int64_t multiplier = channel_multiplier(task);
    const std::int64_t begin = chunks.begin * V::width;
    const std::int64_t end = min(chunks.end * V::width, task.destination.channels);
    for (std::int64_t y = rows.begin; y < rows.end; ++y) {
        for (std::int64_t x = 0; x < to.width; ++x) {
            const float *from = pixel_at(task.source, image, y, x);
            float *out = data + (y % to.ring) * to.row_stride + x * to.pixel_stride;
            std::int64_t channel = begin / multiplier, repeat = begin % multiplier;
            for (std::int64_t output = begin; output < end; ++output) {
                *out++ = from[channel];
                if (++repeat == multiplier) {
                    repeat = 0;
                    ++channel;
                }
            }
        }
    }
}

/// Compute the rows of a band with a channel multiplier above one. Source rows are copied to a ring buffer
/// with repeated channels, so that there is one input channel for each output channel.
template <class V> void depthwise_repeated(DepthwiseStrip strip, Range rows, std::byte *scratch) {
    constexpr std::int64_t vectors = depthwise_repeated_vectors<V>;
    const ConvolutionTask &task = *strip.task;
    const std::int64_t group_rows = depthwise_group_rows(task);
    float *data = reinterpret_cast<float *>(scratch);
    DepthwiseSource ring;
    ring.data = data;
    ring.height = task.source.height;
    ring.width = task.source.width;
    ring.ring = group_window_rows(task);
    ring.pixel_stride = vectors * V::width;
    ring.row_stride = ring.width * ring.pixel_stride;
    strip.source = &ring;
    const Range all = strip.chunks;
    for (std::int64_t chunk = all.begin; chunk < all.end; chunk += vectors) {
        strip.chunks = {chunk, min(chunk + vectors, all.end)};
        ring.first_chunk = chunk;
        std::int64_t ready = 0; // the ring buffer holds the needed source rows before this one
        for (std::int64_t y = rows.begin; y < rows.end; y += group_rows) {
            const std::int64_t y_end = min(y + group_rows, rows.end);
            const std::int64_t top = window_begin(task.vertical, y);
            const std::int64_t bottom = window_begin(task.vertical, y_end - 1) + window_rows(task);
            const Range needed{max(top, ready), min(bottom, ring.height)};
            repeat_channels<V>(task, strip.image, needed, strip.chunks, ring, data);
            ready = max(ready, needed.end);
            depthwise_block<V>(strip, {y, y_end});
        }
    }
}

template <class V> const char *depthwise_variant(const ConvolutionTask &task) {
    const bool fits = with_depthwise_shape<V>(task, []<class Shape>() {});
    if (channel_multiplier(task) != 1) return fits ? "repeated channels" : "repeated channels, generic";
    return fits ? nullptr : "generic";
}

/// True if the last vector of a pixel can be read as a whole.
template <class V> bool has_padding(const ConstView &view) {
    return view.readable_channels >= divide_up(view.channels, V::width) * V::width;
}

struct DepthwisePlan {
    WorkSplit split;
    bool prefetches; ///< true if images do not fit L2
};

inline bool outgrows_l2(std::int64_t floats, const CacheSizes &caches) {
    return floats * static_cast<std::int64_t>(sizeof(float)) > caches.second * 3 / 4;
}

template <class V> Prepared depthwise_prepare(const ConvolutionTask &task, const Planning &planning) {
    const DepthwisePlan plan{depthwise_split<V>(task, planning.threads),
                             outgrows_l2(task.source.height * task.source.row_stride, planning.caches)};
    std::int64_t floats = 0;
    if (channel_multiplier(task) != 1)
        floats = group_window_rows(task) * task.source.width * depthwise_repeated_vectors<V> * V::width;
    Prepared prepared =
        planning.keep(plan, plan.split.items(), static_cast<std::size_t>(floats) * sizeof(float));
    prepared.variant = depthwise_variant<V>(task);
    return prepared;
}

template <class V>
void depthwise_run(const ConvolutionTask &task, const Prepared &prepared, std::int64_t begin,
                   std::int64_t end, [[maybe_unused]] Worker &worker) {
    const auto &[split, prefetches] = prepared.plan_as<DepthwisePlan>();
    DepthwiseStrip strip;
    strip.task = &task;
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = split.item(index);
        const Range rows{item.rows.begin * depthwise_group_rows(task),
                         min(item.rows.end * depthwise_group_rows(task), task.destination.height)};
        strip.image = item.image;
        strip.chunks = item.vectors;
        if constexpr (!has_bfloat16<V>) // bfloat16 kernels only have multiplier 1
            if (channel_multiplier(task) != 1) {
                depthwise_repeated<V>(strip, rows, worker.scratch);
                continue;
            }
        DepthwiseSource source;
        source.data =
            reinterpret_cast<const float *>(pixel_at<typename V::element>(task.source, item.image, 0, 0));
        source.row_stride = task.source.row_stride;
        source.pixel_stride = task.source.pixel_stride;
        source.height = source.ring = task.source.height;
        source.width = task.source.width;
        source.is_padded = has_padding<V>(task.source);
        strip.source = &source;
        strip.prefetches = prefetches;
        depthwise_block<V>(strip, rows);
    }
}

} // namespace
} // namespace mpscnn::cpu
