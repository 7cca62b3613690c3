// Gradients of normalizations over neighbouring channels. They need sums of squares over neighbouring
// channels, as in local_normalization.cpp. They also need the sums of each element's contributions to the
// results of neighbouring channels.
//
// Registers hold one vector of channels and the terms of the power. The speed is limited by the power, and by
// two times log2(length) passes over a pixel's channels in L1. Tensors with few channels are slower, because
// they leave lanes empty.

#include "cpu/isa/instance.h"
#include "cpu/isa/lanes.h"
#include "cpu/kernels/elementwise/neighbour_sums.h"
#include "cpu/kernels/elementwise/wide_power.h"
#include "cpu/kernels/shared/pixels.h"
#include "cpu/kernels/shared/work_split.h"

namespace mpscnn::cpu {
namespace {

/// The memory layouts of two sums over neighbours: of squares, over the normalization's window, and of
/// products, over the mirrored window.
template <class V> struct GradientLayouts {
    NeighbourLayout<V> squares, products;

    explicit MPSCNN_INLINE GradientLayouts(const CrossChannelGradientTask &task)
        : squares(task.normalization.before, task.normalization.after, task.destination.channels),
          products(task.normalization.after, task.normalization.before, task.destination.channels) {}
    /// Return the bytes of scratch memory for the values, their sums, and the bases of powers.
    MPSCNN_INLINE std::size_t bytes() const {
        return squares.bytes() + static_cast<std::size_t>(squares.channels) * sizeof(float);
    }
};

template <class V>
Prepared cross_channel_gradient_prepare(const CrossChannelGradientTask &task, const Planning &planning) {
    return prepare_elements(task.destination, planning, GradientLayouts<V>(task).bytes());
}

/// Compute a pixel's gradients in double. `products` is memory for a number of each channel.
__attribute__((noinline)) inline void wide_gradient_pixel(const CrossChannelGradientTask &task,
                                                          double *products, const float *gradient,
                                                          const float *from, float *out) {
    const CrossChannelTask &normalization = task.normalization;
    const std::int64_t channels = task.destination.channels;
    const double scale = static_cast<double>(normalization.scale),
                 beta = static_cast<double>(normalization.beta);
    const auto base = [&](std::int64_t c) {
        return wide_cross_channel_base(normalization, from, channels, c);
    };
    for (std::int64_t c = 0; c < channels; ++c) {
        const double divisor = base(c);
        // Divide first, because a power with the exponent -beta - 1 would overflow earlier.
        products[c] = static_cast<double>(gradient[c]) * static_cast<double>(from[c]) / divisor *
                      wide_power(divisor, -beta);
    }
    for (std::int64_t c = 0; c < channels; ++c) {
        double owed = 0.0;
        for (std::int64_t i = max(c - normalization.after, 0);
             i < min(c + normalization.before + 1, channels); ++i)
            owed += products[i];
        const double own = static_cast<double>(gradient[c]) * wide_power(base(c), -beta);
        out[c] = static_cast<float>(own - 2.0 * scale * beta * static_cast<double>(from[c]) * owed);
    }
}

template <class V>
__attribute__((noinline)) void
cross_channel_gradient_pixel(const CrossChannelGradientTask &task, const GradientLayouts<V> &layouts,
                             float *values, const float *gradient, const float *from, float *out) {
    const CrossChannelTask &normalization = task.normalization;
    const std::int64_t channels = task.destination.channels,
                       length = normalization.before + 1 + normalization.after;
    float *const sums = values + layouts.squares.total, *const bases = sums + layouts.squares.channels;
    store_neighbours<V>(channels, layouts.squares, values, [&](std::int64_t c, std::int64_t left) {
        const auto x = load_lanes<V>(from + c, left);
        return V::mul(x, x);
    });
    sum_neighbours<V>(values, sums, length, layouts.squares);
    auto outside = V::zero();
    for (std::int64_t c = 0; c < channels; c += V::width) {
        const auto sum = V::load(sums + c);
        outside = V::add(outside, beyond<V>(normalization.range, sum, channels - c));
        V::store(bases + c, V::fma(sum, V::set1(normalization.scale), V::set1(normalization.delta)));
    }
    store_neighbours<V>(channels, layouts.products, values, [&](std::int64_t c, std::int64_t left) {
        const auto base = V::load(bases + c);
        const auto inverse = V::div(inverse_power<V>(base, normalization.beta), base);
        const auto product = V::mul(load_lanes<V>(gradient + c, left), load_lanes<V>(from + c, left));
        const auto value = V::mul(product, inverse);
        // The sum of these values must not overflow either.
        const auto is_small = V::less(absolute<V>(value), V::set1(1e37f));
        outside = V::add(outside, fill_lanes<V>(V::select(is_small, V::zero(), V::set1(1.0f)), left, 0.0f));
        return fill_lanes<V>(value, left, 0.0f);
    });
    // The computation in double does not need `values` and `sums`. It uses their memory, which has room for a
    // double for each channel.
    if (V::sum(outside) > 0.0f)
        return wide_gradient_pixel(task, reinterpret_cast<double *>(values), gradient, from, out);
    sum_neighbours<V>(values, sums, length, layouts.products);
    const auto factor = V::set1(-2.0f * normalization.scale * normalization.beta);
    for (std::int64_t c = 0; c < channels; c += V::width) {
        const auto x = load_lanes<V>(from + c, channels - c);
        const auto own = V::mul(load_lanes<V>(gradient + c, channels - c),
                                inverse_power<V>(V::load(bases + c), normalization.beta));
        store_lanes<V>(out + c, V::fma(V::mul(factor, x), V::load(sums + c), own),
                       task.destination.writable_channels - c);
    }
}

template <class V>
void cross_channel_gradient_run(const CrossChannelGradientTask &task, const Prepared &prepared,
                                std::int64_t begin, std::int64_t end, Worker &worker) {
    const auto &split = prepared.plan_as<WorkSplit>();
    const GradientLayouts<V> layouts(task);
    const View &to = task.destination;
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = split.item(index);
        for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y)
            for (std::int64_t x = 0; x < to.width; ++x)
                cross_channel_gradient_pixel<V>(task, layouts, reinterpret_cast<float *>(worker.scratch),
                                                pixel_at(task.source, item.image, y, x),
                                                pixel_at(task.others[0], item.image, y, x),
                                                pixel_at(to, item.image, y, x));
    }
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(CrossChannelGradientTask, cross_channel_gradient)
