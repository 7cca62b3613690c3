#pragma once

#include "core/aligned_buffer.h"
#include "cpu/kernels/tasks/task.h"

namespace mpscnn::cpu {

/// Weights and bias of a convolution or dense layer that sums its products in float16.
struct HalfWeights {
    /// The number of outputs in a panel: their weights for one input are adjacent, for vectors of any width.
    /// The last panel of a group, or of a depthwise layer, is padded with zeros.
    static constexpr std::int64_t panel = 32;

    std::int64_t outputs = 0, inputs_per_group = 0, groups = 1, kernel_height = 1, kernel_width = 1;
    AlignedBuffer<std::uint16_t> weights; ///< [group][panel][height][width][input][output of the panel]
    AlignedBuffer<std::uint16_t> bias;    ///< [group][panel][output of the panel]

    /// True if each output has one input. Then the outputs of all groups are packed as one group.
    bool is_depthwise() const { return groups > 1 && inputs_per_group == 1 && outputs == groups; }
    std::int64_t packed_groups() const { return is_depthwise() ? 1 : groups; }
    std::int64_t group_outputs() const { return outputs / packed_groups(); }
    /// Return the number of panels of each packed group.
    std::int64_t panels() const { return (group_outputs() + panel - 1) / panel; }
    std::int64_t taps() const { return kernel_height * kernel_width * inputs_per_group; }
    std::size_t bytes() const { return 2 * (weights.size() + bias.size()); }
};

/// A convolution whose sums are float16. Each sum begins with the bias and adds one product after the other,
/// in the order kernel row, column, input. Each addition is an FMA that is rounded to float16 once. Inputs
/// are first rounded to float16; positions outside the source are zero. The epilogue is in float32.
struct HalfSumsTask {
    ConstView source;
    View destination;
    WindowAxis vertical{}, horizontal{};
    const HalfWeights *weights = nullptr;
    Epilogue epilogue{};

    const char *kernel_name() const {
        return weights->is_depthwise() ? "depthwise in halves" : "convolution in halves";
    }
};

} // namespace mpscnn::cpu
