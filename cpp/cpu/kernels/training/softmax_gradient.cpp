// Gradients of softmax and of its logarithm. Each pixel takes a sum over its channels, and then one pass over
// them.
//
// Registers hold one sum and one vector of results. Pieces of the sum are added in float32, and their sums in
// double. The speed is limited by memory, 12 bytes for each element, or for the logarithm by the exponential.
// Tensors with few channels are slower, because each pixel waits for the sum of its lanes.

#include "cpu/isa/instance.h"
#include "cpu/isa/lanes.h"
#include "cpu/isa/simd_math.h"
#include "cpu/kernels/shared/pixels.h"
#include "cpu/kernels/shared/work_split.h"

namespace mpscnn::cpu {
namespace {

/// The number of vectors that are added in float32 before their sum is added in double.
constexpr std::int64_t softmax_piece = 64;

template <class V, bool logarithm>
MPSCNN_INLINE float gradient_sum(const float *gradient, const float *result, std::int64_t channels) {
    double total = 0;
    for (std::int64_t begin = 0; begin < channels; begin += softmax_piece * V::width) {
        const std::int64_t end = min(channels, begin + softmax_piece * V::width);
        auto sum = V::zero();
        for (std::int64_t c = begin; c < end; c += V::width) {
            const auto g = load_lanes<V>(gradient + c, end - c);
            sum = logarithm ? V::add(sum, g) : V::fma(g, load_lanes<V>(result + c, end - c), sum);
        }
        total += static_cast<double>(V::sum(sum));
    }
    return static_cast<float>(total);
}

template <class V, bool logarithm>
__attribute__((noinline)) void pixel_gradient(const float *gradient, const float *result, float *to,
                                              std::int64_t channels, std::int64_t writable) {
    const auto sum = V::set1(gradient_sum<V, logarithm>(gradient, result, channels));
    for (std::int64_t c = 0; c < channels; c += V::width) {
        const auto g = load_lanes<V>(gradient + c, channels - c), y = load_lanes<V>(result + c, channels - c);
        const auto value =
            logarithm ? V::fma(negate<V>(exponential_of_negative<V>(y)), sum, g) : V::mul(y, V::sub(g, sum));
        store_lanes<V>(to + c, value, writable - c);
    }
}

template <class V>
Prepared softmax_gradient_prepare(const SoftmaxGradientTask &task, const Planning &planning) {
    return prepare_elements(task.destination, planning);
}

template <class V>
void softmax_gradient_run(const SoftmaxGradientTask &task, const Prepared &prepared, std::int64_t begin,
                          std::int64_t end, Worker &) {
    const auto &split = prepared.plan_as<WorkSplit>();
    const View &to = task.destination;
    const auto run_pixel = task.logarithm ? pixel_gradient<V, true> : pixel_gradient<V, false>;
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = split.item(index);
        for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y)
            for (std::int64_t x = 0; x < to.width; ++x)
                run_pixel(pixel_at(task.source, item.image, y, x), pixel_at(task.others[0], item.image, y, x),
                          pixel_at(to, item.image, y, x), to.channels, to.writable_channels);
    }
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(SoftmaxGradientTask, softmax_gradient)
