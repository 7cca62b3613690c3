// Libraries of shaders, their functions, and pipelines.
#pragma once

#import "metal/object.h"

#include "msl/abi.h"

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace metal_emulation {

/// A loaded shared object. The mutex protects its function constants, which are global variables.
class LoadedLibrary {
public:
    explicit LoadedLibrary(const std::string &path);
    ~LoadedLibrary();
    LoadedLibrary(const LoadedLibrary &) = delete;
    LoadedLibrary &operator=(const LoadedLibrary &) = delete;

    const msl::Library &contents() const { return *contents_; }
    std::mutex &mutex() { return mutex_; }

private:
    void *handle_;
    const msl::Library *contents_;
    std::mutex mutex_;
};

using ConstantBytes = std::map<const msl::FunctionConstant *, std::vector<unsigned char>>;

/// Compile shading language to a shared object and return its path. Throws std::runtime_error with the
/// compiler's messages.
std::string compile_source(const std::string &source, const std::vector<std::string> &options);

/// Return the path of a file with these bytes, because the loader only reads files.
std::string library_file(std::span<const std::byte> bytes);

} // namespace metal_emulation

@interface MTLFunctionConstantValues (Emulation)
/// Return the bytes for a constant, or nil; *type is set to their type.
- (NSData *)bytesForIndex:(int)index name:(const char *)name type:(NSUInteger *)type;
@end

@interface EmulatedLibrary : EmulatedObject <MTLLibrary> {
@private
    id<MTLDevice> device_;
    NSString *label_;
    std::shared_ptr<metal_emulation::LoadedLibrary> loaded_;
}
- (instancetype)initWithDevice:(id<MTLDevice>)device path:(const std::string &)path;
@end

@interface EmulatedFunction : EmulatedObject <MTLFunction> {
@private
    id<MTLDevice> device_;
    NSString *label_;
    std::shared_ptr<metal_emulation::LoadedLibrary> loaded_;
    const msl::Program *program_;
    const msl::Kernel *kernel_;
    metal_emulation::ConstantBytes constants_;
}
- (instancetype)initWithDevice:(id<MTLDevice>)device
                       library:(std::shared_ptr<metal_emulation::LoadedLibrary>)loaded
                       program:(const msl::Program *)program
                        kernel:(const msl::Kernel *)kernel
                     constants:(metal_emulation::ConstantBytes)constants;
- (const msl::Kernel *)kernel;
/// Return a text with the function's name and the values of its constants.
- (std::string)text;
/// True if all constants of the function have values.
- (BOOL)isComplete;
- (void)run:(const msl::Bindings &)bindings grid:(const msl::Grid &)grid;
@end

@interface EmulatedPipeline : EmulatedObject <MTLComputePipelineState> {
@private
    EmulatedFunction *function_;
}
- (instancetype)initWithFunction:(EmulatedFunction *)function;
- (EmulatedFunction *)function;
@end

/// The functions in an archive, with the values of their constants, stand for compiled code.
@interface EmulatedArchive : EmulatedObject <MTLBinaryArchive> {
@private
    id<MTLDevice> device_;
    NSString *label_;
    std::set<std::string> functions_;
    std::mutex mutex_;
}
- (instancetype)initWithDevice:(id<MTLDevice>)device;
/// Read a file that serializeToURL: has written. Return NO for any other file.
- (BOOL)read:(const std::string &)path;
- (BOOL)holds:(EmulatedFunction *)function;
@end
