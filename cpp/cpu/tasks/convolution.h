#pragma once

#include <memory>

#include "core/aligned_buffer.h"
#include "cpu/tasks/task.h"
#include "cpu/weight_memory.h"

namespace mpscnn::cpu {

/// What a convolution's weights are: [outputs][kernel_height][kernel_width][inputs_per_group].
struct ConvolutionShape {
    std::int64_t outputs = 0, inputs_per_group = 0, groups = 1, kernel_height = 1, kernel_width = 1;
    bool depthwise = false; ///< inputs_per_group == 1 and groups > 1: the depthwise kernels do it
    /// Narrow groups that share a register, taken for one group. An output has weights for its own part of
    /// the group's inputs only.
    std::int64_t merged = 1;
    /// Inputs and weights are bfloat16 numbers. Unless depthwise, whose weights are floats, an input stands
    /// for two of them here, and a weight too: numbers of 32 bits for all that does not multiply them.
    bool bfloat16 = false;
    /// Of a 3x3 or 5x5 kernel, dense and without stride or dilation: the weights are transformed, and
    /// convolution_winograd.h does it.
    bool winograd = false;

    std::int64_t weights_per_output() const {
        return kernel_height * kernel_width * inputs_per_group / merged;
    }
};

/// How a convolution multiplies, which its packed weights depend on.
enum class ConvolutionMethod { products, bfloat16_products, winograd };

/// Weights of a convolution (grouped, dense or fully connected) in the order a kernel table wants.
struct PackedConvolution : ConvolutionShape {
    WeightBuffer weights;      ///< order private to the table
    AlignedBuffer<float> bias; ///< `outputs` values (zeros without bias), padded to full vectors
    /// The last cache keeps all weights of the network from run to run.
    bool cached = false;
    /// If `winograd`: the same for plain products, which compute what is not finite.
    std::unique_ptr<const PackedConvolution> plain;
};

struct ConvolutionTask {
    static constexpr std::size_t plan_bytes = 16 * 1024;

    ConstView source;
    View destination;
    WindowAxis vertical{}, horizontal{}; ///< positions outside the source read as zero
    const PackedConvolution *packed = nullptr;
    Epilogue epilogue{};
    /// Of a pointwise convolution of one group that multiplies plainly: what sums start with instead of the
    /// bias, one pixel for each image, if `continues`.
    ConstView start{};
    bool continues = false;
    /// Where `work` leaves for `run` how it cuts the task: plan_bytes, aligned to 64. Without it, every call
    /// finds that out anew.
    std::byte *plan = nullptr;

    const char *kernel_name() const { return packed->depthwise ? "depthwise" : "convolution"; }
};

} // namespace mpscnn::cpu
