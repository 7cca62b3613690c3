#import "metal/command_buffer.h"
#import "metal/library.h"
#import "metal/pixel_format.h"
#import "metal/resource.h"

#include <algorithm>

using namespace metal_emulation;

namespace {
constexpr uint64_t gigabyte = 1ull << 30;
constexpr NSUInteger most_pixels_per_axis = 16384;
constexpr NSUInteger most_slices = 2048;

bool is_discrete() { return switches().discrete_memory != 0; }

bool accepts_descriptor(MTLTextureDescriptor *descriptor) {
    const bool is_array = [descriptor textureType] == MTLTextureType2DArray;
    return METAL_EXPECT(is_array || [descriptor textureType] == MTLTextureType2D,
                        "the emulation has 2D textures and arrays of them only") &&
           METAL_EXPECT(pixel_layout([descriptor pixelFormat]),
                        "the emulation does not have pixel format %lu",
                        static_cast<NSUInteger>([descriptor pixelFormat])) &&
           METAL_EXPECT([descriptor width] > 0 && [descriptor height] > 0 &&
                            std::max([descriptor width], [descriptor height]) <= most_pixels_per_axis,
                        "a texture of %lu x %lu", [descriptor width], [descriptor height]) &&
           METAL_EXPECT([descriptor depth] == 1 && [descriptor mipmapLevelCount] == 1 &&
                            [descriptor sampleCount] == 1,
                        "the emulation has no volumes, mipmaps or samples") &&
           METAL_EXPECT([descriptor arrayLength] >= 1 &&
                            [descriptor arrayLength] <= (is_array ? most_slices : 1),
                        "a texture of %lu slices", [descriptor arrayLength]) &&
           METAL_EXPECT(!(is_discrete() && [descriptor storageMode] == MTLStorageModeShared),
                        "a texture with shared storage on a device without unified memory");
}
} // namespace

// One per process, never deallocated and not counted.
@interface EmulatedDevice : NSObject <MTLDevice>
@end

@implementation EmulatedDevice

- (NSString *)name {
    return @"Emulated Metal device";
}
- (uint64_t)registryID {
    return 0x100000abcull;
}
- (MTLSize)maxThreadsPerThreadgroup {
    return MTLSizeMake(1024, 1024, 1024);
}
- (BOOL)isLowPower {
    return NO;
}
- (BOOL)isHeadless {
    return NO;
}
- (BOOL)isRemovable {
    return NO;
}
- (BOOL)hasUnifiedMemory {
    return !is_discrete();
}
- (uint64_t)recommendedMaxWorkingSetSize {
    return 8 * gigabyte;
}
- (NSUInteger)currentAllocatedSize {
    return 0;
}
- (NSUInteger)maxThreadgroupMemoryLength {
    return 32768;
}
- (NSUInteger)maxBufferLength {
    return 4 * gigabyte;
}

- (BOOL)supportsFamily:(MTLGPUFamily)gpuFamily {
    switch (gpuFamily) {
    case MTLGPUFamilyMac2:
    case MTLGPUFamilyCommon1:
    case MTLGPUFamilyCommon2:
    case MTLGPUFamilyCommon3:
        return YES;
    case MTLGPUFamilyMetal3:
        return !is_discrete();
    default:
        return gpuFamily >= MTLGPUFamilyApple1 && gpuFamily <= MTLGPUFamilyApple7 && !is_discrete();
    }
}

- (id<MTLCommandQueue>)newCommandQueue {
    return [[EmulatedCommandQueue alloc] initWithDevice:self];
}

- (id<MTLCommandQueue>)newCommandQueueWithMaxCommandBufferCount:(NSUInteger)maxCommandBufferCount {
    METAL_EXPECT(maxCommandBufferCount > 0, "a queue of no command buffers");
    return [self newCommandQueue];
}

- (id<MTLBuffer>)newBufferWithLength:(NSUInteger)length options:(MTLResourceOptions)options {
    if (take_one(switches().fail_buffers)) return nil;
    return [[EmulatedBuffer alloc] initWithDevice:self length:length options:options];
}

- (id<MTLBuffer>)newBufferWithBytes:(const void *)pointer
                             length:(NSUInteger)length
                            options:(MTLResourceOptions)options {
    if (take_one(switches().fail_buffers)) return nil;
    METAL_EXPECT((options >> 4 & 15) != MTLStorageModePrivate, "newBufferWithBytes: with private storage");
    EmulatedBuffer *buffer = [[EmulatedBuffer alloc] initWithDevice:self length:length options:options];
    [buffer setBytes:pointer];
    return buffer;
}

- (id<MTLBuffer>)newBufferWithBytesNoCopy:(void *)pointer
                                   length:(NSUInteger)length
                                  options:(MTLResourceOptions)options
                              deallocator:(void (^)(void *, NSUInteger))deallocator {
    if (take_one(switches().fail_buffers)) return nil;
    return [[EmulatedBuffer alloc] initWithDevice:self
                                           memory:pointer
                                           length:length
                                          options:options
                                      deallocator:deallocator];
}

- (id<MTLTexture>)newTextureWithDescriptor:(MTLTextureDescriptor *)descriptor {
    if (take_one(switches().fail_textures) || !accepts_descriptor(descriptor)) return nil;
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

- (id<MTLLibrary>)newLibraryWithURL:(NSURL *)url error:(NSError **)error {
    METAL_EXPECT([url isFileURL], "newLibraryWithURL: of a URL that is no file's");
    return [self libraryAt:utf8([url path]) error:error];
}

- (id<MTLLibrary>)newLibraryWithSource:(NSString *)source
                               options:(MTLCompileOptions *)options
                                 error:(NSError **)error {
    std::vector<std::string> arguments;
    NSDictionary *macros = [options preprocessorMacros];
    for (NSString *name in macros)
        arguments.push_back("--define=" + utf8(name) + "=" + utf8([[macros objectForKey:name] description]));
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

- (id<MTLComputePipelineState>)newComputePipelineStateWithFunction:(id<MTLFunction>)computeFunction
                                                             error:(NSError **)error {
    if (take_one(switches().fail_pipelines)) {
        report_error(error, MTLLibraryErrorDomain, MTLLibraryErrorInternal, "a failure that was asked for");
        return nil;
    }
    if (!METAL_EXPECT(computeFunction, "newComputePipelineStateWithFunction: nil")) return nil;
    return [[EmulatedPipeline alloc] initWithFunction:static_cast<EmulatedFunction *>(computeFunction)];
}
@end

id<MTLDevice> MTLCreateSystemDefaultDevice() {
    if (switches().no_device) return nil;
    static id<MTLDevice> device = [[EmulatedDevice alloc] init];
    return [device retain];
}

NSArray<id<MTLDevice>> *MTLCopyAllDevices() {
    id<MTLDevice> device = MTLCreateSystemDefaultDevice();
    NSArray *devices = device ? [[NSArray alloc] initWithObjects:device, nil] : [[NSArray alloc] init];
    [device release];
    return devices;
}
