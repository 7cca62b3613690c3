// Normalizes by statistics of the data in three steps: moments of parts of an image, combination of the parts
// (Chan, Golub and LeVeque 1979), and scale and shift. The division into parts depends on the image's size
// only, not on the number of threads.
//
// Registers hold sums, sums of squares and means for four vectors of channels. The speed is limited by memory
// or the caches. Moments read each part twice, the second time from a cache. Scale and shift read and write
// each element once.

#include "cpu/isa/instance.h"
#include "cpu/isa/lanes.h"
#include "cpu/isa/simd_math.h"
#include "cpu/kernels/elementwise/elementwise.h"
#include "cpu/kernels/elementwise/recomputed_normalization.h"
#include "cpu/kernels/shared/stream.h"

namespace mpscnn::cpu {
namespace {

// ---- Moments ----

/// Call action(first pixel, number of pixels) for pieces of a range of an image's pixels. Each piece lies in
/// one row. Pieces are short, because the error of a sum of pieces grows with the length of a piece plus the
/// number of pieces, instead of their product.
template <class Action>
MPSCNN_INLINE void for_each_piece(const ConstView &view, std::int64_t image, Range pixels, Action action) {
    constexpr std::int64_t longest = 64;
    for (std::int64_t pixel = pixels.begin; pixel < pixels.end;) {
        const std::int64_t y = pixel / view.width, x = pixel % view.width;
        const std::int64_t count = min(min(view.width - x, pixels.end - pixel), longest);
        action(pixel_at(view, image, y, x), count);
        pixel += count;
    }
}

/// Sum over the pixels of a part for `count` vectors of channels. `term` adds an element x to the sums of a
/// piece; the pieces are added to `sums`. Elements that are `ahead` floats after x are prefetched.
template <class V, int count, bool partial, int kinds, class Term>
MPSCNN_INLINE void sum_part(const ConstView &from, std::int64_t image, Range pixels, std::int64_t channel,
                            std::int64_t ahead, typename V::reg (&sums)[kinds][count], Term term) {
    for (auto &kind : sums)
        for (auto &sum : kind) sum = V::zero();
    for_each_piece(from, image, pixels, [&](const float *at, std::int64_t length) {
        typename V::reg piece[kinds][count];
        for (auto &kind : piece)
            for (auto &sum : kind) sum = V::zero();
        at += channel;
        for (std::int64_t i = 0; i < length; ++i, at += from.pixel_stride) {
#pragma GCC unroll 4
            for (int v = 0; v < count; ++v) {
                __builtin_prefetch(at + v * V::width + ahead);
                const auto x =
                    partial ? V::load_partial(at, from.channels - channel) : V::load(at + v * V::width);
                term(piece, v, x);
            }
        }
        for (int kind = 0; kind < kinds; ++kind)
            for (int v = 0; v < count; ++v) sums[kind][v] = V::add(sums[kind][v], piece[kind][v]);
    });
}

/// Compute the moments of a part for `count` vectors of channels: first the mean, and in a second pass the
/// deviations from it. The sum of the deviations also gives the rounding error of the mean.
template <class V, int count, bool partial>
__attribute__((noinline)) void part_moments(const MomentsTask &task, std::int64_t image, std::int64_t part,
                                            Range pixels, std::int64_t channel) {
    using reg = typename V::reg;
    const ConstView &from = task.source;
    const View &to = task.destination;
    const auto size = V::set1(static_cast<float>(pixels.size()));
    reg mean[1][count], deviations[2][count];
    sum_part<V, count, partial>(
        from, image, pixels, channel, stream_ahead, mean,
        [](reg(&sums)[1][count], int v, reg x) { sums[0][v] = V::add(sums[0][v], x); });
    for (auto &sum : mean[0]) sum = V::div(sum, size);
    // This part is in L2 now, so prefetch the next one.
    const std::int64_t next = pixels.size() * from.pixel_stride;
    sum_part<V, count, partial>(from, image, pixels, channel, next, deviations,
                                [&](reg(&sums)[2][count], int v, reg x) {
                                    const auto deviation = V::sub(x, mean[0][v]);
                                    sums[0][v] = V::add(sums[0][v], deviation);
                                    sums[1][v] = V::fma(deviation, deviation, sums[1][v]);
                                });
    for (int v = 0; v < count; ++v) {
        const std::int64_t at = channel + v * V::width, writable = to.writable_channels - at;
        const auto rest = V::div(deviations[0][v], size);
        // The squares are relative to the rounded mean. Correct them to be relative to mean + rest.
        const auto squares = V::max(V::zero(), V::sub(deviations[1][v], V::mul(deviations[0][v], rest)));
        store_lanes<V>(pixel_at(to, image, part, moments_mean) + at, mean[0][v], writable);
        store_lanes<V>(pixel_at(to, image, part, moments_rest) + at, rest, writable);
        store_lanes<V>(pixel_at(to, image, part, moments_squares) + at, squares, writable);
    }
}

template <class V> Prepared moments_prepare(const MomentsTask &task, const Planning &) {
    return {.items = task.destination.batch * task.destination.height};
}

template <class V>
void moments_run(const MomentsTask &task, const Prepared &, std::int64_t begin, std::int64_t end, Worker &) {
    constexpr int block = 4;
    const ConstView &from = task.source;
    const std::int64_t parts = task.destination.height;
    for (std::int64_t index = begin; index < end; ++index) {
        const std::int64_t image = index / parts, part = index % parts;
        const Range pixels = part_of(from.height * from.width, parts, part);
        std::int64_t channel = 0;
        for (; channel + block * V::width <= from.channels; channel += block * V::width)
            part_moments<V, block, false>(task, image, part, pixels, channel);
        for (; channel + V::width <= from.channels; channel += V::width)
            part_moments<V, 1, false>(task, image, part, pixels, channel);
        if (channel < from.channels) part_moments<V, 1, true>(task, image, part, pixels, channel);
    }
}

// ---- Statistics ----

/// Combine the moments of all parts of the images [images) for one vector of channels. The mean is first +
/// rest.
template <class V>
MPSCNN_INLINE void unite_parts(const StatisticsTask &task, Range images, std::int64_t channel,
                               typename V::reg &first, typename V::reg &rest, typename V::reg &variance) {
    const ConstView &from = task.source;
    const std::int64_t left = from.channels - channel;
    const auto read = [&](std::int64_t image, std::int64_t part, MomentsRow row) {
        return load_lanes<V>(pixel_at(from, image, part, row) + channel, left);
    };
    const auto size = [&](std::int64_t part) {
        return V::set1(static_cast<float>(part_of(task.pixels, from.height, part).size()));
    };
    const auto total = V::set1(static_cast<float>(task.pixels * images.size()));
    first = read(images.begin, 0, moments_mean);
    rest = variance = V::zero();
    const auto distance = [&](std::int64_t image, std::int64_t part) {
        return V::add(V::sub(read(image, part, moments_mean), first), read(image, part, moments_rest));
    };
    for (std::int64_t image = images.begin; image < images.end; ++image)
        for (std::int64_t part = 0; part < from.height; ++part)
            rest = V::fma(distance(image, part), size(part), rest);
    rest = V::div(rest, total);
    for (std::int64_t image = images.begin; image < images.end; ++image) {
        for (std::int64_t part = 0; part < from.height; ++part) {
            const auto away = V::sub(distance(image, part), rest);
            const auto within = read(image, part, moments_squares);
            variance = V::add(variance, V::fma(V::mul(away, away), size(part), within));
        }
    }
    variance = V::div(variance, total);
}

/// Replace the mean and variance of each channel of a group by the mean and variance of the whole group.
inline void unite_channels(const View &to, std::int64_t image, Range channels) {
    float *means = pixel_at(to, image, statistics_mean, 0),
          *variances = pixel_at(to, image, statistics_variance, 0),
          *rests = pixel_at(to, image, statistics_rest, 0);
    const auto count = static_cast<double>(channels.size());
    double mean = 0, variance = 0;
    for (std::int64_t c = channels.begin; c < channels.end; ++c)
        mean += static_cast<double>(means[c]) + static_cast<double>(rests[c]);
    mean /= count;
    for (std::int64_t c = channels.begin; c < channels.end; ++c) {
        const double away = static_cast<double>(means[c]) + static_cast<double>(rests[c]) - mean;
        variance += static_cast<double>(variances[c]) + away * away;
    }
    variance /= count;
    for (std::int64_t c = channels.begin; c < channels.end; ++c) {
        means[c] = static_cast<float>(mean);
        variances[c] = static_cast<float>(variance);
        rests[c] = static_cast<float>(mean - static_cast<double>(means[c]));
    }
}

/// Return true if the destination has rows for the rest of the mean and the factor.
inline bool is_complete(const StatisticsTask &task) { return task.destination.height == statistics_rows; }

/// Return true if the squares in float are precise enough for a channel's variance. If the destination has no
/// row for the factor, squares that underflow do not matter.
inline bool is_in_range(const StatisticsTask &task, std::int64_t image, std::int64_t channel) {
    const float square = pixel_at(task.destination, image, statistics_variance, 0)[channel] + task.epsilon;
    return (square >= 1e-30f || !is_complete(task)) && square < __builtin_inff();
}

/// Compute the common mean and variance of some channels of a range of images in double, from the images
/// themselves. If there is a row for the factor, the variance is scaled by the factor's square, so that it
/// fits a float.
__attribute__((noinline)) inline void measure_channels(const StatisticsTask &task, std::int64_t image,
                                                       Range images, Range channels) {
    const ConstView &from = task.second;
    const View &to = task.destination;
    const auto sum = [&](auto term) {
        double total = 0;
        for (std::int64_t i = images.begin; i < images.end; ++i)
            for (std::int64_t y = 0; y < from.height; ++y)
                for (std::int64_t x = 0; x < from.width; ++x)
                    for (std::int64_t c = channels.begin; c < channels.end; ++c)
                        total += term(static_cast<double>(pixel_at(from, i, y, x)[c]));
        return total / static_cast<double>(images.size() * from.height * from.width * channels.size());
    };
    const double mean = sum([](double x) { return x; });
    const double variance = sum([mean](double x) { return (x - mean) * (x - mean); });
    // The factor is the inverse of the largest power of two that is not above the divisor. It must be a
    // normal float, and it must not enlarge a constant image.
    constexpr std::uint64_t exponent_bits = 0x7ff0000000000000;
    const double divisor = __builtin_sqrt(variance + static_cast<double>(task.epsilon));
    const auto bits = __builtin_bit_cast(std::uint64_t, divisor) & exponent_bits;
    const double below = __builtin_bit_cast(double, bits), highest = 0x1p126;
    double factor = 1.0;
    if (below < __builtin_inf()) factor = 1.0 / (below < highest ? below : highest);
    if (factor > 1.0 && __builtin_fabs(mean) >= 1.0) factor = 1.0;
    if (!is_complete(task)) factor = 1.0;
    for (std::int64_t c = channels.begin; c < channels.end; ++c) {
        const auto at = [&](StatisticsRow row) { return pixel_at(to, image, row, 0) + c; };
        *at(statistics_mean) = static_cast<float>(mean);
        *at(statistics_variance) = static_cast<float>(variance * factor * factor);
        if (!is_complete(task)) continue;
        *at(statistics_rest) = static_cast<float>(mean - static_cast<double>(*at(statistics_mean)));
        *at(statistics_factor) = static_cast<float>(factor);
    }
}

template <class V> WorkSplit statistics_split(const StatisticsTask &task, int threads) {
    constexpr std::int64_t min_cost = 1 << 13; // minimum floats that a work item reads: some microseconds
    const ConstView &from = task.source;
    const std::int64_t vectors = task.groups > 0 ? 1 : divide_up(from.channels, V::width);
    return split_work(task.destination.batch, 1, vectors,
                      from.batch * from.height * from.channels * moments_rows, min_cost, threads);
}

template <class V> Prepared statistics_prepare(const StatisticsTask &task, const Planning &planning) {
    const WorkSplit split = statistics_split<V>(task, planning.threads);
    return planning.keep(split, split.items());
}

template <class V>
void statistics_run(const StatisticsTask &task, const Prepared &prepared, std::int64_t begin,
                    std::int64_t end, Worker &) {
    const auto &split = prepared.plan_as<WorkSplit>();
    const View &to = task.destination;
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = split.item(index);
        const Range images = to.batch == 1 ? Range{0, task.source.batch} : Range{item.image, item.image + 1};
        const std::int64_t last = task.groups > 0 ? divide_up(to.channels, V::width) : item.vectors.end;
        for (std::int64_t vector = item.vectors.begin; vector < last; ++vector) {
            const std::int64_t channel = vector * V::width, writable = to.writable_channels - channel;
            typename V::reg mean, rest, variance;
            unite_parts<V>(task, images, channel, mean, rest, variance);
            const bool complete = is_complete(task);
            if (complete) {
                store_lanes<V>(pixel_at(to, item.image, statistics_rest, 0) + channel, rest, writable);
                store_lanes<V>(pixel_at(to, item.image, statistics_factor, 0) + channel, V::set1(1.0f),
                               writable);
            }
            store_lanes<V>(pixel_at(to, item.image, statistics_mean, 0) + channel,
                           complete ? mean : V::add(mean, rest), writable);
            store_lanes<V>(pixel_at(to, item.image, statistics_variance, 0) + channel, variance, writable);
        }
        for (std::int64_t group = 0; group < task.groups; ++group)
            unite_channels(to, item.image, part_of(to.channels, task.groups, group));
        const std::int64_t size = task.groups > 0 ? to.channels / task.groups : 1;
        const std::int64_t end = task.groups > 0 ? to.channels : min(to.channels, last * V::width);
        for (std::int64_t c = item.vectors.begin * V::width; c < end; c += size)
            if (!is_in_range(task, item.image, c)) measure_channels(task, item.image, images, {c, c + size});
    }
}

// ---- Normalization ----

/// Return the number of floats of each array of ImageNormalization in a worker's memory.
template <class V> std::int64_t prepared_channels(const NormalizationTask &task) {
    return round_up(task.destination.channels, V::width);
}

template <class V> Prepared normalization_prepare(const NormalizationTask &task, const Planning &planning) {
    return prepare_elements(task.destination, planning,
                            static_cast<std::size_t>(3 * prepared_channels<V>(task)) * sizeof(float));
}

/// The mean, scale and shift of each channel of an image: results are (x - mean) * scale + shift. The arrays
/// have whole vectors.
template <class V> struct ImageNormalization {
    float *mean, *scale, *shift;

    MPSCNN_INLINE ImageNormalization(const NormalizationTask &task, std::byte *scratch)
        : mean(reinterpret_cast<float *>(scratch)), scale(mean + prepared_channels<V>(task)),
          shift(scale + prepared_channels<V>(task)) {}

    /// Compute the arrays for an image. Return true if the statistics' factors (see StatisticsRow) are 1 for
    /// all channels, or if the statistics have no row of factors.
    bool prepare(const NormalizationTask &task, std::int64_t image) const {
        const ConstView &statistics = task.second;
        const std::int64_t of = statistics.batch == 1 ? 0 : image;
        const auto one = V::set1(1.0f);
        auto differences = V::zero();
        for (std::int64_t channel = 0; channel < task.destination.channels; channel += V::width) {
            const std::int64_t left = task.destination.channels - channel;
            const auto read = [&](StatisticsRow row) {
                return load_lanes<V>(pixel_at(statistics, of, row, 0) + channel, left);
            };
            const bool complete = statistics.height == statistics_rows;
            const auto factor = complete ? fill_lanes<V>(read(statistics_factor), left, 1.0f) : one;
            ScaleAndShift<V> own(statistics, of, task.epsilon, task.gamma, task.beta, channel, left, factor);
            if (complete)
                own.shift = V::sub(own.shift, V::mul(V::mul(read(statistics_rest), factor), own.scale));
            V::store(mean + channel, read(statistics_mean));
            V::store(scale + channel, own.scale);
            V::store(shift + channel, own.shift);
            differences = V::add(differences, absolute<V>(V::sub(factor, one)));
        }
        return V::sum(differences) == 0.0f;
    }
};

/// Normalize rows of an image whose statistics have factors. The factors are applied before the mean is
/// subtracted, because the difference may overflow.
template <class V>
__attribute__((noinline)) void normalize_scaled(const NormalizationTask &task, const WorkSplit::Item &item,
                                                const ImageNormalization<V> &own) {
    const View &to = task.destination;
    const std::int64_t of = task.second.batch == 1 ? 0 : item.image;
    const float *factors = pixel_at(task.second, of, statistics_factor, 0);
    for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y)
        for (std::int64_t x = 0; x < to.width; ++x) {
            const float *from = pixel_at(task.source, item.image, y, x);
            for (std::int64_t channel = 0; channel < to.channels; channel += V::width) {
                const std::int64_t left = to.channels - channel;
                const auto factor = load_lanes<V>(factors + channel, left);
                const auto scaled = V::mul(load_lanes<V>(from + channel, left), factor),
                           mean = V::mul(V::load(own.mean + channel), factor);
                const auto value =
                    V::fma(V::sub(scaled, mean), V::load(own.scale + channel), V::load(own.shift + channel));
                finish_vector<V>(to, task.epilogue, item.image, y, x, channel, value);
            }
        }
}

template <class V>
void normalization_run(const NormalizationTask &task, const Prepared &prepared, std::int64_t begin,
                       std::int64_t end, Worker &worker) {
    const auto &split = prepared.plan_as<WorkSplit>();
    const ImageNormalization<V> own(task, worker.scratch);
    for (std::int64_t index = begin; index < end; ++index) {
        if (!own.prepare(task, split.item(index).image)) {
            normalize_scaled<V>(task, split.item(index), own);
            continue;
        }
        for_each_vector<V>(
            task.destination, task.epilogue, split, index, index + 1,
            [&](std::int64_t image, std::int64_t y, std::int64_t x) {
                const float *from = pixel_at(task.source, image, y, x);
                return [=](std::int64_t channel, std::int64_t left) {
                    return V::fma(V::sub(load_lanes<V>(from + channel, left), V::load(own.mean + channel)),
                                  V::load(own.scale + channel), V::load(own.shift + channel));
                };
            });
    }
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(AffineTask, affine)
MPSCNN_KERNEL(MomentsTask, moments)
MPSCNN_KERNEL(StatisticsTask, statistics)
MPSCNN_KERNEL(NormalizationTask, normalization)
