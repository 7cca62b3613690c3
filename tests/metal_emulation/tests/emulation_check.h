// Helpers of the emulation's own tests.
#pragma once

#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

#include "metal/metal_emulation.h"
#ifndef TEST // another project may include its own TEST, CHECK and check::that before
#include "check.h"
#endif

#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

/// An autorelease pool that is also drained when an exception is thrown.
struct Pool {
    NSAutoreleasePool *pool = [[NSAutoreleasePool alloc] init];
    ~Pool() { [pool drain]; }
};

inline id<MTLDevice> device() {
    static id<MTLDevice> device = MTLCreateSystemDefaultDevice();
    return device;
}

inline std::string violations() {
    std::string all;
    for (int i = 0; i < metal_emulation_violation_count(); ++i)
        all += std::string(metal_emulation_violation(i)) + "\n";
    return all;
}

/// Check that the action breaks the rule whose text contains `part`. It may break others as well.
template <class Action> void breaks(const char *part, Action action, const char *file, int line) {
    metal_emulation_reset();
    {
        Pool pool;
        action();
        metal_emulation_wait_idle();
    }
    metal_emulation_wait_idle();
    const std::string found = violations();
    check::that(found.find(part) != std::string::npos, file, line, part,
                found.empty() ? "not noticed" : found.c_str());
    metal_emulation_reset();
}
#define BREAKS(part, ...)                                                                                    \
    breaks(                                                                                                  \
        part, [&] { __VA_ARGS__; }, __FILE__, __LINE__)

/// Define a test that must break no rule and leave no object.
#define CLEAN_TEST(name)                                                                                     \
    static void name##_body();                                                                               \
    TEST(name) {                                                                                             \
        metal_emulation_reset();                                                                             \
        {                                                                                                    \
            Pool pool;                                                                                       \
            name##_body();                                                                                   \
        }                                                                                                    \
        metal_emulation_wait_idle();                                                                         \
        check::that(metal_emulation_violation_count() == 0, __FILE__, __LINE__, #name,                       \
                    violations().c_str());                                                                   \
        check::that(metal_emulation_live_objects() == 0, __FILE__, __LINE__, #name,                          \
                    metal_emulation_live_object_names());                                                    \
    }                                                                                                        \
    static void name##_body()

template <class T> T owned(T object) { return [object autorelease]; }

inline id<MTLBuffer> buffer_of(const std::vector<float> &values) {
    return owned([device() newBufferWithBytes:values.data()
                                       length:values.size() * sizeof(float)
                                      options:MTLResourceStorageModeShared]);
}

#ifdef TEST_METALLIB
/// Return the library of tests/shaders, built by CMake.
inline id<MTLLibrary> test_library() {
    NSError *error = nil;
    id<MTLLibrary> library = owned([device() newLibraryWithFile:[NSString stringWithUTF8String:TEST_METALLIB]
                                                          error:&error]);
    if (!library) throw std::runtime_error([[error localizedDescription] UTF8String]);
    return library;
}

inline id<MTLFunction> function_of(NSString *name, int offset = 0) {
    MTLFunctionConstantValues *values = owned([[MTLFunctionConstantValues alloc] init]);
    [values setConstantValue:&offset type:MTLDataTypeInt atIndex:0];
    NSError *error = nil;
    return owned([test_library() newFunctionWithName:name constantValues:values error:&error]);
}

inline id<MTLComputePipelineState> pipeline_of(NSString *name, int offset = 0) {
    NSError *error = nil;
    return owned([device() newComputePipelineStateWithFunction:function_of(name, offset) error:&error]);
}
#endif

inline id<MTLCommandBuffer> command_buffer() { return [owned([device() newCommandQueue]) commandBuffer]; }

inline void finish(id<MTLCommandBuffer> commands) {
    [commands commit];
    [commands waitUntilCompleted];
}

/// Return the numbers of a buffer. Those of private storage are copied first.
inline std::vector<float> floats_in(id<MTLBuffer> buffer) {
    if ([buffer storageMode] == MTLStorageModePrivate) {
        id<MTLBuffer> copy = owned([device() newBufferWithLength:[buffer length]
                                                         options:MTLResourceStorageModeShared]);
        id<MTLCommandBuffer> commands = command_buffer();
        id<MTLBlitCommandEncoder> encoder = [commands blitCommandEncoder];
        [encoder copyFromBuffer:buffer sourceOffset:0 toBuffer:copy destinationOffset:0 size:[buffer length]];
        [encoder endEncoding];
        finish(commands);
        buffer = copy;
    }
    const auto *first = static_cast<const float *>([buffer contents]);
    return {first, first + [buffer length] / sizeof(float)};
}

// ---- Small resources --------------------------------------------------------------------------------------

inline id<MTLBuffer> small_buffer(MTLResourceOptions options = MTLResourceStorageModeShared) {
    return owned([device() newBufferWithLength:64 options:options]);
}

inline MTLTextureDescriptor *texture_descriptor() {
    MTLTextureDescriptor *descriptor =
        [MTLTextureDescriptor texture2DDescriptorWithPixelFormat:MTLPixelFormatRGBA16Float
                                                           width:4
                                                          height:4
                                                       mipmapped:NO];
    [descriptor setUsage:MTLTextureUsageShaderRead | MTLTextureUsageShaderWrite];
    return descriptor;
}

inline id<MTLTexture> small_texture() {
    return owned([device() newTextureWithDescriptor:texture_descriptor()]);
}

// ---- Images -----------------------------------------------------------------------------------------------

inline MPSImageDescriptor *describe(NSUInteger width, NSUInteger height, NSUInteger channels,
                                    MTLStorageMode storage = MTLStorageModeShared) {
    MPSImageDescriptor *descriptor =
        [MPSImageDescriptor imageDescriptorWithChannelFormat:MPSImageFeatureChannelFormatFloat32
                                                       width:width
                                                      height:height
                                             featureChannels:channels];
    [descriptor setStorageMode:storage];
    return descriptor;
}

inline MPSImage *image(NSUInteger width, NSUInteger height, NSUInteger channels) {
    return owned([[MPSImage alloc] initWithDevice:device()
                                  imageDescriptor:describe(width, height, channels)]);
}

inline MPSImage *image_of(NSUInteger width, NSUInteger height, NSUInteger channels,
                          const std::vector<float> &hwc) {
    MPSImage *filled = image(width, height, channels);
    [filled writeBytes:hwc.data() dataLayout:MPSDataLayoutHeightxWidthxFeatureChannels imageIndex:0];
    return filled;
}

inline std::vector<float> pixels_of(MPSImage *source) {
    std::vector<float> hwc([source width] * [source height] * [source featureChannels]);
    [source readBytes:hwc.data() dataLayout:MPSDataLayoutHeightxWidthxFeatureChannels imageIndex:0];
    return hwc;
}

inline MPSTemporaryImage *temporary(id<MTLCommandBuffer> commands, NSUInteger channels = 4) {
    return
        [MPSTemporaryImage temporaryImageWithCommandBuffer:commands
                                           imageDescriptor:describe(2, 2, channels, MTLStorageModePrivate)];
}

/// Encode and run the kernel, and return the result.
inline std::vector<float> result_of(MPSCNNKernel *kernel, MPSImage *source, MPSImage *destination) {
    id<MTLCommandBuffer> commands = command_buffer();
    [kernel encodeToCommandBuffer:commands sourceImage:source destinationImage:destination];
    finish(commands);
    return pixels_of(destination);
}

inline MPSCNNKernel *any_kernel() { return owned([[MPSCNNSoftMax alloc] initWithDevice:device()]); }

inline void encode(MPSCNNKernel *kernel, MPSImage *source, MPSImage *destination) {
    id<MTLCommandBuffer> commands = command_buffer();
    [kernel encodeToCommandBuffer:commands sourceImage:source destinationImage:destination];
    finish(commands);
}
