#include "cpu/plan/half_sums.h"

#include <algorithm>
#include <cmath>

#include "core/half.h"

namespace mpscnn::cpu {

HalfWeights pack_half_weights(std::span<const float> weights, std::span<const float> bias, const Shape &shape,
                              std::int64_t groups) {
    HalfWeights packed;
    packed.outputs = shape[0];
    packed.kernel_height = shape[1];
    packed.kernel_width = shape[2];
    packed.inputs_per_group = shape[3];
    packed.groups = groups;
    const std::int64_t panels = packed.panels(), taps = packed.taps(), outputs = packed.group_outputs();
    const auto lanes = static_cast<std::size_t>(packed.packed_groups() * panels * HalfWeights::panel);
    packed.weights = AlignedBuffer<std::uint16_t>(lanes * static_cast<std::size_t>(taps));
    packed.bias = AlignedBuffer<std::uint16_t>(lanes);
    std::fill_n(packed.weights.data(), packed.weights.size(), std::uint16_t{0});
    std::fill_n(packed.bias.data(), packed.bias.size(), std::uint16_t{0});
    const float *from = weights.data();
    for (std::int64_t output = 0; output < packed.outputs; ++output) {
        const std::int64_t group = output / outputs, within = output % outputs;
        const std::int64_t panel = group * panels + within / HalfWeights::panel,
                           lane = within % HalfWeights::panel;
        packed.bias.data()[panel * HalfWeights::panel + lane] =
            half_from_float(bias[static_cast<std::size_t>(output)]);
        std::uint16_t *to = packed.weights.data() + panel * taps * HalfWeights::panel + lane;
        for (std::int64_t tap = 0; tap < taps; ++tap, to += HalfWeights::panel)
            *to = half_from_float(*from++);
    }
    return packed;
}

void lower_half_sums(const OperationLowering &lowering, const Shape &shape, std::int64_t groups) {
    const std::vector<float> bias = lowering.bias(shape[0]);
    for (const float value : bias)
        if (!std::isfinite(round_to_half(value)))
            fail(ErrorKind::weights, {"layer ", quoted(lowering.node.name), ": bias ", value,
                                      " does not fit into sums in float16, whose largest number is 65504"});
    lowering.fused.half_sums = pack_half_weights(lowering.weights(), bias, shape, groups);
}

Step &begin_half_sums(StepBuilder &builder, const FusedOperation &fused, const ConvolutionTask &task) {
    HalfSumsTask own;
    own.vertical = task.vertical;
    own.horizontal = task.horizontal;
    own.weights = &*fused.half_sums;
    own.epilogue = task.epilogue;
    return builder.begin(fused, own);
}

} // namespace mpscnn::cpu
