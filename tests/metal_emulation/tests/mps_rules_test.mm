// Every rule of MPS is broken once, and noticed.
#include "emulation_check.h"

#import "convolution_weights.h"

namespace {

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
           owned([[MPSImage alloc]
                initWithDevice:device()
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
    BREAKS("initWithDevice: of MPSCNNPoolingMax is unavailable",
           [[MPSCNNPoolingMax alloc] initWithDevice:device()]);
    BREAKS("MPS does not support", [[MPSCNNSoftMax alloc] initWithDevice:nil]);
    BREAKS("whose meaning is not documented", {
        MPSCNNKernel *kernel = any_kernel();
        [kernel setPadding:[MPSNNDefaultPadding paddingWithMethod:MPSNNPaddingMethodAlignTopLeft]];
        [kernel destinationImageDescriptorForSourceImages:[NSArray arrayWithObject:image(1, 1, 1)]
                                             sourceStates:nil];
    });
}

TEST(convolutions) {
    BREAKS("multiple of 4", {
        MPSCNNConvolutionDescriptor *descriptor = convolution_descriptor(6, 6);
        [descriptor setGroups:2];
        convolution(descriptor, 18);
    });
    BREAKS("multiplier must be 1",
           convolution(convolution_descriptor(4, 8, [MPSCNNDepthWiseConvolutionDescriptor class]), 8));
    BREAKS("fused PReLU", {
        MPSCNNConvolutionDescriptor *descriptor = convolution_descriptor(1, 1);
        [descriptor
            setFusedNeuronDescriptor:[MPSNNNeuronDescriptor cnnNeuronPReLUDescriptorWithData:[NSData data]
                                                                                      noCopy:false]];
        convolution(descriptor, 1);
    });
    BREAKS("needs bias terms", {
        MPSCNNConvolutionDescriptor *descriptor = convolution_descriptor(1, 1);
        const float one = 1;
        [descriptor setBatchNormalizationParametersForInferenceWithMean:&one
                                                               variance:&one
                                                                  gamma:&one
                                                                   beta:&one
                                                                epsilon:0];
        convolution(descriptor, 1);
    });
    BREAKS("source of 1 feature channels",
           encode(convolution(convolution_descriptor(2, 1), 2), image_of(1, 1, 1, {0}), image(1, 1, 1)));
}
