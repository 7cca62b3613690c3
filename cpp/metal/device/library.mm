#include "metal/device/library.h"

#include "core/json.h"
#include "core/log.h"
#include "core/text.h"
#include "core/text_file.h"
#include "metal/device/exceptions.h"
#include "metal/device/text.h"

#import <dispatch/dispatch.h>

namespace mpscnn::metal {

namespace {

objc_ptr<id<MTLLibrary>> load_metallib(id<MTLDevice> device) {
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
void set_if_known(NSObject *object, NSString *property, NSString *setter, int value) {
    if ([object respondsToSelector:NSSelectorFromString(setter)])
        [object setValue:[NSNumber numberWithInt:value] forKey:property];
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

bool multiplies_matrices(id<MTLDevice> device) { return [device supportsFamily:MTLGPUFamilyApple7]; }

ShaderLibrary::ShaderLibrary(objc_ptr<id<MTLDevice>> device, const std::string &identity)
    : device_(device), archive_(std::move(device), identity) {
    for (const ShaderFile &text : shader_files()) {
        auto &file = files_.emplace_back(std::make_unique<SourceFile>(text));
        std::string_view left = text.functions;
        while (!left.empty()) file_of_.emplace(take_until(' ', left), file.get());
    }
}

std::vector<std::string> ShaderLibrary::functions() {
    const autorelease_scope pool;
    const bool has_matrices = multiplies_matrices(device_.get());
    std::vector<std::string> names;
    for (const auto &[name, file] : file_of_)
        if (has_matrices || !name.ends_with("_in_simdgroups")) names.push_back(name);
    return names;
}

void ShaderLibrary::use_all_compilers() {
    const autorelease_scope pool;
    NSObject *device = static_cast<NSObject *>(device_.get());
    set_if_known(device, @"shouldMaximizeConcurrentCompilation",
                 @"setShouldMaximizeConcurrentCompilation:", 1);
}

void ShaderLibrary::load_compiled() {
    compiled_ = load_metallib(device_.get());
    for (NSString *function in [compiled_.get() functionNames]) in_compiled_.insert(text_of(function));
}

/// Return the library of a file. Throws DeviceError with the compiler's message, which is kept: the compiler
/// is not asked again about a text that it has refused. Another error may be a fault of the moment, so the
/// next call tries once more.
id<MTLLibrary> ShaderLibrary::compile(SourceFile &file) {
    constexpr int max_attempts = 2;
    const std::lock_guard lock(file.mutex);
    if (file.library) return file.library.get();
    if (!file.error.empty()) fail(ErrorKind::device, file.error);
    const auto options = exact_options();
    NSError *error = nil;
    file.library = adopt([device_.get() newLibraryWithSource:string_of(file.text->source)
                                                     options:options.get()
                                                       error:&error]);
    if (file.library) return file.library.get();
    const std::string why = concat({"Metal cannot compile mpscnn's shaders in ", file.text->name, ": ",
                                    text_of(error, "no reason given")});
    if ([error code] == MTLLibraryErrorCompileFailure || ++file.attempts == max_attempts) file.error = why;
    fail(ErrorKind::device, why);
}

id<MTLLibrary> ShaderLibrary::library_with(const std::string &function) {
    std::call_once(loading_, [this] { load_compiled(); });
    if (in_compiled_.contains(function)) return compiled_.get();
    const auto found = file_of_.find(function);
    if (found == file_of_.end())
        fail(ErrorKind::device, {"mpscnn has no shader function ", quoted(function)});
    return compile(*found->second);
}

ShaderLibrary::Pipeline ShaderLibrary::make_pipeline(const std::string &function, NeuronKind activation) {
    const auto constants = adopt([[MTLFunctionConstantValues alloc] init]);
    const int kind = static_cast<int>(activation);
    [constants.get() setConstantValue:&kind type:MTLDataTypeInt atIndex:0];
    NSError *error = nil;
    const auto code = adopt([library_with(function) newFunctionWithName:string_of(function)
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
            made.set_value(with_framework_errors([&] { return make_pipeline(function, activation); }));
        } catch (...) {
            // The next call tries again. Threads that wait for this attempt get its error.
            const std::lock_guard lock(mutex_);
            pipelines_.erase(key);
            made.set_exception(std::current_exception());
        }
    return result.get().get();
}

} // namespace mpscnn::metal
