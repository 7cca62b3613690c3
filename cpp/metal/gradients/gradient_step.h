#pragma once

#include <optional>
#include <string>

#include "metal/device/device.h"
#include "metal/encoding/array_step.h"
#include "metal/encoding/image_batch.h"
#include "metal/encoding/transfer.h"
#include "metal/layers/choice.h"
#include "ops/op_list.h"

namespace mpscnn::metal {

/// Return the states that the forward kernel makes for gradient kernels: one for each image, or the same one
/// for all. Throws DeviceError if MPS makes none.
MPSStateBatch *make_states(MPSCNNKernel *forward, const ImageBatch &sources, const ImageBatch &results,
                           const std::string &name);

/// Return the array as images with this layout without gaps.
ArrayView dense(ArrayView array, const ImageLayout &layout);

/// An MPS gradient kernel without weights, and the forward kernel that makes its states.
struct GradientKernels {
    objc_ptr<MPSCNNKernel *> forward;
    objc_ptr<MPSCNNGradientKernel *> gradient;
    bool reads_source = true; ///< false: only the size of the forward kernel's source is used
};

/// Return MPS's kernels for a gradient. Return nothing if MPS has none with the same meaning, or if the
/// device may not use them. The gradient kernel has two sources: the gradient of the forward kernel's result,
/// and the forward kernel's source (for softmax its result instead). Throws DeviceError.
std::optional<GradientKernels> gradient_kernels(const ops::Operation &operation, const Shape &gradient,
                                                const Shape &source, const std::string &name,
                                                const Choice &choice, Device &device);

/// Runs a forward kernel and its gradient kernel on one batch of images.
class GradientStep : public ArrayStep {
public:
    struct Shapes {
        Shape gradient, source;
        bool halves = false; ///< true if the source's array holds halves
    };
    GradientStep(std::string name, GradientKernels kernels, const Shapes &shapes, Device &device);

    /// Encode the kernels. `arrays` may have more sources; only the first two are read.
    void encode(id<MTLCommandBuffer> command_buffer, std::span<const ArrayView> arrays) const override;
    std::string kernel() const override;
    std::size_t bytes() const override;

private:
    std::string name_;
    GradientKernels kernels_;
    std::int64_t images_;
    ImageLayout gradient_, source_, result_; ///< layouts of one image
    Transfer gradient_to_image_, source_to_image_, result_to_array_;
};

} // namespace mpscnn::metal
