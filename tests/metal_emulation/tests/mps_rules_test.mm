// Breaks every rule of MPS once, and checks that it is noticed.
#include "emulation_check.h"

TEST(images) {
    BREAKS("without a channel format",
           owned([[MPSImage alloc]
                initWithDevice:device()
               imageDescriptor:[MPSImageDescriptor
                                   imageDescriptorWithChannelFormat:MPSImageFeatureChannelFormatNone
                                                              width:1
                                                             height:1
                                                    featureChannels:1]]));
    BREAKS("hold NaN or infinity", encode(any_kernel(), image(1, 1, 3), image(1, 1, 3)));
    BREAKS("of image 1 of 1", {
        float values[4];
        [image_of(1, 1, 4, {0, 0, 0, 0}) readBytes:values
                                        dataLayout:MPSDataLayoutHeightxWidthxFeatureChannels
                                        imageIndex:1];
    });
    BREAKS("an image without a device", owned([[MPSImage alloc] initWithDevice:nil
                                                               imageDescriptor:describe(1, 1, 1)]));
    BREAKS("a pixel format that does not fit 2 channels",
           owned([[MPSImage alloc] initWithTexture:small_texture() featureChannels:2]));
    BREAKS("of another device than the command buffer's", {
        metal_emulation_set("devices", 2);
        for (id<MTLDevice> other in owned(MTLCopyAllDevices()))
            if (other != device())
                encode(any_kernel(), image_of(1, 1, 1, {0}),
                       owned([[MPSImage alloc] initWithDevice:other imageDescriptor:describe(1, 1, 1)]));
    });
    BREAKS("2D texture with 8", owned([[MPSImage alloc] initWithTexture:small_texture() featureChannels:8]));
}

TEST(temporary_images) {
    BREAKS("private storage", {
        MPSTemporaryImage *made = [MPSTemporaryImage temporaryImageWithCommandBuffer:command_buffer()
                                                                     imageDescriptor:describe(1, 1, 1)];
        [made setReadCount:0];
    });
    BREAKS("on a command buffer that is committed", {
        id<MTLCommandBuffer> commands = command_buffer();
        finish(commands);
        [temporary(commands) setReadCount:0];
    });
    BREAKS("HighWaterMark of 64 bytes after the commit", {
        id<MTLCommandBuffer> commands = command_buffer();
        finish(commands);
        MPSHintTemporaryMemoryHighWaterMark(commands, 64);
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
        MPSTemporaryImage *made =
            [MPSTemporaryImage temporaryImageWithCommandBuffer:commands
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
        [any_kernel() encodeToCommandBuffer:command_buffer()
                                sourceImage:made
                           destinationImage:image(2, 2, 4)];
        [made setReadCount:0];
    });
    BREAKS("made by temporaryImageWithCommandBuffer:", {
        MPSTemporaryImage *made = owned([[MPSTemporaryImage alloc] initWithDevice:device()
                                                                  imageDescriptor:describe(1, 1, 1)]);
        [made setReadCount:0];
    });
    BREAKS("synchronizeOnCommandBuffer: of a temporary image", {
        id<MTLCommandBuffer> commands = command_buffer();
        MPSTemporaryImage *made = temporary(commands);
        [made synchronizeOnCommandBuffer:commands];
        [made setReadCount:0];
    });
    BREAKS("128 bytes at once, of which 64 were announced", {
        id<MTLCommandBuffer> commands = command_buffer();
        MPSHintTemporaryMemoryHighWaterMark(commands, 64);
        MPSTemporaryImage *first = temporary(commands), *second = temporary(commands);
        [first texture];
        [second texture];
        [first setReadCount:0];
        [second setReadCount:0];
    });
    BREAKS("of a temporary image", {
        float values[16];
        MPSTemporaryImage *made = temporary(command_buffer());
        [made readBytes:values dataLayout:MPSDataLayoutHeightxWidthxFeatureChannels imageIndex:0];
        [made setReadCount:0];
    });
}

CLEAN_TEST(images_one_after_the_other_take_the_memory_of_one) {
    id<MTLCommandBuffer> commands = command_buffer();
    MPSHintTemporaryMemoryHighWaterMark(commands, 64);
    for (int i = 0; i < 3; ++i) {
        MPSTemporaryImage *made = temporary(commands);
        [made texture];
        [made setReadCount:0];
    }
}

TEST(kernels) {
    BREAKS("source is its destination", {
        MPSImage *both = image_of(1, 1, 1, {0});
        encode(any_kernel(), both, both);
    });
    BREAKS("destination of 4 feature channels",
           encode(any_kernel(), image_of(1, 1, 8, std::vector<float>(8)), image(1, 1, 4)));
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
    BREAKS("without usage ShaderRead", {
        MPSImageDescriptor *descriptor = describe(1, 1, 1);
        [descriptor setUsage:MTLTextureUsageShaderWrite];
        encode(any_kernel(), owned([[MPSImage alloc] initWithDevice:device() imageDescriptor:descriptor]),
               image(1, 1, 1));
    });
    BREAKS("without a command buffer", [any_kernel() encodeToCommandBuffer:nil
                                                               sourceImage:image_of(1, 1, 1, {0})
                                                          destinationImage:image(1, 1, 1)]);
    BREAKS("without usage ShaderWrite", {
        MPSImageDescriptor *descriptor = describe(1, 1, 1);
        [descriptor setUsage:MTLTextureUsageShaderRead];
        encode(any_kernel(), image_of(1, 1, 1, {0}),
               owned([[MPSImage alloc] initWithDevice:device() imageDescriptor:descriptor]));
    });
    BREAKS("without a source image", encode(any_kernel(), nil, image(1, 1, 1)));
    BREAKS("initWithDevice: of MPSCNNPoolingMax is unavailable",
           [[MPSCNNPoolingMax alloc] initWithDevice:device()]);
    BREAKS("MPS does not support", [[MPSCNNSoftMax alloc] initWithDevice:nil]);
}

TEST(abstract_kernels) {
    BREAKS("the abstract class MPSCNNKernel", encode(owned([[MPSCNNKernel alloc] initWithDevice:device()]),
                                                     image_of(1, 1, 1, {0}), image(1, 1, 1)));
}

TEST(settings_of_kernels) {
    BREAKS("without a destination image", encode(any_kernel(), image_of(1, 1, 1, {0}), nil));
    BREAKS("MPSCNNCrossChannelNormalization of no channels",
           owned([[MPSCNNCrossChannelNormalization alloc] initWithDevice:device() kernelSize:0]));
    const auto moved = [](MPSCNNKernel *kernel) {
        [kernel setOffset:MPSOffset{1, 0, 0}];
        encode(kernel, image_of(1, 1, 1, {0}), image(1, 1, 1));
    };
    BREAKS("MPSCNNCrossChannelNormalization with an offset",
           moved(owned([[MPSCNNCrossChannelNormalization alloc] initWithDevice:device() kernelSize:1])));
    BREAKS("MPSCNNUpsamplingNearest with an offset",
           moved(owned([[MPSCNNUpsamplingNearest alloc] initWithDevice:device()
                                                   integerScaleFactorX:1
                                                   integerScaleFactorY:1])));
    BREAKS("a window of 0 x 1", owned([[MPSCNNPoolingMax alloc] initWithDevice:device()
                                                                   kernelWidth:0
                                                                  kernelHeight:1]));
    BREAKS("upsampling by 0 and 1", owned([[MPSCNNUpsamplingNearest alloc] initWithDevice:device()
                                                                      integerScaleFactorX:0
                                                                      integerScaleFactorY:1]));
}

TEST(neurons) {
    BREAKS("neuron type 16", [MPSNNNeuronDescriptor cnnNeuronDescriptorWithType:MPSCNNNeuronTypeCount a:0]);
    BREAKS("PReLU is described by", [MPSNNNeuronDescriptor cnnNeuronDescriptorWithType:MPSCNNNeuronTypePReLU
                                                                                     a:0]);
    BREAKS("init of MPSNNNeuronDescriptor", owned([[MPSNNNeuronDescriptor alloc] init]));
    BREAKS("a neuron without a descriptor", owned([[MPSCNNNeuron alloc] initWithDevice:device()
                                                                      neuronDescriptor:nil]));
}
