#include "metal/device/custom_kernel.h"

#include <algorithm>

#include "core/text.h"
#include "metal/device/data_type.h"
#include "metal/device/function_constants.h"
#include "metal/device/text.h"

namespace mpscnn::metal {

using engine::CustomParameter;

namespace {

std::string names_of(id<MTLLibrary> library) {
    std::string names;
    for (NSString *name in [library functionNames]) names += (names.empty() ? "" : ", ") + text_of(name);
    return names.empty() ? "none" : names;
}

objc_ptr<id<MTLLibrary>> compile(const std::string &what, id<MTLDevice> device, const std::string &source) {
    const auto options = exact_options();
    NSError *error = nil;
    auto library = adopt([device newLibraryWithSource:string_of(source) options:options.get() error:&error]);
    if (!library && [error code] == MTLLibraryErrorCompileFailure)
        fail(ErrorKind::parameter,
             {what, ": the source does not compile:\n", text_of([error localizedDescription])});
    if (!library)
        fail(ErrorKind::device, {what, ": Metal makes no library: ", text_of(error, "no reason given")});
    return library;
}

objc_ptr<id<MTLFunction>> find_function(const std::string &what, id<MTLLibrary> library,
                                        const engine::CustomKernelSource &source) {
    NSString *name = string_of(source.function);
    // This function only serves to read the declaration. A function with function constants must be made
    // again with their values.
    const auto declared = adopt([library newFunctionWithName:name]);
    if (!declared)
        fail(ErrorKind::parameter, {what, ": no such function in the source, which has ", names_of(library)});
    if ([declared.get() functionType] != MTLFunctionTypeKernel)
        fail(ErrorKind::parameter, {what, ": the function is not a kernel"});
    const auto values = constant_values(what, declared.get(), source.constants);
    NSError *error = nil;
    auto function = adopt([library newFunctionWithName:name constantValues:values.get() error:&error]);
    if (!function)
        fail([error code] == MTLLibraryErrorInternal ? ErrorKind::device : ErrorKind::parameter,
             {what,
              ": Metal cannot make the function with these constants: ", text_of(error, "no reason given")});
    return function;
}

CustomParameter image_parameter(const std::string &what, MTLArgument *argument, CustomParameter parameter) {
    parameter.kind = CustomParameter::Kind::image;
    const MTLTextureType type = [argument textureType];
    const MTLDataType element = [argument textureDataType];
    const bool is_image = (type == MTLTextureType2D || type == MTLTextureType2DArray) &&
                          (element == MTLDataTypeFloat || element == MTLDataTypeHalf);
    if (!is_image || [argument arrayLength] > 1)
        fail(ErrorKind::unsupported,
             {what, ": ", parameter.text(),
              " is not an image: those are texture2d or texture2d_array of float or half"});
    parameter.is_array = type == MTLTextureType2DArray;
    return parameter;
}

CustomParameter buffer_parameter(MTLArgument *argument, CustomParameter parameter) {
    parameter.kind = CustomParameter::Kind::buffer;
    parameter.bytes = [argument bufferDataSize];
    if (const DataType *type = find_data_type([argument bufferDataType]))
        parameter.element = type->scalar_name;
    return parameter;
}

CustomParameter parameter_of(const std::string &what, MTLArgument *argument) {
    CustomParameter parameter;
    parameter.name = text_of([argument name]);
    parameter.index = static_cast<int>([argument index]);
    parameter.read = [argument access] != MTLArgumentAccessWriteOnly;
    parameter.written = [argument access] != MTLArgumentAccessReadOnly;
    switch ([argument type]) {
    case MTLArgumentTypeTexture:
        return image_parameter(what, argument, std::move(parameter));
    case MTLArgumentTypeBuffer:
        return buffer_parameter(argument, std::move(parameter));
    default:
        fail(ErrorKind::unsupported, {what, ": parameter ", quoted(parameter.name),
                                      " is neither a buffer nor a texture; declare threadgroup memory and "
                                      "samplers in the function"});
    }
}

std::vector<CustomParameter> parameters_of(const std::string &what,
                                           MTLComputePipelineReflection *reflection) {
    std::vector<CustomParameter> parameters;
    for (MTLArgument *argument in [reflection arguments]) parameters.push_back(parameter_of(what, argument));
    std::sort(parameters.begin(), parameters.end(), [](const CustomParameter &a, const CustomParameter &b) {
        return std::pair(a.kind, a.index) < std::pair(b.kind, b.index);
    });
    return parameters;
}

} // namespace

MetalCustomKernel::MetalCustomKernel(std::shared_ptr<Device> device, const engine::CustomKernelSource &source)
    : device_(std::move(device)), function_(source.function) {
    const autorelease_scope pool;
    const std::string what = "kernel " + quoted(function_);
    const auto library = compile(what, device_->get(), source.source);
    const auto function = find_function(what, library.get(), source);
    MTLComputePipelineReflection *reflection = nil;
    NSError *error = nil;
    pipeline_ = adopt([device_->get()
        newComputePipelineStateWithFunction:function.get()
                                    options:MTLPipelineOptionArgumentInfo | MTLPipelineOptionBufferTypeInfo
                                 reflection:&reflection
                                      error:&error]);
    if (!pipeline_)
        fail(ErrorKind::device, {what, ": Metal cannot prepare it: ", text_of(error, "no reason given")});
    parameters_ = parameters_of(what, reflection);
}

MetalCustomKernel::~MetalCustomKernel() {
    const autorelease_scope pool;
    pipeline_.reset();
}

std::int64_t MetalCustomKernel::max_threads() const {
    return static_cast<std::int64_t>([pipeline_.get() maxTotalThreadsPerThreadgroup]);
}

engine::GridSize MetalCustomKernel::max_threads_along() const {
    const MTLSize maximum = [device_->get() maxThreadsPerThreadgroup];
    return {static_cast<std::int64_t>(maximum.width), static_cast<std::int64_t>(maximum.height),
            static_cast<std::int64_t>(maximum.depth)};
}

std::int64_t MetalCustomKernel::threads_at_once() const {
    return static_cast<std::int64_t>([pipeline_.get() threadExecutionWidth]);
}

std::shared_ptr<const MetalCustomKernel> CustomKernels::get(const std::shared_ptr<Device> &device,
                                                            const engine::CustomKernelSource &source) {
    const std::string key = concat({source.function, "\n", to_text(source.constants), "\n", source.source});
    const std::lock_guard lock(mutex_);
    std::erase_if(kernels_, [](const auto &entry) { return entry.second.expired(); });
    std::weak_ptr<const MetalCustomKernel> &entry = kernels_[key];
    auto kernel = entry.lock();
    // make_shared is not used: it would keep the object's memory as long as the weak pointer in `kernels_`
    // exists.
    if (!kernel)
        entry = kernel = std::shared_ptr<const MetalCustomKernel>(new MetalCustomKernel(device, source));
    return kernel;
}

} // namespace mpscnn::metal
