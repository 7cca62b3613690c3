// Normalizations by statistics of the data, and gradients of normalizations.

#include <metal_stdlib>

#include "activation.h"
#include "array_access.h"
#include "array_channels.h"
#include "array_normalization_params.h"
#include "magnitude.h"
#include "vector_norm.h"

using namespace metal;

// ---- With the statistics of a batch: the means of all channels, then the variances ----

/// Adds up two sums over pixels: the deviations from a mean, and their squares.
template <typename Stored, typename Lanes> struct DeviationTerms {
    typedef Lanes Values;
    const device Stored *source; ///< the thread's channels of the first pixel
    uint pitch;                  ///< stride from one pixel to the next, in units of `Stored`
    Lanes mean;
    LongSums<Lanes> squares, deviations;

    Lanes read(uint pixel) { return as_floats(source[pixel * pitch]); }
    void add(Lanes values) {
        const Lanes deviation = values - mean;
        squares.add(deviation * deviation);
        deviations.add(deviation);
    }
};

/// Store the two sums of a thread in threadgroup memory, where ADD_ROWS adds the sums of several threads.
template <typename Lanes>
inline void share_sums(threadgroup float4 *shared, Lanes first, Lanes second, uint thread_index) {
    shared[thread_index] = as_quad(first);
    shared[uint(channel_threads) + thread_index] = as_quad(second);
}

/// Store two sums of each channel: the first sums of all channels precede the second ones. The sums are
/// always floats, so they are stored as if to buffer 0, which never holds halves.
inline void put_sums(device float *result, const threadgroup float4 *shared, ChannelPlace at,
                     uint thread_index, constant ArrayChannelParams &params) {
    if (!at.stores) return;
    const uint first = 2u * at.part * params.channels;
    store_channels(result, shared[thread_index], first, at, params.lanes, params.run, 0u);
    store_channels(result, shared[uint(channel_threads) + thread_index], first + params.channels, at,
                   params.lanes, params.run, 0u);
}

template <typename Stored, typename Lanes>
inline void sum_deviations(const device float *source, const device float *means, threadgroup float4 *shared,
                           ChannelPlace at, uint thread_index, constant ArrayChannelParams &params) {
    DeviationTerms<Stored, Lanes> terms;
    terms.pitch = params.channels / lanes_of<Lanes>();
    terms.source = reinterpret_cast<const device Stored *>(source) + at.quad;
    terms.mean = floats_at<Lanes>(means, at.quad * lanes_of<Lanes>());
    terms.squares.begin();
    terms.deviations.begin();
    for_each_pixel(terms, at.first, at.step, params.pixels);
    share_sums<Lanes>(shared, terms.squares.result(), terms.deviations.result(), thread_index);
}

/// Compute the parts of the sums of DeviationTerms.
[[max_total_threads_per_threadgroup(256)]] kernel void
array_channel_deviations(constant ArrayChannelParams &params [[buffer(0)]],
                         const device float *source [[buffer(1)]], const device float *means [[buffer(2)]],
                         device float *result [[buffer(3)]], threadgroup float *memory [[threadgroup(0)]],
                         uint group [[threadgroup_position_in_grid]],
                         uint thread_index [[thread_index_in_threadgroup]]) {
    threadgroup float4 *shared = reinterpret_cast<threadgroup float4 *>(memory);
    const bool halves = holds_halves(params.run, 1u);
    ChannelPlace at;
    at.begin(group, thread_index, params.channels / params.lanes, params.columns, params.parts);
    if (params.lanes == 4u) {
        if (halves)
            sum_deviations<half4, float4>(source, means, shared, at, thread_index, params);
        else
            sum_deviations<float4, float4>(source, means, shared, at, thread_index, params);
    } else {
        if (halves)
            sum_deviations<half, float>(source, means, shared, at, thread_index, params);
        else
            sum_deviations<float, float>(source, means, shared, at, thread_index, params);
    }
    ADD_ROWS(shared, 2u, thread_index, params.columns)
    put_sums(result, shared, at, thread_index, params);
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

template <typename Lanes>
inline Lanes inverse_deviation(const device float *statistics, uint channel,
                               constant ArrayChannelParams &params) {
    return Lanes(1.0f) /
           sqrt(floats_at<Lanes>(statistics, params.channels + channel) + Lanes(params.epsilon));
}

inline float activate_lanes(float values, constant ActivationParams &activation) {
    return activate(float4(values), activation, float4(0.0f))[0];
}
inline float4 activate_lanes(float4 values, constant ActivationParams &activation) {
    return activate(values, activation, float4(0.0f));
}

template <typename Lanes>
inline void normalize(const device float *source, const device float *statistics, const device float *gamma,
                      const device float *beta, device float *result, uint i,
                      constant ArrayChannelParams &params) {
    const uint first = i * lanes_of<Lanes>(), channel = first % params.channels;
    Lanes scale = inverse_deviation<Lanes>(statistics, channel, params), shift = Lanes(0.0f), value;
    if (params.has_gamma != 0) scale *= floats_at<Lanes>(gamma, channel);
    if (params.has_beta != 0) shift = floats_at<Lanes>(beta, channel);
    load_lanes(value, source, first, params.run, 1u);
    value = fma(value - floats_at<Lanes>(statistics, channel), scale, shift);
    store_lanes(result, activate_lanes(value, params.activation), first, params.run, 5u);
}

kernel void array_batch_normalization(constant ArrayChannelParams &params [[buffer(0)]],
                                      const device float *source [[buffer(1)]],
                                      const device float *statistics [[buffer(2)]],
                                      const device float *gamma [[buffer(3)]],
                                      const device float *beta [[buffer(4)]],
                                      device float *result [[buffer(5)]],
                                      uint i [[thread_position_in_grid]]) {
    if (i >= params.run.threads) return;
    if (params.lanes == 4u)
        normalize<float4>(source, statistics, gamma, beta, result, i, params);
    else
        normalize<float>(source, statistics, gamma, beta, result, i, params);
}

/// Adds up two sums over pixels: the gradients, and the gradients times the normalized input.
template <typename Stored, typename Lanes> struct BatchTerms {
    struct Values {
        Lanes gradient, source;
    };
    const device float *gradient; ///< the thread's channels of the first pixel
    const device Stored *source;
    uint pitch; ///< stride from one pixel to the next, in units of `Stored`
    Lanes mean, scale;
    LongSums<Lanes> gradients, products;

    Values read(uint pixel) {
        Values values;
        values.gradient = floats_at<Lanes>(gradient, pixel * pitch * lanes_of<Lanes>());
        values.source = as_floats(source[pixel * pitch]);
        return values;
    }
    void add(Values values) {
        gradients.add(values.gradient);
        products.add(values.gradient * ((values.source - mean) * scale));
    }
};

template <typename Stored, typename Lanes>
inline void sum_gradients(const device float *gradient, const device float *source,
                          const device float *statistics, threadgroup float4 *shared, ChannelPlace at,
                          uint thread_index, constant ArrayChannelParams &params) {
    const uint channel = at.quad * lanes_of<Lanes>();
    BatchTerms<Stored, Lanes> terms;
    terms.pitch = params.channels / lanes_of<Lanes>();
    terms.gradient = gradient + channel;
    terms.source = reinterpret_cast<const device Stored *>(source) + at.quad;
    terms.mean = floats_at<Lanes>(statistics, channel);
    terms.scale = inverse_deviation<Lanes>(statistics, channel, params);
    terms.gradients.begin();
    terms.products.begin();
    for_each_pixel(terms, at.first, at.step, params.pixels);
    share_sums<Lanes>(shared, terms.gradients.result(), terms.products.result(), thread_index);
}

/// Compute the parts of the sums of BatchTerms. Gradients are floats in every precision.
[[max_total_threads_per_threadgroup(256)]] kernel void
array_batch_sums(constant ArrayChannelParams &params [[buffer(0)]],
                 const device float *gradient [[buffer(1)]], const device float *source [[buffer(2)]],
                 const device float *statistics [[buffer(3)]], device float *result [[buffer(4)]],
                 threadgroup float *memory [[threadgroup(0)]], uint group [[threadgroup_position_in_grid]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
    threadgroup float4 *shared = reinterpret_cast<threadgroup float4 *>(memory);
    const bool halves = holds_halves(params.run, 2u);
    ChannelPlace at;
    at.begin(group, thread_index, params.channels / params.lanes, params.columns, params.parts);
    if (params.lanes == 4u) {
        if (halves)
            sum_gradients<half4, float4>(gradient, source, statistics, shared, at, thread_index, params);
        else
            sum_gradients<float4, float4>(gradient, source, statistics, shared, at, thread_index, params);
    } else {
        if (halves)
            sum_gradients<half, float>(gradient, source, statistics, shared, at, thread_index, params);
        else
            sum_gradients<float, float>(gradient, source, statistics, shared, at, thread_index, params);
    }
    ADD_ROWS(shared, 2u, thread_index, params.columns)
    put_sums(result, shared, at, thread_index, params);
}

template <typename Lanes>
inline void batch_gradient(const device float *gradient, const device float *source,
                           const device float *statistics, const device float *sums,
                           const device float *gamma, device float *result, uint i,
                           constant ArrayChannelParams &params) {
    const uint first = i * lanes_of<Lanes>(), channel = first % params.channels;
    const float size = float(params.pixels);
    const Lanes inverse = inverse_deviation<Lanes>(statistics, channel, params);
    Lanes given, input;
    load_lanes(given, gradient, first, params.run, 1u);
    load_lanes(input, source, first, params.run, 2u);
    const Lanes normalized = (input - floats_at<Lanes>(statistics, channel)) * inverse;
    const Lanes rest = given - floats_at<Lanes>(sums, channel) / size -
                       normalized * (floats_at<Lanes>(sums, params.channels + channel) / size);
    const Lanes scale = params.has_gamma != 0 ? floats_at<Lanes>(gamma, channel) : Lanes(1.0f);
    store_lanes(result, rest * inverse * scale, first, params.run, 6u);
}

kernel void array_batch_gradient(constant ArrayChannelParams &params [[buffer(0)]],
                                 const device float *gradient [[buffer(1)]],
                                 const device float *source [[buffer(2)]],
                                 const device float *statistics [[buffer(3)]],
                                 const device float *sums [[buffer(4)]],
                                 const device float *gamma [[buffer(5)]], device float *result [[buffer(6)]],
                                 uint i [[thread_position_in_grid]]) {
    if (i >= params.run.threads) return;
    if (params.lanes == 4u)
        batch_gradient<float4>(gradient, source, statistics, sums, gamma, result, i, params);
    else
        batch_gradient<float>(gradient, source, statistics, sums, gamma, result, i, params);
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
/// mean, and the inverse is 1 / norm. The gradient needs the steepness: norm / root (see UnitNorm), 1 for the
/// L1 norm, or 0 if the norm is epsilon or the root is 0.
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
    const float size = float(params.pixels * params.channels);
    const float total = is_centred(params) ? sums.total : 0.0f, rest = total / size;
    float square = (sums.squares - total * rest) / unit_divisor(params);
    square = square < 0.0f ? 0.0f : square;
    const UnitNorm of =
        unit_norm(square, params.epsilon, factor, VectorNorm(params.norm), EpsilonRule(params.epsilon_rule));
    if (!stores) return of.norm;
    device float *numbers = result + unit_numbers * unit;
    numbers[unit_mean] = mean;
    numbers[unit_inverse] = of.norm == 0.0f ? 0.0f : 1.0f / of.norm;
    numbers[unit_rest] = rest;
    numbers[unit_factor] = factor;
    numbers[unit_steepness] = of.is_epsilon || of.root == 0.0f ? 0.0f
                              : adds_magnitudes(params)        ? 1.0f
                                                               : of.norm / of.root;
    return of.norm;
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
        factor = factor_for(float4(sums.largest))[0];
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

/// Compute two numbers for each unit's gradient: the mean of gradient * gamma (0 if the norm subtracts no
/// mean), and the sum of gradient * gamma * normalized input divided by unit_divisor().
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
