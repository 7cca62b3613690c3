#pragma once

#include <map>
#include <mutex>
#include <string>

#include "engine/backend.h"
#include "metal/image.h"
#include "metal/objc_ptr.h"

#import <Metal/Metal.h>

namespace mpscnn::metal {

/// Name of a shader's variant, see shaders/image_access.h.
std::string shader_name(const char *operation, engine::Precision precision, const ImageLayout &source,
                        const ImageLayout &destination);
/// The last two parts of such a name: "half_texture2d_array".
std::string image_type_name(engine::Precision precision, const ImageLayout &image);

/// The engine's own shaders: the compiled library beside the shared library where the build made one, else
/// the source that is part of the program. Loaded at first use; every pipeline is made once.
class ShaderLibrary {
public:
    explicit ShaderLibrary(objc_ptr<id<MTLDevice>> device) : device_(std::move(device)) {}

    /// Lives as long as the library. Throws DeviceError with the compiler's message.
    id<MTLComputePipelineState> pipeline(const std::string &function);

private:
    id<MTLLibrary> library();
    objc_ptr<id<MTLComputePipelineState>> make_pipeline(const std::string &function);

    objc_ptr<id<MTLDevice>> device_;
    std::mutex mutex_;
    objc_ptr<id<MTLLibrary>> library_;
    std::map<std::string, objc_ptr<id<MTLComputePipelineState>>> pipelines_;
};

} // namespace mpscnn::metal
