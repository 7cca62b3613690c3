#pragma once

#include <future>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/backend/backend.h"
#include "metal/device/image.h"
#include "metal/device/objc_ptr.h"
#include "metal/device/pipeline_archive.h"
#include "shaders/activation_params.h"

#import <Metal/Metal.h>

namespace mpscnn::metal {

/// Return the name of the shader variant for these images; see shaders/image_access.h.
std::string shader_name(const std::string &operation, std::span<const ImageLayout> sources,
                        const ImageLayout &destination);
/// Return the last two parts of a variant's name: "half_texture2d_array".
std::string image_type_name(const ImageLayout &image);
/// Return the last part of a variant's name: "texture2d_array".
const char *texture_name(const ImageLayout &image);

/// Return compile options for language version 2.3 without fast math, so NaN and infinities are kept and
/// functions are precise.
objc_ptr<MTLCompileOptions *> exact_options();

/// Return whether simdgroups of a GPU multiply matrices: whether it is of the family Apple 7 or later. Shader
/// functions named "..._in_simdgroups" need that.
bool multiplies_matrices(id<MTLDevice> device);

/// The engine's shaders. The library contains them as source and, if the build had a Metal compiler, in
/// compiled form. The source is compiled at run time if there is no compiled form or the system refuses it.
/// The shaders are loaded at the first use, and every pipeline is made once. Several threads may make
/// pipelines at the same time.
class ShaderLibrary {
public:
    /// `identity` names the device, the system and the shaders.
    ShaderLibrary(objc_ptr<id<MTLDevice>> device, const std::string &identity)
        : device_(device), archive_(std::move(device), identity) {}

    /// Return the pipeline of a shader function with an activation compiled into it. The pipeline lives as
    /// long as this object. If another thread makes the pipeline, the call waits for that thread. Throws
    /// DeviceError with the compiler's message.
    id<MTLComputePipelineState> pipeline(const std::string &function,
                                         NeuronKind activation = NeuronKind::none);

    /// Return the names of all shader functions that the device can run.
    std::vector<std::string> functions();
    PipelineArchive &archive() { return archive_; }

private:
    using Key = std::pair<std::string, NeuronKind>;
    using Pipeline = objc_ptr<id<MTLComputePipelineState>>;

    id<MTLLibrary> library();
    Pipeline make_pipeline(const std::string &function, NeuronKind activation);

    objc_ptr<id<MTLDevice>> device_;
    PipelineArchive archive_;
    std::mutex loading_;
    objc_ptr<id<MTLLibrary>> library_;
    std::mutex mutex_;
    std::map<Key, std::shared_future<Pipeline>> pipelines_;
};

} // namespace mpscnn::metal
