#pragma once

// Elementwise kernels: what they share, and per-channel scale and shift (which also serves as a copy with an
// epilogue).

#include "cpu/pixel_epilogue.h"
#include "cpu/work_split.h"

namespace mpscnn::cpu {
namespace {

/// Whether the pixels of each row follow each other without a gap.
MPSCNN_INLINE bool has_dense_rows(const ConstView &view) { return view.pixel_stride == view.channels; }

/// Makes one long pixel of each row, so that few channels do not mean many partial vectors.
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

/// Whether an epilogue treats all channels alike and its residual, if any, has dense rows.
MPSCNN_INLINE bool can_merge_rows(const Epilogue &epilogue) {
    return epilogue.activation.kind != Activation::Kind::prelu &&
           epilogue.residual_activation.kind != Activation::Kind::prelu &&
           (!epilogue.residual || has_dense_rows(*epilogue.residual));
}

/// Merges the rows of all tensors where these lie so. `residual` takes the place of the epilogue's.
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

/// The channels of one pixel for an activation that is called out of line: many vectors with each call.
/// `value` as in for_each_vector.
template <class V, class Value>
MPSCNN_INLINE void finish_pixel(const View &to, const Epilogue &epilogue, float *out, Value value) {
    constexpr std::int64_t block = 32 * V::width;
    alignas(64) float values[block];
    for (std::int64_t begin = 0; begin < to.channels; begin += block) {
        const std::int64_t count = smaller(block, divide_up(to.channels - begin, V::width) * V::width);
        for (std::int64_t i = 0; i < count; i += V::width) V::store(values + i, value(begin + i));
        epilogue.activation.apply(epilogue.activation, values, count);
        for (std::int64_t i = 0; i < count; i += V::width) {
            auto result = V::load(values + i);
            if (epilogue.round_to_half) result = V::round_to_half(result);
            store_lanes<V>(out + begin + i, result, to.writable_channels - begin - i);
        }
    }
}

/// Stores epilogue(value(image, y, x, channel, channels left)) for each vector of the items' pixels.
template <class V, class Value>
MPSCNN_INLINE void for_each_vector(const View &to, const Epilogue &epilogue, const WorkSplit &split,
                                   std::int64_t begin, std::int64_t end, Value value) {
    const bool clamps = is_clamp(epilogue);
    const bool calls = epilogue.activation.kind == Activation::Kind::function && !epilogue.residual;
    const Clamp<V> clamp(epilogue.activation);
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = split.item(index);
        for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y) {
            for (std::int64_t x = 0; x < to.width; ++x) {
                float *out = pixel_at(to, item.image, y, x);
                if (calls) {
                    finish_pixel<V>(to, epilogue, out, [&](std::int64_t channel) {
                        return value(item.image, y, x, channel, to.channels - channel);
                    });
                    continue;
                }
                for (std::int64_t channel = 0; channel < to.channels; channel += V::width) {
                    const auto result = value(item.image, y, x, channel, to.channels - channel);
                    if (clamps)
                        store_lanes<V>(out + channel, clamp(result), to.writable_channels - channel);
                    else
                        finish_vector<V>(to, epilogue, item.image, y, x, channel, result);
                }
            }
        }
    }
}

template <class V> Work affine_work(const AffineTask &task, int threads) {
    return {split_elements(task.destination, threads).items(), 0};
}

template <class V>
void affine_run(const AffineTask &task, int threads, std::int64_t begin, std::int64_t end, std::byte *) {
    const WorkSplit split = split_elements(task.destination, threads);
    ConstView source = task.source;
    View to = task.destination;
    Epilogue epilogue = task.epilogue;
    ConstView residual;
    if (!task.scale && !task.shift) merge_rows(to, epilogue, residual, source);
    for_each_vector<V>(
        to, epilogue, split, begin, end,
        [&](std::int64_t image, std::int64_t y, std::int64_t x, std::int64_t channel, std::int64_t left) {
            auto value = load_lanes<V>(pixel_at(source, image, y, x) + channel, left);
            if (task.scale && task.shift)
                return V::fma(value, V::load(task.scale + channel), V::load(task.shift + channel));
            if (task.scale) value = V::mul(value, V::load(task.scale + channel));
            if (task.shift) value = V::add(value, V::load(task.shift + channel));
            return value;
        });
}

} // namespace
} // namespace mpscnn::cpu
