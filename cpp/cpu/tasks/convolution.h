#pragma once

#include <memory>

#include "core/aligned_buffer.h"
#include "cpu/tasks/task.h"
#include "cpu/weight_memory.h"

namespace mpscnn::cpu {

/// How a convolution is computed, which the order of its weights depends on; cpu/algorithm.h chooses.
enum class Algorithm {
    gemm,          ///< a matrix product of windows, read in place or gathered, by weights: convolution_gemm.h
    dot,           ///< the same for few outputs of many inputs, which fill the vectors: gemm_dot_tile.h
    packed_groups, ///< the same for narrow groups, several of which share a vector: gemm_merged_tile.h
    depthwise,     ///< one input for each output: convolution_depthwise.h
    winograd       ///< dense 3x3 or 5x5 without stride or dilation, transformed: convolution_winograd.h
};

/// The most outputs of a group that Algorithm::dot is for.
constexpr int most_dot_outputs(std::int64_t vector_width) {
    return vector_width / 2 < 4 ? static_cast<int>(vector_width / 2) : 4;
}

/// What a convolution's weights are: [outputs][kernel_height][kernel_width][inputs_per_group].
struct ConvolutionShape {
    std::int64_t outputs = 0, inputs_per_group = 0, groups = 1, kernel_height = 1, kernel_width = 1;
    Algorithm algorithm = Algorithm::gemm;
    /// Of inputs and weights. bfloat16: unless depthwise, whose weights are floats, a packed input stands for
    /// two such numbers, and a weight too: numbers of 32 bits for all that does not multiply them.
    Element element = Element::float32;
    /// Of packed weights by Algorithm::packed_groups: how many groups each of `groups` stands for. An output
    /// has weights for its own part of the group's inputs only.
    std::int64_t merged = 1;

    bool is_depthwise() const { return algorithm == Algorithm::depthwise; }
    std::int64_t weights_per_output() const {
        return kernel_height * kernel_width * inputs_per_group / merged;
    }
};

/// Weights of a convolution (grouped, dense or fully connected) in the order a kernel table wants.
struct PackedConvolution : ConvolutionShape {
    WeightBuffer weights;      ///< order private to the table
    AlignedBuffer<float> bias; ///< `outputs` values (zeros without bias), padded to full vectors
    /// The last cache keeps all weights of the network from run to run.
    bool cached = false;
    /// Of Algorithm::winograd: the same for plain products, which compute what is not finite.
    std::unique_ptr<const PackedConvolution> plain;
};

struct ConvolutionTask {
    ConstView source;
    View destination;
    WindowAxis vertical{}, horizontal{}; ///< positions outside the source read as zero
    const PackedConvolution *packed = nullptr;
    Epilogue epilogue{};
    /// Of a pointwise convolution of one group that multiplies plainly: what sums start with instead of the
    /// bias, one pixel for each image, if `continues`.
    ConstView start{};
    bool continues = false;

    const char *kernel_name() const { return packed->is_depthwise() ? "depthwise" : "convolution"; }
};

} // namespace mpscnn::cpu
