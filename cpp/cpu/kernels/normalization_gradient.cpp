// Gradients of batch normalization: the sums over all pixels, then one pass that applies them.
//
// Registers: the sums of four vectors of channels; while they are applied, the four coefficients of a vector
// come from memory. Bound by memory: 8 bytes for each element of the sums, 12 of the pass that applies them.
// What limits it: few channels, which leave lanes empty.

#include "cpu/isa/instance.h"
#include "cpu/kernels/piece_sums.h"
#include "cpu/kernels/pixel_epilogue.h"
#include "cpu/kernels/work_split.h"

namespace mpscnn::cpu {
namespace {

/// 1 / sqrt(variance + epsilon) of a vector of channels.
template <class V>
MPSCNN_INLINE typename V::reg inverse_deviation(const ConstView &statistics, float epsilon,
                                                std::int64_t channel, std::int64_t left) {
    const auto variance = load_lanes<V>(pixel_at(statistics, 0, statistics_variance, 0) + channel, left);
    return V::div(V::set1(1.0f), V::sqrt(V::add(variance, V::set1(epsilon))));
}

template <class V>
Prepared normalization_sums_prepare(const NormalizationSumsTask &task, const Planning &planning) {
    const ConstView &from = task.source;
    const std::int64_t vectors = divide_up(from.channels, V::width);
    const WorkSplit split =
        split_work(from.batch, 1, vectors, from.batch * from.height * from.width * from.channels,
                   least_elements, planning.threads);
    return planning.keep(split, split.items());
}

template <class V>
void normalization_sums_run(const NormalizationSumsTask &task, const Prepared &prepared, std::int64_t begin,
                            std::int64_t end, Worker &) {
    const auto &split = prepared.plan_as<WorkSplit>();
    const ConstView &from = task.source;
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = split.item(index);
        for (std::int64_t vector = item.vectors.begin; vector < item.vectors.end; ++vector) {
            const std::int64_t channel = vector * V::width, left = from.channels - channel;
            const auto mean = load_lanes<V>(pixel_at(task.statistics, 0, statistics_mean, 0) + channel, left);
            const auto inverse = inverse_deviation<V>(task.statistics, task.epsilon, channel, left);
            PieceSums<V, 2> sums; // of the gradient, and of gradient * normalized
            for (std::int64_t y = 0; y < from.height; ++y) {
                const float *x = pixel_at(from, item.image, y, 0) + channel;
                const float *g = pixel_at(task.gradient, item.image, y, 0) + channel;
                for (std::int64_t i = 0; i < from.width; ++i) {
                    const auto normalized = V::mul(V::sub(load_lanes<V>(x, left), mean), inverse);
                    const auto gradient = load_lanes<V>(g, left);
                    sums.add_by([&](int sum_of, typename V::reg sum) {
                        return sum_of == 0 ? V::add(sum, gradient) : V::fma(gradient, normalized, sum);
                    });
                    x += from.pixel_stride, g += task.gradient.pixel_stride;
                }
            }
            const double *const gradients = sums.totals(0), *const products = sums.totals(1);
            float *of_gradient = pixel_at(task.destination, item.image, 0, 0) + channel;
            float *of_product = pixel_at(task.destination, item.image, 1, 0) + channel;
            for (std::int64_t i = 0; i < min(left, V::width); ++i) {
                of_gradient[i] = static_cast<float>(gradients[i]);
                of_product[i] = static_cast<float>(products[i]);
            }
        }
    }
}

template <class V>
Prepared normalization_gradient_prepare(const NormalizationGradientTask &task, const Planning &planning) {
    const WorkSplit split = split_elements(task.destination, planning.threads);
    const std::int64_t floats = 4 * round_up(task.destination.channels, V::width);
    return planning.keep(split, split.items(), static_cast<std::size_t>(floats) * sizeof(float));
}

template <class V>
void normalization_gradient_run(const NormalizationGradientTask &task, const Prepared &prepared,
                                std::int64_t begin, std::int64_t end, Worker &worker) {
    const auto &split = prepared.plan_as<WorkSplit>();
    const View &to = task.destination;
    // a * gradient + b * (source - mean) + c
    const std::int64_t pitch = round_up(to.channels, V::width);
    float *const a = reinterpret_cast<float *>(worker.scratch);
    float *const b = a + pitch, *const c = b + pitch, *const means = c + pitch;
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
                float *out = pixel_at(to, item.image, y, x);
                for (std::int64_t channel = 0; channel < to.channels; channel += V::width) {
                    const std::int64_t left = to.channels - channel;
                    const auto value =
                        V::fma(V::load(a + channel), load_lanes<V>(gradient + channel, left),
                               V::fma(V::load(b + channel),
                                      V::sub(load_lanes<V>(source + channel, left), V::load(means + channel)),
                                      V::load(c + channel)));
                    store_lanes<V>(out + channel, value, to.writable_channels - channel);
                }
            }
    }
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(NormalizationSumsTask, normalization_sums)
MPSCNN_KERNEL(NormalizationGradientTask, normalization_gradient)
