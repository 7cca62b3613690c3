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
    const std::lock_guard lock(loading_);
    if (!library_) library_ = load_compiled(device_.get());
    if (!library_) library_ = compile_source(device_.get());
    return library_.get();
}

bool multiplies_matrices(id<MTLDevice> device) { return [device supportsFamily:MTLGPUFamilyApple7]; }

std::vector<std::string> ShaderLibrary::functions() {
    const autorelease_scope pool;
    const bool has_matrices = multiplies_matrices(device_.get());
    std::vector<std::string> names;
    for (NSString *function in [library() functionNames]) {
        const std::string name = text_of(function);
        if (has_matrices || !name.ends_with("_in_simdgroups")) names.push_back(name);
    }
    return names;
}

ShaderLibrary::Pipeline ShaderLibrary::make_pipeline(const std::string &function, NeuronKind activation) {
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
    const auto descriptor = adopt([[MTLComputePipelineDescriptor alloc] init]);
    [descriptor.get() setComputeFunction:code.get()];
    auto pipeline = archive_.find(descriptor.get());
    const bool found = static_cast<bool>(pipeline);
    if (!found)
        pipeline = adopt([device_.get() newComputePipelineStateWithDescriptor:descriptor.get()
                                                                      options:MTLPipelineOptionNone
                                                                   reflection:nullptr
                                                                        error:&error]);
    if (!pipeline)
        fail(ErrorKind::device, {"Metal cannot prepare the function ", quoted(function), ": ",
                                 text_of(error, "no reason given")});
    archive_.note(descriptor, found);
    return pipeline;
}

id<MTLComputePipelineState> ShaderLibrary::pipeline(const std::string &function, NeuronKind activation) {
    const Key key(function, activation);
    std::promise<Pipeline> made;
    std::shared_future<Pipeline> result;
    bool is_new = false;
    {
        const std::lock_guard lock(mutex_);
        const auto known = pipelines_.find(key);
        is_new = known == pipelines_.end();
        result = is_new ? pipelines_.emplace(key, made.get_future()).first->second : known->second;
    }
    if (is_new) try {
            const autorelease_scope pool;
            made.set_value(make_pipeline(function, activation));
        } catch (...) {
            // The next call tries again. Threads that wait for this attempt get its error.
            const std::lock_guard lock(mutex_);
            pipelines_.erase(key);
            made.set_exception(std::current_exception());
        }
    return result.get().get();
}

} // namespace mpscnn::metal
