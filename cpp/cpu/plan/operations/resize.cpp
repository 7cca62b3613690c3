#include <algorithm>

#include "cpu/plan/caches.h"
#include "cpu/plan/operation.h"

namespace mpscnn::cpu {

namespace {

ResizePositions positions_of(const ops::ResizeAxis &axis) {
    return {axis.numerator, axis.denominator, axis.centre, axis.offset};
}

std::int64_t weights_of(const ResizePositions &axis, std::int64_t size, bool zero_outside,
                        std::int64_t output, std::int32_t &first, float *weights) {
    const ops::LanczosSpan span = ops::lanczos_weights(
        {axis.numerator, axis.denominator, axis.centre, axis.offset}, size, zero_outside, output, weights);
    first = static_cast<std::int32_t>(span.first);
    return span.count;
}

/// Return the resize's task for these shapes, without tensors.
ResizeTask resize_task(const ops::Resize &resize, const Shape &input, const Shape &output) {
    ResizeTask task;
    // With one input pixel and clamped edges every result is that pixel. Interpolation would not copy it if
    // it is infinite.
    const bool copies = input[1] == 1 && input[2] == 1 && resize.edge == ops::EdgeRule::clamp;
    const ops::ResizeAxis vertical = resize.vertical(input[1], output[1]),
                          horizontal = resize.horizontal(input[2], output[2]);
    task.kind = resize.kind == ops::ResizeKind::nearest || copies ? ResizeKind::nearest
                : resize.kind == ops::ResizeKind::lanczos         ? ResizeKind::lanczos
                                                                  : ResizeKind::bilinear;
    task.vertical = positions_of(vertical);
    task.horizontal = positions_of(horizontal);
    if (task.kind == ResizeKind::lanczos) {
        task.vertical_taps = ops::lanczos_taps(vertical, input[1]);
        task.horizontal_taps = ops::lanczos_taps(horizontal, input[2]);
        task.weights = weights_of;
    }
    const ops::NearestRule nearest = resize.nearest_rule();
    task.nearest_bias = nearest.bias;
    task.nearest_up = nearest.up;
    task.zero_outside = resize.edge == ops::EdgeRule::zero;
    return task;
}

} // namespace

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::ResizeGradient &gradient) {
    ResizeGradientTask task;
    task.resize = resize_task(gradient.resize, builder.input_shape(fused, 1), builder.input_shape(fused));
    builder.begin(fused, task);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Resize &resize) {
    const Shape &input = builder.input_shape(fused), &output = builder.result_shape(fused);
    ResizeTask task = resize_task(resize, input, output);
    task.round_to_half = fused.rounds;
    // Store results that do not fit the last-level cache with non-temporal stores, because they will have
    // left it when they are read. BoundTask turns this off for results in the arena, which are read soon.
    // Larger caches count as 8 MiB. They are so slow that reading a line before an ordinary store costs more
    // than the cache saves.
    constexpr std::int64_t max_cached = 8 << 20;
    task.non_temporal = task.kind == ResizeKind::bilinear &&
                        output.elements() * static_cast<std::int64_t>(sizeof(float)) >
                            std::min(usable_last_level_bytes(machine_caches()), max_cached);
    builder.begin(fused, task);
}

} // namespace mpscnn::cpu
