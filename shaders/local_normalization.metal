// Normalizations by the pixels or channels around each element, for cases that MPS does not document and for
// devices that may not use MPS's kernels.
//
// If squares, a base or its power overflow or underflow a float, a window is read again, and its elements are
// first multiplied by a power of two.

#include <metal_stdlib>

#include "image_access.h"
#include "local_normalization_params.h"
#include "window_taps.h"

using namespace metal;

inline float4 divided_by_power(float4 x, float4 spread, constant PowerParams &power) {
    return x * pow(fma(spread, float4(power.alpha), float4(power.delta)), float4(-power.beta));
}

/// True if floats can hold the squares, the base and its power in all lanes that are used. If x is at most 1,
/// the inverse of the power may underflow, because the error of the result is below 1e-37.
inline bool holds_power(float4 x, float4 spread, uint lanes, constant PowerParams &power) {
    const float4 base = fma(spread, float4(power.alpha), float4(power.delta)),
                 inverse = pow(base, float4(-power.beta));
    const bool hides_small = power.delta >= 1e-30f * max(1.0f, power.alpha);
    for (uint lane = 0; lane < lanes; ++lane) {
        if (!(fabs(x[lane]) < INFINITY && base[lane] < 1e38f && inverse[lane] < 1e37f)) return false;
        if (inverse[lane] < 1e-37f && fabs(x[lane]) > 1.0f) return false;
        if (!hides_small && (spread[lane] < 1e-30f || base[lane] < 1e-37f)) return false;
    }
    return true;
}

/// Return the exponents of the powers of two by which elements are multiplied, so that neither their squares
/// nor the base overflow or underflow. `largest` is their largest magnitude.
inline float4 scaling_exponents(float4 largest, constant PowerParams &power) {
    const float4 size = log2(largest), alpha = float4(log2(power.alpha)), delta = float4(log2(power.delta));
    float4 exponents = -floor(0.5f * max(2.0f * size + alpha, delta));
    exponents = max(exponents, max(float4(-126.0f), floor(-50.0f - size)));
    exponents = min(exponents, min(float4(126.0f), floor(55.0f - size)));
    exponents = min(exponents, floor(60.0f - 0.5f * delta));
    return select(float4(0.0f), exponents, largest > float4(0.0f) && largest < float4(INFINITY));
}

/// Return x * 2^exponent, rounded once unless the result is subnormal.
inline float times_power_of_two(float x, float exponent) {
    const float limited = clamp(exponent, -360.0f, 360.0f), third = floor(limited / 3.0f);
    return x * exp2(third) * exp2(third) * exp2(limited - 2.0f * third);
}

/// Return x * 2^x_exponent / (delta + alpha * spread / 4^exponent)^beta. `spread` was computed from elements
/// that were multiplied by 2^exponent.
inline float divided_by_scaled_power(float x, float x_exponent, float spread, float exponent,
                                     constant PowerParams &power) {
    // Without this, delta * factor * factor might underflow to 0.
    if (power.alpha == 0.0f || spread == 0.0f) spread = exponent = 0.0f;
    const float factor = exp2(exponent), base = fma(spread, power.alpha, power.delta * factor * factor);
    if (!(base > 0.0f && base < INFINITY && fabs(x) < INFINITY)) return x * pow(base, -power.beta);
    if (x == 0.0f) return 0.0f;
    // The exact base is m * 2^e, so its power is m^-beta * 2^(-beta * e). Split the exponent -beta * e into a
    // whole number and a rest.
    const float base_exponent = floor(log2(base)), e = base_exponent - 2.0f * exponent;
    const float m = times_power_of_two(base, -base_exponent);
    const float product = -power.beta * e, lost = fma(-power.beta, e, -product);
    const float whole = rint(product), rest = product - whole + lost;
    const float x_own = floor(log2(fabs(x)));
    const float quotient = times_power_of_two(x, -x_own) * pow(m, -power.beta) * exp2(rest);
    return times_power_of_two(quotient, whole + x_own + x_exponent);
}

/// The terms that are added up over a window.
enum class WindowTerm { itself, square, magnitude };

/// Sum the terms x * factor - centre over a window; for magnitudes, find the largest.
template <typename Source>
inline float4 fold_window(Source source, constant WindowNormalizationParams &params, uint3 position,
                          WindowTerm term, float4 centre, float4 factor) {
    const int left = int(position.x) - params.window.pad_left, top = int(position.y) - params.window.pad_top;
    const int width = int(params.source.width), height = int(params.source.height);
    WindowTaps columns = window_taps(left, params.window.kernel_width, 1, width, params.edge);
    WindowTaps rows = window_taps(top, params.window.kernel_height, 1, height, params.edge);
    float4 total = float4(0.0f);
    for (int i = rows.begin(); i < rows.end(); ++i) {
        const WindowPosition row = window_position(rows, i, top, 1, height, params.edge);
        float4 sum = float4(0.0f);
        for (int j = columns.begin(); j < columns.end(); ++j) {
            const WindowPosition column = window_position(columns, j, left, 1, width, params.edge);
            const float4 x =
                fetch_or_zero(source, column.position, row.position, position.z) * factor - centre;
            if (term == WindowTerm::magnitude)
                sum = max(sum, fabs(x));
            else
                sum = fma(float4(column.times), term == WindowTerm::square ? x * x : x, sum);
        }
        total = term == WindowTerm::magnitude ? max(total, sum) : fma(float4(row.times), sum, total);
    }
    return total;
}

/// Return the element at the window's centre.
template <typename Source>
inline float4 window_centre(Source source, constant WindowNormalizationParams &params, uint3 position) {
    const int x = int(position.x) + params.offset_x, y = int(position.y) + params.offset_y;
    const int inside_x = clamp(x, 0, int(params.source.width) - 1);
    const int inside_y = clamp(y, 0, int(params.source.height) - 1);
    if (params.edge == EdgeRule::zero && (x != inside_x || y != inside_y)) return float4(0.0f);
    return fetch(source, uint2(uint(inside_x), uint(inside_y)), position.z);
}

inline float window_size(constant WindowNormalizationParams &params) {
    return float(params.window.kernel_width) * float(params.window.kernel_height);
}

/// The numbers from which a window's result x / (delta + alpha * spread)^beta is computed. The elements of
/// the window are multiplied by a factor first.
struct WindowTerms {
    float4 x, spread;
};

/// Return the terms for local contrast. The spread is the variance of the window.
template <typename Source>
inline WindowTerms contrast_terms(Source source, constant WindowNormalizationParams &params, uint3 position,
                                  float4 factor) {
    const float size = window_size(params);
    // Differences from the centre, which are zero in a constant window, give it a variance of exactly zero.
    const float4 centre = window_centre(source, params, position) * factor,
                 mean = centre +
                        fold_window(source, params, position, WindowTerm::itself, centre, factor) / size;
    WindowTerms terms;
    terms.spread = fold_window(source, params, position, WindowTerm::square, mean, factor) / size;
    terms.x = params.ps * fma(float4(-params.p0), mean, centre);
    return terms;
}

/// Return the terms for spatial normalization. The spread is the mean square. `x` is not
/// multiplied by the factor.
template <typename Source>
inline WindowTerms spatial_terms(Source source, constant WindowNormalizationParams &params, uint3 position,
                                 float4 factor) {
    WindowTerms terms;
    terms.spread =
        fold_window(source, params, position, WindowTerm::square, float4(0.0f), factor) / window_size(params);
    terms.x = window_centre(source, params, position);
    return terms;
}

template <typename Source>
inline float4 window_exponents(Source source, constant WindowNormalizationParams &params, uint3 position) {
    const float4 largest =
        fold_window(source, params, position, WindowTerm::magnitude, float4(0.0f), float4(1.0f));
    return scaling_exponents(largest, params.power);
}

template <typename Source, typename Destination>
inline void normalize_spatially(Source source, Destination destination,
                                constant WindowNormalizationParams &params, uint3 position) {
    if (outside(position, params.destination)) return;
    const uint slice = position.z % params.destination.slices, lanes = used_lanes(slice, params.destination);
    WindowTerms terms = spatial_terms(source, params, position, float4(1.0f));
    float4 result = divided_by_power(terms.x, terms.spread, params.power);
    if (!holds_power(terms.x, terms.spread, lanes, params.power)) {
        const float4 exponents = window_exponents(source, params, position);
        terms = spatial_terms(source, params, position, exp2(exponents));
        for (uint lane = 0; lane < lanes; ++lane)
            result[lane] = divided_by_scaled_power(terms.x[lane], 0.0f, terms.spread[lane], exponents[lane],
                                                   params.power);
    }
    store(destination, without_unused_lanes(result, slice, params.destination), position.xy, position.z);
}

template <typename Source, typename Destination>
inline void normalize_local_contrast(Source source, Destination destination,
                                     constant WindowNormalizationParams &params, uint3 position) {
    if (outside(position, params.destination)) return;
    const uint slice = position.z % params.destination.slices, lanes = used_lanes(slice, params.destination);
    WindowTerms terms = contrast_terms(source, params, position, float4(1.0f));
    float4 result = divided_by_power(terms.x, terms.spread, params.power);
    if (!holds_power(terms.x, terms.spread, lanes, params.power)) {
        const float4 exponents = window_exponents(source, params, position);
        terms = contrast_terms(source, params, position, exp2(exponents));
        for (uint lane = 0; lane < lanes; ++lane)
            result[lane] = divided_by_scaled_power(terms.x[lane], -exponents[lane], terms.spread[lane],
                                                   exponents[lane], params.power);
    }
    result += params.pm;
    store(destination, without_unused_lanes(result, slice, params.destination), position.xy, position.z);
}

/// Return the sum of the squares of x * factor over the neighbours [first, behind) of a channel.
template <typename Source>
inline float neighbours_squares(Source source, uint2 at, uint image, int first, int behind, float factor,
                                constant ImageParams &layout) {
    float sum = 0.0f;
    for (int c = first; c < behind; ++c) {
        const float x = fetch_channel(source, at, image, uint(c), layout) * factor;
        sum = fma(x, x, sum);
    }
    return sum;
}

/// Normalize one channel of a pixel by its neighbours.
template <typename Source>
inline float normalized_channel(Source source, constant CrossChannelParams &params, uint2 at, uint image,
                                int channel) {
    const int first = max(channel - params.before, 0),
              behind = min(channel + params.after, int(params.source.channels) - 1) + 1;
    const float x = fetch_channel(source, at, image, uint(channel), params.source);
    const float sum = neighbours_squares(source, at, image, first, behind, 1.0f, params.source);
    if (holds_power(float4(x), float4(sum), 1u, params.power))
        return divided_by_power(float4(x), float4(sum), params.power)[0];
    float largest = 0.0f;
    for (int c = first; c < behind; ++c)
        largest = max(largest, fabs(fetch_channel(source, at, image, uint(c), params.source)));
    const float exponent = scaling_exponents(float4(largest), params.power)[0];
    const float scaled = neighbours_squares(source, at, image, first, behind, exp2(exponent), params.source);
    return divided_by_scaled_power(x, 0.0f, scaled, exponent, params.power);
}

template <typename Source, typename Destination>
inline void normalize_across_channels(Source source, Destination destination,
                                      constant CrossChannelParams &params, uint3 position) {
    if (outside(position, params.destination)) return;
    const SliceOfImage place = slice_of_image(position, params.destination);
    float4 result = float4(0.0f);
    for (uint lane = 0; lane < used_lanes(place.slice, params.destination); ++lane)
        result[lane] =
            normalized_channel(source, params, position.xy, place.image, int(4 * place.slice + lane));
    store(destination, result, position.xy, position.z);
}

#define NORMALIZE_LOCALLY(TYPE, TEXTURE)                                                                     \
    IMAGE_KERNEL(spatial_normalization, normalize_spatially, WindowNormalizationParams, TYPE, TEXTURE,       \
                 TEXTURE)                                                                                    \
    IMAGE_KERNEL(local_contrast_normalization, normalize_local_contrast, WindowNormalizationParams, TYPE,    \
                 TEXTURE, TEXTURE)                                                                           \
    IMAGE_KERNEL(cross_channel_normalization, normalize_across_channels, CrossChannelParams, TYPE, TEXTURE,  \
                 TEXTURE)

FOR_EACH_IMAGE_TYPE(NORMALIZE_LOCALLY)
