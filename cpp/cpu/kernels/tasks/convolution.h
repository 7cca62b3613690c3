#pragma once

#include <memory>

#include "core/aligned_buffer.h"
#include "cpu/kernels/tasks/task.h"
#include "cpu/kernels/tasks/window.h"
#include "cpu/machine/weight_memory.h"

namespace mpscnn::cpu {

/// The algorithm of a convolution (chosen by cpu/plan/algorithm.h). It determines the order of packed
/// weights.
enum class Algorithm {
    /// A matrix product of windows and weights; windows are read in place or gathered: convolution_gemm.h.
    gemm,
    /// A matrix product for few outputs of many inputs; inputs fill the vectors: gemm_dot_tile.h.
    dot,
    packed_groups, ///< a matrix product for narrow groups; several groups share a vector: gemm_group_tile.h
    depthwise,     ///< one input for each output: convolution_depthwise.h
    winograd       ///< dense 3x3 or 5x5 without stride or dilation, transformed: convolution_winograd.h
};

/// The largest number of outputs of a group for which Algorithm::dot is used.
inline constexpr int max_dot_outputs = 4;

/// The extents of a convolution's weights: [outputs][kernel_height][kernel_width][inputs_per_group].
struct ConvolutionShape {
    std::int64_t outputs = 0, inputs_per_group = 0, groups = 1, kernel_height = 1, kernel_width = 1;
    Algorithm algorithm = Algorithm::gemm;
    /// The type of inputs and weights. With bfloat16, a packed input or weight is a pair of bfloat16 numbers
    /// in 32 bits. Code that does not multiply them treats a pair as one number. Weights of depthwise
    /// convolutions are an exception: they are floats.
    Element element = Element::float32;
    /// For Algorithm::packed_groups: the number of the layer's groups that are merged into each of `groups`.
    /// An output has weights only for the inputs of its own group of the layer.
    std::int64_t merged = 1;
    /// For Algorithm::gemm with float32 elements: true if packed weights are halves.
    bool half_weights = false;

    bool is_depthwise() const { return algorithm == Algorithm::depthwise; }
    std::int64_t weights_per_output() const {
        return kernel_height * kernel_width * inputs_per_group / merged;
    }
};

/// The weights of a convolution (grouped, dense or fully connected) in the order that one instruction set's
/// kernels read.
struct PackedConvolution : ConvolutionShape {
    WeightBuffer weights; ///< only the kernels know their order
    WeightBuffer bias;    ///< `outputs` values (zeros without bias), padded to full vectors
    /// True if the last-level cache keeps all weights of the network between runs.
    bool cached = false;
    /// For Algorithm::winograd: the weights without the transform. Tiles with inputs that are not finite are
    /// computed by plain products with these weights.
    std::shared_ptr<const PackedConvolution> plain;
};

struct ConvolutionTask {
    ConstView source;
    View destination;
    WindowAxis vertical{}, horizontal{}; ///< positions outside the source read as zero
    const PackedConvolution *packed = nullptr;
    Epilogue epilogue{};
    /// If `continues`, sums start with this tensor instead of the bias. It has one pixel for each image. Only
    /// a 1x1 convolution with one group may have it.
    ConstView start{};
    bool continues = false;
    /// If `gated`, the source is first multiplied by this tensor, which has one pixel for each image. Only a
    /// 1x1 convolution by matrix product, without stride and with one group, may have it.
    ConstView gate{};
    bool gated = false;
    /// True if a PackTask of the same run writes weights and bias. Then `packed` has no data, only their
    /// order.
    bool reads_variables = false;

    const char *kernel_name() const { return packed->is_depthwise() ? "depthwise" : "convolution"; }
};

/// Some taps of a kernel's axis, at equal distances.
struct TapSelection {
    std::int64_t first = 0, step = 1, count = 0;
};

/// Packs weights that are a tensor [outputs][height][width][inputs of a group] into the order of `shape`.
/// After the weights comes the bias (zeros without one), and for Algorithm::winograd also the weights for
/// plain products. Each part is padded to whole vectors. If `is_adjoint`, the weights are packed for a
/// convolution that computes a data gradient. Then `shape` is [inputs][rows][columns][outputs of a group],
/// with some taps of the weights.
struct PackTask {
    ConstView source, bias; ///< the weights of an output are an image of `source`; `bias` is one pixel
    View destination;       ///< one pixel
    ConvolutionShape shape;
    bool has_bias = false;
    bool is_adjoint = false;
    std::int64_t groups = 1;    ///< if adjoint: groups of the convolution
    TapSelection rows, columns; ///< if adjoint: the taps that are packed
    /// Floats of the packed weights in the destination; the bias comes after them.
    std::int64_t weights_size = 0;
    std::int64_t bias_size = 0;

    const char *kernel_name() const { return "pack"; }
};

/// A chain of convolutions. Each is the single consumer of the convolution before it. The tensors between
/// them are not in the arena. A work item computes a band of rows of the last result, or some channels of it
/// (convolution_chain.h). Before that, it computes the rows of all other results that the item needs, in the
/// worker's scratch memory.
///
/// A stage is a ConvolutionTask whose source and destination have extents but no data. The first stage is any
/// dense convolution, pointwise or depthwise. The others are pointwise or depthwise.
struct ChainTask {
    static constexpr std::int64_t max_stages = 8;

    ConstView source;
    View destination;
    const ConvolutionTask *stages = nullptr;
    std::int64_t count = 0;
    bool has_residual[max_stages] = {}; ///< by stage
    ConstView residuals[max_stages];
    std::int64_t band_rows = 0; ///< rows of the result that are computed together; 0: all rows of an image
    /// The number of output channels of a convolution that are computed before the depthwise convolution
    /// after it reads them, so that they stay in L1; 0: all.
    std::int64_t panel_channels = 0;

    const char *kernel_name() const { return "chain"; }
};

/// A convolution whose single consumer is a pooling. Its result is not in the arena: a work item computes
/// some of its rows and channels in the worker's scratch memory and pools them there.
///
/// `convolution` is dense and has no residual; its tensors have extents but no data. The windows of `pooling`
/// do not overlap vertically, and each includes rows of the convolution's result.
struct PooledConvolutionTask {
    ConstView source;
    View destination;
    ConvolutionTask convolution;
    PoolingTask pooling;
    Kernel<PoolingTask> pool; ///< kernel of the same instruction set

    const char *kernel_name() const { return "pooled convolution"; }
};

/// One of several convolutions that together compute a result. It writes the pixels (y, x), (y + step_y, x),
/// (y, x + step_x), ... for the output channels from `destination_channel` on.
struct ConvolutionPart {
    PackedConvolution packed;
    std::int64_t y = 0, x = 0;
    /// The first channel of the source that this part reads, and the first channel of the destination that
    /// it writes.
    std::int64_t source_channel = 0, destination_channel = 0;
    std::int64_t before_y = 0, before_x = 0; ///< added to `before` of the task's window
};

/// Convolutions whose output pixels are interleaved. They compute a transposed convolution with a stride, or
/// a convolution with depth to space after it.
struct InterleavedConvolutionTask {
    ConstView source;
    View destination;
    /// The stride, dilation and padding of all parts. The size of each part's kernel is in its weights.
    WindowAxis vertical{}, horizontal{};
    std::int64_t step_y = 1, step_x = 1;
    const ConvolutionPart *parts = nullptr;
    std::int64_t part_count = 0;
    /// The values, before the activation, of pixels that no part computes, padded to whole vectors. A pixel
    /// is one of these if no part computes its row or no part computes its column.
    const float *background = nullptr;
    Epilogue epilogue{}; ///< without residual

    const char *kernel_name() const { return "interleaved convolution"; }
};

/// Rearranges channels of the source to blocks of scale x scale pixels of the destination. The destination
/// may lack rows and columns of the last blocks.
struct DepthToSpaceTask {
    ConstView source;
    View destination;
    std::int64_t scale = 1;
    /// True: source channels are ordered by destination channel, and then by pixel of the block.
    bool channel_major = false;

    const char *kernel_name() const { return "depth to space"; }
};

/// A DepthToSpaceTask on the result of a convolution. The epilogue is applied before the rearrangement.
struct SubpixelConvolutionTask {
    ConstView source;
    View destination;
    WindowAxis vertical{}, horizontal{}; ///< the convolution's window
    const PackedConvolution *packed = nullptr;
    std::int64_t scale = 1;
    bool channel_major = false;
    Epilogue epilogue{}; ///< without residual; slopes are per channel of the convolution

    const char *kernel_name() const { return "subpixel convolution"; }
};

/// The signs of weights as bits: 1 for zero and above, 0 below zero.
struct BinaryWeights {
    std::int64_t outputs = 0, inputs = 0, kernel_height = 1, kernel_width = 1;
    /// [vectors of outputs][kernel rows][kernel columns][words][lanes]. Bit i of word w belongs to input 32 *
    /// w + i. Bits without an input are 0.
    AlignedBuffer<std::uint32_t> bits;
    AlignedBuffer<float> scale, bias;             ///< per output, padded to full vectors
    AlignedBuffer<float> input_bias, input_scale; ///< per input

    std::int64_t words() const { return (inputs + 31) / 32; }
};

/// destination = epilogue(sum * scale + bias). The sum combines the bits of the inputs, (x + input_bias) *
/// input_scale >= 0, with the bits of the weights. Positions outside the source read as zero.
struct BinaryConvolutionTask {
    ConstView source;
    View destination;
    WindowAxis vertical{}, horizontal{};
    const BinaryWeights *weights = nullptr;
    bool signs = true; ///< true: bits mean -1 and +1; false: 0 and 1
    Epilogue epilogue{};

    const char *kernel_name() const { return "binary convolution"; }
};

/// destination = epilogue(destination * beta + bias). beta is the mean of the source's absolute values over a
/// window and all channels. Values outside the source are zero.
struct BetaScalingTask {
    ConstView source;
    View destination;
    WindowAxis vertical{}, horizontal{};
    const float *bias = nullptr; ///< padded to full vectors
    Epilogue epilogue{};

    const char *kernel_name() const { return "beta scaling"; }
};

} // namespace mpscnn::cpu
