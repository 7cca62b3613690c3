// Helpers of the tests of photos in mpscnn/metal.h.
#pragma once

#include "metal_header_check.h"

#include "tests/cpp/c_api.h"

#include <cmath>

namespace header_test {

inline const char *const settings = R"({"fit": "letterbox", "order": "bgr", "mean": [90, 80, 70],
                                 "scale": [0.01, 0.02, 0.03], "letterbox_value": 114})";

inline std::vector<std::uint8_t> bytes_of(std::size_t count) {
    std::vector<std::uint8_t> bytes(count);
    for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::uint8_t>(i * i * 7 + i * 13 + 5);
    return bytes;
}

inline id<MTLTexture> texture_of(MTLPixelFormat format, NSUInteger width, NSUInteger height,
                                 const std::vector<std::uint8_t> &bytes) {
    MTLTextureDescriptor *descriptor = [MTLTextureDescriptor texture2DDescriptorWithPixelFormat:format
                                                                                          width:width
                                                                                         height:height
                                                                                      mipmapped:NO];
    [descriptor setUsage:MTLTextureUsageShaderRead];
    [descriptor setStorageMode:MTLStorageModeShared];
    id<MTLTexture> texture = owned([device() newTextureWithDescriptor:descriptor]);
    [texture replaceRegion:MTLRegionMake3D(0, 0, 0, width, height, 1)
               mipmapLevel:0
                 withBytes:bytes.data()
               bytesPerRow:bytes.size() / height];
    return texture;
}

inline const Shape input_shape{1, 4, 5, 3};

inline std::vector<float> on_the_processor(const mpscnn::ImageView &photo) {
    std::vector<float> values(elements_of(input_shape));
    mpscnn::preprocess(photo, settings, 4, 5, 3, values);
    return values;
}

inline bool alike(const std::vector<float> &found, const std::vector<float> &expected, float tolerance) {
    bool all = found.size() == expected.size();
    for (std::size_t i = 0; i < expected.size(); ++i)
        all = all && std::fabs(found[i] - expected[i]) <= tolerance;
    return all;
}

} // namespace header_test
