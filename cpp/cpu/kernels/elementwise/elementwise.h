#pragma once

// Shared code of elementwise kernels, and the kernel of AffineTask: a scale and shift for each channel, or
// without these a copy with an epilogue.
//
// Each step computes four vectors of results in registers. The speed is limited by memory: 8 bytes for each
// element, and 4 more with a residual. Only the activations of neuron.cpp take longer. A row without gaps
// between pixels is treated as one long pixel, because few channels would leave most lanes of each vector
// empty.

#include "cpu/isa/lanes.h"
#include "cpu/kernels/shared/epilogue.h"
#include "cpu/kernels/shared/pixels.h"
#include "cpu/kernels/shared/stream.h"
#include "cpu/kernels/shared/work_split.h"

namespace mpscnn::cpu {
namespace {

/// Return true if there is no gap between the pixels of a row.
MPSCNN_INLINE bool has_dense_rows(const ConstView &view) { return view.pixel_stride == view.channels; }

/// Treat each row as one long pixel, because pixels of few channels would fill vectors only partly.
MPSCNN_INLINE void merge_row(ConstView &view) {
    view.channels *= view.width;
    view.pixel_stride *= view.width;
    view.width = 1;
}
MPSCNN_INLINE void merge_row(View &view) {
    view.writable_channels = view.channels *= view.width;
    view.pixel_stride *= view.width;
    view.width = 1;
}

/// Return true if rows can be treated as one long pixel: the epilogue treats all channels in the same way,
/// and its residual, if any, has no gaps between pixels.
MPSCNN_INLINE bool can_merge_rows(const Epilogue &epilogue) {
    return epilogue.activation.kind != Activation::Kind::prelu &&
           epilogue.residual_activation.kind != Activation::Kind::prelu &&
           (!epilogue.residual || has_dense_rows(*epilogue.residual));
}

/// If no tensor has gaps between pixels, treat each row of all tensors as one long pixel. The epilogue's
/// residual then is `residual`.
template <class... Sources>
MPSCNN_INLINE void merge_rows(View &to, Epilogue &epilogue, ConstView &residual, Sources &...sources) {
    if (!can_merge_rows(epilogue) || !has_dense_rows(to) || !(has_dense_rows(sources) && ...)) return;
    merge_row(to);
    (merge_row(sources), ...);
    if (!epilogue.residual) return;
    residual = *epilogue.residual;
    merge_row(residual);
    epilogue.residual = &residual;
}

/// Prefetch what `value` reads for later channels, if `value` has a function `prefetch`. The caller now
/// computes `count` channels from `channel` on.
template <int count, class Value> MPSCNN_INLINE void prefetch_of(const Value &value, std::int64_t channel) {
    if constexpr (requires { value.template prefetch<count>(channel); })
        value.template prefetch<count>(channel);
}

/// Compute value(channel, channels left) for `count` vectors of a pixel, apply the epilogue and store the
/// results. With a count of 1 the vector may be partial.
template <class V, int count, class Value>
MPSCNN_INLINE void finish_vectors(const View &to, const Epilogue &epilogue, const float *residual, float *out,
                                  std::int64_t channel, Value value) {
    const std::int64_t left = to.channels - channel;
    if (count > 1) prefetch_of<count * V::width>(value, channel);
    typename V::reg results[1][count];
#pragma GCC unroll 4
    for (int v = 0; v < count; ++v)
        results[0][v] = value(channel + v * V::width, count > 1 ? V::width : left);
    apply_epilogue<V>(epilogue, results, channel, left, residual ? residual + channel : nullptr, 0);
#pragma GCC unroll 4
    for (int v = 0; v < count; ++v) {
        float *to_vector = out + channel + v * V::width;
        count > 1 ? V::store(to_vector, results[0][v])
                  : store_lanes<V>(to_vector, results[0][v], to.writable_channels - channel);
    }
}

/// Store values without an epilogue for the channels [channels), four whole vectors at a time. Return the
/// first channel that remains.
template <class V, class Value>
MPSCNN_INLINE std::int64_t store_values(float *out, Range channels, Value value) {
    constexpr int block = 4;
    std::int64_t channel = channels.begin;
    for (; channel + block * V::width <= channels.end; channel += block * V::width) {
        prefetch_of<block * V::width>(value, channel);
#pragma GCC unroll 4
        for (int v = 0; v < block; ++v)
            V::store(out + channel + v * V::width, value(channel + v * V::width, V::width));
    }
    return channel;
}

/// Return true if the activation is a function that is called out of line for many vectors at a time. There
/// must be no residual, because it would be added after the activation.
MPSCNN_INLINE bool calls_activation(const Epilogue &epilogue) {
    return epilogue.activation.kind == Activation::Kind::function && !epilogue.residual;
}

/// Return the number of floats of a pixel, from its first one on, that can be written as whole vectors. This
/// may include padding after the channels.
template <class V> MPSCNN_INLINE std::int64_t whole_vectors(const View &to) {
    return min(to.writable_channels / V::width, divide_up(to.channels, V::width)) * V::width;
}

/// The number of vectors for one call of an activation: enough to amortize the call, and few enough that they
/// are still in L1 when the call reads them.
inline constexpr std::int64_t called_vectors = 32;

/// Apply an epilogue for which calls_activation() is true to whole vectors in place.
template <class V>
MPSCNN_INLINE void call_activation(const Epilogue &epilogue, float *values, std::int64_t count) {
    epilogue.activation.apply(epilogue.activation, values, 0, 1, count);
    if (!epilogue.rounds) return;
    for (std::int64_t i = 0; i < count; i += V::width)
        V::store(values + i, V::round_to_half(V::load(values + i)));
}

/// Store the whole vectors of a pixel for an epilogue for which calls_activation() is true. The epilogue is
/// then applied in place, to many vectors with each call. Return the first channel that remains.
template <class V, class Value>
MPSCNN_INLINE std::int64_t store_and_call(const View &to, const Epilogue &epilogue, float *out, Value value) {
    constexpr std::int64_t block = called_vectors * V::width;
    const std::int64_t behind = whole_vectors<V>(to);
    for (std::int64_t begin = 0; begin < behind; begin += block) {
        const std::int64_t end = min(begin + block, behind);
        std::int64_t c = store_values<V>(out, {begin, min(end, to.channels)}, value);
        for (; c < end; c += V::width) V::store(out + c, value(c, to.channels - c));
        call_activation<V>(epilogue, out + begin, end - begin);
    }
    return behind;
}

/// The values of pixels before the epilogue. With a residual they are in scratch memory, because the residual
/// may be the destination itself. Otherwise they are in the destination.
struct StoredValues {
    float *first;
    std::ptrdiff_t step; ///< floats between pixels
};

/// Apply the epilogue to the channels [channels) of `pixels` adjacent pixels. `out` and `residual` point to
/// the first of these channels. Their number is a multiple of the vector width, unless they end with the
/// pixel's last channel.
template <class V>
__attribute__((noinline)) void finish_stored(const View &to, const Epilogue &epilogue, StoredValues values,
                                             float *out, const float *residual, std::int64_t pixels,
                                             Range channels) {
    constexpr int block = 4;
    for (; pixels > 0; --pixels) {
        std::int64_t channel = channels.begin;
        if (calls_activation(epilogue)) {
            const std::int64_t whole = whole_vectors<V>(to);
            const std::int64_t behind = channels.end == to.channels ? whole : min(channels.end, whole);
            call_activation<V>(epilogue, out + channel, behind - channel);
            channel = behind;
        }
        const float *first = values.first - channels.begin;
        const auto stored = [=](std::int64_t c, std::int64_t left) { return load_lanes<V>(first + c, left); };
        for (; channel + block * V::width <= channels.end; channel += block * V::width)
            finish_vectors<V, block>(to, epilogue, residual, out, channel, stored);
        for (; channel < channels.end; channel += V::width)
            finish_vectors<V, 1>(to, epilogue, residual, out, channel, stored);
        values.first += values.step;
        out += to.pixel_stride;
        if (residual) residual += epilogue.residual->pixel_stride;
    }
}

/// For all pixels of the items, store the epilogue of source(image, y, x)(channel, channels left), vector by
/// vector.
template <class V, class Source>
MPSCNN_INLINE void for_each_vector(const View &to, const Epilogue &epilogue, const WorkSplit &split,
                                   std::int64_t begin, std::int64_t end, Source source) {
    constexpr int block = 4; // the epilogue tests its kind once for this many vectors
    const Activation::Kind kind = epilogue.activation.kind;
    const bool calls = calls_activation(epilogue);
    const bool plain = kind == Activation::Kind::none && !epilogue.residual && !epilogue.rounds;
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = split.item(index);
        for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y) {
            for (std::int64_t x = 0; x < to.width; ++x) {
                float *out = pixel_at(to, item.image, y, x);
                const float *residual =
                    epilogue.residual ? pixel_at(*epilogue.residual, item.image, y, x) : nullptr;
                const auto value = source(item.image, y, x);
                std::int64_t channel = 0;
                if (plain) channel = store_values<V>(out, {0, to.channels}, value);
                if (calls) channel = store_and_call<V>(to, epilogue, out, value);
                for (; channel + block * V::width <= to.channels; channel += block * V::width)
                    finish_vectors<V, block>(to, epilogue, residual, out, channel, value);
                for (; channel < to.channels; channel += V::width)
                    finish_vectors<V, 1>(to, epilogue, residual, out, channel, value);
            }
        }
    }
}

/// The elements of one pixel of a source after function(vector, channel).
template <class V, class Function> struct FunctionOfPixel {
    const float *from;
    Function function;

    template <int count> MPSCNN_INLINE void prefetch(std::int64_t channel) const {
        cpu::prefetch<count>(from + channel);
    }
    MPSCNN_INLINE typename V::reg operator()(std::int64_t channel, std::int64_t left) const {
        return function(load_lanes<V>(from + channel, left), channel);
    }
};

template <class V> Prepared affine_prepare(const AffineTask &task, const Planning &planning) {
    return prepare_elements(task.destination, planning);
}

template <class V>
void affine_run(const AffineTask &task, const Prepared &prepared, std::int64_t begin, std::int64_t end,
                Worker &) {
    const auto &split = prepared.plan_as<WorkSplit>();
    ConstView source = task.source;
    View to = task.destination;
    Epilogue epilogue = task.epilogue;
    ConstView residual;
    if (!task.scale) merge_rows(to, epilogue, residual, source);
    const auto run = [&](auto function) {
        for_each_vector<V>(
            to, epilogue, split, begin, end, [&](std::int64_t image, std::int64_t y, std::int64_t x) {
                return FunctionOfPixel<V, decltype(function)>{pixel_at(source, image, y, x), function};
            });
    };
    using reg = typename V::reg;
    const float *scale = task.scale, *shift = task.shift;
    if (scale)
        run([=](reg x, std::int64_t channel) {
            return V::fma(x, V::load(scale + channel), V::load(shift + channel));
        });
    else if (epilogue.activation.kind == Activation::Kind::prelu) {
        // Apply the slopes here, because the epilogue would test the activation's kind for every four
        // vectors.
        const float *slopes = epilogue.activation.slopes;
        epilogue.activation = {};
        run([=](reg x, std::int64_t channel) {
            return V::select(V::less(x, V::zero()), V::mul(V::load(slopes + channel), x), x);
        });
    } else
        run([](reg x, std::int64_t) { return x; });
}

} // namespace
} // namespace mpscnn::cpu
