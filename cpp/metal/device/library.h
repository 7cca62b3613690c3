#pragma once

#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/backend/backend.h"
#include "metal/device/image.h"
#include "metal/device/objc_ptr.h"
#include "metal/device/pipeline_archive.h"
#include "metal/device/shaders.h"
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
/// compiled form. Functions that the compiled form lacks, and all functions if the system refuses it, are
/// compiled from their files at run time. A file is compiled when the first of its functions is used. If it
/// does not compile, its functions fail with the same message from then on, and those of other files do not.
/// Every pipeline is made once. Several threads may make pipelines at the same time.
class ShaderLibrary {
public:
    /// `identity` names the device, the system and the shaders.
    ShaderLibrary(objc_ptr<id<MTLDevice>> device, const std::string &identity);

    /// Return the pipeline of a shader function with an activation compiled into it. The pipeline lives as
    /// long as this object. If another thread makes the pipeline, the call waits for that thread. Throws
    /// DeviceError with the compiler's message.
    id<MTLComputePipelineState> pipeline(const std::string &function,
                                         NeuronKind activation = NeuronKind::none);

    /// Let several threads compile at the same time on systems that otherwise compile one function after the
    /// other (macOS 13.3 and later can be asked).
    void use_all_compilers();

    /// Return the names of all shader functions that the device can run. Nothing is compiled for this.
    std::vector<std::string> functions();
    PipelineArchive &archive() { return archive_; }

private:
    using Key = std::pair<std::string, NeuronKind>;
    using Pipeline = objc_ptr<id<MTLComputePipelineState>>;

    /// A file that is compiled at run time.
    struct SourceFile {
        explicit SourceFile(const ShaderFile &text) : text(&text) {}
        const ShaderFile *text;
        std::mutex mutex; ///< guards the members below
        objc_ptr<id<MTLLibrary>> library;
        std::string error; ///< why the file does not compile; empty if it compiled or may be tried
        int attempts = 0;  ///< attempts that failed for another reason than the text
    };

    void load_compiled();
    id<MTLLibrary> library_with(const std::string &function);
    id<MTLLibrary> compile(SourceFile &file);
    Pipeline make_pipeline(const std::string &function, NeuronKind activation);

    objc_ptr<id<MTLDevice>> device_;
    PipelineArchive archive_;
    std::vector<std::unique_ptr<SourceFile>> files_;
    std::map<std::string, SourceFile *, std::less<>> file_of_; ///< by the function's name
    std::once_flag loading_;
    objc_ptr<id<MTLLibrary>> compiled_;
    std::set<std::string> in_compiled_; ///< names of the functions in `compiled_`
    std::mutex mutex_;
    std::map<Key, std::shared_future<Pipeline>> pipelines_;
};

} // namespace mpscnn::metal
