// Reductions of one axis. Variances, deviations and sums of exponentials take several passes. Sums are added
// in pieces, so that their error grows with the length of a piece plus the number of pieces instead of their
// product.
//
// Registers hold four independent sums or maxima. A reduction over channels has one such vector for each of
// V::width pixels, and reduces the lanes of all of them together. The speed is limited by memory, 4 bytes for
// each element, or by loads if the source is cached.

#include "cpu/isa/common_sums.h"
#include "cpu/isa/instance.h"
#include "cpu/isa/lane_shuffles.h"
#include "cpu/isa/lanes.h"
#include "cpu/isa/simd_math.h"
#include "cpu/kernels/elementwise/reduction_tiles.h"

namespace mpscnn::cpu {
namespace {

constexpr std::int64_t longest_piece = 64;

// ---- Over rows or columns of pixels ----

/// Compute the maximum of sign * x over `count` pixels, which are `step` floats apart, for `vectors` vectors
/// of channels. The sign is -1 for a minimum. A NaN in a lane makes the lane's result NaN.
template <class V, int vectors, bool partial>
MPSCNN_INLINE void maximum_of_pixels(const float *at, std::ptrdiff_t step, std::int64_t count,
                                     std::int64_t left, float sign, typename V::reg (&results)[vectors]) {
    typename V::reg nan[vectors];
    for (int v = 0; v < vectors; ++v) {
        results[v] = V::set1(-__builtin_inff());
        nan[v] = V::zero();
    }
    for (std::int64_t i = 0; i < count; ++i, at += step) {
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v) {
            const auto x = partial ? V::load_partial(at, left) : V::load(at + v * V::width);
            results[v] = V::max(results[v], V::mul(x, V::set1(sign)));
            nan[v] = V::add(nan[v], nan_of<V>(x));
        }
    }
    for (int v = 0; v < vectors; ++v) results[v] = V::add(V::mul(results[v], V::set1(sign)), nan[v]);
}

/// Sum and the classes after it are the folds: ways to combine elements to one value. Some folds compare each
/// element with a pivot, such as the mean, which an earlier pass has found. `missing` is an element that does
/// not change the result.
template <class V> struct Sum {
    static constexpr float neutral = 0.0f;
    static MPSCNN_INLINE float missing(float) { return neutral; }
    static MPSCNN_INLINE typename V::reg join(typename V::reg a, typename V::reg b) { return V::add(a, b); }
    static MPSCNN_INLINE typename V::reg add(typename V::reg sum, typename V::reg x, typename V::reg) {
        return V::add(sum, x);
    }
};
template <class V> struct Product {
    static constexpr float neutral = 1.0f;
    static MPSCNN_INLINE float missing(float) { return neutral; }
    static MPSCNN_INLINE typename V::reg join(typename V::reg a, typename V::reg b) { return V::mul(a, b); }
    static MPSCNN_INLINE typename V::reg add(typename V::reg product, typename V::reg x, typename V::reg) {
        return V::mul(product, x);
    }
};
template <class V> struct Squares : Sum<V> {
    static MPSCNN_INLINE typename V::reg add(typename V::reg sum, typename V::reg x, typename V::reg) {
        return V::fma(x, x, sum);
    }
};
template <class V> struct Deviations : Sum<V> {
    static MPSCNN_INLINE float missing(float pivot) { return pivot; }
    static MPSCNN_INLINE typename V::reg add(typename V::reg sum, typename V::reg x, typename V::reg pivot) {
        return V::add(sum, V::sub(x, pivot));
    }
};
template <class V> struct SquaredDeviations : Deviations<V> {
    static MPSCNN_INLINE typename V::reg add(typename V::reg sum, typename V::reg x, typename V::reg pivot) {
        const auto deviation = V::sub(x, pivot);
        return V::fma(deviation, deviation, sum);
    }
};
template <class V> struct Exponentials : Sum<V> {
    static MPSCNN_INLINE float missing(float) { return -__builtin_inff(); }
    static MPSCNN_INLINE typename V::reg add(typename V::reg sum, typename V::reg x, typename V::reg pivot) {
        return V::add(sum, exponential_of_negative<V>(V::sub(x, pivot)));
    }
};

template <class V, class Fold, int vectors, bool partial>
MPSCNN_INLINE void fold_pixels(const float *at, std::ptrdiff_t step, std::int64_t count, std::int64_t left,
                               typename V::reg (&results)[vectors],
                               const typename V::reg (&pivots)[vectors]) {
    for (auto &result : results) result = V::set1(Fold::neutral);
    while (count > 0) {
        const std::int64_t length = min(count, longest_piece);
        typename V::reg piece[vectors];
        for (auto &part : piece) part = V::set1(Fold::neutral);
        for (std::int64_t i = 0; i < length; ++i, at += step) {
#pragma GCC unroll 4
            for (int v = 0; v < vectors; ++v)
                piece[v] = Fold::add(
                    piece[v], partial ? V::load_partial(at, left) : V::load(at + v * V::width), pivots[v]);
        }
        for (int v = 0; v < vectors; ++v) results[v] = Fold::join(results[v], piece[v]);
        count -= length;
    }
}

/// Return the result of a reduction from its sum, product or sum of squares.
template <class V> MPSCNN_INLINE typename V::reg finished(const ReductionTask &task, typename V::reg folded) {
    if (task.kind == ReductionKind::l2_norm) return V::sqrt(folded);
    if (task.kind == ReductionKind::product || task.kind == ReductionKind::sum_of_squares) return folded;
    return V::div(V::mul(folded, V::set1(task.factor)), V::set1(task.divisor));
}

/// Return the variance or deviation from two sums: the deviations from a rounded mean, and their squares.
template <class V>
MPSCNN_INLINE typename V::reg spread_of(const ReductionTask &task, typename V::reg deviations,
                                        typename V::reg squares) {
    const auto count = V::set1(task.divisor), rest = V::div(deviations, count);
    const auto variance = V::max(V::zero(), V::sub(V::div(squares, count), V::mul(rest, rest)));
    const auto scaled = V::mul(variance, V::set1(task.factor));
    return task.kind == ReductionKind::deviation ? V::sqrt(scaled) : scaled;
}

/// Return the logarithm of a sum of exponentials, from the largest element and the sum of e^(x - largest).
template <class V>
MPSCNN_INLINE typename V::reg log_sum(typename V::reg largest, typename V::reg exponentials) {
    const auto result = V::add(largest, scaled_logarithm<V>(exponentials, 1.0f, 0.0f));
    return V::select(V::less(V::set1(0x1.fffffep127f), absolute<V>(largest)), largest, result);
}

/// Return true if float is precise enough for the squares of a norm or variance; otherwise double is used. A
/// variance has no lower limit, because squares that underflow do not matter for the float result.
MPSCNN_INLINE bool is_in_range(ReductionKind kind, float result) {
    return (result >= 1e-15f || kind == ReductionKind::variance) && result < __builtin_inff();
}
MPSCNN_INLINE bool has_wide_form(const ReductionTask &task) {
    return task.kind == ReductionKind::l2_norm || task.kind == ReductionKind::deviation ||
           task.kind == ReductionKind::variance;
}

/// Compute a norm, variance or deviation of `count` elements in double.
__attribute__((noinline)) inline float wide_norm(const ReductionTask &task, const float *at,
                                                 std::ptrdiff_t step, std::int64_t count) {
    double mean = 0.0, squares = 0.0;
    const bool is_centred = task.kind != ReductionKind::l2_norm;
    if (is_centred) {
        for (std::int64_t i = 0; i < count; ++i) mean += static_cast<double>(at[i * step]);
        mean /= static_cast<double>(count);
    }
    for (std::int64_t i = 0; i < count; ++i) {
        const double away = static_cast<double>(at[i * step]) - mean;
        squares += away * away;
    }
    if (is_centred) squares *= static_cast<double>(task.factor) / static_cast<double>(count);
    return static_cast<float>(task.kind == ReductionKind::variance ? squares : __builtin_sqrt(squares));
}

/// Replace the norms that are out of range for float squares by norm(lane), which computes in double.
template <class V, class Norm>
MPSCNN_INLINE typename V::reg with_wide_norms(ReductionKind kind, typename V::reg norms, std::int64_t lanes,
                                              Norm norm) {
    float each[V::width];
    V::store(each, norms);
    bool all = true;
    for (std::int64_t i = 0; i < min(lanes, V::width); ++i) all = all && is_in_range(kind, each[i]);
    if (all) return norms;
    for (std::int64_t i = 0; i < min(lanes, V::width); ++i)
        if (!is_in_range(kind, each[i])) each[i] = norm(i);
    return V::load(each);
}

/// Compute `vectors` vectors of channels of one output pixel.
template <class V, int vectors, bool partial>
__attribute__((noinline)) void reduce_pixels(const ReductionTask &task, const float *at, float *out,
                                             std::int64_t channel) {
    const ConstView &from = task.source;
    const bool down = task.axis == ReductionAxis::height;
    const std::ptrdiff_t step = down ? from.row_stride : from.pixel_stride;
    const std::int64_t count = down ? from.height : from.width, left = from.channels - channel;
    typename V::reg results[vectors] = {}, pivots[vectors] = {};
    const auto fold = [&]<class Fold>(Fold, typename V::reg(&to)[vectors]) {
        fold_pixels<V, Fold, vectors, partial>(at + channel, step, count, left, to, pivots);
    };
    const auto finish = [&] {
        for (auto &result : results) result = finished<V>(task, result);
    };
    switch (task.kind) {
    case ReductionKind::max:
    case ReductionKind::min: {
        const float sign = task.kind == ReductionKind::max ? 1.0f : -1.0f;
        maximum_of_pixels<V, vectors, partial>(at + channel, step, count, left, sign, results);
        break;
    }
    case ReductionKind::sum:
    case ReductionKind::mean:
        fold(Sum<V>(), results);
        finish();
        break;
    case ReductionKind::product:
        fold(Product<V>(), results);
        break;
    case ReductionKind::l2_norm:
    case ReductionKind::sum_of_squares:
        fold(Squares<V>(), results);
        finish();
        break;
    case ReductionKind::variance:
    case ReductionKind::deviation: {
        typename V::reg more[vectors];
        fold(Sum<V>(), results);
        for (int v = 0; v < vectors; ++v) pivots[v] = V::div(results[v], V::set1(task.divisor));
        fold(Deviations<V>(), more);
        fold(SquaredDeviations<V>(), results);
        for (int v = 0; v < vectors; ++v) results[v] = spread_of<V>(task, more[v], results[v]);
        break;
    }
    case ReductionKind::log_sum_exp:
        maximum_of_pixels<V, vectors, partial>(at + channel, step, count, left, 1.0f, pivots);
        fold(Exponentials<V>(), results);
        for (int v = 0; v < vectors; ++v) results[v] = log_sum<V>(pivots[v], results[v]);
        break;
    }
    if (has_wide_form(task))
        for (int v = 0; v < vectors; ++v) {
            const float *first = at + channel + v * V::width;
            results[v] =
                with_wide_norms<V>(task.kind, results[v], left - v * V::width, [&](std::int64_t lane) {
                    return wide_norm(task, first + lane, step, count);
                });
        }
    for (int v = 0; v < vectors; ++v) {
        const std::int64_t c = channel + v * V::width;
        const auto result = task.round_to_half ? V::round_to_half(results[v]) : results[v];
        store_lanes<V>(out + c, result, task.destination.writable_channels - c);
    }
}

template <class V> MPSCNN_INLINE void reduce_pixels(const ReductionTask &task, const WorkSplit::Item &item) {
    constexpr int block = 4;
    const bool down = task.axis == ReductionAxis::height;
    const std::int64_t whole = min(item.vectors.end, task.source.channels / V::width);
    // `rows` are the output pixels of an image: one row or one column, depending on the axis.
    for (std::int64_t pixel = item.rows.begin; pixel < item.rows.end; ++pixel) {
        const std::int64_t y = down ? 0 : pixel, x = down ? pixel : 0;
        const float *at = pixel_at(task.source, item.image, y, x);
        float *out = pixel_at(task.destination, item.image, y, x);
        std::int64_t vector = item.vectors.begin;
        for (; vector + block <= whole; vector += block)
            reduce_pixels<V, block, false>(task, at, out, vector * V::width);
        for (; vector < whole; ++vector) reduce_pixels<V, 1, false>(task, at, out, vector * V::width);
        for (; vector < item.vectors.end; ++vector)
            reduce_pixels<V, 1, true>(task, at, out, vector * V::width);
    }
}

// ---- Over the channels of a pixel ----

/// The maximum of sign * x over a pixel's channels, separately in each lane. `nan` is 0, or NaN if there was
/// a NaN. Several maxima are computed independently, which is faster.
template <class V> struct ChannelMaxima {
    typename V::reg highest = V::set1(-__builtin_inff()), nan = V::zero();

    MPSCNN_INLINE ChannelMaxima(const float *from, std::int64_t channels, float sign) {
        constexpr int block = 4;
        std::int64_t c = 0;
        if (channels >= block * V::width) {
            typename V::reg maxima[block], nans[block];
            for (int v = 0; v < block; ++v) maxima[v] = highest, nans[v] = nan;
            for (; c + block * V::width <= channels; c += block * V::width)
#pragma GCC unroll 4
                for (int v = 0; v < block; ++v) {
                    const auto x = V::load(from + c + v * V::width);
                    maxima[v] = V::max(maxima[v], V::mul(x, V::set1(sign)));
                    nans[v] = V::add(nans[v], nan_of<V>(x));
                }
            highest = V::max(V::max(maxima[0], maxima[1]), V::max(maxima[2], maxima[3]));
            nan = V::add(V::add(nans[0], nans[1]), V::add(nans[2], nans[3]));
        }
        for (; c < channels; c += V::width) {
            const auto x = load_lanes<V>(from + c, channels - c);
            const auto candidate = V::mul(x, V::set1(sign));
            highest = V::max(highest, fill_lanes<V>(candidate, channels - c, -__builtin_inff()));
            nan = V::add(nan, nan_of<V>(x));
        }
    }
};

/// Fold the channels of a pixel. Several independent sums or products are computed and joined at the end.
template <class V, class Fold>
MPSCNN_INLINE typename V::reg fold_channels(const float *from, std::int64_t channels, float pivot) {
    constexpr int blocks = 2, step = blocks * common_sums;
    const auto neutral = V::set1(Fold::neutral), compared = V::set1(pivot);
    CommonSums<V> total(neutral);
    for (std::int64_t begin = 0; begin < channels; begin += longest_piece * step) {
        const std::int64_t end = min(channels, begin + longest_piece * step);
        CommonSums<V> sums[blocks] = {CommonSums<V>(neutral), CommonSums<V>(neutral)};
        std::int64_t c = begin;
        for (; c + step <= end; c += step)
#pragma GCC unroll 8
            for (int v = 0; v < step; v += V::width) {
                auto &sum = sums[v / common_sums].of_element(v);
                sum = Fold::add(sum, V::load(from + c + v), compared);
            }
        for (; c < end; c += V::width) {
            auto &sum = sums[0].of_element(c);
            const auto x = fill_lanes<V>(load_lanes<V>(from + c, end - c), end - c, Fold::missing(pivot));
            sum = Fold::add(sum, x, compared);
        }
        sums[0].join(sums[1], Fold::join);
        total.join(sums[0], Fold::join);
    }
    return total.folded(Fold::join);
}

/// Call parts(pixel) for each pixel and fold the lanes of the vector that it returns. The result is in the
/// pixel's lane.
template <class V, class Fold, class Parts>
MPSCNN_INLINE typename V::reg fold_each(const ReductionTile<V> &tile, Parts parts) {
    typename V::reg each[V::width];
    for (int i = 0; i < V::width; ++i) each[i] = i < tile.pixels ? parts(i) : V::zero();
    fold_lanes<V>(each, Fold::join);
    return each[0];
}

/// Fold the channels of each pixel. `pivots` has a number for each pixel; null if the fold needs none.
template <class V, class Fold>
MPSCNN_INLINE typename V::reg fold_channels_of_each(const ReductionTile<V> &tile,
                                                    const float *pivots = nullptr) {
    return fold_each<V, Fold>(tile, [&](int i) {
        return fold_channels<V, Fold>(tile.pixel(i), tile.channels, pivots ? pivots[i] : 0.0f);
    });
}

template <class V> MPSCNN_INLINE typename V::reg maximum_each(const ReductionTile<V> &tile, float sign) {
    typename V::reg highest[V::width];
    auto nan = V::zero();
    for (int i = 0; i < V::width; ++i) {
        if (i >= tile.pixels) {
            highest[i] = V::zero();
            continue;
        }
        const ChannelMaxima<V> maxima(tile.pixel(i), tile.channels, sign);
        highest[i] = maxima.highest;
        nan = V::add(nan, maxima.nan);
    }
    maximum_lanes<V>(highest);
    const auto result = V::mul(highest[0], V::set1(sign));
    if (const float any = V::sum(nan); any == any) return V::add(result, V::zero());
    return V::add(result, fold_each<V, Sum<V>>(tile, [&](int i) {
                      return ChannelMaxima<V>(tile.pixel(i), tile.channels, sign).nan;
                  }));
}

template <class V> WorkSplit reduction_split(const ReductionTask &task, int threads) {
    const ConstView &from = task.source;
    if (task.axis == ReductionAxis::channels) return split_elements(from, threads);
    const std::int64_t pixels = task.axis == ReductionAxis::height ? from.width : from.height;
    return split_work(from.batch, pixels, divide_up(from.channels, V::width),
                      from.batch * from.height * from.width * from.channels, min_elements, threads);
}

/// Compute the variance or deviation over the channels of each pixel.
template <class V>
MPSCNN_INLINE typename V::reg spread_each(const ReductionTask &task, const ReductionTile<V> &tile) {
    float means[V::width];
    V::store(means, V::div(fold_channels_of_each<V, Sum<V>>(tile), V::set1(task.divisor)));
    const auto deviations = fold_channels_of_each<V, Deviations<V>>(tile, means);
    const auto squares = fold_channels_of_each<V, SquaredDeviations<V>>(tile, means);
    return spread_of<V>(task, deviations, squares);
}

template <class V> MPSCNN_INLINE typename V::reg log_sum_each(const ReductionTile<V> &tile) {
    float largest[V::width];
    const auto pivots = maximum_each<V>(tile, 1.0f);
    V::store(largest, pivots);
    return log_sum<V>(pivots, fold_channels_of_each<V, Exponentials<V>>(tile, largest));
}

/// Return `norms`, in which pixels that need double are recomputed.
template <class V>
MPSCNN_INLINE typename V::reg with_wide_norms(const ReductionTask &task, const ReductionTile<V> &tile,
                                              typename V::reg norms) {
    return with_wide_norms<V>(task.kind, norms, tile.pixels, [&](std::int64_t pixel) {
        return wide_norm(task, tile.pixel(pixel), 1, tile.channels);
    });
}

template <class V> Prepared reduction_prepare(const ReductionTask &task, const Planning &planning) {
    const WorkSplit split = reduction_split<V>(task, planning.threads);
    return planning.keep(split, split.items());
}

template <class V>
void reduction_run(const ReductionTask &task, const Prepared &prepared, std::int64_t begin, std::int64_t end,
                   Worker &) {
    const auto &split = prepared.plan_as<WorkSplit>();
    if (task.axis != ReductionAxis::channels) {
        for (std::int64_t index = begin; index < end; ++index) reduce_pixels<V>(task, split.item(index));
        return;
    }
    const auto reduce = [&](auto result) {
        reduce_tiles<V>(task.source, task.destination, task.round_to_half, split, begin, end, true,
                        [&](const ReductionTile<V> &tile, std::int64_t, std::int64_t, std::int64_t) {
                            return result(tile);
                        });
    };
    using Tile = ReductionTile<V>;
    switch (task.kind) {
    case ReductionKind::max:
        return reduce([](const Tile &tile) { return maximum_each<V>(tile, 1.0f); });
    case ReductionKind::min:
        return reduce([](const Tile &tile) { return maximum_each<V>(tile, -1.0f); });
    case ReductionKind::sum:
    case ReductionKind::mean:
        return reduce(
            [&](const Tile &tile) { return finished<V>(task, fold_channels_of_each<V, Sum<V>>(tile)); });
    case ReductionKind::product:
        return reduce([&](const Tile &tile) { return fold_channels_of_each<V, Product<V>>(tile); });
    case ReductionKind::l2_norm:
    case ReductionKind::sum_of_squares:
        return reduce([&](const Tile &tile) {
            const auto result = finished<V>(task, fold_channels_of_each<V, Squares<V>>(tile));
            return has_wide_form(task) ? with_wide_norms<V>(task, tile, result) : result;
        });
    case ReductionKind::variance:
    case ReductionKind::deviation:
        return reduce(
            [&](const Tile &tile) { return with_wide_norms<V>(task, tile, spread_each<V>(task, tile)); });
    case ReductionKind::log_sum_exp:
        return reduce([](const Tile &tile) { return log_sum_each<V>(tile); });
    }
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(ReductionTask, reduction)
