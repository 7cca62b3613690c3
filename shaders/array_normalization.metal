// Normalizations by statistics of the data, and gradients of normalizations.

#include <metal_stdlib>

#include "activation.h"
#include "array_access.h"
#include "array_normalization_params.h"

using namespace metal;

// ---- With the statistics of a batch: the means of all channels, then the variances ----

/// For each channel and one part of the pixels, compute two sums of deviations from a mean: of their squares,
/// and of the deviations.
kernel void array_channel_deviations(constant ArrayChannelParams &params [[buffer(0)]],
                                     const device float *source [[buffer(1)]],
                                     const device float *means [[buffer(2)]],
                                     device float *result [[buffer(3)]], uint i [[thread_position_in_grid]]) {
    if (i >= params.run.threads) return;
    const uint channel = i % params.channels, part = i / params.channels;
    const uint end = min((part + 1u) * params.part, params.pixels);
    LongSum squares, deviations;
    squares.begin();
    deviations.begin();
    for (uint pixel = part * params.part; pixel < end; ++pixel) {
        const float deviation =
            load(source, pixel * params.channels + channel, params.run, 1) - means[channel];
        squares.add(deviation * deviation);
        deviations.add(deviation);
    }
    const uint first = 2u * part * params.channels + channel;
    result[first] = squares.result();
    result[first + params.channels] = deviations.result();
}

/// Compute each channel's mean and variance from the sums of all parts. The sum of the deviations would be 0
/// without the mean's rounding error, so it serves to correct the mean and the variance.
kernel void array_channel_statistics(constant ArrayChannelParams &params [[buffer(0)]],
                                     const device float *means [[buffer(1)]],
                                     const device float *sums [[buffer(2)]],
                                     device float *result [[buffer(3)]],
                                     uint channel [[thread_position_in_grid]]) {
    if (channel >= params.run.threads) return;
    const float size = float(params.pixels), deviations = sums[params.channels + channel];
    const float rest = deviations / size, variance = (sums[channel] - deviations * rest) / size;
    store(result, means[channel] + rest, channel, params.run, 3);
    store(result, variance < 0.0f ? 0.0f : variance, params.channels + channel, params.run, 3);
}

inline float inverse_deviation(const device float *statistics, uint channel,
                               constant ArrayChannelParams &params) {
    return 1.0f / sqrt(statistics[params.channels + channel] + params.epsilon);
}

kernel void array_batch_normalization(constant ArrayChannelParams &params [[buffer(0)]],
                                      const device float *source [[buffer(1)]],
                                      const device float *statistics [[buffer(2)]],
                                      const device float *gamma [[buffer(3)]],
                                      const device float *beta [[buffer(4)]],
                                      device float *result [[buffer(5)]],
                                      uint i [[thread_position_in_grid]]) {
    if (i >= params.run.threads) return;
    const uint channel = i % params.channels;
    float scale = inverse_deviation(statistics, channel, params);
    if (params.has_gamma != 0) scale *= gamma[channel];
    const float shift = params.has_beta != 0 ? beta[channel] : 0.0f;
    const float value = fma(load(source, i, params.run, 1) - statistics[channel], scale, shift);
    const float4 activated = activate(float4(value), params.activation, float4(0.0f));
    store(result, activated[0], i, params.run, 5);
}

/// For each channel and one part of the pixels, sum the gradients, and the gradients times the normalized
/// input.
kernel void array_batch_sums(constant ArrayChannelParams &params [[buffer(0)]],
                             const device float *gradient [[buffer(1)]],
                             const device float *source [[buffer(2)]],
                             const device float *statistics [[buffer(3)]], device float *result [[buffer(4)]],
                             uint i [[thread_position_in_grid]]) {
    if (i >= params.run.threads) return;
    const uint channel = i % params.channels, part = i / params.channels;
    const uint end = min((part + 1u) * params.part, params.pixels);
    const float mean = statistics[channel], scale = inverse_deviation(statistics, channel, params);
    LongSum gradients, products;
    gradients.begin();
    products.begin();
    for (uint pixel = part * params.part; pixel < end; ++pixel) {
        const uint k = pixel * params.channels + channel;
        const float given = load(gradient, k, params.run, 1);
        gradients.add(given);
        products.add(given * ((load(source, k, params.run, 2) - mean) * scale));
    }
    const uint first = 2u * part * params.channels + channel;
    result[first] = gradients.result();
    result[first + params.channels] = products.result();
}

kernel void array_batch_gradient(constant ArrayChannelParams &params [[buffer(0)]],
                                 const device float *gradient [[buffer(1)]],
                                 const device float *source [[buffer(2)]],
                                 const device float *statistics [[buffer(3)]],
                                 const device float *sums [[buffer(4)]],
                                 const device float *gamma [[buffer(5)]], device float *result [[buffer(6)]],
                                 uint i [[thread_position_in_grid]]) {
    if (i >= params.run.threads) return;
    const uint channel = i % params.channels;
    const float inverse = inverse_deviation(statistics, channel, params), size = float(params.pixels);
    const float normalized = (load(source, i, params.run, 2) - statistics[channel]) * inverse;
    const float rest = load(gradient, i, params.run, 1) - sums[channel] / size -
                       normalized * (sums[params.channels + channel] / size);
    store(result, rest * inverse * (params.has_gamma != 0 ? gamma[channel] : 1.0f), i, params.run, 6);
}

// ---- With the statistics of units (a unit is a set of elements that share statistics) ----

inline uint unit_begin(uint unit, constant ArrayUnitParams &params) {
    return unit / params.groups * params.image + unit % params.groups * params.channels;
}

/// Return the unit of element i.
inline uint unit_of(uint i, constant ArrayUnitParams &params) {
    return i / params.image * params.groups + i % params.pitch / params.channels;
}

/// The numbers that are stored for each unit. An element x is normalized to (x * factor - mean - rest) *
/// inverse. The factor is a power of two that keeps squares in range. The rest is the rounding error of the
/// mean, and the inverse is 1 / norm. The steepness is the norm divided by its square root term, or 0 if the
/// norm is epsilon; the gradient needs it.
enum UnitNumber {
    unit_mean = 0,
    unit_inverse = 1,
    unit_rest = 2,
    unit_factor = 3,
    unit_steepness = 4,
    unit_numbers = 5
};

inline bool is_centred(constant ArrayUnitParams &params) {
    return VectorNorm(params.norm) == VectorNorm::deviation;
}
inline bool adds_magnitudes(constant ArrayUnitParams &params) {
    return VectorNorm(params.norm) == VectorNorm::l1_norm;
}
/// Return the number by which the sum in a unit's norm is divided.
inline float unit_divisor(constant ArrayUnitParams &params) {
    const VectorNorm norm = VectorNorm(params.norm);
    const bool averages = norm == VectorNorm::deviation || norm == VectorNorm::root_mean_square;
    return averages ? float(params.pixels * params.channels) : 1.0f;
}

/// The position of an element in a unit. The threads of a group process adjacent elements at the same time.
struct UnitElement {
    uint pixel, channel;

    void begin(uint thread_index, constant ArrayUnitParams &params) {
        pixel = thread_index / params.channels;
        channel = thread_index % params.channels;
    }
    /// Advance to the thread's next element. `step` is the number of threads, expressed as a position.
    void advance(UnitElement step, constant ArrayUnitParams &params) {
        pixel += step.pixel;
        channel += step.channel;
        if (channel < params.channels) return;
        channel -= params.channels;
        ++pixel;
    }
};

/// The sums that a thread computes over its elements of a unit.
struct UnitSums {
    float total, squares, largest;
};

/// Sum the deviations (x * factor - mean), and their squares or magnitudes. Also find the largest magnitude
/// of x.
inline UnitSums unit_sums(const device float *source, uint unit, uint thread_index, float factor, float mean,
                          constant ArrayUnitParams &params) {
    const uint begin = unit_begin(unit, params);
    const bool magnitudes = adds_magnitudes(params);
    UnitElement at, step;
    at.begin(thread_index, params);
    step.begin(unit_threads, params);
    LongSum totals, squares;
    totals.begin();
    squares.begin();
    UnitSums sums;
    sums.largest = 0.0f;
    for (; at.pixel < params.pixels; at.advance(step, params)) {
        const float x = load(source, begin + at.pixel * params.pitch + at.channel, params.run, 1);
        const float deviation = x * factor - mean;
        totals.add(deviation);
        squares.add(magnitudes ? fabs(deviation) : deviation * deviation);
        sums.largest = max(sums.largest, fabs(x));
    }
    sums.total = totals.result();
    sums.squares = squares.result();
    return sums;
}

/// Store a unit's statistics (mean, inverse of the norm and others), and return the norm. `sums` has the sums
/// of the deviations from the mean.
inline float unit_statistics(device float *result, uint unit, UnitSums sums, float factor, float mean,
                             bool stores, constant ArrayUnitParams &params) {
    const float size = float(params.pixels * params.channels), epsilon = params.epsilon * factor;
    const EpsilonRule rule = EpsilonRule(params.epsilon_rule);
    const bool magnitudes = adds_magnitudes(params);
    const float total = is_centred(params) ? sums.total : 0.0f, rest = total / size;
    float square = (sums.squares - total * rest) / unit_divisor(params);
    square = square < 0.0f ? 0.0f : square;
    if (rule == EpsilonRule::inside) square += magnitudes ? epsilon : epsilon * factor;
    const float root = magnitudes ? square : sqrt(square);
    const bool is_least = rule == EpsilonRule::minimum && root < epsilon;
    const float norm = is_least ? epsilon : rule == EpsilonRule::outside ? root + epsilon : root;
    if (!stores) return norm;
    device float *numbers = result + unit_numbers * unit;
    numbers[unit_mean] = mean;
    numbers[unit_inverse] = norm == 0.0f ? 0.0f : 1.0f / norm;
    numbers[unit_rest] = rest;
    numbers[unit_factor] = factor;
    numbers[unit_steepness] = is_least || root == 0.0f ? 0.0f : magnitudes ? 1.0f : norm / root;
    return norm;
}

inline float added(float a, float b) { return a + b; }
inline float larger(float a, float b) { return max(a, b); }

/// Combine the values of all threads of a group pairwise (a tree reduction), and give the result to all
/// threads.
#define TOGETHER(COMBINE, VALUE)                                                                             \
    shared[thread_index] = VALUE;                                                                            \
    threadgroup_barrier(mem_flags::mem_threadgroup);                                                         \
    for (uint half_of = unit_threads / 2u; half_of > 0u; half_of /= 2u) {                                    \
        if (thread_index < half_of)                                                                          \
            shared[thread_index] = COMBINE(shared[thread_index], shared[thread_index + half_of]);            \
        threadgroup_barrier(mem_flags::mem_threadgroup);                                                     \
    }                                                                                                        \
    VALUE = shared[0];                                                                                       \
    threadgroup_barrier(mem_flags::mem_threadgroup);

/// Compute the statistics of each unit, with a group of threads for each unit. If squares overflow or
/// underflow a float, or the inverse of the norm underflows, the elements are scaled and the statistics are
/// computed again.
[[max_total_threads_per_threadgroup(64)]] kernel void array_unit_statistics(
    constant ArrayUnitParams &params [[buffer(0)]], const device float *source [[buffer(1)]],
    device float *result [[buffer(2)]], threadgroup float *shared [[threadgroup(0)]],
    uint unit [[threadgroup_position_in_grid]], uint thread_index [[thread_index_in_threadgroup]]) {
    float factor = 1.0f;
    for (uint attempt = 0u; attempt < 2u; ++attempt) {
        float mean = 0.0f;
        if (is_centred(params)) {
            mean = unit_sums(source, unit, thread_index, factor, 0.0f, params).total;
            TOGETHER(added, mean)
            mean /= float(params.pixels * params.channels);
        }
        UnitSums sums = unit_sums(source, unit, thread_index, factor, mean, params);
        TOGETHER(added, sums.total)
        TOGETHER(added, sums.squares)
        TOGETHER(larger, sums.largest)
        const float norm = unit_statistics(result, unit, sums, factor, mean, thread_index == 0u, params);
        if (norm >= 1e-15f && norm < 1e37f) return;
        if (!(sums.largest > 0.0f && sums.largest < INFINITY)) return;
        factor = exp2(-clamp(floor(log2(sums.largest)), -126.0f, 126.0f));
    }
}

inline float unit_normalized(float x, const device float *statistics, uint unit) {
    const device float *numbers = statistics + unit_numbers * unit;
    return (x * numbers[unit_factor] - numbers[unit_mean] - numbers[unit_rest]) * numbers[unit_inverse];
}

kernel void array_unit_normalization(constant ArrayUnitParams &params [[buffer(0)]],
                                     const device float *source [[buffer(1)]],
                                     const device float *statistics [[buffer(2)]],
                                     const device float *gamma [[buffer(3)]],
                                     const device float *beta [[buffer(4)]],
                                     device float *result [[buffer(5)]], uint i [[thread_position_in_grid]]) {
    if (i >= params.run.threads) return;
    const uint channel = i % params.pitch;
    float value = unit_normalized(load(source, i, params.run, 1), statistics, unit_of(i, params));
    if (params.has_gamma != 0) value *= gamma[channel];
    if (params.has_beta != 0) value += beta[channel];
    const float4 activated = activate(float4(value), params.activation, float4(0.0f));
    store(result, activated[0], i, params.run, 5);
}

/// For a thread's elements, sum gradient * gamma, and gradient * gamma * normalized input.
inline UnitSums gradient_sums(const device float *gradient, const device float *source,
                              const device float *statistics, const device float *gamma, uint unit,
                              uint thread_index, constant ArrayUnitParams &params) {
    const uint begin = unit_begin(unit, params);
    UnitElement at, step;
    at.begin(thread_index, params);
    step.begin(unit_threads, params);
    LongSum gradients, products;
    gradients.begin();
    products.begin();
    for (; at.pixel < params.pixels; at.advance(step, params)) {
        const uint k = begin + at.pixel * params.pitch + at.channel;
        float given = load(gradient, k, params.run, 1);
        if (params.has_gamma != 0) given *= gamma[k % params.pitch];
        gradients.add(given);
        products.add(given * unit_normalized(load(source, k, params.run, 2), statistics, unit));
    }
    UnitSums sums;
    sums.total = gradients.result();
    sums.squares = products.result();
    sums.largest = 0.0f;
    return sums;
}

/// For each unit, compute the means of gradient * gamma, and of gradient * gamma * normalized input.
[[max_total_threads_per_threadgroup(64)]] kernel void
array_unit_means(constant ArrayUnitParams &params [[buffer(0)]], const device float *gradient [[buffer(1)]],
                 const device float *source [[buffer(2)]], const device float *statistics [[buffer(3)]],
                 const device float *gamma [[buffer(4)]], device float *result [[buffer(5)]],
                 threadgroup float *shared [[threadgroup(0)]], uint unit [[threadgroup_position_in_grid]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
    UnitSums sums = gradient_sums(gradient, source, statistics, gamma, unit, thread_index, params);
    TOGETHER(added, sums.total)
    TOGETHER(added, sums.squares)
    if (thread_index != 0u) return;
    const float size = float(params.pixels * params.channels);
    result[2u * unit] = is_centred(params) ? sums.total / size : 0.0f;
    result[2u * unit + 1u] = sums.squares / unit_divisor(params);
}

kernel void array_unit_gradient(constant ArrayUnitParams &params [[buffer(0)]],
                                const device float *gradient [[buffer(1)]],
                                const device float *source [[buffer(2)]],
                                const device float *statistics [[buffer(3)]],
                                const device float *gamma [[buffer(4)]],
                                const device float *means [[buffer(5)]], device float *result [[buffer(6)]],
                                uint i [[thread_position_in_grid]]) {
    if (i >= params.run.threads) return;
    const uint unit = unit_of(i, params);
    float given = load(gradient, i, params.run, 1);
    if (params.has_gamma != 0) given *= gamma[i % params.pitch];
    const device float *numbers = statistics + unit_numbers * unit;
    const float normalized = unit_normalized(load(source, i, params.run, 2), statistics, unit);
    const float direction = adds_magnitudes(params) ? sign(normalized) : normalized;
    const float slope = means[2u * unit + 1u] * numbers[unit_steepness];
    const float rest = given - means[2u * unit] - direction * slope;
    store(result, rest * (numbers[unit_inverse] * numbers[unit_factor]), i, params.run, 6);
}

// ---- Across channels ----

/// Return delta + scale * (sum of squares) for a channel's window, the base of the normalization's power.
inline float neighbours_base(const device float *source, uint first, int channel,
                             constant ArrayNeighboursParams &params) {
    const int begin = max(channel - params.before, 0),
              end = min(channel + params.after, int(params.channels) - 1);
    float sum = 0.0f;
    for (int c = begin; c <= end; ++c) {
        const float x = load(source, first + uint(c), params.run, 2);
        sum = fma(x, x, sum);
    }
    return fma(sum, params.scale, params.delta);
}

kernel void array_neighbours_gradient(constant ArrayNeighboursParams &params [[buffer(0)]],
                                      const device float *gradient [[buffer(1)]],
                                      const device float *source [[buffer(2)]],
                                      device float *result [[buffer(3)]],
                                      uint i [[thread_position_in_grid]]) {
    if (i >= params.run.threads) return;
    const int channel = int(i % params.channels);
    const uint first = i - uint(channel);
    // These are the channels whose windows include this channel.
    const int begin = max(channel - params.after, 0),
              end = min(channel + params.before, int(params.channels) - 1);
    float owed = 0.0f, own = 0.0f;
    for (int c = begin; c <= end; ++c) {
        const float base = neighbours_base(source, first, c, params), power = pow(base, -params.beta);
        const float given = load(gradient, first + uint(c), params.run, 1) * power;
        if (c == channel) own = given;
        owed += given * load(source, first + uint(c), params.run, 2) / base;
    }
    const float x = load(source, i, params.run, 2);
    store(result, fma(-2.0f * params.scale * params.beta * x, owed, own), i, params.run, 3);
}
