#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/run/backend.h"

namespace mpscnn::engine {

/// The description of an image that can hold a tensor.
struct NativeImage {
    DType type = DType::float32; ///< or float16
    Shape shape;                 ///< (images, height, width, feature channels)
};

/// A run on images of the program that embeds mpscnn, in that program's commands. Each `void *` is an object
/// of the device's API; the header for such programs defines which (mpscnn/metal.h).
class NativeRun {
public:
    virtual ~NativeRun() = default;
    /// The shapes of the tensors in the input images.
    virtual const std::vector<Shape> &input_shapes() const = 0;
    /// The images that receive the plan's results without a copy.
    virtual std::vector<NativeImage> output_images(const Plan &plan) const = 0;
    /// Append the run to the program's commands, which keep the plan until they have finished. `outputs` are
    /// images, one for each of the ports. Throws for commands that can take no more work, and for images that
    /// cannot hold the results; nothing is appended then.
    virtual void encode(std::shared_ptr<const Plan> plan, void *commands, void *outputs,
                        std::span<const Port> ports) = 0;
};

} // namespace mpscnn::engine
