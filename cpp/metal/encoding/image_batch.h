#pragma once

#include <cstdint>
#include <vector>

#include "metal/device/image.h"
#include "metal/device/objc_ptr.h"

#import <Metal/Metal.h>
#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

namespace mpscnn::metal {

/// A batch of temporary images with the same descriptor, one for each image, as MPS's training kernels
/// require. Their read counts are 1.
class ImageBatch {
public:
    /// True if a batch can hold a tensor: its images do not exceed the largest texture, and there are not so
    /// many that making them would take longer than the computation.
    static bool can_hold(const Shape &shape);

    /// Says whether images have pixels. If a kernel only uses an image's size, the image gets no memory.
    enum class Content { pixels, none };

    /// Make a batch. `layout` is the layout of one image. Throws DeviceError if there is not enough memory.
    ImageBatch(id<MTLCommandBuffer> command_buffer, const ImageLayout &layout, std::int64_t images,
               Content content = Content::pixels);
    /// Releases the images.
    ~ImageBatch();
    ImageBatch(const ImageBatch &) = delete;
    ImageBatch &operator=(const ImageBatch &) = delete;

    MPSImageBatch *get() const { return batch_.get(); }
    const std::vector<MPSImage *> &images() const { return images_; }

private:
    void release_images();

    objc_ptr<NSMutableArray *> batch_;
    std::vector<MPSImage *> images_; ///< owned by the batch
};

} // namespace mpscnn::metal
