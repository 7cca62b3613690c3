#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/backend/backend.h"

namespace mpscnn::engine {

/// The description of an image that can hold a tensor.
struct NativeImage {
    DType type = DType::float32; ///< float32 or float16
    Shape shape;                 ///< (images, height, width, feature channels)
};

/// A run on images of the program that embeds mpscnn, encoded into that program's command buffers. Each `void
/// *` is an object of the device's API, which mpscnn/metal.h defines.
class NativeRun {
public:
    virtual ~NativeRun() = default;
    /// Return the shapes of the tensors in the input images.
    virtual const std::vector<Shape> &input_shapes() const = 0;
    /// Return descriptions of images that can receive the plan's results without a copy.
    virtual std::vector<NativeImage> output_images(const Plan &plan) const = 0;
    /// Append the run to the program's commands, which keep the plan until they have finished. `outputs` are
    /// images, one for each of the ports. If the commands can take no more work or the images cannot hold the
    /// results, it throws and appends nothing.
    virtual void encode(std::shared_ptr<const Plan> plan, void *commands, void *outputs,
                        std::span<const Port> ports) = 0;
};

} // namespace mpscnn::engine
