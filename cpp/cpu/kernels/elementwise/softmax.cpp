// Softmax over the channels of each pixel, e^(x - maximum) / sum of exponentials, and its logarithm.
//
// Each step handles up to as many adjacent pixels at once as a vector has lanes. Maxima, sums and logarithms
// have one pixel in each lane. With a single pixel, each of these steps would wait for the one before it. The
// exponentials stay in scratch memory between the passes.
//
// Registers hold one vector of channels and the exponential's terms; constants come from memory. The speed is
// limited by arithmetic. The exponential takes some 15 operations for each vector, and the rest two loads and
// a store. Tensors with few channels are slower, because they leave lanes empty.

#include "cpu/isa/common_sums.h"
#include "cpu/isa/instance.h"
#include "cpu/isa/lane_shuffles.h"
#include "cpu/isa/lanes.h"
#include "cpu/isa/simd_math.h"
#include "cpu/kernels/convolution/pack.h"
#include "cpu/kernels/shared/pixels.h"
#include "cpu/kernels/shared/work_split.h"

namespace mpscnn::cpu {
namespace {

/// Adjacent pixels of a row that take each step together. Their number is at most the lanes of a vector.
struct SoftmaxBlock {
    const float *from;
    float *to;
    std::ptrdiff_t from_stride, to_stride;
    std::int64_t pixels, channels, writable;
    float *values; ///< scratch memory with whole vectors for each pixel
};

/// Return the largest channel of each pixel, in the pixel's lane. A NaN may be missed here. It reaches all
/// results anyway, because its exponential and therefore the sum are NaN.
template <class V> MPSCNN_INLINE typename V::reg maximum_of_each(const SoftmaxBlock &block) {
    const auto lowest = V::set1(-__builtin_inff());
    const std::int64_t whole = block.channels / V::width * V::width, left = block.channels - whole;
    typename V::reg maxima[V::width];
    const float *from = block.from;
    for (std::int64_t p = 0; p < V::width; ++p, from += block.from_stride) {
        auto highest = lowest;
        if (p < block.pixels) {
            for (std::int64_t c = 0; c < whole; c += V::width) highest = V::max(highest, V::load(from + c));
            if (left > 0)
                highest = V::max(highest,
                                 fill_lanes<V>(V::load_partial(from + whole, left), left, -__builtin_inff()));
        }
        maxima[p] = highest;
    }
    maximum_lanes<V>(maxima);
    return maxima[0];
}

/// Return the sum of e^(x - maximum) over the channels of each pixel, in the pixel's lane. `values` is set to
/// the exponentials, or with `logarithm` to the differences x - maximum.
template <class V, bool logarithm> MPSCNN_INLINE typename V::reg sum_exponentials(const SoftmaxBlock &block) {
    alignas(64) float maxima[V::width];
    V::store(maxima, maximum_of_each<V>(block));
    const std::int64_t whole = block.channels / V::width * V::width, left = block.channels - whole;
    typename V::reg sums[V::width];
    const float *from = block.from;
    float *to = block.values;
    for (std::int64_t p = 0; p < V::width; ++p, from += block.from_stride) {
        CommonSums<V> sum(V::zero());
        if (p < block.pixels) {
            const auto maximum = V::set1(maxima[p]);
            const auto store_power = [&](typename V::reg difference) {
                const auto power = exponential_of_negative<V>(difference);
                V::store(to, logarithm ? difference : power);
                to += V::width;
                return power;
            };
            for (std::int64_t c = 0; c < whole; c += V::width) {
                auto &part = sum.of_element(c);
                part = V::add(part, store_power(V::sub(V::load(from + c), maximum)));
            }
            // Fill lanes without a channel with a value whose exponential is not subnormal, because computing
            // subnormals is slow.
            if (left > 0) {
                const auto difference = V::sub(V::load_partial(from + whole, left), maximum);
                auto &part = sum.of_element(whole);
                const auto power = store_power(fill_lanes<V>(difference, left, -80.0f));
                part = V::add(part, fill_lanes<V>(power, left, 0.0f));
            }
        }
        sums[p] = sum.folded();
    }
    sum_lanes<V>(sums);
    return fill_lanes<V>(sums[0], block.pixels, 1.0f);
}

template <class V, bool logarithm> void softmax_block(const SoftmaxBlock &block, bool round_to_half) {
    const auto sums = sum_exponentials<V, logarithm>(block);
    alignas(64) float terms[V::width];
    if constexpr (logarithm)
        V::store(terms, scaled_logarithm<V>(sums, 1.0f, 0.0f));
    else
        V::store(terms, V::div(V::set1(1.0f), sums));
    const std::int64_t whole = round_up_to_width<V>(block.channels);
    const auto store_pixels = [&](std::int64_t begin, std::int64_t end, auto store) {
        for (std::int64_t p = begin; p < end; ++p) {
            const float *values = block.values + p * whole;
            float *to = block.to + p * block.to_stride;
            const auto term = V::set1(terms[p]);
            for (std::int64_t c = 0; c < whole; c += V::width) {
                auto value = V::load(values + c);
                value = logarithm ? V::sub(value, term) : V::mul(value, term);
                if (round_to_half) value = V::round_to_half(value);
                store(to + c, value, c);
            }
        }
    };
    // If pixels are adjacent, a whole vector may reach into the next pixels, because these are written later.
    // Only the last pixels are stored exactly.
    const std::int64_t reached = divide_up(whole - block.channels, block.channels);
    const std::int64_t plain = block.to_stride == block.channels ? max(0, block.pixels - reached) : 0;
    store_pixels(0, plain, [](float *to, typename V::reg value, std::int64_t) { V::store(to, value); });
    store_pixels(plain, block.pixels, [&](float *to, typename V::reg value, std::int64_t c) {
        store_lanes<V>(to, value, block.writable - c);
    });
}

struct SoftmaxPlan {
    WorkSplit split;
    std::int64_t block_pixels; ///< maximum number of pixels in a block; their values fill up to half of L1,
                               ///< but it is at least 1
};

template <class V> inline std::int64_t pixels_of_block(const SoftmaxTask &task, const CacheSizes &caches) {
    const std::int64_t cached_floats = caches.first / 2 / static_cast<std::int64_t>(sizeof(float));
    return clamped(cached_floats / task.destination.channels, 1, V::width);
}

template <class V> Prepared softmax_prepare(const SoftmaxTask &task, const Planning &planning) {
    const SoftmaxPlan plan{split_elements(task.destination, planning.threads),
                           pixels_of_block<V>(task, planning.caches)};
    const std::int64_t floats = plan.block_pixels * round_up_to_width<V>(task.destination.channels);
    return planning.keep(plan, plan.split.items(), static_cast<std::size_t>(floats) * sizeof(float));
}

template <class V>
void softmax_run(const SoftmaxTask &task, const Prepared &prepared, std::int64_t begin, std::int64_t end,
                 Worker &worker) {
    const auto &[split, max_pixels] = prepared.plan_as<SoftmaxPlan>();
    const View &to = task.destination;
    const ConstView &from = task.source;
    const bool join = rows_join(from) && rows_join(to);
    SoftmaxBlock block{};
    block.from_stride = from.pixel_stride, block.to_stride = to.pixel_stride;
    block.channels = to.channels, block.writable = to.writable_channels;
    block.values = reinterpret_cast<float *>(worker.scratch);
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = split.item(index);
        for_each_strip(item.rows, to.width, join, [&](std::int64_t y, std::int64_t pixels) {
            block.from = pixel_at(from, item.image, y, 0);
            block.to = pixel_at(to, item.image, y, 0);
            for (std::int64_t x = 0; x < pixels; x += max_pixels) {
                block.pixels = min(max_pixels, pixels - x);
                task.logarithm ? softmax_block<V, true>(block, task.round_to_half)
                               : softmax_block<V, false>(block, task.round_to_half);
                block.from += max_pixels * block.from_stride;
                block.to += max_pixels * block.to_stride;
            }
        });
    }
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(SoftmaxTask, softmax)
