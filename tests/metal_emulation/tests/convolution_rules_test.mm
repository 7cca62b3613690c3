// Breaks every rule of MPS's convolutions, descriptors and data sources once, and checks that it is noticed.
#include "emulation_check.h"

#import "convolution_weights.h"

namespace {

TestWeights *weights_for(MPSCNNConvolutionDescriptor *descriptor, NSUInteger weights) {
    return owned([[TestWeights alloc] initWithDescriptor:descriptor
                                                 weights:std::vector<float>(weights)
                                                    bias:{}]);
}

template <class Kernel = MPSCNNConvolution> Kernel *convolution_of(id<MPSCNNConvolutionDataSource> weights) {
    return owned([[Kernel alloc] initWithDevice:device() weights:weights]);
}

id convolution(MPSCNNConvolutionDescriptor *descriptor, NSUInteger weights) {
    return convolution_of(weights_for(descriptor, weights));
}

MPSCNNConvolutionDescriptor *convolution_descriptor(NSUInteger inputs, NSUInteger outputs,
                                                    Class kind = [MPSCNNConvolutionDescriptor class],
                                                    NSUInteger width = 1) {
    return [kind cnnConvolutionDescriptorWithKernelWidth:width
                                            kernelHeight:1
                                    inputFeatureChannels:inputs
                                   outputFeatureChannels:outputs];
}

/// Make a data source with the weights 0 and 255, for two outputs and one input.
TestWeights *byte_weights(std::vector<vector_float2> ranges) {
    TestWeights *source = weights_for(convolution_descriptor(1, 2), 2);
    source->type_ = MPSDataTypeUInt8;
    source->integers_ = {0, 255};
    source->ranges_ = std::move(ranges);
    source->quantization_ = MPSCNNWeightsQuantizationTypeLinear;
    return source;
}

} // namespace

TEST(convolutions) {
    BREAKS("multiple of 4", {
        MPSCNNConvolutionDescriptor *descriptor = convolution_descriptor(6, 6);
        [descriptor setGroups:2];
        convolution(descriptor, 18);
    });
    BREAKS("multiplier must be 1",
           convolution(convolution_descriptor(4, 8, [MPSCNNDepthWiseConvolutionDescriptor class]), 8));
    BREAKS("with sums in half precision", {
        TestWeights *source = weights_for(convolution_descriptor(1, 1), 1);
        source->kernelType_ = MPSDataTypeFloat32;
        MPSCNNConvolution *kernel = convolution_of(source);
        [kernel setAccumulatorPrecisionOption:MPSNNConvolutionAccumulatorPrecisionOptionHalf];
        encode(kernel, image_of(1, 1, 1, {0}), image(1, 1, 1));
    });
    BREAKS("source of 1 feature channels",
           encode(convolution(convolution_descriptor(2, 1), 2), image_of(1, 1, 1, {0}), image(1, 1, 1)));
}

TEST(descriptors_of_convolutions) {
    BREAKS("with a size of 0", convolution_descriptor(0, 1));
    BREAKS("number of groups of 0", {
        MPSCNNConvolutionDescriptor *descriptor = convolution_descriptor(1, 1);
        [descriptor setStrideInPixelsX:0];
        convolution(descriptor, 1);
    });
    BREAKS("a convolution of 6 and 8 channels in 4 groups", {
        MPSCNNConvolutionDescriptor *descriptor = convolution_descriptor(6, 8);
        [descriptor setGroups:4];
        convolution(descriptor, 12);
    });
    BREAKS("a depthwise convolution with groups", {
        MPSCNNConvolutionDescriptor *descriptor =
            convolution_descriptor(8, 8, [MPSCNNDepthWiseConvolutionDescriptor class]);
        [descriptor setGroups:2];
        convolution(descriptor, 8);
    });
}

TEST(data_sources) {
    BREAKS("a convolution without weights", convolution_of(nil));
    BREAKS("a data source without weights", convolution(convolution_descriptor(1, 1), 0));
    BREAKS("a data source without a label", {
        TestWeights *source = weights_for(convolution_descriptor(1, 1), 1);
        source->hasNoLabel_ = YES;
        convolution_of(source);
    });
    BREAKS("of data type 0x20000008", {
        TestWeights *source = weights_for(convolution_descriptor(1, 1), 1);
        source->type_ = MPSDataTypeInt8;
        convolution_of(source);
    });
    BREAKS("of a source that is not Float32", {
        TestWeights *source = weights_for(convolution_descriptor(1, 1), 1);
        source->type_ = MPSDataTypeFloat16;
        source->kernelType_ = MPSDataTypeFloat32;
        convolution_of(source);
    });
    BREAKS("the data source did not load", {
        TestWeights *source = weights_for(convolution_descriptor(1, 1), 1);
        MPSCNNConvolution *kernel = convolution_of(source);
        source->refuses_ = YES;
        [kernel reloadWeightsAndBiasesFromDataSource];
    });
    BREAKS("weights that are not Float32", {
        TestWeights *source = weights_for(convolution_descriptor(1, 1), 1);
        source->type_ = MPSDataTypeFloat16;
        convolution_of<MPSCNNConvolutionTranspose>(source);
    });
}

CLEAN_TEST(weights_in_8_bits) {
    const long before = metal_emulation_get("bytes_of_weights");
    MPSCNNConvolution *kernel = convolution_of(byte_weights({vector_float2{-2, 1}, vector_float2{-3, 4}}));
    CHECK(metal_emulation_get("bytes_of_weights") == before + 2);
    CHECK(result_of(kernel, image_of(1, 1, 1, {1}), image(1, 1, 2)) == std::vector<float>({-2, 4}));
}

TEST(data_sources_of_8_bits) {
    const std::vector<vector_float2> good{vector_float2{-2, 1}, vector_float2{-3, 4}};
    BREAKS("UInt8 weights without a quantization type", {
        TestWeights *source = byte_weights(good);
        source->quantization_ = MPSCNNWeightsQuantizationTypeNone;
        convolution_of(source);
    });
    BREAKS("weights that are not UInt8", {
        TestWeights *source = weights_for(convolution_descriptor(1, 1), 1);
        source->quantization_ = MPSCNNWeightsQuantizationTypeLinear;
        convolution_of(source);
    });
    BREAKS("without ranges", convolution_of(byte_weights({})));
    BREAKS("from 1 to -2", convolution_of(byte_weights({vector_float2{1, -2}, vector_float2{-3, 4}})));
    BREAKS("of a source that is not Float32", {
        TestWeights *source = byte_weights(good);
        source->kernelType_ = MPSDataTypeFloat32;
        convolution_of(source);
    });
}

TEST(kinds_of_convolutions) {
    BREAKS("a transposed convolution with an edge mode", {
        MPSCNNConvolutionTranspose *kernel =
            convolution_of<MPSCNNConvolutionTranspose>(weights_for(convolution_descriptor(1, 1), 1));
        [kernel setEdgeMode:MPSImageEdgeModeClamp];
        encode(kernel, image_of(1, 1, 1, {0}), image(1, 1, 1));
    });
    const auto run = [](MPSCNNConvolutionDescriptor *descriptor, NSUInteger width) {
        MPSCNNFullyConnected *kernel =
            convolution_of<MPSCNNFullyConnected>(weights_for(descriptor, [descriptor kernelWidth]));
        encode(kernel, image_of(width, 1, 1, std::vector<float>(width)), image(1, 1, 1));
    };
    const Class kind = [MPSCNNConvolutionDescriptor class];
    BREAKS("1 x 1 for a source of 2 x 1", run(convolution_descriptor(1, 1), 2));
    BREAKS("that is not square", run(convolution_descriptor(1, 1, kind, 2), 2));
    BREAKS("with groups or strides", {
        MPSCNNConvolutionDescriptor *descriptor = convolution_descriptor(1, 1);
        [descriptor setStrideInPixelsX:2];
        run(descriptor, 1);
    });
}
