#pragma once

// Weight gradients of depthwise convolutions. The kernel processes a strip of pixels for one vector of
// channels at a time. The gradient of each pixel is multiplied by the inputs of its window. The sums of
// kernels that are 3 or 5 wide stay in registers for the strip, those of other kernels are in L1. The next
// vectors of channels follow immediately, while their cache lines are still in L1. If the inputs are the
// result of a batch normalization, a few rows of inputs are recomputed at a time, with zeros around them, and
// then read from L2. The speed is limited by memory: 8 bytes for each element.

#include "cpu/kernels/elementwise/recomputed_normalization.h"
#include "cpu/kernels/training/weight_gradient.h"

namespace mpscnn::cpu {
namespace {

/// The number of pixels of a strip. They stay in L1 while all vectors of channels are processed.
inline constexpr std::int64_t strip_pixels = 16;

/// The addresses of a strip's data for a vector of channels: its first window and gradient, and the steps to
/// the next rows, taps and pixels.
struct GradientStrip {
    const float *window = nullptr, *gradient = nullptr;
    std::ptrdiff_t row_step = 0, tap_step = 0, window_step = 0, gradient_step = 0;
    std::ptrdiff_t source_row = 0, source_pixel = 0;
    std::int64_t new_rows = 1, new_columns = 1; ///< rows and columns that each window is the first to read
    std::int64_t pixels = 0, lanes = 0;
};

/// Add the products of a strip to the sums of `rows` x `taps` taps. The sums of a tap are one vector.
template <class V, int rows, int taps, bool whole>
MPSCNN_INLINE void add_taps(GradientStrip strip, float *sums) {
    const std::int64_t lanes = whole ? V::width : strip.lanes;
    typename V::reg own[rows * taps];
#pragma GCC unroll 9
    for (int tap = 0; tap < rows * taps; ++tap) own[tap] = V::load(sums + tap * V::width);
    const float *window[rows]; // one address for each row of taps, so that all stay in registers
#pragma GCC unroll 3
    for (int row = 0; row < rows; ++row) window[row] = strip.window + row * strip.row_step;
    const float *gradient = strip.gradient;
    const std::ptrdiff_t tap_step = strip.tap_step, window_step = strip.window_step;
    for (std::int64_t x = 0; x < strip.pixels; ++x, gradient += strip.gradient_step) {
        // Prefetch the next strip, because hardware prefetchers do not recognise reads of one line for each
        // pixel.
        __builtin_prefetch(gradient + strip_pixels * strip.gradient_step);
        const float *const next = window[rows - 1] + (strip_pixels + 1) * window_step;
        for (std::int64_t row = 0; row < strip.new_rows; ++row)
            for (std::int64_t column = 0; column < strip.new_columns; ++column)
                __builtin_prefetch(next - row * strip.source_row + column * strip.source_pixel);
        const auto g = load_lanes<V>(gradient, lanes);
#pragma GCC unroll 3
        for (int row = 0; row < rows; ++row) {
#pragma GCC unroll 5
            for (int tap = 0; tap < taps; ++tap)
                own[row * taps + tap] =
                    V::fma(load_lanes<V>(window[row] + tap * tap_step, lanes), g, own[row * taps + tap]);
            window[row] += window_step;
        }
    }
#pragma GCC unroll 9
    for (int tap = 0; tap < rows * taps; ++tap) V::store(sums + tap * V::width, own[tap]);
}

template <class V, int rows, int taps> void add_strip(const GradientStrip &strip, float *sums) {
    strip.lanes >= V::width ? add_taps<V, rows, taps, true>(strip, sums)
                            : add_taps<V, rows, taps, false>(strip, sums);
}

/// Some columns of a row of the gradient.
struct Columns {
    Range all, inner; ///< `inner`: columns whose windows are inside the source horizontally
};

/// Add the products of some columns of a row of the gradient to the sums [vector][rows][taps][lanes].
/// `fixed_taps` is the number of taps of a kernel row, or 0 if it is not known at compile time. If
/// `recomputed`, the source is in L2, and is not prefetched.
template <class V, int fixed_taps>
void add_depthwise_columns(const WeightGradientTask &task, bool recomputed, std::int64_t image,
                           std::int64_t y, const Columns &columns, Range vectors, float *sums) {
    const ConstView &from = task.source, &gradient = task.gradient;
    const std::int64_t rows = task.vertical.kernel;
    const std::int64_t taps = fixed_taps > 0 ? fixed_taps : task.horizontal.kernel;
    const auto first_of = [](const WindowAxis &axis, std::int64_t position) {
        return position * axis.stride - axis.before;
    };
    const std::int64_t top = first_of(task.vertical, y);
    const bool all_rows = top >= 0 && top + (rows - 1) * task.vertical.dilation < from.height;
    const Range inner = columns.inner;
    GradientStrip strip;
    strip.row_step = task.vertical.dilation * from.row_stride;
    strip.tap_step = task.horizontal.dilation * from.pixel_stride;
    strip.window_step = task.horizontal.stride * from.pixel_stride;
    strip.gradient_step = gradient.pixel_stride;
    strip.source_row = from.row_stride;
    strip.source_pixel = from.pixel_stride;
    strip.new_rows = recomputed ? 0 : min(task.vertical.stride, rows);
    strip.new_columns = min(task.horizontal.stride, taps);
    strip.pixels = inner.size();
    for (std::int64_t vector = vectors.begin; vector < vectors.end;
         ++vector, sums += rows * taps * V::width) {
        const std::int64_t channel = vector * V::width;
        strip.lanes = from.channels - channel;
        const float *const out = pixel_at(gradient, image, y, 0) + channel;
        const float *const source = from.data + image * from.image_stride + top * from.row_stride + channel;
        const auto edge = [&](std::int64_t row, std::int64_t begin, std::int64_t end) {
            float *row_sums = sums + row * taps * V::width;
            for (std::int64_t x = begin; x < end; ++x) {
                const auto g = load_lanes<V>(out + x * gradient.pixel_stride, strip.lanes);
                const std::int64_t first = first_of(task.horizontal, x);
                for (std::int64_t tap = 0; tap < taps; ++tap) {
                    const std::int64_t source_x = first + tap * task.horizontal.dilation;
                    if (source_x < 0 || source_x >= from.width) continue;
                    const float *at = source + row * strip.row_step + source_x * from.pixel_stride;
                    float *sum = row_sums + tap * V::width;
                    V::store(sum, V::fma(load_lanes<V>(at, strip.lanes), g, V::load(sum)));
                }
            }
        };
        const auto within = [&](std::int64_t row) {
            const std::int64_t position = top + row * task.vertical.dilation;
            return position >= 0 && position < from.height;
        };
        strip.gradient = out + inner.begin * gradient.pixel_stride;
        strip.window = source + first_of(task.horizontal, inner.begin) * from.pixel_stride;
        for (std::int64_t row = 0; row < rows; ++row)
            if (within(row)) edge(row, columns.all.begin, inner.begin);
        if constexpr (fixed_taps == 3) {
            if (rows == 3 && all_rows && inner.size() > 0) {
                add_strip<V, 3, 3>(strip, sums);
                for (std::int64_t row = 0; row < rows; ++row) edge(row, inner.end, columns.all.end);
                continue;
            }
        }
        for (std::int64_t row = 0; row < rows; ++row, strip.window += strip.row_step) {
            if (!within(row)) continue;
            if constexpr (fixed_taps > 0) {
                if (inner.size() > 0) add_strip<V, 1, fixed_taps>(strip, sums + row * taps * V::width);
            } else {
                edge(row, inner.begin, inner.end);
            }
            edge(row, inner.end, columns.all.end);
        }
    }
}

/// Add the products of a row of the gradient, in strips that stay in L1 while all vectors of channels are
/// processed.
template <class V, int fixed_taps>
void add_depthwise_row(const WeightGradientTask &task, bool recomputed, std::int64_t image, std::int64_t y,
                       Range vectors, float *sums) {
    const std::int64_t width = task.gradient.width;
    // Find the pixels whose taps are all inside the row: [begin, end).
    const std::int64_t reach = (task.horizontal.kernel - 1) * task.horizontal.dilation;
    const std::int64_t begin = clamped(divide_up(task.horizontal.before, task.horizontal.stride), 0, width);
    const std::int64_t last = task.source.width - 1 - reach + task.horizontal.before;
    const std::int64_t end = clamped(last < 0 ? 0 : last / task.horizontal.stride + 1, begin, width);
    for (std::int64_t x = 0; x < width; x += strip_pixels) {
        const Range all{x, min(x + strip_pixels, width)};
        const std::int64_t first = clamped(begin, all.begin, all.end);
        add_depthwise_columns<V, fixed_taps>(task, recomputed, image, y,
                                             {all, {first, clamped(end, first, all.end)}}, vectors, sums);
    }
}

/// Return an axis whose windows are inside the source, because the source has zeros around it: `zeros.begin`
/// before the first element, and `zeros.end` after the last one.
inline WindowAxis padded_axis(WindowAxis axis, std::int64_t extent, std::int64_t windows, Range &zeros) {
    zeros.begin = max(axis.before, 0);
    const std::int64_t last = (windows - 1) * axis.stride - axis.before + (axis.kernel - 1) * axis.dilation;
    zeros.end = max(last + 1 - extent, 0);
    axis.before -= zeros.begin;
    return axis;
}

/// Recomputed rows of a batch normalization, for some vectors of channels, with zeros around the image. The
/// number of rows is limited so that they fit L2.
template <class V> class NormalizedRows {
public:
    static std::int64_t floats(const WeightGradientTask &task, std::int64_t vectors) {
        const Size size(task, vectors);
        return NormalizedCopy<V>::floats(task.source.channels) + size.rows * size.row_floats;
    }

    NormalizedRows(const WeightGradientTask &task, Range vectors, float *memory)
        : task_(task), copy_(task, memory), first_channel_(vectors.begin * V::width),
          channels_(min(vectors.end * V::width, task.source.channels) - first_channel_),
          size_(task, vectors.size()), own_(task),
          memory_(memory + NormalizedCopy<V>::floats(task.source.channels)) {
        own_.vertical = size_.vertical, own_.horizontal = size_.horizontal;
        own_.source.height += size_.above.begin + size_.above.end;
        own_.source.width += size_.beside.begin + size_.beside.end;
        own_.source.pixel_stride = vectors.size() * V::width;
        own_.source.row_stride = size_.row_floats;
        own_.source.image_stride = 0;
        // Later, only the pixels of the image are written.
        for (std::int64_t i = 0; i < size_.rows * size_.row_floats; ++i) memory_[i] = 0.0f;
    }

    /// Return the task with the recomputed rows as its source. They include all rows that row y of the
    /// gradient needs.
    const WeightGradientTask &task_for(std::int64_t image, std::int64_t y) {
        const std::int64_t begin = max(y * own_.vertical.stride - own_.vertical.before, 0),
                           end = min(begin + size_.reach, own_.source.height);
        if (image != image_ || begin < rows_.begin || end > rows_.end) {
            image_ = image;
            rows_ = {begin, min(begin + size_.rows, own_.source.height)};
            bring();
        }
        return own_;
    }

private:
    /// The size of the memory for rows. Rows and columns count the zeros.
    struct Size {
        Range above{0, 0}, beside{0, 0}; ///< zeros above and below the image, and left and right of it
        WindowAxis vertical, horizontal;
        std::int64_t reach, rows, row_floats;

        Size(const WeightGradientTask &task, std::int64_t vectors)
            : vertical(padded_axis(task.vertical, task.source.height, task.gradient.height, above)),
              horizontal(padded_axis(task.horizontal, task.source.width, task.gradient.width, beside)),
              reach((vertical.kernel - 1) * vertical.dilation + 1) {
            constexpr std::int64_t max_floats = 1 << 15, min_more = 6;
            row_floats = (beside.begin + task.source.width + beside.end) * vectors * V::width;
            rows = min(above.begin + task.source.height + above.end,
                       reach + max(max_floats / row_floats, min_more));
        }
    };

    void bring() {
        const ConstView &from = task_.source, &to = own_.source;
        for (std::int64_t row = rows_.begin; row < rows_.end; ++row) {
            const std::int64_t y = row - size_.above.begin;
            float *const out = memory_ + (row - rows_.begin) * to.row_stride;
            if (y < 0 || y >= from.height) {
                for (std::int64_t i = 0; i < to.row_stride; ++i) out[i] = 0.0f;
                continue;
            }
            const float *const pixels = pixel_at(from, image_, y, 0) + first_channel_;
            for_some_pixels(from.width, [&]<int some>(std::int64_t x) {
                const float *const at = pixels + x * from.pixel_stride;
                float *const own = out + (size_.beside.begin + x) * to.pixel_stride;
                for (std::int64_t c = 0; c < channels_; c += V::width)
                    copy_.template vectors<some>(at + c, from.pixel_stride, own + c, to.pixel_stride,
                                                 first_channel_ + c, channels_ - c);
            });
        }
        own_.source.data = memory_ - rows_.begin * to.row_stride - first_channel_;
    }

    const WeightGradientTask &task_;
    const NormalizedCopy<V> copy_;
    const std::int64_t first_channel_, channels_;
    const Size size_;
    WeightGradientTask own_;
    float *const memory_;
    std::int64_t image_ = -1;
    Range rows_{0, 0};
};

/// Compute the gradient of one part of the pixels for the vectors of channels of one item.
template <class V, bool normalizes>
void depthwise_gradient(const WeightGradientTask &task, const WeightGradientPlan &plan, std::int64_t part,
                        std::int64_t item, float *scratch) {
    const Range vectors = part_of(divide_up(task.source.channels, V::width), plan.items, item);
    const std::int64_t floats = vectors.size() * plan.taps * V::width;
    float *const sums = scratch, *const block_sums = scratch + floats;
    auto source = [&] {
        if constexpr (normalizes)
            return NormalizedRows<V>(task, vectors, block_sums + floats);
        else
            return 0;
    }();
    for (std::int64_t i = 0; i < floats; ++i) sums[i] = 0.0f;
    const Range rows = rows_of_part(task, part);
    const std::int64_t rows_of_block = max(1, gradient_block / task.gradient.width);
    for (std::int64_t begin = rows.begin; begin < rows.end; begin += rows_of_block) {
        for (std::int64_t i = 0; i < floats; ++i) block_sums[i] = 0.0f;
        const std::int64_t end = min(begin + rows_of_block, rows.end);
        for (std::int64_t row = begin; row < end; ++row) {
            const std::int64_t image = row / task.gradient.height, y = row % task.gradient.height;
            const WeightGradientTask *own = &task;
            if constexpr (normalizes) own = &source.task_for(image, y);
            switch (task.horizontal.kernel) {
            case 3:
                add_depthwise_row<V, 3>(*own, normalizes, image, y, vectors, block_sums);
                break;
            case 5:
                add_depthwise_row<V, 5>(*own, normalizes, image, y, vectors, block_sums);
                break;
            default:
                add_depthwise_row<V, 0>(*own, normalizes, image, y, vectors, block_sums);
            }
        }
        for (std::int64_t i = 0; i < floats; i += V::width)
            V::store(sums + i, V::add(V::load(sums + i), V::load(block_sums + i)));
    }
    const PartResult result(task, plan, part);
    for (std::int64_t vector = vectors.begin; vector < vectors.end; ++vector) {
        const float *own = sums + (vector - vectors.begin) * plan.taps * V::width;
        const std::int64_t channel = vector * V::width, lanes = min(V::width, task.source.channels - channel);
        for (std::int64_t lane = 0; lane < lanes; ++lane)
            for (std::int64_t tap = 0; tap < plan.taps; ++tap)
                result.data[(channel + lane) * result.output_stride + tap] = own[tap * V::width + lane];
    }
}

template <class V>
Prepared depthwise_gradient_prepare(const WeightGradientTask &task, const Planning &planning) {
    const std::int64_t parts = task.parts;
    WeightGradientPlan plan{};
    plan.outputs = 1;
    plan.taps = task.vertical.kernel * task.horizontal.kernel;
    // The number of sums that stay in L1.
    constexpr std::int64_t max_floats = 4096;
    const std::int64_t vectors = divide_up(task.source.channels, V::width);
    const std::int64_t maximum = clamped(max_floats / (plan.taps * V::width), 1, vectors);
    const std::int64_t wanted =
        planning.threads == 1 ? 1 : divide_up(4 * static_cast<std::int64_t>(planning.threads), parts);
    plan.items = clamped(wanted, divide_up(vectors, maximum), vectors);
    const std::int64_t floats = divide_up(vectors, plan.items) * plan.taps * V::width;
    std::int64_t scratch = 2 * floats;
    if (task.normalization.applies)
        scratch += NormalizedRows<V>::floats(task, divide_up(vectors, plan.items));
    return planning.keep(plan, parts * plan.items, static_cast<std::size_t>(scratch) * sizeof(float));
}

template <class V>
void depthwise_gradient_run(const WeightGradientTask &task, const Prepared &prepared, std::int64_t begin,
                            std::int64_t end, Worker &worker) {
    run_gradient_items(task, prepared, begin, end, worker,
                       task.normalization.applies ? depthwise_gradient<V, true>
                                                  : depthwise_gradient<V, false>);
}

} // namespace
} // namespace mpscnn::cpu
