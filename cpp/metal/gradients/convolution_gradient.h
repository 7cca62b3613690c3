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

/// MPSCNNConvolution and MPSCNNConvolutionGradient of one shape, or MPSCNNFullyConnected and its gradient.
/// Weights are reloaded before each use that reads them, so that layers of one shape share the kernels.
struct ConvolutionGradientKernels {
    objc_ptr<MPSCNNConvolutionDescriptor *> descriptor;
    objc_ptr<MPSCNNConvolution *> forward; ///< makes the gradient's states
    objc_ptr<MPSCNNConvolutionGradient *> gradient;
    objc_ptr<id<MTLBuffer>> biases; ///< zeros: layers add their biases themselves
};

/// The kernels of a network. Made while plans are, by any thread; used by one thread at a time.
class ConvolutionGradientCache {
public:
    /// Throws DeviceError, with the layer's name.
    std::shared_ptr<const ConvolutionGradientKernels>
    get(const ops::Convolution &convolution, const Shape &input, const std::string &name, Device &device);

private:
    /// Inputs, outputs, kernel height and width, groups, strides and dilations, and whether fully connected.
    using Key = std::array<std::int64_t, 10>;

    std::mutex mutex_;
    std::map<Key, std::shared_ptr<const ConvolutionGradientKernels>> kernels_;
};

/// The gradient of a convolution's input or of its weight by MPS, in one batch of images.
class ConvolutionGradientStep : public ArrayStep {
public:
    enum class Wanted { input, weight };
    struct Shapes {
        Shape input, output;
        bool halves = false; ///< the input's array holds halves
    };

    /// Whether MPS computes it: groups of a multiple of four channels, or depthwise with one output for each
    /// input, and what a batch of images can hold. Takes the kernel then; one that may not be taken computes
    /// nothing.
    static bool can_compute(const ops::Convolution &convolution, const Shapes &shapes, const Choice &choice);

    /// Throws DeviceError.
    ConvolutionGradientStep(std::string name, const ops::Convolution &convolution, Wanted wanted,
                            const Shapes &shapes, ConvolutionGradientCache &cache, Device &device);

    /// Sources: gradient, weight and input for the input's gradient; input and gradient for the weight's.
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
    std::int64_t weights_;                ///< elements
    ImageLayout input_, output_, result_; ///< of one image
    MPSOffset offset_;                    ///< of the convolution
    NSInteger first_column_, first_row_;  ///< of its first window
    NSInteger kernel_x_, kernel_y_;       ///< offsets of the gradient's kernel
    std::shared_ptr<const ConvolutionGradientKernels> kernels_;
    Transfer output_to_image_, input_to_image_, result_to_array_;
    id<MTLComputePipelineState> copy_;
};

} // namespace mpscnn::metal
