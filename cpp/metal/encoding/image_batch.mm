#include "metal/encoding/image_batch.h"

#include "metal/encoding/encoding.h"
#include "ops/unsupported.h"

namespace mpscnn::metal {

bool ImageBatch::can_hold(const Shape &shape) {
    constexpr std::int64_t max_images = 2048;
    const ImageLayout layout = image_layout(shape, engine::Precision::float32);
    return shape[0] <= max_images && layout.height <= ops::metal_limits::extent &&
           layout.width <= ops::metal_limits::extent && layout.max_images() > 0;
}

ImageBatch::ImageBatch(id<MTLCommandBuffer> command_buffer, const ImageLayout &layout, std::int64_t images,
                       Content content)
    : batch_(adopt([[NSMutableArray alloc] initWithCapacity:static_cast<NSUInteger>(images)])) {
    MPSImageDescriptor *descriptor = layout.descriptor();
    try {
        for (std::int64_t i = 0; i < images; ++i) {
            MPSTemporaryImage *image = content == Content::pixels
                                           ? make_temporary_image(command_buffer, layout)
                                           : [MPSTemporaryImage temporaryImageWithCommandBuffer:command_buffer
                                                                                imageDescriptor:descriptor];
            [batch_.get() addObject:image];
            images_.push_back(image);
        }
    } catch (...) {
        release_images();
        throw;
    }
}

ImageBatch::~ImageBatch() { release_images(); }

void ImageBatch::release_images() {
    for (MPSImage *image : images_)
        if (MPSTemporaryImage *left = as_temporary(image);[left readCount] > 0) [left setReadCount:0];
}

} // namespace mpscnn::metal
