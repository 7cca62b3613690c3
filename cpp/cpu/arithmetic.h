#pragma once

// Elementwise arithmetic of two tensors.

#include "cpu/elementwise.h"

namespace mpscnn::cpu {
namespace {

/// A source whose rows and pixels are the steps apart, for loops over the destination.
MPSCNN_INLINE ConstView stepped(ConstView source, const SourceSteps &steps) {
    source.row_stride *= steps.y;
    source.pixel_stride *= steps.x;
    return source;
}

template <class V, ArithmeticKind kind>
MPSCNN_INLINE typename V::reg combine(typename V::reg a, typename V::reg b) {
    if constexpr (kind == ArithmeticKind::add) return V::add(a, b);
    if constexpr (kind == ArithmeticKind::subtract) return V::sub(a, b);
    if constexpr (kind == ArithmeticKind::multiply) return V::mul(a, b);
    if constexpr (kind == ArithmeticKind::divide) return V::div(a, b);
}

/// The elements of a source for one pixel: a vector of channels, or one element for all of them.
template <class V, bool one>
MPSCNN_INLINE typename V::reg load_source(const float *pixel, std::int64_t channel, std::int64_t left) {
    if constexpr (one) return V::broadcast(pixel);
    return load_lanes<V>(pixel + channel, left);
}

/// The elements of two sources for one pixel, combined.
template <class V, ArithmeticKind kind, bool scaled, bool one_a, bool one_b> struct CombinedPixel {
    const float *a, *b;
    bool stream_a, stream_b;
    typename V::reg scale_a, scale_b, bias, low, high;

    template <int count> MPSCNN_INLINE void ask_ahead(std::int64_t channel) const {
        if (!one_a && stream_a) cpu::ask_ahead<count>(a + channel);
        if (!one_b && stream_b) cpu::ask_ahead<count>(b + channel);
    }

    MPSCNN_INLINE typename V::reg operator()(std::int64_t channel, std::int64_t left) const {
        const auto p = load_source<V, one_a>(a, channel, left);
        const auto q = load_source<V, one_b>(b, channel, left);
        if constexpr (!scaled) return combine<V, kind>(p, q);
        const auto result = combine<V, kind>(V::mul(scale_a, p), V::mul(scale_b, q));
        return V::min(high, V::max(low, V::add(result, bias)));
    }
};

template <class V, ArithmeticKind kind, bool scaled, bool one_a, bool one_b>
void arithmetic_items(const ArithmeticTask &task, const WorkSplit &split, std::int64_t begin,
                      std::int64_t end) {
    ConstView a = stepped(task.source, task.source_steps), b = stepped(task.second, task.second_steps);
    View to = task.destination;
    Epilogue epilogue = task.epilogue;
    ConstView residual;
    // A source of one element for each row fits rows of any length.
    const bool row_a = one_a && a.pixel_stride == 0, row_b = one_b && b.pixel_stride == 0;
    if (!one_a && !one_b) merge_rows(to, epilogue, residual, a, b);
    if (!one_a && row_b) merge_rows(to, epilogue, residual, a);
    if (row_a && !one_b) merge_rows(to, epilogue, residual, b);
    CombinedPixel<V, kind, scaled, one_a, one_b> pixel;
    pixel.stream_a = a.pixel_stride != 0, pixel.stream_b = b.pixel_stride != 0;
    pixel.scale_a = V::set1(task.source_scale), pixel.scale_b = V::set1(task.second_scale);
    pixel.bias = V::set1(task.bias), pixel.low = V::set1(task.low), pixel.high = V::set1(task.high);
    for_each_vector<V>(to, epilogue, split, begin, end,
                       [&](std::int64_t image, std::int64_t y, std::int64_t x) {
                           pixel.a = pixel_at(a, image, y, x), pixel.b = pixel_at(b, image, y, x);
                           return pixel;
                       });
}

template <class V> Work arithmetic_work(const ArithmeticTask &task, int threads) {
    return {split_elements(task.destination, threads).items(), 0};
}

template <class V, ArithmeticKind kind, bool scaled>
void arithmetic_of_sources(const ArithmeticTask &task, const WorkSplit &split, std::int64_t begin,
                           std::int64_t end) {
    const bool one_a = task.source_steps.channels == 0, one_b = task.second_steps.channels == 0;
    if (one_a && one_b) return arithmetic_items<V, kind, scaled, true, true>(task, split, begin, end);
    if (one_a) return arithmetic_items<V, kind, scaled, true, false>(task, split, begin, end);
    if (one_b) return arithmetic_items<V, kind, scaled, false, true>(task, split, begin, end);
    return arithmetic_items<V, kind, scaled, false, false>(task, split, begin, end);
}

template <class V, ArithmeticKind kind>
void arithmetic_of_kind(const ArithmeticTask &task, const WorkSplit &split, std::int64_t begin,
                        std::int64_t end) {
    task.scaled ? arithmetic_of_sources<V, kind, true>(task, split, begin, end)
                : arithmetic_of_sources<V, kind, false>(task, split, begin, end);
}

template <class V>
void arithmetic_run(const ArithmeticTask &task, int threads, std::int64_t begin, std::int64_t end,
                    std::byte *) {
    const WorkSplit split = split_elements(task.destination, threads);
    switch (task.kind) {
    case ArithmeticKind::add:
        return arithmetic_of_kind<V, ArithmeticKind::add>(task, split, begin, end);
    case ArithmeticKind::subtract:
        return arithmetic_of_kind<V, ArithmeticKind::subtract>(task, split, begin, end);
    case ArithmeticKind::multiply:
        return arithmetic_of_kind<V, ArithmeticKind::multiply>(task, split, begin, end);
    case ArithmeticKind::divide:
        return arithmetic_of_kind<V, ArithmeticKind::divide>(task, split, begin, end);
    }
}

} // namespace
} // namespace mpscnn::cpu
