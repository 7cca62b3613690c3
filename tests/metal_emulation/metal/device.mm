#import "metal/command_buffer.h"
#import "metal/data.h"
#import "metal/library.h"
#import "metal/pixel_format.h"
#import "metal/reflection.h"
#import "metal/resource.h"

#include <algorithm>
#include <mutex>

using namespace metal_emulation;

namespace {
constexpr uint64_t gigabyte = 1ull << 30;
constexpr NSUInteger max_pixels_per_axis = 16384;
constexpr NSUInteger max_slices = 2048;

struct DeviceFacts {
    NSString *name;
    uint64_t registry_id;
    bool unified, low_power, headless, removable;
};

// The first device is the system's default. The last two differ only by registry id, like two cards of the
// same model.
const DeviceFacts device_facts[] = {
    {@"Emulated Metal device", 0x100000abcull, true, false, false, false},
    {@"Emulated external GPU", 0x100000defull, false, false, false, true},
    {@"Emulated headless GPU", 0x200000001ull, false, true, true, false},
    {@"Emulated headless GPU", 0x200000002ull, false, true, true, false},
};
constexpr std::size_t max_devices = sizeof device_facts / sizeof device_facts[0];

bool accepts_descriptor(MTLTextureDescriptor *descriptor, bool unified) {
    const bool is_array = [descriptor textureType] == MTLTextureType2DArray;
    return METAL_EXPECT(is_array || [descriptor textureType] == MTLTextureType2D,
                        "the emulation has 2D textures and arrays of them only") &&
           METAL_EXPECT(pixel_layout([descriptor pixelFormat]),
                        "the emulation does not have pixel format %lu",
                        static_cast<NSUInteger>([descriptor pixelFormat])) &&
           METAL_EXPECT([descriptor width] > 0 && [descriptor height] > 0 &&
                            std::max([descriptor width], [descriptor height]) <= max_pixels_per_axis,
                        "a texture of %lu x %lu", [descriptor width], [descriptor height]) &&
           METAL_EXPECT([descriptor arrayLength] >= 1 &&
                            [descriptor arrayLength] <= (is_array ? max_slices : 1),
                        "a texture of %lu slices", [descriptor arrayLength]) &&
           METAL_EXPECT(!(!unified && [descriptor storageMode] == MTLStorageModeShared),
                        "a texture with shared storage on a device without unified memory");
}
} // namespace

// A process makes each device once and never deallocates it. A device is not counted as a live object.
@interface EmulatedDevice : NSObject <MTLDevice> {
@private
    const DeviceFacts *facts_;
    BOOL concurrent_;
}
- (instancetype)initWithFacts:(const DeviceFacts *)facts;
@end

@implementation EmulatedDevice

- (instancetype)initWithFacts:(const DeviceFacts *)facts {
    self = [super init];
    facts_ = facts;
    return self;
}

- (NSString *)name {
    if (switches().paravirtual) return @"Emulated Paravirtual device";
    return facts_->name;
}
- (uint64_t)registryID {
    return facts_->registry_id;
}
- (MTLSize)maxThreadsPerThreadgroup {
    return MTLSizeMake(1024, 1024, 1024);
}
- (BOOL)isLowPower {
    return facts_->low_power;
}
- (BOOL)isHeadless {
    return facts_->headless;
}
- (BOOL)isRemovable {
    return facts_->removable;
}
- (BOOL)hasUnifiedMemory {
    return facts_->unified && !switches().discrete_memory;
}
- (uint64_t)recommendedMaxWorkingSetSize {
    return 8 * gigabyte;
}
- (NSUInteger)maxBufferLength {
    return static_cast<NSUInteger>(switches().max_buffer_bytes.load());
}

- (BOOL)supportsFamily:(MTLGPUFamily)gpuFamily {
    METAL_EXPECT(gpuFamily >= MTLGPUFamilyApple1, "supportsFamily: of %ld, which is not a family",
                 static_cast<long>(gpuFamily));
    if (switches().old_gpu || switches().paravirtual)
        return gpuFamily == 2001 || gpuFamily == MTLGPUFamilyCommon1;
    switch (gpuFamily) {
    case MTLGPUFamilyMac2:
    case MTLGPUFamilyCommon1:
    case MTLGPUFamilyCommon2:
    case MTLGPUFamilyCommon3:
        return YES;
    case MTLGPUFamilyMetal3:
        return [self hasUnifiedMemory];
    default:
        return gpuFamily >= MTLGPUFamilyApple1 && gpuFamily <= MTLGPUFamilyApple7 && [self hasUnifiedMemory];
    }
}

- (id<MTLCommandQueue>)newCommandQueue {
    if (take_one(switches().fail_queues)) return nil;
    return [[EmulatedCommandQueue alloc] initWithDevice:self];
}

- (BOOL)canHave:(NSUInteger)length {
    return !take_one(switches().fail_buffers) &&
           METAL_EXPECT(length <= [self maxBufferLength], "a buffer of %lu bytes, more than maxBufferLength",
                        length);
}

- (id<MTLBuffer>)newBufferWithLength:(NSUInteger)length options:(MTLResourceOptions)options {
    if (![self canHave:length]) return nil;
    ++switches().buffers_made;
    if ((options >> 4 & 15) == MTLStorageModePrivate) ++switches().private_buffers_made;
    return [[EmulatedBuffer alloc] initWithDevice:self length:length options:options];
}

- (id<MTLBuffer>)newBufferWithBytes:(const void *)pointer
                             length:(NSUInteger)length
                            options:(MTLResourceOptions)options {
    if (![self canHave:length]) return nil;
    ++switches().buffers_made;
    METAL_EXPECT((options >> 4 & 15) != MTLStorageModePrivate, "newBufferWithBytes: with private storage");
    EmulatedBuffer *buffer = [[EmulatedBuffer alloc] initWithDevice:self length:length options:options];
    [buffer setBytes:pointer];
    return buffer;
}

- (id<MTLBuffer>)newBufferWithBytesNoCopy:(void *)pointer
                                   length:(NSUInteger)length
                                  options:(MTLResourceOptions)options
                              deallocator:(void (^)(void *, NSUInteger))deallocator {
    if (![self canHave:length]) return nil;
    ++switches().no_copy_buffers_made;
    return [[EmulatedBuffer alloc] initWithDevice:self
                                           memory:pointer
                                           length:length
                                          options:options
                                      deallocator:deallocator];
}

- (id<MTLTexture>)newTextureWithDescriptor:(MTLTextureDescriptor *)descriptor {
    if (take_one(switches().fail_textures) || !accepts_descriptor(descriptor, [self hasUnifiedMemory]))
        return nil;
    return [[EmulatedTexture alloc] initWithDevice:self descriptor:descriptor];
}

- (id<MTLLibrary>)libraryAt:(const std::string &)path error:(NSError **)error {
    if (take_one(switches().fail_libraries)) {
        report_error(error, MTLLibraryErrorDomain, MTLLibraryErrorInternal, "a failure that was asked for");
        return nil;
    }
    try {
        return [[EmulatedLibrary alloc] initWithDevice:self path:path];
    } catch (const std::exception &failure) {
        report_error(error, MTLLibraryErrorDomain, MTLLibraryErrorInternal, failure.what());
        return nil;
    }
}

- (id<MTLLibrary>)newLibraryWithFile:(NSString *)filepath error:(NSError **)error {
    return [self libraryAt:utf8(filepath) error:error];
}

- (id<MTLLibrary>)newLibraryWithData:(dispatch_data_t)data error:(NSError **)error {
    if (!METAL_EXPECT(data, "newLibraryWithData: nil")) return nil;
    return [self libraryAt:library_file([static_cast<EmulatedData *>(data) bytes]) error:error];
}

- (BOOL)shouldMaximizeConcurrentCompilation {
    return concurrent_;
}
- (void)setShouldMaximizeConcurrentCompilation:(BOOL)concurrent {
    concurrent_ = concurrent;
    if (concurrent) note_compilation("concurrent");
}

/// Return the name of the file of shaders in a source text; empty for a text without a `#line` directive.
static std::string file_of(const std::string &source) {
    const std::string begin = "#line 1 \"";
    if (!source.starts_with(begin)) return "";
    return source.substr(begin.size(), source.find('"', begin.size()) - begin.size());
}

- (id<MTLLibrary>)newLibraryWithSource:(NSString *)source
                               options:(MTLCompileOptions *)options
                                 error:(NSError **)error {
    if (const std::string file = file_of(utf8(source)); !file.empty()) {
        note_compilation(file);
        if (is_refused_file(file)) {
            report_error(error, MTLLibraryErrorDomain, MTLLibraryErrorCompileFailure,
                         file + ":1:1: error: a failure that was asked for");
            return nil;
        }
    }
    std::vector<std::string> arguments;
    // Metal's default: the compiler may assume that there are no NaN and no infinities.
    if (!options || [options fastMathEnabled]) arguments.push_back("--flag=-ffinite-math-only");
    std::string path;
    try {
        path = compile_source(utf8(source), arguments);
    } catch (const std::exception &failure) {
        report_error(error, MTLLibraryErrorDomain, MTLLibraryErrorCompileFailure, failure.what());
        return nil;
    }
    return [self libraryAt:path error:error];
}

- (id<MTLComputePipelineState>)pipelineOf:(EmulatedFunction *)function error:(NSError **)error {
    if (take_one(switches().fail_pipelines)) {
        report_error(error, MTLLibraryErrorDomain, MTLLibraryErrorInternal, "a failure that was asked for");
        return nil;
    }
    if (!METAL_EXPECT([function isComplete], "a pipeline of function %s without its function constants",
                      utf8([function name]).c_str())) {
        report_error(error, MTLLibraryErrorDomain, MTLLibraryErrorInternal, "function constants are missing");
        return nil;
    }
    ++switches().pipelines_made;
    return [[EmulatedPipeline alloc] initWithFunction:function];
}

- (void)reflect:(id<MTLFunction>)function
        options:(MTLPipelineOption)options
             to:(MTLAutoreleasedComputePipelineReflection *)reflection {
    if (METAL_EXPECT(options & MTLPipelineOptionArgumentInfo,
                     "a reflection without MTLPipelineOptionArgumentInfo"))
        *reflection = [[[MTLComputePipelineReflection alloc]
            initWithKernel:*[static_cast<EmulatedFunction *>(function) kernel]] autorelease];
}

- (id<MTLComputePipelineState>)newComputePipelineStateWithFunction:(id<MTLFunction>)computeFunction
                                                             error:(NSError **)error {
    if (!METAL_EXPECT(computeFunction, "newComputePipelineStateWithFunction: nil")) return nil;
    return [self pipelineOf:static_cast<EmulatedFunction *>(computeFunction) error:error];
}

- (id<MTLComputePipelineState>)
    newComputePipelineStateWithFunction:(id<MTLFunction>)computeFunction
                                options:(MTLPipelineOption)options
                             reflection:(MTLAutoreleasedComputePipelineReflection *)reflection
                                  error:(NSError **)error {
    id<MTLComputePipelineState> pipeline = [self newComputePipelineStateWithFunction:computeFunction
                                                                               error:error];
    if (pipeline && reflection) [self reflect:computeFunction options:options to:reflection];
    return pipeline;
}

- (id<MTLComputePipelineState>)
    newComputePipelineStateWithDescriptor:(MTLComputePipelineDescriptor *)descriptor
                                  options:(MTLPipelineOption)options
                               reflection:(MTLAutoreleasedComputePipelineReflection *)reflection
                                    error:(NSError **)error {
    auto *function = static_cast<EmulatedFunction *>([descriptor computeFunction]);
    if (!METAL_EXPECT(function, "newComputePipelineStateWithDescriptor: of one without a function"))
        return nil;
    BOOL found = NO;
    for (id<MTLBinaryArchive> archive in [descriptor binaryArchives])
        found = found || [static_cast<EmulatedArchive *>(archive) holds:function];
    const bool only_there = options & MTLPipelineOptionFailOnBinaryArchiveMiss;
    // A pipeline that cannot be made is not in an archive either.
    if (only_there && (!found || switches().fail_pipelines > 0)) {
        report_error(error, MTLBinaryArchiveDomain, MTLBinaryArchiveErrorInternalError,
                     "no archive has this function");
        return nil;
    }
    if (found) ++switches().archive_hits;
    id<MTLComputePipelineState> pipeline = [self pipelineOf:function error:error];
    if (pipeline && reflection) [self reflect:function options:options to:reflection];
    return pipeline;
}

- (id<MTLBinaryArchive>)newBinaryArchiveWithDescriptor:(MTLBinaryArchiveDescriptor *)descriptor
                                                 error:(NSError **)error {
    if (!METAL_EXPECT(descriptor, "newBinaryArchiveWithDescriptor: nil")) return nil;
    NSURL *url = [descriptor url];
    METAL_EXPECT(!url || [url isFileURL], "an archive at a URL that is not a file's");
    if (!take_one(switches().fail_archives)) {
        EmulatedArchive *archive = [[EmulatedArchive alloc] initWithDevice:self];
        if (!url || [archive read:utf8([url path])]) return archive;
        [archive release];
    }
    report_error(error, MTLBinaryArchiveDomain, MTLBinaryArchiveErrorInvalidFile, "not an archive");
    return nil;
}
@end

namespace {

id<MTLDevice> device_at(std::size_t index) {
    static id<MTLDevice> devices[max_devices];
    static std::mutex mutex;
    std::lock_guard lock(mutex);
    if (!devices[index]) devices[index] = [[EmulatedDevice alloc] initWithFacts:&device_facts[index]];
    return devices[index];
}

bool is_listed(std::size_t index) {
    const auto count = static_cast<std::size_t>(switches().devices.load());
    return !switches().no_device && index < count && !is_removed(device_at(index));
}

} // namespace

bool metal_emulation::is_removed(id<MTLDevice> device) {
    const auto removed = static_cast<std::size_t>(switches().removed_device.load()); // counted from 1
    return removed > 0 && removed <= max_devices &&
           [device registryID] == device_facts[removed - 1].registry_id;
}

id<MTLDevice> MTLCreateSystemDefaultDevice() {
    for (std::size_t i = 0; i < max_devices; ++i)
        if (is_listed(i) && !device_facts[i].headless) return [device_at(i) retain];
    return nil;
}

NSArray<id<MTLDevice>> *MTLCopyAllDevices() {
    NSMutableArray *devices = [[NSMutableArray alloc] init];
    for (std::size_t i = 0; i < max_devices; ++i)
        if (is_listed(i)) [devices addObject:device_at(i)];
    return devices;
}
