#pragma once

#include <memory>
#include <span>
#include <vector>

#include "metal/encoding/array_step.h"
#include "metal/encoding/transfer.h"
#include "metal/run/lowering.h"

namespace mpscnn::metal {

/// A layer on images whose sources and result are arrays. The arrays are copied to images and back, in passes
/// of as many images as fit.
class ImageStep : public ArrayStep {
public:
    /// A source or the result. `shape` is the shape of the layer's tensor, and `image` is the shape of its
    /// image. The two shapes may differ by a reshape.
    struct Port {
        Shape shape, image;
        DType type = DType::float32;                              ///< type of the array's elements
        engine::Precision precision = engine::Precision::float32; ///< precision of the image
    };

    /// Make the step. Throws ShapeError if an image of a source or of the result is too large for MPS.
    ImageStep(const LoweredLayer &layer, const std::vector<Port> &sources, const Port &result,
              ShaderLibrary &shaders);

    void encode(id<MTLCommandBuffer> command_buffer, std::span<const ArrayView> arrays) const override;
    std::string kernel() const override { return step_->kernel(); }
    std::size_t bytes() const override;

private:
    ArrayView part(const ArrayView &array, std::size_t port, std::int64_t first_image) const;

    std::string name_;
    std::vector<StoredValue> values_; ///< the sources, then the result
    std::vector<Transfer> transfers_;
    std::vector<std::int64_t> passes_;
    std::unique_ptr<const Step> step_;
};

} // namespace mpscnn::metal
