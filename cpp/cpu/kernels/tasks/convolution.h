#pragma once

#include <memory>

#include "core/aligned_buffer.h"
#include "cpu/kernels/tasks/task.h"
#include "cpu/kernels/tasks/window.h"
#include "cpu/plan/weight_memory.h"

namespace mpscnn::cpu {

/// How a convolution is computed, which the order of its weights depends on; cpu/plan/algorithm.h chooses.
enum class Algorithm {
    gemm,          ///< a matrix product of windows, read in place or gathered, by weights: convolution_gemm.h
    dot,           ///< the same for few outputs of many inputs, which fill the vectors: gemm_dot_tile.h
    packed_groups, ///< the same for narrow groups, several of which share a vector: gemm_group_tile.h
    depthwise,     ///< one input for each output: convolution_depthwise.h
    winograd       ///< dense 3x3 or 5x5 without stride or dilation, transformed: convolution_winograd.h
};

/// The most outputs of a group that Algorithm::dot is for.
inline constexpr int max_dot_outputs = 4;

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
    /// Of Algorithm::gemm with elements of float32: packed weights are halves, two in the place of a float.
    bool half_weights = false;

    bool is_depthwise() const { return algorithm == Algorithm::depthwise; }
    std::int64_t weights_per_output() const {
        return kernel_height * kernel_width * inputs_per_group / merged;
    }
};

/// Weights of a convolution (grouped, dense or fully connected) in the order a kernel table wants.
struct PackedConvolution : ConvolutionShape {
    WeightBuffer weights; ///< order private to the table
    WeightBuffer bias;    ///< `outputs` values (zeros without bias), padded to full vectors
    /// The last-level cache keeps all weights of the network from run to run.
    bool cached = false;
    /// Of Algorithm::winograd: the same for plain products, which compute what is not finite.
    std::shared_ptr<const PackedConvolution> plain;
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
    /// Of a pointwise convolution without stride of one group, by matrix product: one pixel for each image,
    /// by which the source is multiplied before, if `gated`.
    ConstView gate{};
    bool gated = false;
    /// Weights and bias are what a PackTask has written in the same run; `packed` has their order alone.
    bool reads_variables = false;

    const char *kernel_name() const { return packed->is_depthwise() ? "depthwise" : "convolution"; }
};

/// Taps of a kernel's axis at even distances.
struct TapSelection {
    std::int64_t first = 0, step = 1, count = 0;
};

/// Weights [outputs][height][width][inputs of a group] that are a tensor in the order of `shape`, after them
/// the bias, zeros without one, each padded to full vectors, and for Algorithm::winograd the weights for
/// plain products. For a convolution's data gradient, adjoint, `shape` is that of
/// [inputs][rows][columns][outputs of a group] with some taps of the weights.
struct PackTask {
    ConstView source, bias; ///< an output is an image of the source, the bias one pixel
    View destination;       ///< one pixel
    ConvolutionShape shape;
    bool has_bias = false;
    bool is_adjoint = false;
    std::int64_t groups = 1;       ///< of the convolution, if adjoint
    TapSelection rows, columns;    ///< if adjoint
    std::int64_t weights_size = 0; ///< floats of the destination: weights, and after them the bias
    std::int64_t bias_size = 0;

    const char *kernel_name() const { return "pack"; }
};

/// Convolutions of which each reads the result of the one before it, and nothing else does. What lies between
/// them has no place in the arena: a work item computes a band of rows of the last one's result and, in the
/// worker's scratch memory, the rows of all others that this needs.
///
/// A stage is a ConvolutionTask of which source and destination have extents only. The first is any dense
/// convolution, pointwise or depthwise, the others are pointwise or depthwise.
struct ChainTask {
    static constexpr std::int64_t max_stages = 8;

    ConstView source;
    View destination;
    const ConvolutionTask *stages = nullptr;
    std::int64_t count = 0;
    bool has_residual[max_stages] = {}; ///< by stage
    ConstView residuals[max_stages];
    std::int64_t band_rows = 0; ///< of the result, computed at once; 0: all of an image
    /// Outputs of a convolution that the depthwise one after it takes over while they are in the
    /// L1, before the convolution goes on to the next of its channels; 0: all.
    std::int64_t panel_channels = 0;

    const char *kernel_name() const { return "chain"; }
};

/// A convolution whose result nothing but a pooling reads. It has no place in the arena: a work item computes
/// some of its rows and channels in the worker's scratch memory and pools them there.
///
/// `convolution` is dense, without residual; of its tensors the extents count. The windows of `pooling` do
/// not overlap vertically, and each has rows within the convolution's result.
struct PooledConvolutionTask {
    ConstView source;
    View destination;
    ConvolutionTask convolution;
    PoolingTask pooling;
    Kernel<PoolingTask> pool; ///< of the same instruction set

    const char *kernel_name() const { return "pooled convolution"; }
};

/// One of several convolutions that compute a result together. It writes the output channels from
/// `destination_channel` on of the pixels (y, x), (y + step_y, x), (y, x + step_x), ...
struct ConvolutionPart {
    PackedConvolution packed;
    std::int64_t y = 0, x = 0;
    std::int64_t source_channel = 0, destination_channel = 0; ///< first ones
    std::int64_t before_y = 0, before_x = 0;                  ///< its window's, besides the task's
};

/// Convolutions whose output pixels are interleaved: a transposed convolution with a stride, a convolution
/// with its channels rearranged to pixels.
struct InterleavedConvolutionTask {
    ConstView source;
    View destination;
    WindowAxis vertical{}, horizontal{}; ///< of all parts, but for the kernel, which is each part's own
    std::int64_t step_y = 1, step_x = 1;
    const ConvolutionPart *parts = nullptr;
    std::int64_t part_count = 0;
    /// Where parts leave out pixels: what these are before the activation, padded to full vectors. The parts'
    /// rows and columns are independent then: a pixel is left out if its row or its column is.
    const float *background = nullptr;
    Epilogue epilogue{}; ///< without residual

    const char *kernel_name() const { return "interleaved convolution"; }
};

/// Channels of the source become blocks of scale x scale pixels of the destination, which may lack rows and
/// columns of the last blocks.
struct DepthToSpaceTask {
    ConstView source;
    View destination;
    std::int64_t scale = 1;
    bool channel_major = false; ///< one channel of all pixels of a block after the other

    const char *kernel_name() const { return "depth to space"; }
};

/// The same with the result of a convolution, whose epilogue is applied before.
struct SubpixelConvolutionTask {
    ConstView source;
    View destination;
    WindowAxis vertical{}, horizontal{}; ///< of the convolution
    const PackedConvolution *packed = nullptr;
    std::int64_t scale = 1;
    bool channel_major = false;
    Epilogue epilogue{}; ///< without residual; slopes are those of the convolution's channels

    const char *kernel_name() const { return "subpixel convolution"; }
};

/// Signs of weights, as bits: 1 for zero and above.
struct BinaryWeights {
    std::int64_t outputs = 0, inputs = 0, kernel_height = 1, kernel_width = 1;
    /// [vectors of outputs][kernel rows][kernel columns][words][lanes]: bit i of word w is input 32 * w + i,
    /// bits without an input are 0.
    AlignedBuffer<std::uint32_t> bits;
    AlignedBuffer<float> scale, bias;             ///< of outputs, padded to full vectors
    AlignedBuffer<float> input_bias, input_scale; ///< of inputs

    std::int64_t words() const { return (inputs + 31) / 32; }
};

/// destination = epilogue(sum * scale + bias), where sum is over the bits of the inputs (x + input_bias) *
/// input_scale >= 0 and the weights. Positions outside the source read as zero.
struct BinaryConvolutionTask {
    ConstView source;
    View destination;
    WindowAxis vertical{}, horizontal{};
    const BinaryWeights *weights = nullptr;
    bool signs = true; ///< bits are -1 and +1, otherwise 0 and 1
    Epilogue epilogue{};

    const char *kernel_name() const { return "binary convolution"; }
};

/// destination = epilogue(destination * beta + bias): beta is the mean of the source's absolute values over a
/// window and its channels, with zeros outside.
struct BetaScalingTask {
    ConstView source;
    View destination;
    WindowAxis vertical{}, horizontal{};
    const float *bias = nullptr; ///< padded to full vectors
    Epilogue epilogue{};

    const char *kernel_name() const { return "beta scaling"; }
};

} // namespace mpscnn::cpu
