#pragma once

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "metal/device/device.h"
#include "metal/encoding/array_step.h"
#include "metal/encoding/transfer.h"
#include "metal/layers/choice.h"
#include "ops/convolution.h"

namespace mpscnn::metal {

/// An MPSCNNConvolution and its MPSCNNConvolutionGradient, or an MPSCNNFullyConnected and its gradient.
/// Layers of one shape share these kernels, because the weights are reloaded before each use that reads them.
struct ConvolutionGradientKernels {
    objc_ptr<MPSCNNConvolutionDescriptor *> descriptor;
    objc_ptr<MPSCNNConvolution *> forward; ///< makes the states that the gradient kernel needs
    objc_ptr<MPSCNNConvolutionGradient *> gradient;
    objc_ptr<id<MTLBuffer>> biases; ///< zeros, because layers add their biases themselves
};

/// The convolution gradient kernels of a network. Any thread may add kernels while it makes a plan; one
/// thread at a time may use them.
class ConvolutionGradientCache {
public:
    /// Return the kernels for a convolution of this shape. Throws DeviceError, with the layer's name.
    std::shared_ptr<const ConvolutionGradientKernels>
    get(const ops::Convolution &convolution, const Shape &input, const std::string &name, Device &device);

private:
    /// The properties that determine the kernels: inputs, outputs, kernel height and width, groups, strides
    /// and dilations, and whether it is fully connected.
    using Key = std::array<std::int64_t, 10>;

    std::mutex mutex_;
    std::map<Key, std::shared_ptr<const ConvolutionGradientKernels>> kernels_;
};

/// Computes the gradient of a convolution's input or of its weight by MPS, in one batch of images.
class ConvolutionGradientStep : public ArrayStep {
public:
    enum class Wanted { input, weight };
    struct Shapes {
        Shape input, output;
        bool halves = false; ///< true: the input's array holds halves
    };

    /// Return whether MPS can compute the gradient and the device may use its kernel. The convolution must
    /// have no groups, groups of a multiple of four channels, or be depthwise with one output for each input.
    /// A batch of images must be able to hold its input and its output. If the result is true, this records
    /// that the layer uses the kernel (Choice::take).
    static bool can_compute(const ops::Convolution &convolution, const Shapes &shapes, const Choice &choice);

    /// Make the step. Throws DeviceError.
    ConvolutionGradientStep(std::string name, const ops::Convolution &convolution, Wanted wanted,
                            const Shapes &shapes, ConvolutionGradientCache &cache, Device &device);

    /// Encode the gradient. For the gradient of the input, the arrays are the result's gradient, the weight,
    /// the input and the computed gradient. For the gradient of the weight, they are the input, the result's
    /// gradient and the computed gradient.
    void encode(id<MTLCommandBuffer> command_buffer, std::span<const ArrayView> arrays) const override;
    std::string kernel() const override;
    std::size_t bytes() const override;

private:
    void place_windows() const;
    void reload(id<MTLCommandBuffer> command_buffer, const ArrayView &weights) const;
    void encode_input(id<MTLCommandBuffer> command_buffer, std::span<const ArrayView> arrays) const;
    void encode_weight(id<MTLCommandBuffer> command_buffer, std::span<const ArrayView> arrays) const;

    std::string name_;
    Wanted wanted_;
    std::int64_t images_;
    std::int64_t weights_;                ///< number of weights
    ImageLayout input_, output_, result_; ///< layouts of one image
    MPSOffset offset_;                    ///< offset of the convolution
    NSInteger first_column_, first_row_;  ///< first column and row of the convolution's first window
    NSInteger kernel_x_, kernel_y_;       ///< offsets of the gradient kernel
    std::shared_ptr<const ConvolutionGradientKernels> kernels_;
    Transfer output_to_image_, input_to_image_, result_to_array_;
    id<MTLComputePipelineState> copy_;
};

} // namespace mpscnn::metal
