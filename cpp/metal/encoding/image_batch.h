#pragma once

#include <cstdint>
#include <vector>

#include "metal/device/image.h"
#include "metal/device/objc_ptr.h"

#import <Metal/Metal.h>
#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

namespace mpscnn::metal {

/// Temporary images of one description, each of one image: what MPS' kernels of training take. Their read
/// counts are 1.
class ImageBatch {
public:
    /// Whether a batch holds a tensor: in images as large as textures are, and not in so many that making
    /// them takes longer than what is computed.
    static bool can_hold(const Shape &shape);

    /// What is only asked for its size gets no memory.
    enum class Content { pixels, none };

    /// `layout` is that of one image. Throws DeviceError when there is not enough memory.
    ImageBatch(id<MTLCommandBuffer> command_buffer, const ImageLayout &layout, std::int64_t images,
               Content content = Content::pixels);
    /// Says that the images are not needed any more.
    ~ImageBatch();
    ImageBatch(const ImageBatch &) = delete;
    ImageBatch &operator=(const ImageBatch &) = delete;

    MPSImageBatch *get() const { return batch_.get(); }
    const std::vector<MPSImage *> &images() const { return images_; }

private:
    void release_images();

    objc_ptr<NSMutableArray *> batch_;
    std::vector<MPSImage *> images_; ///< which the batch keeps
};

} // namespace mpscnn::metal
