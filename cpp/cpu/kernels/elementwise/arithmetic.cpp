// Elementwise arithmetic of two tensors, with MPS's scales, bias and limits. Each tensor may be broadcast: it
// may have one value for all channels, pixels or rows.
//
// Each step computes four vectors of results in registers, so that the loads of the next ones overlap with
// arithmetic. The speed is limited by memory: 12 bytes for each result, or 8 if a source is broadcast.
// Sources that are not broadcast are prefetched.

#include "cpu/isa/instance.h"
#include "cpu/isa/lanes.h"
#include "cpu/isa/simd_math.h"
#include "cpu/kernels/elementwise/elementwise.h"
#include "cpu/kernels/shared/pixel_epilogue.h"

namespace mpscnn::cpu {
namespace {

/// Return the source with its strides multiplied by `steps`, so that the destination's positions can index
/// it.
MPSCNN_INLINE ConstView stepped(ConstView source, const SourceSteps &steps) {
    source.row_stride *= steps.y;
    source.pixel_stride *= steps.x;
    return source;
}

/// Compute powers. This function is not inlined, because it is long and combine() is inlined in many loops.
template <class V> __attribute__((noinline)) void power_of(const float *bases, float *exponents) {
    V::store(exponents, power<V>(V::load(bases), V::load(exponents)));
}

template <class V, ArithmeticKind kind>
MPSCNN_INLINE typename V::reg combine(typename V::reg a, typename V::reg b) {
    const auto zero = V::zero(), one = V::set1(1.0f);
    if constexpr (kind == ArithmeticKind::add) return V::add(a, b);
    if constexpr (kind == ArithmeticKind::subtract) return V::sub(a, b);
    if constexpr (kind == ArithmeticKind::multiply) return V::mul(a, b);
    if constexpr (kind == ArithmeticKind::divide) return V::div(a, b);
    if constexpr (kind == ArithmeticKind::maximum) return V::max(a, V::sub(b, nan_of<V>(a)));
    if constexpr (kind == ArithmeticKind::minimum) return V::min(a, V::sub(b, nan_of<V>(a)));
    if constexpr (kind == ArithmeticKind::power) {
        alignas(64) float bases[V::width], results[V::width];
        V::store(bases, a), V::store(results, b);
        power_of<V>(bases, results);
        return V::load(results);
    }
    if constexpr (kind == ArithmeticKind::greater) return V::select(V::less(b, a), one, zero);
    if constexpr (kind == ArithmeticKind::greater_equal)
        return V::select(V::less(b, a), one, V::select(V::equal(a, b), one, zero));
    if constexpr (kind == ArithmeticKind::equal) return V::select(V::equal(a, b), one, zero);
    if constexpr (kind == ArithmeticKind::not_equal) return V::select(V::equal(a, b), zero, one);
    if constexpr (kind == ArithmeticKind::mask) return V::select(V::equal(a, zero), zero, b);
    if constexpr (kind == ArithmeticKind::mask_out) return V::select(V::equal(a, zero), b, zero);
}

/// Load a source for some channels of a pixel: a vector of channels, or (`one`) a single element that is
/// broadcast.
template <class V, bool one>
MPSCNN_INLINE typename V::reg load_source(const float *pixel, std::int64_t channel, std::int64_t left) {
    if constexpr (one) return V::broadcast(pixel);
    return load_lanes<V>(pixel + channel, left);
}

/// A block of channels and pixels of a row: the addresses of its elements, and the operation.
struct ArithmeticBlock {
    float *to;
    const float *a, *b;
    std::ptrdiff_t to_step, a_step, b_step; ///< floats from one pixel to the next
    std::int64_t pixels, channels;
    std::int64_t writable;        ///< floats of a pixel that may be overwritten, from `to` on
    bool scaled, limited;         ///< true if there are scales or a bias; true if there are limits
    float a_scale, b_scale, bias; ///< a_scale * a op b_scale * b + bias
    Limits limits;
};

/// Compute `count` vectors of a pixel. With a count of 1 the vector may be partial, with `left` channels.
/// Scales and limits are tested at run time, once for all vectors, because a compiled loop for each case
/// would make this the largest family of kernels. Only the case without scales and limits (`plain`) has a
/// separate loop.
template <class V, ArithmeticKind kind, bool one_a, bool one_b, bool plain, int count>
MPSCNN_INLINE void combine_vectors(const ArithmeticBlock &block, const float *a, const float *b,
                                   std::int64_t channel, std::int64_t left, typename V::reg (&x)[count]) {
    if (!plain && block.scaled) {
        const auto a_scale = V::set1(block.a_scale), b_scale = V::set1(block.b_scale);
        const auto bias = V::set1(block.bias);
#pragma GCC unroll 4
        for (int v = 0; v < count; ++v) {
            const auto p = V::mul(a_scale, load_source<V, one_a>(a, channel + v * V::width, left));
            const auto q = V::mul(b_scale, load_source<V, one_b>(b, channel + v * V::width, left));
            x[v] = V::add(combine<V, kind>(p, q), bias);
        }
    } else {
#pragma GCC unroll 4
        for (int v = 0; v < count; ++v)
            x[v] = combine<V, kind>(load_source<V, one_a>(a, channel + v * V::width, left),
                                    load_source<V, one_b>(b, channel + v * V::width, left));
    }
    if (plain || !block.limited) return;
    const Clamp<V> clamp(block.limits);
#pragma GCC unroll 4
    for (int v = 0; v < count; ++v) x[v] = clamp(x[v]);
}

/// Compute whole vectors of a pixel, four at a time. Return the first channel that remains.
template <class V, ArithmeticKind kind, bool one_a, bool one_b, bool plain>
MPSCNN_INLINE std::int64_t combine_fours(const ArithmeticBlock &block, const float *a, const float *b,
                                         float *to, std::int64_t channels) {
    constexpr int count = 4;
    // A source that every pixel reads again is in the caches, so it is not prefetched.
    const bool stream_a = !one_a && block.a_step != 0, stream_b = !one_b && block.b_step != 0;
    std::int64_t channel = 0;
    for (; channel + count * V::width <= channels; channel += count * V::width) {
        if (stream_a) prefetch<count * V::width>(a + channel);
        if (stream_b) prefetch<count * V::width>(b + channel);
        typename V::reg x[count];
        combine_vectors<V, kind, one_a, one_b, plain>(block, a, b, channel, V::width, x);
#pragma GCC unroll 4
        for (int v = 0; v < count; ++v) V::store(to + channel + v * V::width, x[v]);
    }
    return channel;
}

template <class V, ArithmeticKind kind, bool one_a, bool one_b>
void combine_block(const ArithmeticBlock &block) {
    float *to = block.to;
    const float *a = block.a, *b = block.b;
    const std::int64_t channels = block.channels;
    const bool plain = !block.scaled && !block.limited;
    for (std::int64_t pixel = block.pixels; pixel > 0; --pixel) {
        std::int64_t channel = plain ? combine_fours<V, kind, one_a, one_b, true>(block, a, b, to, channels)
                                     : combine_fours<V, kind, one_a, one_b, false>(block, a, b, to, channels);
        for (; channel < channels; channel += V::width) {
            typename V::reg x[1];
            combine_vectors<V, kind, one_a, one_b, false>(block, a, b, channel, channels - channel, x);
            store_lanes<V>(to + channel, x[0], block.writable - channel);
        }
        to += block.to_step, a += block.a_step, b += block.b_step;
    }
}

using BlockFunction = void (*)(const ArithmeticBlock &);

template <class V, ArithmeticKind kind> BlockFunction block_function_of_kind(bool one_a, bool one_b) {
    if (one_a) return one_b ? combine_block<V, kind, true, true> : combine_block<V, kind, true, false>;
    return one_b ? combine_block<V, kind, false, true> : combine_block<V, kind, false, false>;
}

template <class V> BlockFunction block_function(ArithmeticKind kind, bool one_a, bool one_b) {
    switch (kind) {
#define MPSCNN_ARITHMETIC(NAME, TYPE, SUMMARY)                                                               \
    case ArithmeticKind::NAME:                                                                               \
        return block_function_of_kind<V, ArithmeticKind::NAME>(one_a, one_b);
        FOR_EACH_ARITHMETIC(MPSCNN_ARITHMETIC)
#undef MPSCNN_ARITHMETIC
    }
    return nullptr;
}

template <class V> Prepared arithmetic_prepare(const ArithmeticTask &task, const Planning &planning) {
    return prepare_elements(task.destination, planning);
}

template <class V>
void arithmetic_run(const ArithmeticTask &task, const Prepared &prepared, std::int64_t begin,
                    std::int64_t end, Worker &) {
    const auto &split = prepared.plan_as<WorkSplit>();
    ConstView a = stepped(task.source, task.source_steps), b = stepped(task.second, task.second_steps);
    View to = task.destination;
    Epilogue epilogue = task.epilogue;
    ConstView residual;
    const bool one_a = task.source_steps.channels == 0, one_b = task.second_steps.channels == 0;
    // A source with one element for each row can be used with rows of any length, so merging pixels does not
    // affect it.
    const bool row_a = one_a && a.pixel_stride == 0, row_b = one_b && b.pixel_stride == 0;
    if (!one_a && !one_b) merge_rows(to, epilogue, residual, a, b);
    if (!one_a && row_b) merge_rows(to, epilogue, residual, a);
    if (row_a && !one_b) merge_rows(to, epilogue, residual, b);

    const BlockFunction combine = block_function<V>(task.kind, one_a, one_b);
    const bool clamps = epilogue.activation.kind == Activation::Kind::clamp;
    const bool simple = is_clamp(epilogue) && !epilogue.rounds && !(clamps && task.scaled);
    // All other epilogues are applied to short pieces in L1, while the next piece is loaded.
    constexpr std::int64_t piece = called_vectors * V::width;
    const std::int64_t pixel_floats = round_up(to.channels, V::width);
    const std::int64_t max_channels = simple ? to.channels : piece;
    const std::int64_t max_pixels = simple ? to.width : max(piece / pixel_floats, 1);
    alignas(64) float buffer[piece];
    ArithmeticBlock block{};
    block.to_step = to.pixel_stride, block.a_step = a.pixel_stride, block.b_step = b.pixel_stride;
    block.scaled = task.scaled;
    block.a_scale = task.source_scale, block.b_scale = task.second_scale, block.bias = task.bias;
    block.limited = task.scaled || (simple && clamps);
    block.limits = task.scaled ? Limits{task.low, task.high} : limits_of(epilogue.activation);
    const auto run_piece = [&](std::int64_t image, std::int64_t y, std::int64_t x, std::int64_t channel) {
        float *out = pixel_at(to, image, y, x);
        block.to = out + channel;
        block.a = pixel_at(a, image, y, x) + (one_a ? 0 : channel);
        block.b = pixel_at(b, image, y, x) + (one_b ? 0 : channel);
        block.pixels = min(max_pixels, to.width - x);
        block.channels = min(max_channels, to.channels - channel);
        block.writable = to.writable_channels - channel;
        if (epilogue.residual) {
            block.to = buffer, block.to_step = min(pixel_floats, piece);
            block.writable = block.to_step;
        }
        combine(block);
        if (simple) return;
        const float *other = epilogue.residual ? pixel_at(*epilogue.residual, image, y, x) : nullptr;
        finish_stored<V>(to, epilogue, {block.to, block.to_step}, out, other, block.pixels,
                         {channel, channel + block.channels});
    };
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = split.item(index);
        // After merging, each row is one pixel. Treat these pixels as one row.
        if (simple && to.width == 1) {
            block.to = pixel_at(to, item.image, item.rows.begin, 0), block.to_step = to.row_stride;
            block.a = pixel_at(a, item.image, item.rows.begin, 0), block.a_step = a.row_stride;
            block.b = pixel_at(b, item.image, item.rows.begin, 0), block.b_step = b.row_stride;
            block.pixels = item.rows.size(), block.channels = to.channels;
            block.writable = to.writable_channels;
            combine(block);
            continue;
        }
        for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y)
            for (std::int64_t x = 0; x < to.width; x += max_pixels)
                for (std::int64_t channel = 0; channel < to.channels; channel += max_channels)
                    run_piece(item.image, y, x, channel);
    }
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(ArithmeticTask, arithmetic)
