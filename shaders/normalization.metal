// Normalization by statistics of the data. One kernel computes the moments (mean and variance) of each row of
// an image, others combine them (Chan, Golub and LeVeque 1979), and others scale and shift. MPS is not used,
// because it does not document whether it divides variances by the number of elements.

#include <metal_stdlib>

#include "activation.h"
#include "image_access.h"
#include "magnitude.h"
#include "normalization_params.h"
#include "vector_norm.h"

using namespace metal;

/// Mean and variance of some numbers. `rest` is the rounding error of the mean. The variance is computed from
/// the numbers times `factor`, a power of two. The factor is 1 unless squares overflow or underflow a float.
struct Statistics {
    float4 mean, variance, rest, factor;
};

template <typename Image>
inline void store_statistics(Image image, Statistics of, bool with_rest, uint2 first, uint2 step,
                             uint3 position, constant ImageParams &layout) {
    const uint slice = position.z % layout.slices;
    store(image, without_unused_lanes(of.mean, slice, layout), first + uint(statistics_mean) * step,
          position.z);
    if (!with_rest) of.variance = of.variance / of.factor / of.factor;
    store(image, without_unused_lanes(of.variance, slice, layout), first + uint(statistics_variance) * step,
          position.z);
    if (!with_rest) return;
    store(image, without_unused_lanes(of.rest, slice, layout), first + uint(statistics_rest) * step,
          position.z);
    store(image, of.factor, first + uint(statistics_factor) * step, position.z);
}

/// Return the moments of a row. The mean is computed first, and then the deviations from it. The sum of the
/// deviations gives the mean's rounding error.
template <typename Source>
inline Statistics moments_of_row(Source source, uint row, uint slice, uint width, float4 factor) {
    const float size = float(width);
    float4 sum = float4(0.0f), deviations = float4(0.0f), squares = float4(0.0f);
    // Subtract one number of the row before summing, so that the sum for a constant row is exact.
    const float4 first = fetch(source, uint2(0u, row), slice) * factor;
    const float4 pivot = select(float4(0.0f), first, fabs(first) < float4(INFINITY));
    for (uint x = 0; x < width; ++x) sum += fetch(source, uint2(x, row), slice) * factor - pivot;
    const float4 mean = pivot + sum / size;
    for (uint x = 0; x < width; ++x) {
        const float4 deviation = fetch(source, uint2(x, row), slice) * factor - mean;
        deviations += deviation;
        squares = fma(deviation, deviation, squares);
    }
    const float4 rest = deviations / size;
    Statistics result;
    // Correct the variance: the deviations should be from mean + rest.
    result.variance = max_or_nan(squares - deviations * rest, 0.0f) / size;
    result.mean = mean / factor;
    result.rest = rest / factor;
    result.factor = factor;
    return result;
}

/// True if the squares of a row's elements are in the range of floats. A row of zeros is in range, too.
inline bool holds_squares(Statistics row) {
    for (uint lane = 0; lane < 4; ++lane) {
        const float variance = row.variance[lane], mean = fabs(row.mean[lane]);
        if (!(variance < INFINITY)) return false;
        if (variance < 1e-30f && mean < 1e-15f && mean > 0.0f) return false;
    }
    return true;
}

template <typename Source, typename Destination>
inline void row_moments(Source source, Destination moments, constant MomentsParams &params, uint3 position) {
    if (position.x > 0 || outside(position, params.moments)) return;
    const uint width = params.source.width;
    Statistics row = moments_of_row(source, position.y, position.z, width, float4(1.0f));
    if (!holds_squares(row)) {
        float4 largest = float4(0.0f);
        for (uint x = 0; x < width; ++x)
            largest = max(largest, fabs(fetch(source, uint2(x, position.y), position.z)));
        row = moments_of_row(source, position.y, position.z, width, factor_for(largest));
    }
    store_statistics(moments, row, true, uint2(0u, position.y), uint2(1u, 0u), position, params.moments);
}

template <typename Source> inline Statistics fetch_moments(Source moments, uint row, uint slice) {
    Statistics result;
    result.mean = fetch(moments, uint2(uint(statistics_mean), row), slice);
    result.variance = fetch(moments, uint2(uint(statistics_variance), row), slice);
    result.rest = fetch(moments, uint2(uint(statistics_rest), row), slice);
    result.factor = fetch(moments, uint2(uint(statistics_factor), row), slice);
    return result;
}

/// Return the factor for combining parts whose means are at some distance from the first mean. `quarter` is a
/// quarter of the largest distance, because the distance itself may overflow. `smallest` is the smallest
/// factor of the parts.
inline float4 factor_for_distances(float4 quarter, float4 smallest) {
    return select(smallest, min(smallest, factor_for(quarter)), quarter > float4(1e17f));
}

/// Return the distance of a mean from the first mean, times the factor.
inline float4 scaled_distance(Statistics of, float4 first, float4 factor) {
    return of.mean * factor - first * factor + of.rest * factor;
}

/// Return the combined statistics `all` with their mean. Before, `all` has the mean of the first part. `rest`
/// is the distance from that mean to the new one, times the factor. Without the factor, the distance may
/// exceed the range of floats.
inline Statistics with_mean(Statistics all, float4 rest) {
    const float4 first = all.mean * all.factor, mean = first + rest, added = mean - first;
    const float4 lost = (first - (mean - added)) + (rest - added);
    const float4 one = float4(1.0f);
    all.mean = select(all.mean, mean / all.factor, all.factor != one);
    all.rest = select(rest, lost / all.factor, all.factor != one);
    return all;
}

/// Combine the moments of all rows of the images that share statistics; all rows have the same length. The
/// smallest factor of the rows applies to all.
template <typename Source, typename Destination>
inline void unite_rows(Source moments, Destination statistics, constant StatisticsParams &params,
                       uint3 position) {
    if (position.x > 0 || position.y > 0 || outside(position, params.statistics)) return;
    const SliceOfImage place = slice_of_image(position, params.statistics);
    const uint first_image = place.image * params.united_images, rows = params.source.height;
    const float size = float(rows * params.united_images);
    Statistics all = fetch_moments(moments, 0, first_image * params.source.slices + place.slice);
    float4 quarter = float4(0.0f), rest = float4(0.0f);
    for (uint image = 0; image < params.united_images; ++image)
        for (uint y = 0; y < rows; ++y) {
            const Statistics row =
                fetch_moments(moments, y, (first_image + image) * params.source.slices + place.slice);
            quarter = max(quarter, fabs(scaled_distance(row, all.mean, float4(0.25f))));
            all.factor = min(all.factor, row.factor);
        }
    all.factor = factor_for_distances(quarter, all.factor);
    for (uint image = 0; image < params.united_images; ++image)
        for (uint y = 0; y < rows; ++y) {
            const Statistics row =
                fetch_moments(moments, y, (first_image + image) * params.source.slices + place.slice);
            rest += scaled_distance(row, all.mean, all.factor);
        }
    rest /= size;
    all.variance = float4(0.0f);
    for (uint image = 0; image < params.united_images; ++image)
        for (uint y = 0; y < rows; ++y) {
            const Statistics row =
                fetch_moments(moments, y, (first_image + image) * params.source.slices + place.slice);
            const float4 away = scaled_distance(row, all.mean, all.factor) - rest;
            const float4 share = all.factor / row.factor;
            all.variance += fma(away, away, row.variance * share * share);
        }
    all.variance /= size;
    all = with_mean(all, rest);
    const bool with_rest = params.statistics.height > uint(statistics_rest);
    if (!with_rest) all.mean += all.rest;
    store_statistics(statistics, all, with_rest, uint2(0u, 0u), uint2(0u, 1u), position, params.statistics);
}

/// Return the statistics of one channel, the same in all lanes.
template <typename Source>
inline Statistics fetch_statistics(Source channels, uint image, uint channel, constant ImageParams &layout) {
    Statistics result;
    result.mean = float4(fetch_channel(channels, uint2(0u, uint(statistics_mean)), image, channel, layout));
    result.variance =
        float4(fetch_channel(channels, uint2(0u, uint(statistics_variance)), image, channel, layout));
    result.rest = float4(fetch_channel(channels, uint2(0u, uint(statistics_rest)), image, channel, layout));
    result.factor =
        float4(fetch_channel(channels, uint2(0u, uint(statistics_factor)), image, channel, layout));
    return result;
}

/// Combine the statistics of a group's channels. Return them in all lanes.
template <typename Source>
inline Statistics unite_group(Source channels, uint image, uint first, uint count,
                              constant ImageParams &layout) {
    const float size = float(count);
    Statistics all = fetch_statistics(channels, image, first, layout);
    float4 quarter = float4(0.0f), rest = float4(0.0f);
    for (uint c = first; c < first + count; ++c) {
        const Statistics channel = fetch_statistics(channels, image, c, layout);
        quarter = max(quarter, fabs(scaled_distance(channel, all.mean, float4(0.25f))));
        all.factor = min(all.factor, channel.factor);
    }
    all.factor = factor_for_distances(quarter, all.factor);
    for (uint c = first; c < first + count; ++c)
        rest += scaled_distance(fetch_statistics(channels, image, c, layout), all.mean, all.factor);
    rest /= size;
    all.variance = float4(0.0f);
    for (uint c = first; c < first + count; ++c) {
        const Statistics channel = fetch_statistics(channels, image, c, layout);
        const float4 away = scaled_distance(channel, all.mean, all.factor) - rest;
        const float4 share = all.factor / channel.factor;
        all.variance += fma(away, away, channel.variance * share * share);
    }
    all.variance /= size;
    return with_mean(all, rest);
}

template <typename Source, typename Destination>
inline void unite_channels(Source channels, Destination statistics, constant StatisticsParams &params,
                           uint3 position) {
    if (position.x > 0 || position.y > 0 || outside(position, params.statistics)) return;
    const SliceOfImage place = slice_of_image(position, params.statistics);
    Statistics united;
    united.mean = united.variance = united.rest = float4(0.0f);
    united.factor = float4(1.0f);
    for (uint lane = 0; lane < used_lanes(place.slice, params.statistics); ++lane) {
        const uint first = (4 * place.slice + lane) / params.group * params.group;
        const Statistics group = unite_group(channels, place.image, first, params.group, params.statistics);
        united.mean[lane] = group.mean[lane];
        united.variance[lane] = group.variance[lane];
        united.rest[lane] = group.rest[lane];
        united.factor[lane] = group.factor[lane];
    }
    store_statistics(statistics, united, true, uint2(0u, 0u), uint2(0u, 1u), position, params.statistics);
}

/// Normalize, apply the activation and store. `terms` are gamma of all slices, then beta, then the slopes of
/// a PReLU.
template <typename Source, typename Moments, typename Destination>
inline void normalize(Source source, Moments statistics, Destination destination,
                      constant NormalizationParams &params, const device float4 *terms, uint3 position) {
    if (outside(position, params.image)) return;
    const SliceOfImage place = slice_of_image(position, params.image);
    const uint slices = params.image.slices;
    const uint of = params.statistics.images == 1 ? place.slice : position.z;
    const float4 mean = fetch(statistics, uint2(0u, uint(statistics_mean)), of);
    const float4 variance = fetch(statistics, uint2(0u, uint(statistics_variance)), of);
    const bool is_complete = params.statistics.height > uint(statistics_rest);
    const float4 factor =
        is_complete ? fetch(statistics, uint2(0u, uint(statistics_factor)), of) : float4(1.0f);
    const float4 square = variance + params.epsilon * factor * factor;
    // The square is 0 for a constant image of numbers so large that epsilon times the squared factor
    // underflows.
    const float4 scale = select(terms[place.slice] / sqrt(square), float4(0.0f), square == float4(0.0f));
    float4 shift = terms[slices + place.slice];
    if (is_complete) shift -= fetch(statistics, uint2(0u, uint(statistics_rest)), of) * factor * scale;
    // The factor is applied first, because the difference may overflow without it.
    const float4 away = fetch(source, position.xy, position.z) * factor - mean * factor;
    const float4 normalized = fma(away, scale, shift);
    const float4 result = activate(normalized, params.activation, slopes_of(terms, 2, place.slice, slices));
    store(destination, without_unused_lanes(result, place.slice, params.image), position.xy, position.z);
}

/// Return four numbers of a pixel's channels times `factor`: the mean, the norm, the mean's rounding error,
/// and the factor.
template <typename Source>
inline float4 scaled_statistics(Source source, uint2 at, uint first, constant PixelStatisticsParams &params,
                                float factor) {
    const VectorNorm norm = VectorNorm(params.norm);
    const bool centred = norm == VectorNorm::deviation, magnitudes = norm == VectorNorm::l1_norm;
    const uint slices = params.source.slices;
    const float size = float(params.source.channels);
    float mean = 0.0f;
    if (centred) {
        float4 sums = float4(0.0f);
        for (uint slice = 0; slice < slices; ++slice)
            sums += without_unused_lanes(fetch(source, at, first + slice) * factor, slice, params.source);
        mean = (sums[0] + sums[1] + (sums[2] + sums[3])) / size;
    }
    float4 deviations = float4(0.0f), squares = float4(0.0f);
    for (uint slice = 0; slice < slices; ++slice) {
        const float4 deviation = without_unused_lanes(
            fetch(source, at, first + slice) * factor - float4(mean), slice, params.source);
        deviations += deviation;
        squares = magnitudes ? squares + fabs(deviation) : fma(deviation, deviation, squares);
    }
    const float rest =
        centred ? (deviations[0] + deviations[1] + (deviations[2] + deviations[3])) / size : 0.0f;
    float square = squares[0] + squares[1] + (squares[2] + squares[3]);
    if (centred) square = max_or_nan(float4(square / size - rest * rest), 0.0f)[0];
    if (norm == VectorNorm::root_mean_square) square /= size;
    const UnitNorm of = unit_norm(square, params.epsilon, factor, norm, EpsilonRule(params.epsilon_rule));
    return float4(mean, of.norm, rest, factor);
}

/// Return the factor that scales the largest magnitude of a pixel to about 1.
template <typename Source>
inline float pixel_factor(Source source, uint2 at, uint first, constant ImageParams &layout) {
    float4 largest = float4(0.0f);
    for (uint slice = 0; slice < layout.slices; ++slice)
        largest = max(largest, fabs(without_unused_lanes(fetch(source, at, first + slice), slice, layout)));
    const float magnitude = max(max(largest[0], largest[1]), max(largest[2], largest[3]));
    return factor_for(float4(magnitude))[0];
}

/// Compute the statistics of a pixel's channels. If squares overflow or underflow a float, or the inverse of
/// the norm underflows, the channels are scaled and the statistics are computed again.
template <typename Source, typename Destination>
inline void pixel_statistics(Source source, Destination statistics, constant PixelStatisticsParams &params,
                             uint3 position) {
    if (outside(position, params.statistics)) return;
    const uint first = position.z * params.source.slices;
    float4 result = scaled_statistics(source, position.xy, first, params, 1.0f);
    if (!(result[1] >= 1e-15f && result[1] < 1e37f)) {
        const float factor = pixel_factor(source, position.xy, first, params.source);
        result = scaled_statistics(source, position.xy, first, params, factor);
    }
    store(statistics, result, position.xy, position.z);
}

/// Normalize each pixel, apply the activation and store. `terms` are gamma of all slices, then beta, then the
/// slopes of a PReLU.
template <typename Source, typename Moments, typename Destination>
inline void normalize_pixels(Source source, Moments statistics, Destination destination,
                             constant LayerNormalizationParams &params, const device float4 *terms,
                             uint3 position) {
    if (outside(position, params.image)) return;
    const SliceOfImage place = slice_of_image(position, params.image);
    const uint slices = params.image.slices;
    const float4 of_pixel = fetch(statistics, position.xy, place.image);
    const float4 deviation =
        fetch(source, position.xy, position.z) * of_pixel[3] - float4(of_pixel[0]) - float4(of_pixel[2]);
    const float scale = of_pixel[1] == 0.0f ? 0.0f : 1.0f / of_pixel[1];
    const float4 normalized = deviation * scale * terms[place.slice] + terms[slices + place.slice];
    const float4 result = activate(normalized, params.activation, slopes_of(terms, 2, place.slice, slices));
    store(destination, without_unused_lanes(result, place.slice, params.image), position.xy, position.z);
}

#define STATISTICS(TYPE, TEXTURE)                                                                            \
    IMAGE_KERNEL(row_moments, row_moments, MomentsParams, TYPE, TEXTURE, TEXTURE)                            \
    IMAGE_KERNEL(unite_channels, unite_channels, StatisticsParams, TYPE, TEXTURE, TEXTURE)
#define UNITE_ROWS(TYPE, SOURCE, DESTINATION)                                                                \
    IMAGE_KERNEL(unite_rows, unite_rows, StatisticsParams, TYPE, SOURCE, DESTINATION)                        \
    IMAGE_KERNEL(pixel_statistics, pixel_statistics, PixelStatisticsParams, TYPE, SOURCE, DESTINATION)
#define NORMALIZE(TYPE, SOURCE, STATISTICS, DESTINATION)                                                     \
    IMAGES_KERNEL_WITH_TERMS(normalize, normalize, NormalizationParams, TYPE, SOURCE, STATISTICS,            \
                             DESTINATION)                                                                    \
    IMAGES_KERNEL_WITH_TERMS(layer_normalize, normalize_pixels, LayerNormalizationParams, TYPE, SOURCE,      \
                             STATISTICS, DESTINATION)

FOR_EACH_IMAGE_TYPE(STATISTICS)
FOR_EACH_IMAGE_PAIR(UNITE_ROWS)
FOR_EACH_IMAGE_TRIPLE(NORMALIZE)
