// Normalizes each element by its neighbourhood: adjacent channels, or pixels around it.
//
// A sum over neighbouring channels is built from sums of 1, 2, 4, ... neighbours: log2(length) passes over a
// pixel's squares, which are in L1. A sum over pixels first adds up each column, which several windows of a
// row use, and then the sums of the columns. The power is computed by square roots and products for the
// exponents that networks use.
//
// Registers hold a sum, a square and the power's terms for one vector of elements. The speed is limited by
// the square root and division of each vector, some 20 cycles. With other exponents it is limited by the
// power's polynomials, some 40 operations.
//
// Elements whose sums are beyond float (PowerRange) are computed again in double.

#include "cpu/isa/instance.h"
#include "cpu/isa/lanes.h"
#include "cpu/isa/simd_math.h"
#include "cpu/kernels/elementwise/neighbour_sums.h"
#include "cpu/kernels/elementwise/wide_power.h"
#include "cpu/kernels/shared/pixel_epilogue.h"
#include "cpu/kernels/shared/pixels.h"
#include "cpu/kernels/shared/work_split.h"

namespace mpscnn::cpu {
namespace {

// ---- Over neighbouring channels ----

template <class V> MPSCNN_INLINE NeighbourLayout<V> layout_of(const CrossChannelTask &task) {
    return {task.before, task.after, task.destination.channels};
}

template <class V> Prepared cross_channel_prepare(const CrossChannelTask &task, const Planning &planning) {
    return prepare_elements(task.destination, planning, layout_of<V>(task).bytes());
}

/// Normalize one channel of a pixel in double.
inline float cross_channel_wide(const CrossChannelTask &task, const float *from, std::int64_t channel) {
    const double base = wide_cross_channel_base(task, from, task.destination.channels, channel);
    return static_cast<float>(static_cast<double>(from[channel]) *
                              wide_power(base, -static_cast<double>(task.beta)));
}

/// Return the vector of normalized channels from their window sums.
template <class V>
MPSCNN_INLINE typename V::reg cross_channel_vector(const CrossChannelTask &task, const float *from,
                                                   const float *sums, std::int64_t channel) {
    const auto base = V::fma(V::load(sums + channel), V::set1(task.scale), V::set1(task.delta));
    return V::mul(load_lanes<V>(from + channel, task.destination.channels - channel),
                  inverse_power<V>(base, task.beta));
}

/// Store the results of a pixel again. Those whose sums are beyond float are computed in double.
template <class V>
__attribute__((noinline)) void store_wide(const CrossChannelTask &task, const float *from, const float *sums,
                                          std::int64_t image, std::int64_t y, std::int64_t x) {
    const View &to = task.destination;
    for (std::int64_t c = 0; c < to.channels; c += V::width) {
        float each[V::width];
        V::store(each, cross_channel_vector<V>(task, from, sums, c));
        for (std::int64_t i = c; i < min(c + V::width, to.channels); ++i)
            if (!contains(task.range, sums[i])) each[i - c] = cross_channel_wide(task, from, i);
        finish_vector<V>(to, task.epilogue, image, y, x, c, V::load(each));
    }
}

template <class V>
void cross_channel_run(const CrossChannelTask &task, const Prepared &prepared, std::int64_t begin,
                       std::int64_t end, Worker &worker) {
    const auto &split = prepared.plan_as<WorkSplit>();
    const auto layout = layout_of<V>(task);
    const View &to = task.destination;
    float *squares = reinterpret_cast<float *>(worker.scratch), *sums = squares + layout.total;
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = split.item(index);
        for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y) {
            for (std::int64_t x = 0; x < to.width; ++x) {
                const float *from = pixel_at(task.source, item.image, y, x);
                store_neighbours<V>(to.channels, layout, squares, [&](std::int64_t c, std::int64_t left) {
                    const auto value = load_lanes<V>(from + c, left);
                    return V::mul(value, value);
                });
                sum_neighbours<V>(squares, sums, task.before + 1 + task.after, layout);
                auto outside = V::zero();
                for (std::int64_t c = 0; c < to.channels; c += V::width) {
                    outside = V::add(outside, beyond<V>(task.range, V::load(sums + c), to.channels - c));
                    finish_vector<V>(to, task.epilogue, item.image, y, x, c,
                                     cross_channel_vector<V>(task, from, sums, c));
                }
                if (V::sum(outside) > 0.0f) store_wide<V>(task, from, sums, item.image, y, x);
            }
        }
    }
}

// ---- Over a window of pixels ----

/// The positions that a window covers along one axis.
struct CentredTaps {
    std::int64_t centre;
    Range inside;               ///< positions inside the source
    std::int64_t before, after; ///< the number of positions of the window before and after the source

    MPSCNN_INLINE CentredTaps(const CentredAxis &axis, std::int64_t output, std::int64_t size)
        : centre(output + axis.offset) {
        const std::int64_t first = centre - axis.kernel / 2, last = first + axis.kernel;
        inside.begin = clamped(first, 0, size);
        inside.end = clamped(last, inside.begin, size);
        before = min(max(-first, 0), axis.kernel);
        after = axis.kernel - before - inside.size();
    }
};

/// Sum term(value) over a window along one axis. The value is value(i) at positions i inside the source,
/// `low` before and `high` after it.
template <class V, class Value, class Term>
MPSCNN_INLINE typename V::reg sum_taps(const CentredTaps &taps, typename V::reg low, typename V::reg high,
                                       Value value, Term term) {
    auto sum = V::zero();
    if (taps.before > 0) sum = V::mul(term(low), V::set1(static_cast<float>(taps.before)));
    for (std::int64_t i = taps.inside.begin; i < taps.inside.end; ++i) sum = V::add(sum, term(value(i)));
    if (taps.after > 0) sum = V::fma(term(high), V::set1(static_cast<float>(taps.after)), sum);
    return sum;
}

/// Return the number of channels that are computed together. It is small, so that the sums of a row's columns
/// stay in the cache.
template <class V> MPSCNN_INLINE std::int64_t channel_block(const WindowNormalizationTask &task) {
    constexpr std::int64_t maximum = 32;
    return min(maximum, round_up(task.source.channels, V::width));
}

/// Computes a row of outputs for a block of channels. The windows of a row share the sums of their columns.
/// For spatial normalization, `squares` holds the sum of squares of each column. For local contrast
/// normalization, `means` holds the mean of each column, and `squares` the sum of its squared deviations from
/// this mean.
template <class V> struct WindowRow {
    using reg = typename V::reg;

    const WindowNormalizationTask &task;
    std::int64_t image, y, channel, pitch;
    float *squares, *means;

    MPSCNN_INLINE WindowRow(const WindowNormalizationTask &of, std::byte *scratch, std::int64_t in_image,
                            std::int64_t row, std::int64_t block)
        : task(of), image(in_image), y(row), channel(block * channel_block<V>(of)),
          pitch(channel_block<V>(of)), squares(reinterpret_cast<float *>(scratch)),
          means(squares + of.source.width * pitch) {}

    MPSCNN_INLINE std::int64_t channels() const { return min(pitch, task.source.channels - channel); }
    MPSCNN_INLINE reg source(std::int64_t row, std::int64_t x, std::int64_t c) const {
        return load_lanes<V>(pixel_at(task.source, image, row, x) + channel + c, channels() - c);
    }

    MPSCNN_INLINE void store_column(const CentredTaps &taps, std::int64_t x, std::int64_t c) const {
        const auto value = [&](std::int64_t row) { return source(row, x, c); };
        const reg low = task.clamps ? value(0) : V::zero();
        const reg high = task.clamps ? value(task.source.height - 1) : V::zero();
        float *square = squares + x * pitch + c;
        if (task.kind == WindowNormalizationKind::spatial)
            return V::store(square, sum_taps<V>(taps, low, high, value, [](reg v) { return V::mul(v, v); }));
        const auto sum = sum_taps<V>(taps, low, high, value, [](reg v) { return v; });
        const auto mean = V::div(sum, V::set1(static_cast<float>(task.vertical.kernel)));
        V::store(means + x * pitch + c, mean);
        V::store(square, sum_taps<V>(taps, low, high, value, [&](reg v) {
                     const auto away = V::sub(v, mean);
                     return V::mul(away, away);
                 }));
    }

    /// Sum term(value of the column) over the columns of a window.
    template <class Term>
    MPSCNN_INLINE reg sum_columns(const CentredTaps &taps, const float *columns, std::int64_t c,
                                  Term term) const {
        const auto value = [&](std::int64_t x) { return V::load(columns + x * pitch + c); };
        const reg low = task.clamps && taps.before > 0 ? value(0) : V::zero();
        const reg high = task.clamps && taps.after > 0 ? value(task.source.width - 1) : V::zero();
        return sum_taps<V>(taps, low, high, value, term);
    }

    /// Return the element in the middle of a window.
    MPSCNN_INLINE reg centre(std::int64_t row, std::int64_t x, std::int64_t c) const {
        const std::int64_t inside_row = clamped(row, 0, task.source.height - 1),
                           inside_x = clamped(x, 0, task.source.width - 1);
        const bool outside = row != inside_row || x != inside_x;
        return outside && !task.clamps ? V::zero() : source(inside_row, inside_x, c);
    }

    /// The terms of a window's result. `spread` is the sum of squares; for local contrast normalization, of
    /// deviations from the mean. `x` is the number that is divided by the power.
    struct Terms {
        reg spread, x;
    };

    MPSCNN_INLINE Terms terms(const CentredTaps &rows, const CentredTaps &columns, std::int64_t c) const {
        const auto itself = [](reg v) { return v; };
        const reg x = centre(rows.centre, columns.centre, c),
                  spread = sum_columns(columns, squares, c, itself);
        if (task.kind == WindowNormalizationKind::spatial) return {spread, x};
        const auto kernel_height = V::set1(static_cast<float>(task.vertical.kernel)),
                   kernel_width = V::set1(static_cast<float>(task.horizontal.kernel));
        const auto mean = V::div(sum_columns(columns, means, c, itself), kernel_width);
        // `squares` has the deviations within each column. Add the deviations of the columns' means from
        // the window's mean.
        const auto between = sum_columns(columns, means, c, [&](reg v) {
            const auto away = V::sub(v, mean);
            return V::mul(away, away);
        });
        return {V::fma(between, kernel_height, spread),
                V::mul(V::set1(task.ps), V::fma(V::set1(-task.p0), mean, x))};
    }

    MPSCNN_INLINE reg normalized(const Terms &of) const {
        const auto size =
            static_cast<float>(task.vertical.kernel) * static_cast<float>(task.horizontal.kernel);
        const auto mean_spread = V::div(of.spread, V::set1(size));
        const auto base = V::fma(mean_spread, V::set1(task.alpha), V::set1(task.delta));
        const auto result = V::mul(of.x, inverse_power<V>(base, task.beta));
        if (task.kind == WindowNormalizationKind::spatial) return result;
        return V::add(result, V::set1(task.pm));
    }

    /// Return positive numbers in the lanes that need double, otherwise 0.
    MPSCNN_INLINE reg outside(const Terms &of, std::int64_t c) const {
        const auto is_finite = V::less(absolute<V>(of.x), V::set1(__builtin_inff()));
        const auto infinite = V::select(is_finite, V::zero(), V::set1(1.0f));
        const std::int64_t left = channels() - c;
        return V::add(fill_lanes<V>(infinite, left, 0.0f), beyond<V>(task.range, of.spread, left));
    }

    /// Return the sum of term(x) over a window of a channel, in double.
    template <class Term>
    double wide_sum(const CentredTaps &rows, const CentredTaps &columns, std::int64_t c, Term term) const {
        double total = 0.0;
        const auto add = [&](std::int64_t row, std::int64_t times) {
            const auto add_one = [&](std::int64_t x, std::int64_t times_in_row) {
                total += term(wide_source(row, x, c)) * static_cast<double>(times * times_in_row);
            };
            visit_taps(columns, add_one);
        };
        visit_taps(rows, add);
        return total;
    }

    /// Call visit(position, times) for the positions of a window along an axis, outside the source too.
    template <class Visit> static void visit_taps(const CentredTaps &taps, Visit visit) {
        if (taps.before > 0) visit(taps.inside.begin - 1, taps.before);
        for (std::int64_t i = taps.inside.begin; i < taps.inside.end; ++i) visit(i, 1);
        if (taps.after > 0) visit(taps.inside.end, taps.after);
    }

    /// Return an element of the source. For a position outside it, return 0 or the nearest element.
    double wide_source(std::int64_t row, std::int64_t x, std::int64_t c) const {
        const std::int64_t inside_row = clamped(row, 0, task.source.height - 1),
                           inside_x = clamped(x, 0, task.source.width - 1);
        if (!task.clamps && (row != inside_row || x != inside_x)) return 0.0;
        return static_cast<double>(pixel_at(task.source, image, inside_row, inside_x)[channel + c]);
    }

    /// Normalize one element in double.
    float wide_normalized(const CentredTaps &rows, const CentredTaps &columns, std::int64_t c) const {
        const double size =
            static_cast<double>(task.vertical.kernel) * static_cast<double>(task.horizontal.kernel);
        const bool is_centred = task.kind == WindowNormalizationKind::local_contrast;
        const double mean = is_centred ? wide_sum(rows, columns, c, [](double x) { return x; }) / size : 0.0;
        const double spread =
            wide_sum(rows, columns, c, [&](double x) { return (x - mean) * (x - mean); }) / size;
        double x = wide_source(rows.centre, columns.centre, c), shift = 0.0;
        if (is_centred) {
            x = static_cast<double>(task.ps) * (x - static_cast<double>(task.p0) * mean);
            shift = static_cast<double>(task.pm);
        }
        const double base = static_cast<double>(task.delta) + static_cast<double>(task.alpha) * spread;
        return static_cast<float>(x * wide_power(base, -static_cast<double>(task.beta)) + shift);
    }

    /// Store the results of the row again. Those whose terms are beyond float are computed in double.
    __attribute__((noinline)) void store_wide(const CentredTaps &rows) const {
        for (std::int64_t x = 0; x < task.destination.width; ++x) {
            const CentredTaps columns(task.horizontal, x, task.source.width);
            for (std::int64_t c = 0; c < channels(); c += V::width) {
                const Terms of = terms(rows, columns, c);
                float each[V::width], needs_double[V::width];
                V::store(each, normalized(of));
                V::store(needs_double, outside(of, c));
                for (std::int64_t i = 0; i < V::width; ++i)
                    if (needs_double[i] > 0.0f) each[i] = wide_normalized(rows, columns, c + i);
                finish_vector<V>(task.destination, task.epilogue, image, y, x, channel + c, V::load(each));
            }
        }
    }

    void run() const {
        const CentredTaps rows(task.vertical, y, task.source.height),
            first(task.horizontal, 0, task.source.width),
            last(task.horizontal, task.destination.width - 1, task.source.width);
        // Keep at least one column, because windows outside the source may be clamped to that column.
        const std::int64_t begin = min(first.inside.begin, task.source.width - 1),
                           end = max(last.inside.end, begin + 1);
        for (std::int64_t x = begin; x < end; ++x)
            for (std::int64_t c = 0; c < channels(); c += V::width) store_column(rows, x, c);
        auto beyond_float = V::zero();
        for (std::int64_t x = 0; x < task.destination.width; ++x) {
            const CentredTaps columns(task.horizontal, x, task.source.width);
            for (std::int64_t c = 0; c < channels(); c += V::width) {
                const Terms of = terms(rows, columns, c);
                beyond_float = V::add(beyond_float, outside(of, c));
                finish_vector<V>(task.destination, task.epilogue, image, y, x, channel + c, normalized(of));
            }
        }
        if (V::sum(beyond_float) > 0.0f) store_wide(rows);
    }
};

template <class V> WorkSplit window_normalization_split(const WindowNormalizationTask &task, int threads) {
    constexpr std::int64_t min_cost = 1 << 15; // positions that a work item reads: some 5 microseconds
    const View &to = task.destination;
    const std::int64_t taps =
        min(task.vertical.kernel, task.source.height) + min(task.horizontal.kernel, task.source.width) + 8;
    return split_work(to.batch, to.height, divide_up(to.channels, channel_block<V>(task)),
                      to.batch * to.height * to.width * to.channels * taps, min_cost, threads);
}

template <class V>
Prepared window_normalization_prepare(const WindowNormalizationTask &task, const Planning &planning) {
    const WorkSplit split = window_normalization_split<V>(task, planning.threads);
    const std::int64_t columns = task.source.width * channel_block<V>(task);
    return planning.keep(split, split.items(), static_cast<std::size_t>(2 * columns) * sizeof(float));
}

template <class V>
void window_normalization_run(const WindowNormalizationTask &task, const Prepared &prepared,
                              std::int64_t begin, std::int64_t end, Worker &worker) {
    const auto &split = prepared.plan_as<WorkSplit>();
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = split.item(index);
        for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y)
            for (std::int64_t block = item.vectors.begin; block < item.vectors.end; ++block)
                WindowRow<V>(task, worker.scratch, item.image, y, block).run();
    }
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(CrossChannelTask, cross_channel)
MPSCNN_KERNEL(WindowNormalizationTask, window_normalization)
