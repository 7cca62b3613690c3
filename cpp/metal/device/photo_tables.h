#pragma once

#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include "metal/device/objc_ptr.h"
#include "vision/image_view.h"
#include "vision/resample.h"

#import <Metal/Metal.h>

namespace mpscnn::metal {

class Device;

/// All settings that decide which samples of a photo's textures a destination's pixels read, and with which
/// weights.
struct PhotoSampling {
    vision::Axis columns, rows; ///< of the stored photo
    vision::Filter filter;
    bool mirrored, upside_down;
    std::optional<vision::ChromaSiting> siting; ///< for photos with chroma planes

    friend bool operator==(const PhotoSampling &, const PhotoSampling &) = default;
};

/// The tables that the shader reads; see shaders/preprocess_params.h.
struct PhotoTables {
    objc_ptr<id<MTLBuffer>> taps, weights;
};

/// Caches the most recently used tables. All frames of a camera use the same ones.
class PhotoTableCache {
public:
    /// Throws DeviceError if there is not enough memory.
    PhotoTables get(const Device &device, const PhotoSampling &sampling);

private:
    static constexpr std::size_t most = 8;

    std::mutex mutex_;
    std::deque<std::pair<PhotoSampling, PhotoTables>> tables_; ///< most recently used first
};

} // namespace mpscnn::metal
