#pragma once

// The scaling of a binary convolution's sums by the inputs' size (Rastegari et al., XNOR-Net, 2016: K = A *
// k). Registers: a few sums. Bound by loads: each input is read once, each of its sums once for each tap.

#include "cpu/pixel_epilogue.h"
#include "cpu/window_taps.h"
#include "cpu/work_split.h"

namespace mpscnn::cpu {
namespace {

template <class V> inline float sum_of_magnitudes(const float *pixel, std::int64_t channels) {
    auto sum = V::zero();
    for (std::int64_t channel = 0; channel < channels; channel += V::width) {
        const auto x = load_lanes<V>(pixel + channel, channels - channel);
        sum = V::add(sum, V::select(V::less(x, V::zero()), V::sub(V::zero(), x), x));
    }
    return V::sum(sum);
}

/// For each column of the source the sum of magnitudes over the window's rows.
template <class V>
inline void sum_columns(const BetaScalingTask &task, std::int64_t image, std::int64_t y, float *sums) {
    const ConstView &source = task.source;
    const WindowAxis &axis = task.vertical;
    for (std::int64_t x = 0; x < source.width; ++x) sums[x] = 0.0f;
    for (std::int64_t tap = 0; tap < axis.kernel; ++tap) {
        const std::int64_t row = window_begin(axis, y) + tap * axis.dilation;
        if (row < 0 || row >= source.height) continue;
        for (std::int64_t x = 0; x < source.width; ++x)
            sums[x] += sum_of_magnitudes<V>(pixel_at(source, image, row, x), source.channels);
    }
}

template <class V> Prepared beta_scaling_prepare(const BetaScalingTask &task, const Planning &planning) {
    const WorkSplit split = split_elements(task.destination, planning.threads);
    return planning.keep(split, split.items(), static_cast<std::size_t>(task.source.width) * sizeof(float));
}

template <class V>
inline void scale_row(const BetaScalingTask &task, std::int64_t image, std::int64_t y, const float *sums) {
    const View &to = task.destination;
    const WindowAxis &axis = task.horizontal;
    const float share = 1.0f / static_cast<float>(task.vertical.kernel * axis.kernel * task.source.channels);
    for (std::int64_t x = 0; x < to.width; ++x) {
        float sum = 0.0f;
        for (std::int64_t tap = 0; tap < axis.kernel; ++tap) {
            const std::int64_t column = window_begin(axis, x) + tap * axis.dilation;
            if (column >= 0 && column < task.source.width) sum += sums[column];
        }
        const auto beta = V::set1(sum * share);
        const float *pixel = pixel_at(to, image, y, x);
        for (std::int64_t channel = 0; channel < to.channels; channel += V::width) {
            const auto value = load_lanes<V>(pixel + channel, to.channels - channel);
            finish_vector<V>(to, task.epilogue, image, y, x, channel,
                             V::fma(value, beta, V::load(task.bias + channel)));
        }
    }
}

template <class V>
void beta_scaling_run(const BetaScalingTask &task, const Prepared &prepared, std::int64_t begin,
                      std::int64_t end, Worker &worker) {
    const auto &split = prepared.plan_as<WorkSplit>();
    auto *sums = reinterpret_cast<float *>(worker.scratch);
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = split.item(index);
        for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y) {
            sum_columns<V>(task, item.image, y, sums);
            scale_row<V>(task, item.image, y, sums);
        }
    }
}

} // namespace
} // namespace mpscnn::cpu
