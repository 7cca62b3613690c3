#pragma once

#include "core/aligned_buffer.h"
#include "cpu/kernels/tasks/task.h"

namespace mpscnn::cpu {

/// Weights and bias of a convolution or dense layer whose products are summed in halves.
struct HalfWeights {
    /// Outputs whose weights for one input lie side by side, for every vector's width; the last ones of a
    /// group, or of a depthwise layer, are filled up with zeros.
    static constexpr std::int64_t panel = 32;

    std::int64_t outputs = 0, inputs_per_group = 0, groups = 1, kernel_height = 1, kernel_width = 1;
    AlignedBuffer<std::uint16_t> weights; ///< [group][panel][height][width][input][output of the panel]
    AlignedBuffer<std::uint16_t> bias;    ///< [group][panel][output of the panel]

    /// One input for each output: all groups' outputs lie in the panels of one.
    bool is_depthwise() const { return groups > 1 && inputs_per_group == 1 && outputs == groups; }
    std::int64_t packed_groups() const { return is_depthwise() ? 1 : groups; }
    std::int64_t group_outputs() const { return outputs / packed_groups(); }
    std::int64_t panels() const { return (group_outputs() + panel - 1) / panel; } ///< of a packed group
    std::int64_t taps() const { return kernel_height * kernel_width * inputs_per_group; }
    std::size_t bytes() const { return 2 * (weights.size() + bias.size()); }
};

/// A convolution whose sums are halves. Each begins with the bias and adds the products of one tap after the
/// other, kernel rows first, then columns, then inputs: each by an FMA that is rounded to half once. Inputs
/// are rounded to half before, positions outside the source are zero; the epilogue is in float32.
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
