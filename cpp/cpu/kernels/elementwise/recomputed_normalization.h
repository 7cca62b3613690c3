#pragma once

// Recomputes the result of a batch normalization and the activation after it from the normalization's source.
// Training then need not keep this result in memory for the backward pass.

#include "cpu/isa/lanes.h"
#include "cpu/kernels/shared/pixel_epilogue.h"
#include "cpu/kernels/shared/pixels.h"

namespace mpscnn::cpu {
namespace {

/// The scale and shift of a vector of channels, which are applied after the mean is subtracted. Their bits
/// are the same as in the forward pass.
template <class V> struct ScaleAndShift {
    typename V::reg scale, shift;

    /// Without `gamma` and `beta` the scale is 1 / deviation and the shift 0. If the statistics have a
    /// factor, they hold the variance of the source times `factor`, and `scale` applies to differences from
    /// the mean times `factor`.
    MPSCNN_INLINE ScaleAndShift(const ConstView &statistics, std::int64_t image, float epsilon,
                                const float *gamma, const float *beta, std::int64_t channel,
                                std::int64_t left, typename V::reg factor = V::set1(1.0f)) {
        const auto variance =
            load_lanes<V>(pixel_at(statistics, image, statistics_variance, 0) + channel, left);
        const auto added = V::mul(V::mul(V::set1(epsilon), factor), factor);
        const auto deviation = V::sqrt(V::add(variance, added));
        const auto size = gamma ? load_lanes<V>(gamma + channel, left) : V::set1(1.0f);
        scale = V::div(size, deviation);
        shift = beta ? load_lanes<V>(beta + channel, left) : V::zero();
    }
    MPSCNN_INLINE ScaleAndShift(const RecomputedNormalization &normalization, const ConstView &statistics,
                                float epsilon, std::int64_t channel, std::int64_t left)
        : ScaleAndShift(statistics, 0, epsilon, normalization.has_gamma ? normalization.gamma.data : nullptr,
                        normalization.has_beta ? normalization.beta.data : nullptr, channel, left) {}
};

/// Copies pixels of a tensor and normalizes them.
template <class V> class NormalizedCopy {
public:
    /// Return the floats of memory that the object needs. They are padded, so that vectors may be read from
    /// any channel on.
    static std::int64_t floats(std::int64_t channels) { return 3 * pitch(channels); }

    template <class TaskType>
    NormalizedCopy(const TaskType &task, float *memory)
        : means_(memory), scales_(means_ + pitch(task.source.channels)),
          shifts_(scales_ + pitch(task.source.channels)),
          clamp_(Limits{task.normalization.low, task.normalization.high}) {
        const std::int64_t channels = task.source.channels;
        for (std::int64_t c = 0; c < channels; c += V::width) {
            const std::int64_t left = channels - c;
            const ScaleAndShift<V> own(task.normalization, task.statistics, task.epsilon, c, left);
            V::store(means_ + c, load_lanes<V>(pixel_at(task.statistics, 0, statistics_mean, 0) + c, left));
            V::store(scales_ + c, own.scale);
            V::store(shifts_ + c, own.shift);
        }
    }

    /// Normalize `count` channels of a pixel. `from` and `to` point to channel number `channel`.
    template <class Result>
    MPSCNN_INLINE void operator()(const float *from, Result *to, std::int64_t channel,
                                  std::int64_t count) const {
        for (std::int64_t c = 0; c < count; c += V::width) {
            const std::int64_t at = channel + c, left = count - c;
            const auto away = V::sub(load_lanes<V>(from + c, left), V::load(means_ + at));
            store_lanes<V>(to + c, clamp_(V::fma(away, V::load(scales_ + at), V::load(shifts_ + at))), left);
        }
    }
    /// Normalize a vector of channels of `pixels` pixels, of which `left` channels exist, and store whole
    /// vectors.
    template <int pixels>
    MPSCNN_INLINE void vectors(const float *from, std::ptrdiff_t stride, float *to, std::ptrdiff_t to_stride,
                               std::int64_t channel, std::int64_t left) const {
        const auto mean = V::load(means_ + channel), scale = V::load(scales_ + channel),
                   shift = V::load(shifts_ + channel);
#pragma GCC unroll 4
        for (int p = 0; p < pixels; ++p) {
            __builtin_prefetch(from + (p + 2 * pixels) * stride);
            const auto away = V::sub(load_lanes<V>(from + p * stride, left), mean);
            V::store(to + p * to_stride, clamp_(V::fma(away, scale, shift)));
        }
    }

private:
    static std::int64_t pitch(std::int64_t channels) { return round_up(channels, V::width) + V::width; }

    float *means_, *scales_, *shifts_;
    Clamp<V> clamp_;
};

} // namespace
} // namespace mpscnn::cpu
