#include "engine/commands/image.h"

#include <algorithm>
#include <cstring>

#include "api/guard.h"
#include "api/kernel_handles.h"
#include "engine/commands/host_command.h"

using namespace mpscnn;
using c_api::guarded;
using c_api::require;
using engine::ImageFormat;

namespace {

static_assert(static_cast<int>(ImageFormat::unorm8) == MPSCNN_CHANNEL_UNORM8);
static_assert(static_cast<int>(ImageFormat::unorm16) == MPSCNN_CHANNEL_UNORM16);
static_assert(static_cast<int>(ImageFormat::float16) == MPSCNN_CHANNEL_FLOAT16);
static_assert(static_cast<int>(ImageFormat::float32) == MPSCNN_CHANNEL_FLOAT32);

engine::ImageRegion region_of(const mpscnn_image_region *region) {
    require(region, "region");
    return {region->image,  region->y,      region->x,     region->channel,
            region->images, region->height, region->width, region->channels};
}

engine::ImageData data_of(const mpscnn_image_data *given) {
    require(given, "data");
    const auto raw = c_api::read_options(given, "mpscnn_image_data");
    require(raw.data, "data");
    return {raw.data, raw.planar ? engine::DataLayout::chw : engine::DataLayout::hwc, raw.row_bytes,
            raw.image_bytes};
}

} // namespace

namespace mpscnn::c_api {

std::vector<engine::ImagePointer> images_of(const mpscnn_feature_image *const *images, int count,
                                            const char *name) {
    require_array(static_cast<const void *>(images), count, name);
    std::vector<engine::ImagePointer> result;
    for (int i = 0; i < count; ++i) {
        require(images[i], name);
        result.push_back(images[i]->image);
    }
    return result;
}

engine::ImageDescriptor descriptor_of(const mpscnn_image_descriptor *given) {
    require(given, "descriptor");
    const auto raw = read_options(given, "mpscnn_image_descriptor");
    if (raw.format < 0 || raw.format > MPSCNN_CHANNEL_FLOAT32)
        fail(ErrorKind::parameter, {"Image: format must be one of mpscnn_channel_format, got ", raw.format});
    return {raw.width, raw.height, raw.feature_channels, raw.number_of_images,
            raw.format == 0 ? ImageFormat::float32 : static_cast<ImageFormat>(raw.format)};
}

void give_descriptor(const engine::ImageDescriptor &descriptor, mpscnn_image_descriptor *to) {
    require(to, "descriptor");
    mpscnn_image_descriptor raw{};
    check_options(to, to->size, sizeof raw, alignof(mpscnn_image_descriptor), "mpscnn_image_descriptor");
    raw = {to->size,
           descriptor.width,
           descriptor.height,
           descriptor.feature_channels,
           descriptor.number_of_images,
           static_cast<std::int32_t>(descriptor.format)};
    std::memcpy(to, &raw, std::min(to->size, sizeof raw));
}

} // namespace mpscnn::c_api

mpscnn_status mpscnn_feature_image_create(const mpscnn_image_descriptor *descriptor,
                                          mpscnn_feature_image **image) {
    return guarded([&] {
        require(image, "image");
        *image = new mpscnn_feature_image{.image = engine::Image::create(c_api::descriptor_of(descriptor))};
    });
}

mpscnn_status mpscnn_feature_image_create_temporary(mpscnn_command_buffer *commands,
                                                    const mpscnn_image_descriptor *descriptor,
                                                    mpscnn_feature_image **image) {
    return guarded([&] {
        require(commands, "commands");
        require(image, "image");
        *image = new mpscnn_feature_image{
            .image = engine::Image::create_temporary(c_api::descriptor_of(descriptor), commands->commands)};
    });
}

void mpscnn_feature_image_release(mpscnn_feature_image *image) { mpscnn::c_api::release(image); }

mpscnn_status mpscnn_feature_image_descriptor(const mpscnn_feature_image *image,
                                              mpscnn_image_descriptor *descriptor) {
    return guarded([&] {
        require(image, "image");
        c_api::give_descriptor(image->image->descriptor(), descriptor);
    });
}

mpscnn_status mpscnn_feature_image_set_label(mpscnn_feature_image *image, const char *label) {
    return guarded([&] {
        require(image, "image");
        image->image->set_label(std::string(c_api::text(label, "label")));
    });
}

mpscnn_status mpscnn_feature_image_read_count(const mpscnn_feature_image *image, int64_t *count) {
    return guarded([&] {
        require(image, "image");
        require(count, "count");
        *count = image->image->read_count();
    });
}

mpscnn_status mpscnn_feature_image_set_read_count(mpscnn_feature_image *image, int64_t count) {
    return guarded([&] {
        require(image, "image");
        image->image->set_read_count(count);
    });
}

mpscnn_status mpscnn_feature_image_read(const mpscnn_feature_image *image, const mpscnn_image_region *region,
                                        const mpscnn_image_data *data) {
    return guarded([&] {
        require(image, "image");
        image->image->read(region_of(region), data_of(data));
    });
}

mpscnn_status mpscnn_feature_image_write(mpscnn_feature_image *image, const mpscnn_image_region *region,
                                         const mpscnn_image_data *data) {
    return guarded([&] {
        require(image, "image");
        image->image->write(region_of(region), data_of(data));
    });
}

mpscnn_status mpscnn_feature_image_memory(const mpscnn_feature_image *image, void **data,
                                          int64_t strides[4]) {
    return guarded([&] {
        require(image, "image");
        require(data, "data");
        require(strides, "strides");
        const auto memory = engine::accessible_host_memory(*image->image);
        const auto steps = memory->strides();
        *data = memory->data();
        std::copy(steps.begin(), steps.end(), strides);
    });
}
