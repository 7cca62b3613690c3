// Breaks every rule of Metal once, and checks that it is noticed.
#include "emulation_check.h"

#include <cstdio>

namespace {

/// Set up an encoder for `scale` (buffers 0 and 1, 8 bytes in 2), let `change` break it, and run it.
template <class Change> void scale_after(Change change, NSUInteger threads = 4) {
    id<MTLCommandBuffer> commands = command_buffer();
    id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
    const struct {
        float scale;
        unsigned count;
    } params{1, 4};
    [encoder setComputePipelineState:pipeline_of(@"scale")];
    [encoder setBuffer:small_buffer() offset:0 atIndex:0];
    [encoder setBuffer:small_buffer() offset:0 atIndex:1];
    [encoder setBytes:&params length:sizeof params atIndex:2];
    change(encoder);
    [encoder dispatchThreadgroups:MTLSizeMake(1, 1, 1) threadsPerThreadgroup:MTLSizeMake(threads, 1, 1)];
    [encoder endEncoding];
    finish(commands);
}

template <class Change> void smooth_after(Change change) {
    id<MTLCommandBuffer> commands = command_buffer();
    id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
    [encoder setComputePipelineState:pipeline_of(@"smooth_half")];
    [encoder setTexture:small_texture() atIndex:0];
    [encoder setTexture:small_texture() atIndex:1];
    change(encoder);
    [encoder dispatchThreadgroups:MTLSizeMake(1, 1, 1) threadsPerThreadgroup:MTLSizeMake(4, 4, 1)];
    [encoder endEncoding];
    finish(commands);
}

template <class Action> void blit(Action action) {
    id<MTLBlitCommandEncoder> encoder = [command_buffer() blitCommandEncoder];
    action(encoder);
    [encoder endEncoding];
}

void copy(id<MTLBuffer> source, id<MTLBuffer> destination, NSUInteger bytes) {
    blit([&](id<MTLBlitCommandEncoder> encoder) {
        [encoder copyFromBuffer:source sourceOffset:0 toBuffer:destination destinationOffset:0 size:bytes];
    });
}

void get(char *pixels, NSUInteger row_bytes, MTLRegion region, NSUInteger level = 0, NSUInteger slice = 0) {
    [small_texture() getBytes:pixels
                  bytesPerRow:row_bytes
                bytesPerImage:0
                   fromRegion:region
                  mipmapLevel:level
                        slice:slice];
}

/// Append a blit that writes to a buffer of 64 bytes.
void fill(id<MTLCommandBuffer> commands, id<MTLBuffer> buffer) {
    id<MTLBlitCommandEncoder> encoder = [commands blitCommandEncoder];
    [encoder copyFromBuffer:small_buffer() sourceOffset:0 toBuffer:buffer destinationOffset:0 size:64];
    [encoder endEncoding];
}

} // namespace

CLEAN_TEST(good_use_breaks_no_rule) {
    scale_after([](id) {});
    smooth_after([](id) {});
    encode(any_kernel(), image_of(2, 2, 3, std::vector<float>(12)), image(2, 2, 3));
    CHECK(metal_emulation_violation_count() == 0);
}

TEST(devices) { BREAKS("which is not a family", [device() supportsFamily:static_cast<MTLGPUFamily>(0)]); }

TEST(buffers) {
    BREAKS("more than maxBufferLength", owned([device() newBufferWithLength:[device() maxBufferLength] + 1
                                                                    options:MTLResourceStorageModeShared]));
    BREAKS("newBufferWithBytes: with private storage",
           owned([device() newBufferWithBytes:"1234" length:4 options:MTLResourceStorageModePrivate]));
    BREAKS("length 0", owned([device() newBufferWithLength:0 options:MTLResourceStorageModeShared]));
    BREAKS("memoryless", owned([device() newBufferWithLength:4 options:MTLResourceStorageModeMemoryless]));
    BREAKS("private storage", [small_buffer(MTLResourceStorageModePrivate) contents]);
    BREAKS("aligned to a page", {
        std::vector<char> memory(3 * 16384);
        owned([device() newBufferWithBytesNoCopy:memory.data() + 1
                                          length:16384
                                         options:MTLResourceStorageModeShared
                                     deallocator:nil]);
    });
    BREAKS("multiple of a page", {
        void *memory = std::aligned_alloc(16384, 16384);
        [[device() newBufferWithBytesNoCopy:memory
                                     length:100
                                    options:MTLResourceStorageModeShared
                                deallocator:nil] release];
        std::free(memory);
    });
    BREAKS("that the processor cannot share", {
        void *memory = std::aligned_alloc(16384, 16384);
        [[device() newBufferWithBytesNoCopy:memory
                                     length:16384
                                    options:MTLResourceStorageModePrivate
                                deallocator:nil] release];
        std::free(memory);
    });
}

TEST(memory_of_two_sides) {
    BREAKS("while the device works", {
        id<MTLBuffer> buffer = small_buffer();
        id<MTLCommandBuffer> commands = command_buffer();
        fill(commands, buffer);
        metal_emulation_set("worker_delay_ms", 1000000);
        [commands commit];
        [buffer contents];
        metal_emulation_set("worker_delay_ms", 0);
    });
    BREAKS("nobody synchronized", {
        id<MTLBuffer> buffer = small_buffer(MTLResourceStorageModeManaged);
        id<MTLCommandBuffer> commands = command_buffer();
        fill(commands, buffer);
        finish(commands);
        [buffer contents];
    });
    BREAKS("without unified memory", {
        MTLTextureDescriptor *descriptor = texture_descriptor();
        [descriptor setStorageMode:MTLStorageModeShared];
        metal_emulation_set("discrete_memory", 1);
        owned([device() newTextureWithDescriptor:descriptor]);
    });
}

TEST(textures) {
    BREAKS("pixel format", {
        MTLTextureDescriptor *descriptor = texture_descriptor();
        [descriptor setPixelFormat:MTLPixelFormatInvalid];
        owned([device() newTextureWithDescriptor:descriptor]);
    });
    BREAKS("slices", {
        MTLTextureDescriptor *descriptor = texture_descriptor();
        [descriptor setTextureType:MTLTextureType2DArray];
        [descriptor setArrayLength:2049];
        owned([device() newTextureWithDescriptor:descriptor]);
    });
    BREAKS("a texture of 0 x 4", {
        MTLTextureDescriptor *descriptor = texture_descriptor();
        [descriptor setWidth:0];
        owned([device() newTextureWithDescriptor:descriptor]);
    });
    BREAKS("getBytes: of mipmap level 1", {
        char pixels[16];
        get(pixels, 16, MTLRegionMake2D(0, 0, 1, 1), 1);
    });
    BREAKS("getBytes: of slice 1 of 1", {
        char pixels[16];
        get(pixels, 16, MTLRegionMake2D(0, 0, 1, 1), 0, 1);
    });
    BREAKS("not within the texture", {
        char pixels[64];
        get(pixels, 16, MTLRegionMake2D(3, 0, 2, 1));
    });
    BREAKS("bytes per row", {
        char pixels[64];
        get(pixels, 8, MTLRegionMake2D(0, 0, 2, 2));
    });
}

TEST(copies) {
    BREAKS("copyFromBuffer: behind a buffer's end", copy(small_buffer(), small_buffer(), 128));
    BREAKS("not multiples of 4", copy(small_buffer(), small_buffer(), 6));
}

TEST(what_must_be_there) {
    BREAKS("setComputePipelineState: nil",
           scale_after([](id encoder) { [encoder setComputePipelineState:nil]; }));
    BREAKS("newComputePipelineStateWithFunction: nil",
           owned([device() newComputePipelineStateWithFunction:nil error:nullptr]));
    BREAKS("newLibraryWithData: nil", owned([device() newLibraryWithData:nil error:nullptr]));
}

MTLComputePipelineDescriptor *pipeline_descriptor(id<MTLFunction> function) {
    MTLComputePipelineDescriptor *descriptor = owned([[MTLComputePipelineDescriptor alloc] init]);
    [descriptor setComputeFunction:function];
    return descriptor;
}

id<MTLBinaryArchive> archive_at(NSURL *url) {
    MTLBinaryArchiveDescriptor *descriptor = owned([[MTLBinaryArchiveDescriptor alloc] init]);
    [descriptor setUrl:url];
    return owned([device() newBinaryArchiveWithDescriptor:descriptor error:nullptr]);
}

TEST(archives_of_pipelines) {
    NSURL *page = [NSURL URLWithString:@"https://example.org"];
    BREAKS("of one without a function",
           [device() newComputePipelineStateWithDescriptor:pipeline_descriptor(nil)
                                                   options:MTLPipelineOptionNone
                                                reflection:nullptr
                                                     error:nullptr]);
    BREAKS("newBinaryArchiveWithDescriptor: nil", [device() newBinaryArchiveWithDescriptor:nil
                                                                                     error:nullptr]);
    BREAKS("an archive at a URL that is not a file's", archive_at(page));
    BREAKS("without a function for an archive",
           [archive_at(nil) addComputePipelineFunctionsWithDescriptor:pipeline_descriptor(nil)
                                                                error:nullptr]);
    BREAKS("without its function constants for an archive",
           [archive_at(nil)
               addComputePipelineFunctionsWithDescriptor:pipeline_descriptor(owned(
                                                             [test_library() newFunctionWithName:@"scale"]))
                                                   error:nullptr]);
    BREAKS("serializeToURL: of a URL that is not a file's", [archive_at(nil) serializeToURL:page
                                                                                      error:nullptr]);
    BREAKS("serializeToURL: of an empty archive",
           [archive_at(nil) serializeToURL:[NSURL fileURLWithPath:@"/nowhere/archive"] error:nullptr]);
}

CLEAN_TEST(an_archive_has_what_was_added) {
    NSError *error = nil;
    NSURL *file = [NSURL
        fileURLWithPath:[NSTemporaryDirectory() stringByAppendingPathComponent:@"metal-emulation-archive"]];
    id<MTLBinaryArchive> made = archive_at(nil);
    CHECK([made addComputePipelineFunctionsWithDescriptor:pipeline_descriptor(function_of(@"scale", 1))
                                                    error:&error]);
    CHECK([made serializeToURL:file error:&error]);
    const auto find = [&](id<MTLFunction> function, MTLPipelineOption options) {
        MTLComputePipelineDescriptor *descriptor = pipeline_descriptor(function);
        [descriptor setBinaryArchives:[NSArray arrayWithObject:archive_at(file)]];
        return owned([device() newComputePipelineStateWithDescriptor:descriptor
                                                             options:options
                                                          reflection:nullptr
                                                               error:&error]) != nil;
    };
    const MTLPipelineOption only_there = MTLPipelineOptionFailOnBinaryArchiveMiss;
    CHECK(find(function_of(@"scale", 1), only_there));
    CHECK(!find(function_of(@"scale", 2), only_there) && !find(function_of(@"smooth_half", 1), only_there));
    CHECK(find(function_of(@"scale", 2), MTLPipelineOptionNone));
    CHECK(metal_emulation_get("archive_hits") == 1);
    metal_emulation_set("fail_archives", 2);
    CHECK(archive_at(file) == nil && ![made serializeToURL:file error:&error]);
    CHECK(std::remove([[file path] UTF8String]) == 0);
    CHECK(archive_at(file) == nil);
}

TEST(arguments_of_kernels) {
    BREAKS("buffer 1 (result) is not set",
           scale_after([](id encoder) { [encoder setBuffer:nil offset:0 atIndex:1]; }));
    BREAKS("8 are needed", scale_after([](id encoder) { [encoder setBytes:"abc" length:4 atIndex:2]; }));
    BREAKS("not aligned",
           scale_after([](id encoder) { [encoder setBuffer:small_buffer() offset:6 atIndex:0]; }));
    BREAKS("behind its end",
           scale_after([](id encoder) { [encoder setBuffer:small_buffer() offset:64 atIndex:0]; }));
    BREAKS("set by setBytes:",
           scale_after([](id encoder) { [encoder setBytes:"12345678" length:8 atIndex:1]; }));
    BREAKS("1 to 4096", scale_after([](id encoder) {
               const std::vector<char> many(4100);
               [encoder setBytes:many.data() length:4100 atIndex:2];
           }));
    BREAKS("at index 31",
           scale_after([](id encoder) { [encoder setBuffer:small_buffer() offset:0 atIndex:31]; }));
    BREAKS("texture 1 (result) is not set",
           smooth_after([](id encoder) { [encoder setTexture:nil atIndex:1]; }));
    BREAKS("bound a second time", smooth_after([](id encoder) {
               id<MTLTexture> both = small_texture();
               [encoder setTexture:both atIndex:0];
               [encoder setTexture:both atIndex:1];
           }));
    BREAKS("without usage ShaderToWrite", smooth_after([](id encoder) {
               MTLTextureDescriptor *descriptor = texture_descriptor();
               [descriptor setUsage:MTLTextureUsageShaderRead];
               [encoder setTexture:owned([device() newTextureWithDescriptor:descriptor]) atIndex:1];
           }));
    BREAKS("declared as texture2d", smooth_after([](id encoder) {
               MTLTextureDescriptor *descriptor = texture_descriptor();
               [descriptor setTextureType:MTLTextureType2DArray];
               [encoder setTexture:owned([device() newTextureWithDescriptor:descriptor]) atIndex:0];
           }));
    BREAKS("integer format", smooth_after([](id encoder) {
               MTLTextureDescriptor *descriptor = texture_descriptor();
               [descriptor setPixelFormat:MTLPixelFormatRGBA8Uint];
               [encoder setTexture:owned([device() newTextureWithDescriptor:descriptor]) atIndex:0];
           }));
    BREAKS("multiple of 16",
           scale_after([](id encoder) { [encoder setThreadgroupMemoryLength:8 atIndex:0]; }));
    BREAKS("bytes of threadgroup memory", scale_after([](id encoder) {
               [encoder setComputePipelineState:pipeline_of(@"sum_rows")];
               [encoder setThreadgroupMemoryLength:32784 atIndex:0];
           }));
    BREAKS("has no length",
           scale_after([](id encoder) { [encoder setComputePipelineState:pipeline_of(@"sum_rows")]; }));
}

TEST(dispatches) {
    BREAKS("size 0", scale_after([](id) {}, 0));
    BREAKS("maxTotalThreadsPerThreadgroup", scale_after([](id) {}, 1025));
    BREAKS("is ushort", smooth_after([](id<MTLComputeCommandEncoder> encoder) {
               [encoder dispatchThreadgroups:MTLSizeMake(70000, 1, 1)
                       threadsPerThreadgroup:MTLSizeMake(1, 1, 1)];
           }));
    BREAKS("without a pipeline", {
        id<MTLComputeCommandEncoder> encoder = [command_buffer() computeCommandEncoder];
        [encoder dispatchThreadgroups:MTLSizeMake(1, 1, 1) threadsPerThreadgroup:MTLSizeMake(1, 1, 1)];
        [encoder endEncoding];
    });
    BREAKS("without its function constants",
           owned([device()
               newComputePipelineStateWithFunction:owned([test_library() newFunctionWithName:@"scale"])
                                             error:nullptr]));
    BREAKS("a function constant of data type", {
        const int zero = 0;
        MTLFunctionConstantValues *values = owned([[MTLFunctionConstantValues alloc] init]);
        [values setConstantValue:&zero type:MTLDataTypeStruct atIndex:0];
    });
    BREAKS("of the argument source, which is of another type", {
        MTLComputePipelineReflection *reflection = nil;
        owned([device() newComputePipelineStateWithFunction:function_of(@"scale")
                                                    options:MTLPipelineOptionArgumentInfo
                                                 reflection:&reflection
                                                      error:nullptr]);
        [[[reflection arguments] objectAtIndex:0] textureType];
    });
    BREAKS("without MTLPipelineOptionArgumentInfo", {
        MTLComputePipelineReflection *reflection = nil;
        owned([device() newComputePipelineStateWithFunction:function_of(@"smooth_half")
                                                    options:MTLPipelineOptionNone
                                                 reflection:&reflection
                                                      error:nullptr]);
    });
}

TEST(encoders_and_command_buffers) {
    BREAKS("without endEncoding", [command_buffer() computeCommandEncoder]);
    BREAKS("endEncoding a second time", {
        id<MTLComputeCommandEncoder> encoder = [command_buffer() computeCommandEncoder];
        [encoder endEncoding];
        [encoder endEncoding];
    });
    BREAKS("after endEncoding", {
        id<MTLComputeCommandEncoder> encoder = [command_buffer() computeCommandEncoder];
        [encoder endEncoding];
        [encoder setBuffer:small_buffer() offset:0 atIndex:0];
    });
    BREAKS("while an encoder is open", {
        id<MTLCommandBuffer> commands = command_buffer();
        id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
        [commands blitCommandEncoder];
        [encoder endEncoding];
    });
    BREAKS("while an encoder is open", {
        id<MTLCommandBuffer> commands = command_buffer();
        id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
        [any_kernel() encodeToCommandBuffer:commands
                                sourceImage:image_of(1, 1, 1, {0})
                           destinationImage:image(1, 1, 1)];
        [encoder endEncoding];
    });
    BREAKS("commit with an open encoder", {
        id<MTLCommandBuffer> commands = command_buffer();
        id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
        [commands commit];
        [encoder endEncoding];
    });
    BREAKS("commit of a command buffer a second time", {
        id<MTLCommandBuffer> commands = command_buffer();
        finish(commands);
        [commands commit];
    });
    BREAKS("after the commit", {
        id<MTLCommandBuffer> commands = command_buffer();
        finish(commands);
        fill(commands, small_buffer());
    });
    BREAKS("handler is added after", {
        id<MTLCommandBuffer> commands = command_buffer();
        finish(commands);
        [commands addCompletedHandler:^(id<MTLCommandBuffer>){
        }];
    });
    BREAKS("waitUntilCompleted before the commit", [command_buffer() waitUntilCompleted]);
    BREAKS("enqueue of a command buffer a second time", {
        id<MTLCommandBuffer> commands = command_buffer();
        [commands enqueue];
        [commands enqueue];
        finish(commands);
    });
    BREAKS("let an exception out", {
        id<MTLCommandBuffer> commands = command_buffer();
        [commands addCompletedHandler:^(id<MTLCommandBuffer>) {
          throw std::runtime_error("out");
        }];
        finish(commands);
    });
    BREAKS("never committed", {
        Pool pool;
        id<MTLCommandQueue> queue = [device() newCommandQueue];
        [[queue commandBuffer] enqueue];
        [queue release];
    });
    BREAKS("commandBufferWithUnretainedReferences", {
        id<MTLCommandQueue> queue = owned([device() newCommandQueue]);
        finish([queue commandBufferWithUnretainedReferences]);
    });
}
