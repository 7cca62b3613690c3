// Every rule is broken once, and noticed.
#include "emulation_check.h"

#import "convolution_weights.h"

#include <chrono>
#include <thread>

namespace {

id<MTLBuffer> small_buffer(MTLResourceOptions options = MTLResourceStorageModeShared) {
    return owned([device() newBufferWithLength:64 options:options]);
}

MTLTextureDescriptor *texture_descriptor() {
    MTLTextureDescriptor *descriptor =
        [MTLTextureDescriptor texture2DDescriptorWithPixelFormat:MTLPixelFormatRGBA16Float
                                                           width:4
                                                          height:4
                                                       mipmapped:NO];
    [descriptor setUsage:MTLTextureUsageShaderRead | MTLTextureUsageShaderWrite];
    return descriptor;
}

id<MTLTexture> small_texture() { return owned([device() newTextureWithDescriptor:texture_descriptor()]); }

/// Encodes with `scale` (buffers 0 and 1, 8 bytes in 2), after what `change` does to a good encoder, and runs it.
template <class Change> void scale_after(Change change, NSUInteger threads = 4) {
    id<MTLCommandBuffer> commands = command_buffer();
    id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
    const struct { float scale; unsigned count; } params{1, 4};
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

/// A blit that writes to a buffer.
void fill(id<MTLCommandBuffer> commands, id<MTLBuffer> buffer) {
    id<MTLBlitCommandEncoder> encoder = [commands blitCommandEncoder];
    [encoder fillBuffer:buffer range:NSMakeRange(0, [buffer length]) value:0];
    [encoder endEncoding];
}

MPSCNNKernel *any_kernel() { return owned([[MPSCNNSoftMax alloc] initWithDevice:device()]); }

void encode(MPSCNNKernel *kernel, MPSImage *source, MPSImage *destination) {
    id<MTLCommandBuffer> commands = command_buffer();
    [kernel encodeToCommandBuffer:commands sourceImage:source destinationImage:destination];
    finish(commands);
}

id convolution(MPSCNNConvolutionDescriptor *descriptor, NSUInteger weights) {
    TestWeights *source = owned([[TestWeights alloc] initWithDescriptor:descriptor
                                                                weights:std::vector<float>(weights)
                                                                   bias:{}]);
    return owned([[MPSCNNConvolution alloc] initWithDevice:device() weights:source]);
}

MPSCNNConvolutionDescriptor *convolution_descriptor(NSUInteger inputs, NSUInteger outputs,
                                                    Class kind = [MPSCNNConvolutionDescriptor class]) {
    return [kind cnnConvolutionDescriptorWithKernelWidth:1
                                            kernelHeight:1
                                    inputFeatureChannels:inputs
                                   outputFeatureChannels:outputs];
}

} // namespace

CLEAN_TEST(good_use_breaks_no_rule) {
    scale_after([](id) {});
    smooth_after([](id) {});
    encode(any_kernel(), image_of(2, 2, 3, std::vector<float>(12)), image(2, 2, 3));
    CHECK(metal_emulation_violation_count() == 0);
}

TEST(buffers) {
    BREAKS("length 0", owned([device() newBufferWithLength:0 options:MTLResourceStorageModeShared]));
    BREAKS("memoryless", owned([device() newBufferWithLength:4 options:MTLResourceStorageModeMemoryless]));
    BREAKS("private storage", [small_buffer(MTLResourceStorageModePrivate) contents]);
    BREAKS("without managed storage", [small_buffer() didModifyRange:NSMakeRange(0, 4)]);
    BREAKS("beyond", [small_buffer(MTLResourceStorageModeManaged) didModifyRange:NSMakeRange(60, 8)]);
    BREAKS("aligned to a page", {
        std::vector<char> memory(3 * 16384);
        owned([device() newBufferWithBytesNoCopy:memory.data() + 1
                                          length:16384
                                         options:MTLResourceStorageModeShared
                                     deallocator:nil]);
    });
    BREAKS("multiple of a page", {
        void *memory = std::aligned_alloc(16384, 16384);
        [[device() newBufferWithBytesNoCopy:memory length:100 options:MTLResourceStorageModeShared deallocator:nil] release];
        std::free(memory);
    });
}

TEST(memory_of_two_sides) {
    BREAKS("while the device works", {
        id<MTLBuffer> buffer = small_buffer();
        id<MTLCommandBuffer> commands = command_buffer();
        fill(commands, buffer);
        metal_emulation_set("worker_delay_ms", 50);
        [commands commit];
        [buffer contents];
    });
    BREAKS("nobody synchronized", {
        id<MTLBuffer> buffer = small_buffer(MTLResourceStorageModeManaged);
        id<MTLCommandBuffer> commands = command_buffer();
        fill(commands, buffer);
        finish(commands);
        [buffer contents];
    });
    BREAKS("without managed storage", {
        id<MTLCommandBuffer> commands = command_buffer();
        id<MTLBlitCommandEncoder> encoder = [commands blitCommandEncoder];
        [encoder synchronizeResource:small_buffer()];
        [encoder endEncoding];
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
    BREAKS("not within the texture", {
        char pixels[64];
        [small_texture() getBytes:pixels bytesPerRow:16 fromRegion:MTLRegionMake2D(3, 0, 2, 1) mipmapLevel:0];
    });
    BREAKS("bytes per row", {
        char pixels[64];
        [small_texture() getBytes:pixels bytesPerRow:8 fromRegion:MTLRegionMake2D(0, 0, 2, 2) mipmapLevel:0];
    });
}

TEST(arguments_of_kernels) {
    BREAKS("buffer 1 (result) is not set", scale_after([](id encoder) { [encoder setBuffer:nil offset:0 atIndex:1]; }));
    BREAKS("8 are needed", scale_after([](id encoder) { [encoder setBytes:"abc" length:4 atIndex:2]; }));
    BREAKS("not aligned", scale_after([](id encoder) { [encoder setBuffer:small_buffer() offset:6 atIndex:0]; }));
    BREAKS("behind its end", scale_after([](id encoder) { [encoder setBuffer:small_buffer() offset:64 atIndex:0]; }));
    BREAKS("set by setBytes:", scale_after([](id encoder) { [encoder setBytes:"12345678" length:8 atIndex:1]; }));
    BREAKS("1 to 4096", scale_after([](id encoder) {
               const std::vector<char> many(4100);
               [encoder setBytes:many.data() length:4100 atIndex:2];
           }));
    BREAKS("at index 31", scale_after([](id encoder) { [encoder setBuffer:small_buffer() offset:0 atIndex:31]; }));
    BREAKS("texture 1 (result) is not set", smooth_after([](id encoder) { [encoder setTexture:nil atIndex:1]; }));
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
    BREAKS("multiple of 16", scale_after([](id encoder) { [encoder setThreadgroupMemoryLength:8 atIndex:0]; }));
    BREAKS("has no length", scale_after([](id encoder) { [encoder setComputePipelineState:pipeline_of(@"sum_rows")]; }));
}

TEST(dispatches) {
    BREAKS("size 0", scale_after([](id) {}, 0));
    BREAKS("maxTotalThreadsPerThreadgroup", scale_after([](id) {}, 1025));
    BREAKS("is ushort", smooth_after([](id<MTLComputeCommandEncoder> encoder) {
               [encoder dispatchThreadgroups:MTLSizeMake(70000, 1, 1) threadsPerThreadgroup:MTLSizeMake(1, 1, 1)];
           }));
    BREAKS("without a pipeline", {
        id<MTLComputeCommandEncoder> encoder = [command_buffer() computeCommandEncoder];
        [encoder dispatchThreadgroups:MTLSizeMake(1, 1, 1) threadsPerThreadgroup:MTLSizeMake(1, 1, 1)];
        [encoder endEncoding];
    });
    BREAKS("function constants", [[test_library() newFunctionWithName:@"scale"] release]);
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
        [commands addCompletedHandler:^(id<MTLCommandBuffer>) {}];
    });
    BREAKS("before the commit", [command_buffer() waitUntilCompleted]);
    BREAKS("let an exception out", {
        id<MTLCommandBuffer> commands = command_buffer();
        [commands addCompletedHandler:^(id<MTLCommandBuffer>) { throw std::runtime_error("out"); }];
        finish(commands);
    });
    BREAKS("never committed", {
        Pool pool;
        id<MTLCommandQueue> queue = [device() newCommandQueue];
        [[queue commandBuffer] enqueue];
        [queue release];
    });
}

TEST(images) {
    BREAKS("no multiple of 4", {
        MPSImage *eight = image_of(1, 1, 8, std::vector<float>(8));
        float values[8];
        [eight readBytes:values
                    dataLayout:MPSDataLayoutHeightxWidthxFeatureChannels
                   bytesPerRow:32
                        region:MTLRegionMake3D(0, 0, 0, 1, 1, 1)
            featureChannelInfo:MPSImageReadWriteParams{2, 4}
                    imageIndex:0];
    });
    BREAKS("only some channels", {
        const float values[3] = {0};
        [image(1, 1, 8) writeBytes:values
                        dataLayout:MPSDataLayoutHeightxWidthxFeatureChannels
                       bytesPerRow:12
                            region:MTLRegionMake3D(0, 0, 0, 1, 1, 1)
                featureChannelInfo:MPSImageReadWriteParams{0, 3}
                        imageIndex:0];
    });
    BREAKS("fewer than a row has", {
        const float values[8] = {0};
        [image(2, 1, 4) writeBytes:values
                        dataLayout:MPSDataLayoutHeightxWidthxFeatureChannels
                       bytesPerRow:16
                            region:MTLRegionMake3D(0, 0, 0, 2, 1, 1)
                featureChannelInfo:MPSImageReadWriteParams{0, 4}
                        imageIndex:0];
    });
    BREAKS("without a channel format",
           owned([[MPSImage alloc] initWithDevice:device()
                                  imageDescriptor:[MPSImageDescriptor
                                                      imageDescriptorWithChannelFormat:MPSImageFeatureChannelFormatNone
                                                                                 width:1
                                                                                height:1
                                                                       featureChannels:1]]));
    BREAKS("hold NaN or infinity", encode(any_kernel(), image(1, 1, 3), image(1, 1, 3)));
    BREAKS("2D texture with 8", owned([[MPSImage alloc] initWithTexture:small_texture() featureChannels:8]));
}

TEST(temporary_images) {
    BREAKS("private storage", {
        MPSTemporaryImage *made = [MPSTemporaryImage temporaryImageWithCommandBuffer:command_buffer()
                                                                     imageDescriptor:describe(1, 1, 1)];
        [made setReadCount:0];
    });
    BREAKS("deallocated with a read count", temporary(command_buffer()));
    BREAKS("after it fell to 0", {
        MPSTemporaryImage *made = temporary(command_buffer());
        [made setReadCount:0];
        [made setReadCount:1];
    });
    BREAKS("used after its read count fell to 0", {
        id<MTLCommandBuffer> commands = command_buffer();
        MPSTemporaryImage *made = temporary(commands);
        [made setReadCount:0];
        [any_kernel() encodeToCommandBuffer:commands sourceImage:made destinationImage:image(2, 2, 4)];
    });
    BREAKS("texture of a temporary image whose read count fell", {
        MPSTemporaryImage *made = temporary(command_buffer());
        [made setReadCount:0];
        [made texture];
    });
    BREAKS("temporary image is used after", {
        id<MTLCommandBuffer> commands = command_buffer();
        MPSTemporaryImage *made = [MPSTemporaryImage
            temporaryImageWithCommandBuffer:commands
                            imageDescriptor:describe(4, 4, 4, MTLStorageModePrivate)];
        id<MTLTexture> kept = [made texture];
        [made setReadCount:0];
        id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
        [encoder setComputePipelineState:pipeline_of(@"smooth_half")];
        [encoder setTexture:kept atIndex:0];
        [encoder setTexture:small_texture() atIndex:1];
        [encoder dispatchThreadgroups:MTLSizeMake(1, 1, 1) threadsPerThreadgroup:MTLSizeMake(4, 4, 1)];
        [encoder endEncoding];
    });
    BREAKS("another command buffer", {
        MPSTemporaryImage *made = temporary(command_buffer());
        [any_kernel() encodeToCommandBuffer:command_buffer() sourceImage:made destinationImage:image(2, 2, 4)];
        [made setReadCount:0];
    });
    BREAKS("of a temporary image", {
        float values[16];
        MPSTemporaryImage *made = temporary(command_buffer());
        [made readBytes:values dataLayout:MPSDataLayoutHeightxWidthxFeatureChannels imageIndex:0];
        [made setReadCount:0];
    });
}

TEST(kernels) {
    BREAKS("source is its destination", {
        MPSImage *both = image_of(1, 1, 1, {0});
        encode(any_kernel(), both, both);
    });
    BREAKS("destination of 4 feature channels", encode(any_kernel(), image_of(1, 1, 8, std::vector<float>(8)), image(1, 1, 4)));
    BREAKS("destination feature channel offset", {
        MPSCNNKernel *kernel = any_kernel();
        [kernel setDestinationFeatureChannelOffset:2];
        encode(kernel, image_of(1, 1, 1, {0}), image(1, 1, 8));
    });
    BREAKS("source of 1 images", {
        MPSCNNKernel *kernel = any_kernel();
        [kernel setOffset:MPSOffset{0, 0, 1}];
        encode(kernel, image_of(1, 1, 1, {0}), image(1, 1, 1));
    });
    BREAKS("which only MPSNNPad has", {
        MPSCNNKernel *kernel = any_kernel();
        [kernel setEdgeMode:MPSImageEdgeModeMirror];
        encode(kernel, image_of(1, 1, 1, {0}), image(1, 1, 1));
    });
    BREAKS("without usage ShaderWrite", {
        MPSImageDescriptor *descriptor = describe(1, 1, 1);
        [descriptor setUsage:MTLTextureUsageShaderRead];
        encode(any_kernel(), image_of(1, 1, 1, {0}),
               owned([[MPSImage alloc] initWithDevice:device() imageDescriptor:descriptor]));
    });
    BREAKS("without a source image", encode(any_kernel(), nil, image(1, 1, 1)));
    BREAKS("initWithDevice: of MPSCNNPoolingMax is unavailable", [[MPSCNNPoolingMax alloc] initWithDevice:device()]);
    BREAKS("MPS does not support", [[MPSCNNSoftMax alloc] initWithDevice:nil]);
    BREAKS("whose meaning is not documented", {
        MPSCNNKernel *kernel = any_kernel();
        [kernel setPadding:[MPSNNDefaultPadding paddingWithMethod:MPSNNPaddingMethodAlignTopLeft]];
        [kernel destinationImageDescriptorForSourceImages:[NSArray arrayWithObject:image(1, 1, 1)] sourceStates:nil];
    });
}

TEST(convolutions) {
    BREAKS("multiple of 4", {
        MPSCNNConvolutionDescriptor *descriptor = convolution_descriptor(6, 6);
        [descriptor setGroups:2];
        convolution(descriptor, 18);
    });
    BREAKS("multiplier must be 1", convolution(convolution_descriptor(4, 8, [MPSCNNDepthWiseConvolutionDescriptor class]), 8));
    BREAKS("fused PReLU", {
        MPSCNNConvolutionDescriptor *descriptor = convolution_descriptor(1, 1);
        [descriptor setFusedNeuronDescriptor:[MPSNNNeuronDescriptor cnnNeuronPReLUDescriptorWithData:[NSData data]
                                                                                              noCopy:false]];
        convolution(descriptor, 1);
    });
    BREAKS("needs bias terms", {
        MPSCNNConvolutionDescriptor *descriptor = convolution_descriptor(1, 1);
        const float one = 1;
        [descriptor setBatchNormalizationParametersForInferenceWithMean:&one variance:&one gamma:&one beta:&one epsilon:0];
        convolution(descriptor, 1);
    });
    BREAKS("source of 1 feature channels", encode(convolution(convolution_descriptor(2, 1), 2), image_of(1, 1, 1, {0}), image(1, 1, 1)));
}

// ---- Switches ------------------------------------------------------------------------------------------------

CLEAN_TEST(failures_on_demand) {
    metal_emulation_set("no_device", 1);
    CHECK(MTLCreateSystemDefaultDevice() == nil);
    NSArray *none = MTLCopyAllDevices();
    CHECK([none count] == 0);
    [none release];
    metal_emulation_set("no_device", 0);
    metal_emulation_set("fail_buffers", 1);
    CHECK([device() newBufferWithLength:4 options:MTLResourceStorageModeShared] == nil);
    CHECK(small_buffer() != nil);
    metal_emulation_set("fail_textures", 1);
    CHECK([device() newTextureWithDescriptor:texture_descriptor()] == nil);
    metal_emulation_set("fail_libraries", 1);
    NSError *error = nil;
    CHECK([device() newLibraryWithFile:@TEST_METALLIB error:&error] == nil);
    CHECK(error != nil);
    CHECK([device() newLibraryWithFile:@"/nowhere/at/all" error:&error] == nil);
    metal_emulation_set("unsupported_device", 1);
    CHECK(!MPSSupportsMTLDevice(device()));
    CHECK(metal_emulation_set("no_such_switch", 1) == -1);
}

CLEAN_TEST(errors_of_command_buffers_on_demand) {
    metal_emulation_set("command_buffer_error", MTLCommandBufferErrorOutOfMemory);
    id<MTLCommandBuffer> commands = command_buffer();
    __block NSInteger code = 0;
    [commands addCompletedHandler:^(id<MTLCommandBuffer> done) { code = [[done error] code]; }];
    finish(commands);
    CHECK([commands status] == MTLCommandBufferStatusError);
    CHECK(code == MTLCommandBufferErrorOutOfMemory);
    id<MTLCommandBuffer> next = command_buffer();
    finish(next);
    CHECK([next status] == MTLCommandBufferStatusCompleted);
}

CLEAN_TEST(wrong_results_on_demand) {
    MPSImage *source = image_of(1, 1, 1, {3}), *result = image(1, 1, 1);
    metal_emulation_set("wrong_results", 1);
    encode(any_kernel(), source, result);
    CHECK(pixels_of(result)[0] == 3); // 2 * softmax + 1
}

CLEAN_TEST(command_buffers_run_in_the_order_of_their_enqueueing) {
    id<MTLCommandQueue> queue = owned([device() newCommandQueue]);
    id<MTLCommandBuffer> first = [queue commandBuffer], second = [queue commandBuffer];
    std::vector<int> order;
    auto *seen = &order;
    [first addCompletedHandler:^(id<MTLCommandBuffer>) { seen->push_back(1); }];
    [second addCompletedHandler:^(id<MTLCommandBuffer>) { seen->push_back(2); }];
    [first enqueue];
    [second commit];
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    CHECK([second status] == MTLCommandBufferStatusCommitted);
    [first commit];
    [second waitUntilCompleted];
    CHECK(order == std::vector<int>({1, 2}));
}
