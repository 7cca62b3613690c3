// Normalization by statistics of the data: moments of the rows of images, their union (Chan, Golub and
// LeVeque 1979), scale and shift. Whether MPS divides variances by the number of elements is not documented.

#include <metal_stdlib>

#include "activation.h"
#include "image_access.h"
#include "normalization_params.h"

using namespace metal;

/// Mean and variance of numbers of which the mean is roughly known.
struct Statistics {
    float4 mean, variance, rest;
};

template <typename Image>
inline void store_statistics(Image image, Statistics of, bool with_rest, uint2 first, uint2 step,
                             uint3 position, constant ImageParams &layout) {
    const uint slice = position.z % layout.slices;
    store(image, without_unused_lanes(of.mean, slice, layout), first + uint(statistics_mean) * step,
          position.z);
    store(image, without_unused_lanes(of.variance, slice, layout), first + uint(statistics_variance) * step,
          position.z);
    if (with_rest)
        store(image, without_unused_lanes(of.rest, slice, layout), first + uint(statistics_rest) * step,
              position.z);
}

/// Of one row. The mean first, then the deviations from it, which also show what rounding took from the mean.
template <typename Source, typename Destination>
inline void row_moments(Source source, Destination moments, constant MomentsParams &params, uint3 position) {
    if (position.x > 0 || outside(position, params.moments)) return;
    const float size = float(params.source.width);
    float4 sum = float4(0.0f), deviations = float4(0.0f), squares = float4(0.0f);
    // Differences to a number of the row: the sum of a constant one is then exact.
    const float4 first = fetch(source, uint2(0u, position.y), position.z);
    const float4 pivot = select(float4(0.0f), first, fabs(first) < float4(INFINITY));
    for (uint x = 0; x < params.source.width; ++x)
        sum += fetch(source, uint2(x, position.y), position.z) - pivot;
    Statistics row;
    row.mean = pivot + sum / size;
    for (uint x = 0; x < params.source.width; ++x) {
        const float4 deviation = fetch(source, uint2(x, position.y), position.z) - row.mean;
        deviations += deviation;
        squares = fma(deviation, deviation, squares);
    }
    row.rest = deviations / size;
    // About mean + rest instead of mean.
    row.variance = at_least(squares - deviations * row.rest, 0.0f) / size;
    store_statistics(moments, row, true, uint2(0u, position.y), uint2(1u, 0u), position, params.moments);
}

template <typename Source> inline Statistics fetch_moments(Source moments, uint row, uint slice) {
    Statistics result;
    result.mean = fetch(moments, uint2(uint(statistics_mean), row), slice);
    result.variance = fetch(moments, uint2(uint(statistics_variance), row), slice);
    result.rest = fetch(moments, uint2(uint(statistics_rest), row), slice);
    return result;
}

/// Of all rows of the images that are united; the rows have one length.
template <typename Source, typename Destination>
inline void unite_rows(Source moments, Destination statistics, constant StatisticsParams &params,
                       uint3 position) {
    if (position.x > 0 || position.y > 0 || outside(position, params.statistics)) return;
    const SliceOfImage place = slice_of_image(position, params.statistics);
    const uint first_image = place.image * params.united_images, rows = params.source.height;
    const float size = float(rows * params.united_images);
    Statistics all;
    all.mean = fetch_moments(moments, 0, first_image * params.source.slices + place.slice).mean;
    all.rest = all.variance = float4(0.0f);
    for (uint image = 0; image < params.united_images; ++image)
        for (uint y = 0; y < rows; ++y) {
            const Statistics row =
                fetch_moments(moments, y, (first_image + image) * params.source.slices + place.slice);
            all.rest += row.mean - all.mean + row.rest;
        }
    all.rest /= size;
    for (uint image = 0; image < params.united_images; ++image)
        for (uint y = 0; y < rows; ++y) {
            const Statistics row =
                fetch_moments(moments, y, (first_image + image) * params.source.slices + place.slice);
            const float4 away = row.mean - all.mean + row.rest - all.rest;
            all.variance += fma(away, away, row.variance);
        }
    all.variance /= size;
    const bool with_rest = params.statistics.height > uint(statistics_rest);
    if (!with_rest) all.mean += all.rest;
    store_statistics(statistics, all, with_rest, uint2(0u, 0u), uint2(0u, 1u), position, params.statistics);
}

/// Mean and variance of a channel's group, of the statistics of its channels.
template <typename Source>
inline float3 unite_group(Source channels, uint image, uint first, uint count, constant ImageParams &layout) {
    const float size = float(count);
    const float mean = fetch_channel(channels, uint2(0u, uint(statistics_mean)), image, first, layout);
    float rest = 0.0f, variance = 0.0f;
    for (uint c = first; c < first + count; ++c)
        rest += fetch_channel(channels, uint2(0u, uint(statistics_mean)), image, c, layout) - mean +
                fetch_channel(channels, uint2(0u, uint(statistics_rest)), image, c, layout);
    rest /= size;
    for (uint c = first; c < first + count; ++c) {
        const float away = fetch_channel(channels, uint2(0u, uint(statistics_mean)), image, c, layout) -
                           mean +
                           fetch_channel(channels, uint2(0u, uint(statistics_rest)), image, c, layout) - rest;
        variance +=
            fma(away, away, fetch_channel(channels, uint2(0u, uint(statistics_variance)), image, c, layout));
    }
    return float3(mean, variance / size, rest);
}

template <typename Source, typename Destination>
inline void unite_channels(Source channels, Destination statistics, constant StatisticsParams &params,
                           uint3 position) {
    if (position.x > 0 || position.y > 0 || outside(position, params.statistics)) return;
    const SliceOfImage place = slice_of_image(position, params.statistics);
    Statistics united;
    united.mean = united.variance = united.rest = float4(0.0f);
    for (uint lane = 0; lane < used_lanes(place.slice, params.statistics); ++lane) {
        const uint first = (4 * place.slice + lane) / params.group * params.group;
        const float3 group = unite_group(channels, place.image, first, params.group, params.statistics);
        united.mean[lane] = group[statistics_mean];
        united.variance[lane] = group[statistics_variance];
        united.rest[lane] = group[statistics_rest];
    }
    store_statistics(statistics, united, true, uint2(0u, 0u), uint2(0u, 1u), position, params.statistics);
}

/// `terms` are gamma of all slices, behind them beta, then the slopes of a PReLU.
template <typename Source, typename Moments, typename Destination>
inline void normalize(Source source, Moments statistics, Destination destination,
                      constant NormalizationParams &params, const device float4 *terms, uint3 position) {
    if (outside(position, params.image)) return;
    const SliceOfImage place = slice_of_image(position, params.image);
    const uint slices = params.image.slices;
    const uint of = params.statistics.images == 1 ? place.slice : position.z;
    const float4 mean = fetch(statistics, uint2(0u, uint(statistics_mean)), of);
    const float4 variance = fetch(statistics, uint2(0u, uint(statistics_variance)), of);
    const float4 scale = terms[place.slice] / sqrt(variance + params.epsilon);
    float4 shift = terms[slices + place.slice];
    if (params.statistics.height > uint(statistics_rest))
        shift -= fetch(statistics, uint2(0u, uint(statistics_rest)), of) * scale;
    const float4 normalized = fma(fetch(source, position.xy, position.z) - mean, scale, shift);
    const float4 result = activate(normalized, params.activation, slopes_of(terms, 2, place.slice, slices));
    store(destination, without_unused_lanes(result, place.slice, params.image), position.xy, position.z);
}

/// Mean, variance and rest of a pixel's channels, in the first lanes.
template <typename Source, typename Destination>
inline void pixel_statistics(Source source, Destination statistics, constant PixelStatisticsParams &params,
                             uint3 position) {
    if (outside(position, params.statistics)) return;
    const uint slices = params.source.slices, first = position.z * slices;
    const float size = float(params.source.channels);
    float4 sums = float4(0.0f), deviations = float4(0.0f), squares = float4(0.0f);
    for (uint slice = 0; slice < slices; ++slice)
        sums += without_unused_lanes(fetch(source, position.xy, first + slice), slice, params.source);
    const float mean = (sums[0] + sums[1] + (sums[2] + sums[3])) / size;
    for (uint slice = 0; slice < slices; ++slice) {
        const float4 deviation = without_unused_lanes(
            fetch(source, position.xy, first + slice) - float4(mean), slice, params.source);
        deviations += deviation;
        squares = fma(deviation, deviation, squares);
    }
    const float rest = (deviations[0] + deviations[1] + (deviations[2] + deviations[3])) / size;
    const float square = squares[0] + squares[1] + (squares[2] + squares[3]);
    const float variance = at_least(float4(square / size - rest * rest), 0.0f)[0];
    store(statistics, float4(mean, variance, rest, 0.0f), position.xy, position.z);
}

/// `terms` are gamma of all slices, behind them beta, then the slopes of a PReLU.
template <typename Source, typename Moments, typename Destination>
inline void normalize_pixels(Source source, Moments statistics, Destination destination,
                             constant LayerNormalizationParams &params, const device float4 *terms,
                             uint3 position) {
    if (outside(position, params.image)) return;
    const SliceOfImage place = slice_of_image(position, params.image);
    const uint slices = params.image.slices;
    const float4 of_pixel = fetch(statistics, position.xy, place.image);
    const float4 deviation =
        fetch(source, position.xy, position.z) - float4(of_pixel[0]) - float4(of_pixel[2]);
    const float scale = 1.0f / sqrt(of_pixel[1] + params.epsilon);
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
