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

/// The settings that determine which samples of a photo's textures each destination pixel reads, and with
/// which weights. They are the key of the table cache.
struct PhotoSampling {
    vision::Axis columns, rows; ///< axes of the stored photo
    vision::Filter filter;
    bool mirrored, upside_down;
    std::optional<vision::ChromaSiting> siting; ///< for photos with chroma planes

    friend bool operator==(const PhotoSampling &, const PhotoSampling &) = default;
};

/// The tables of samples and weights that the shader reads; see shaders/preprocess_params.h.
struct PhotoTables {
    objc_ptr<id<MTLBuffer>> taps, weights;
};

/// Caches the most recently used tables. All frames of a camera use the same ones.
class PhotoTableCache {
public:
    /// Return the tables for these settings. Throws DeviceError if there is not enough memory.
    PhotoTables get(const Device &device, const PhotoSampling &sampling);

private:
    static constexpr std::size_t max_tables = 8;

    std::mutex mutex_;
    std::deque<std::pair<PhotoSampling, PhotoTables>> tables_; ///< most recently used first
};

} // namespace mpscnn::metal
