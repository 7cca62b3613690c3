#pragma once

// The second pass of the gradient of batch normalization, which applies sums over all pixels. Its result has
// elements of the type V::element. The instances with bfloat16 are used only if convolutions, dense layers
// and their gradients are the only readers of the result.
//
// The coefficients of each vector are read from L1. The speed is limited by memory: 12 bytes for each
// element, or 10 with results in bfloat16.

#include "cpu/isa/lanes.h"
#include "cpu/kernels/elementwise/recomputed_normalization.h"
#include "cpu/kernels/shared/pixels.h"
#include "cpu/kernels/shared/stream.h"
#include "cpu/kernels/shared/work_split.h"

namespace mpscnn::cpu {
namespace {

/// Return 1 / sqrt(variance + epsilon) of a vector of channels.
template <class V>
MPSCNN_INLINE typename V::reg inverse_deviation(const ConstView &statistics, float epsilon,
                                                std::int64_t channel, std::int64_t left) {
    const auto variance = load_lanes<V>(pixel_at(statistics, 0, statistics_variance, 0) + channel, left);
    return V::div(V::set1(1.0f), V::sqrt(V::add(variance, V::set1(epsilon))));
}

/// Arrays in a worker's memory with one number for each channel, padded to whole vectors.
class ChannelNumbers {
public:
    ChannelNumbers(std::byte *memory, std::int64_t floats)
        : next_(reinterpret_cast<float *>(memory)), floats_(floats) {}
    float *take() {
        float *const taken = next_;
        next_ += floats_;
        return taken;
    }

private:
    float *next_;
    std::int64_t floats_;
};

/// Selects the gradients that the activation after the normalization lets through. If there is no activation,
/// `applies` is false, and the mask selects all gradients.
template <class V, bool applies> class Mask {
public:
    static constexpr std::int64_t arrays = applies ? 2 : 0;

    template <class TaskType> Mask(const TaskType &task, ChannelNumbers &numbers, std::int64_t channels) {
        if constexpr (applies) {
            scale_ = numbers.take(), shift_ = numbers.take();
            low_ = V::set1(task.mask.low), high_ = V::set1(task.mask.high);
            for (std::int64_t c = 0; c < channels; c += V::width) {
                const ScaleAndShift<V> own(task.mask, task.statistics, task.epsilon, c, channels - c);
                V::store(scale_ + c, own.scale);
                V::store(shift_ + c, own.shift);
            }
        }
    }
    /// Return the vector of gradients, with zeros where the activation clamps the result. `away` is the
    /// source minus the mean.
    MPSCNN_INLINE typename V::reg passed(typename V::reg gradient, typename V::reg away,
                                         std::int64_t channel) const {
        if constexpr (!applies) return gradient;
        const auto x = V::fma(away, V::load(scale_ + channel), V::load(shift_ + channel));
        return V::select(V::less(low_, x), V::select(V::less(x, high_), gradient, V::zero()), V::zero());
    }

private:
    float *scale_ = nullptr, *shift_ = nullptr;
    typename V::reg low_{}, high_{};
};

template <class V>
Prepared normalization_gradient_prepare(const NormalizationGradientTask &task, const Planning &planning) {
    const WorkSplit split = split_elements(task.destination, planning.threads);
    const std::int64_t floats = (4 + Mask<V, true>::arrays) * round_up(task.destination.channels, V::width);
    return planning.keep(split, split.items(), static_cast<std::size_t>(floats) * sizeof(float));
}

template <class V, bool masks>
void apply_sums(const NormalizationGradientTask &task, const WorkSplit &split, std::int64_t begin,
                std::int64_t end, Worker &worker) {
    const View &to = task.destination;
    // The result is a * gradient + b * (source - mean) + c.
    ChannelNumbers numbers(worker.scratch, round_up(to.channels, V::width));
    float *const a = numbers.take(), *const b = numbers.take(), *const c = numbers.take(),
                 *const means = numbers.take();
    const Mask<V, masks> mask(task, numbers, to.channels);
    const auto count =
        V::set1(1.0f / static_cast<float>(task.source.batch * task.source.height * task.source.width));
    for (std::int64_t channel = 0; channel < to.channels; channel += V::width) {
        const std::int64_t left = to.channels - channel;
        const auto row = [&](const ConstView &view, std::int64_t y) {
            return load_lanes<V>(pixel_at(view, 0, y, 0) + channel, left);
        };
        const auto inverse = inverse_deviation<V>(task.statistics, task.epsilon, channel, left);
        const auto factor =
            task.has_gamma ? V::mul(load_lanes<V>(task.gamma.data + channel, left), inverse) : inverse;
        const auto of_gradient = V::mul(row(task.sums, 0), count),
                   of_product = V::mul(row(task.sums, 1), count);
        const auto slope = V::sub(V::zero(), V::mul(V::mul(factor, inverse), of_product));
        V::store(a + channel, factor);
        V::store(b + channel, slope);
        V::store(c + channel, V::sub(V::zero(), V::mul(factor, of_gradient)));
        V::store(means + channel, row(task.statistics, statistics_mean));
    }
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = split.item(index);
        for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y)
            for (std::int64_t x = 0; x < to.width; ++x) {
                const float *source = pixel_at(task.source, item.image, y, x);
                const float *gradient = pixel_at(task.gradient, item.image, y, x);
                auto *out = pixel_at<typename V::element>(to, item.image, y, x);
                for (std::int64_t channel = 0; channel < to.channels; channel += V::width) {
                    const std::int64_t left = to.channels - channel;
                    prefetch<V::width>(source + channel), prefetch<V::width>(gradient + channel);
                    const auto away = V::sub(load_lanes<V>(source + channel, left), V::load(means + channel));
                    const auto passed = mask.passed(load_lanes<V>(gradient + channel, left), away, channel);
                    const auto rest = V::fma(V::load(b + channel), away, V::load(c + channel));
                    store_lanes<V>(out + channel, V::fma(V::load(a + channel), passed, rest),
                                   to.writable_channels - channel);
                }
            }
    }
}

template <class V>
void normalization_gradient_run(const NormalizationGradientTask &task, const Prepared &prepared,
                                std::int64_t begin, std::int64_t end, Worker &worker) {
    const auto &split = prepared.plan_as<WorkSplit>();
    task.mask.applies ? apply_sums<V, true>(task, split, begin, end, worker)
                      : apply_sums<V, false>(task, split, begin, end, worker);
}

} // namespace
} // namespace mpscnn::cpu
