#include "kernels/resize.h"

#include "core/text.h"

namespace mpscnn::kernels {

void Resize::check(const std::string &kernel) const {
    if (by_factor) {
        require_range(kernel, "scale_factor_x", scale_factor_x, 1);
        require_range(kernel, "scale_factor_y", scale_factor_y, 1);
    } else {
        require_range(kernel, "resize_width", resize_width, 1);
        require_range(kernel, "resize_height", resize_height, 1);
    }
}

ImageSize Resize::destination_size(std::span<const ImageDescriptor> sources) const {
    if (!by_factor) return {resize_width, resize_height};
    return {sources[0].width * scale_factor_x, sources[0].height * scale_factor_y};
}

int Resize::build(EncodingBuilder &builder) const {
    builder.require_no_offset("the whole source is resized");
    const ImageSize size = destination_size({&builder.image(), 1});
    if (builder.width() > size.width || builder.height() > size.height)
        builder.refuse(ErrorKind::shape, concat({"the result is ", size.width, " x ", size.height,
                                                 "; clip_rect and destination take ", builder.width(), " x ",
                                                 builder.height()}));
    ops::Resize resize;
    resize.kind = kind;
    resize.width = size.width;
    resize.height = size.height;
    resize.alignment = align_corners ? ops::ResizeAlignment::corners : ops::ResizeAlignment::half_pixel;
    const int source = builder.whole();
    return builder.cut(builder.add(resize, {source}), size);
}

} // namespace mpscnn::kernels
