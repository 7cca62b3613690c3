#include "metal/device/library.h"

#include "core/json.h"
#include "core/log.h"
#include "core/text.h"
#include "metal/device/shaders.h"
#include "metal/device/text.h"

#import <dispatch/dispatch.h>

namespace mpscnn::metal {

namespace {

objc_ptr<id<MTLLibrary>> load_compiled(id<MTLDevice> device) {
    const std::span<const std::byte> bytes = compiled_shaders();
    if (bytes.empty()) return {};
    const dispatch_block_t keep = ^{
    }; // with a destructor block, even an empty one, the bytes are not copied
    const auto data = adopt(dispatch_data_create(bytes.data(), bytes.size(), nil, keep));
    NSError *error = nil;
    auto library = adopt([device newLibraryWithData:data.get() error:&error]);
    if (!library)
        log(LogLevel::warning,
            "Metal shaders are compiled from source, since this system does not take the compiled "
            "ones of mpscnn: " +
                text_of(error, "no reason given"));
    return library;
}

/// Set a property by its name, if this system's class has it.
void set_if_known(MTLCompileOptions *options, NSString *property, NSString *setter, int value) {
    if ([options respondsToSelector:NSSelectorFromString(setter)])
        [options setValue:[NSNumber numberWithInt:value] forKey:property];
}

objc_ptr<id<MTLLibrary>> compile_source(id<MTLDevice> device) {
    const auto options = exact_options();
    NSError *error = nil;
    auto library = adopt([device newLibraryWithSource:string_of(shader_source())
                                              options:options.get()
                                                error:&error]);
    if (!library)
        fail(ErrorKind::device,
             {"Metal cannot compile mpscnn's shaders: ", text_of(error, "no reason given")});
    return library;
}

const char *element_name(const ImageLayout &image) {
    return image.precision == engine::Precision::float16 ? "half" : "float";
}

} // namespace

objc_ptr<MTLCompileOptions *> exact_options() {
    auto options = adopt([[MTLCompileOptions alloc] init]);
    [options.get() setLanguageVersion:MTLLanguageVersion2_3];
    [options.get() setFastMathEnabled:NO];
    // On macOS 15 two other properties replace fastMathEnabled. Headers of older systems do not have them.
    constexpr int safe = 0, precise = 1; // values of MTLMathModeSafe and MTLMathFloatingPointFunctionsPrecise
    set_if_known(options.get(), @"mathMode", @"setMathMode:", safe);
    set_if_known(options.get(), @"mathFloatingPointFunctions", @"setMathFloatingPointFunctions:", precise);
    return options;
}

const char *texture_name(const ImageLayout &image) {
    return image.is_array() ? "texture2d_array" : "texture2d";
}

std::string image_type_name(const ImageLayout &image) {
    return concat({element_name(image), "_", texture_name(image)});
}

std::string shader_name(const std::string &operation, std::span<const ImageLayout> sources,
                        const ImageLayout &destination) {
    std::string name = concat({operation, "_", element_name(destination)});
    for (const ImageLayout &source : sources) name += std::string("_") + texture_name(source);
    return concat({name, "_", texture_name(destination)});
}

id<MTLLibrary> ShaderLibrary::library() {
    if (!library_) library_ = load_compiled(device_.get());
    if (!library_) library_ = compile_source(device_.get());
    return library_.get();
}

objc_ptr<id<MTLComputePipelineState>> ShaderLibrary::make_pipeline(const std::string &function,
                                                                   NeuronKind activation) {
    const auto constants = adopt([[MTLFunctionConstantValues alloc] init]);
    const int kind = static_cast<int>(activation);
    [constants.get() setConstantValue:&kind type:MTLDataTypeInt atIndex:0];
    NSError *error = nil;
    const auto code = adopt([library() newFunctionWithName:string_of(function)
                                            constantValues:constants.get()
                                                     error:&error]);
    if (!code)
        fail(ErrorKind::device,
             {"the Metal library has no function ", quoted(function), " (", text_of(error, "no reason given"),
              "): the files of this installation do not belong together"});
    auto pipeline = adopt([device_.get() newComputePipelineStateWithFunction:code.get() error:&error]);
    if (!pipeline)
        fail(ErrorKind::device, {"Metal cannot prepare the function ", quoted(function), ": ",
                                 text_of(error, "no reason given")});
    return pipeline;
}

id<MTLComputePipelineState> ShaderLibrary::pipeline(const std::string &function, NeuronKind activation) {
    const std::lock_guard lock(mutex_);
    const auto key = std::pair(function, activation);
    if (const auto found = pipelines_.find(key); found != pipelines_.end()) return found->second.get();
    const autorelease_scope pool;
    return pipelines_.emplace(key, make_pipeline(function, activation)).first->second.get();
}

} // namespace mpscnn::metal
