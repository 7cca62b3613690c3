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

/// All that decides which samples of a photo's textures a destination's pixels take, and with which weights.
struct PhotoSampling {
    vision::Axis columns, rows; ///< of the photo as it is stored
    vision::Filter filter;
    bool mirrored, upside_down;
    std::optional<vision::ChromaSiting> siting; ///< of photos with colour differences

    friend bool operator==(const PhotoSampling &, const PhotoSampling &) = default;
};

/// What the shader reads of it: see shaders/preprocess_params.h.
struct PhotoTables {
    objc_ptr<id<MTLBuffer>> taps, weights;
};

/// The tables in use last. Frames of a camera take the same ones, a few cameras and networks a few.
class PhotoTableCache {
public:
    /// Throws DeviceError when there is no memory for them.
    PhotoTables get(const Device &device, const PhotoSampling &sampling);

private:
    static constexpr std::size_t most = 8;

    std::mutex mutex_;
    std::deque<std::pair<PhotoSampling, PhotoTables>> tables_; ///< the last used ones first
};

} // namespace mpscnn::metal
