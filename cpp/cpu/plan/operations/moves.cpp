#include <algorithm>
#include <iterator>

#include "core/half.h"
#include "cpu/plan/operation.h"

namespace mpscnn::cpu {

namespace {

using Parts = std::span<const ConcatenationPart>;

/// True if all parts have the same pixels, so that they differ in channels only.
bool joins_channels(Parts parts) {
    return std::all_of(parts.begin(), parts.end(), [&](const ConcatenationPart &part) {
        const Region &a = parts.front().destination, &b = part.destination;
        return a.y == b.y && a.x == b.x && a.extents.pixels() == b.extents.pixels();
    });
}

/// Add one step that copies adjacent channels of several operands. A task copies at most
/// ConcatenationTask::max_others + 1 parts.
void add_channels(StepBuilder &builder, const FusedOperation &fused, Parts parts) {
    const Region &first = parts.front().destination, &last = parts.back().destination;
    ConcatenationTask task;
    Step step;
    step.layers = fused.layers;
    step.source = parts.front().source;
    step.destination = first;
    step.destination.extents.channels = last.channel + last.extents.channels - first.channel;
    for (const ConcatenationPart &part : parts.subspan(1)) {
        task.positions[task.count++] = part.destination.channel - first.channel;
        step.others.push_back(part.source);
    }
    step.task = task;
    builder.steps.push_back(std::move(step));
}

} // namespace

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Concatenation &) {
    constexpr std::size_t maximum = ConcatenationTask::max_others + 1;
    const std::vector<ConcatenationPart> parts = parts_to_copy(fused, builder.placement(), builder.shapes());
    if (parts.size() == 1 || !joins_channels(parts)) {
        for (const ConcatenationPart &part : parts)
            builder.add_copy(fused.layers, part.source, part.destination);
        return;
    }
    for (Parts left = parts; !left.empty(); left = left.subspan(std::min(maximum, left.size())))
        add_channels(builder, fused, left.first(std::min(maximum, left.size())));
}

void lower(const OperationLowering &lowering, const ops::Padding &) {
    // Tensors of a float16 network hold halves only.
    const bool half = lowering.precision == engine::Precision::float16;
    auto &padding = lowering.fused.operation.as<ops::Padding>();
    if (half) padding.value = round_to_half(padding.value);
    if (padding.values.empty()) return;
    std::vector<float> values(padding.values.begin(), padding.values.end());
    if (half)
        for (float &value : values) value = round_to_half(value);
    lowering.fused.shift = padded_to_vectors(values);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Padding &padding) {
    PaddingTask task;
    task.top = padding.top;
    task.left = padding.left;
    task.front = padding.front;
    task.mode = padding.mode;
    task.value = padding.value;
    if (!padding.values.empty()) task.values = fused.shift.data();
    builder.begin(fused, task);
}

void make_step(StepBuilder &, const FusedOperation &, const ops::Reshape &) {} // a view of the same memory

} // namespace mpscnn::cpu
