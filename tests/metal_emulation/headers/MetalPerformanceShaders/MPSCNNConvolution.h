// Convolution and its weights.
#pragma once

#import <MetalPerformanceShaders/MPSCNNNeuron.h>

typedef NS_ENUM(uint32_t, MPSCNNConvolutionWeightsLayout) {
    MPSCNNConvolutionWeightsLayoutOHWI = 0,
};

typedef NS_ENUM(uint32_t, MPSCNNWeightsQuantizationType) {
    MPSCNNWeightsQuantizationTypeNone = 0,
    MPSCNNWeightsQuantizationTypeLinear = 1,
    MPSCNNWeightsQuantizationTypeLookupTable = 2,
};

@interface MPSCNNConvolutionDescriptor : NSObject <NSCopying> {
@protected
    NSUInteger kernelWidth_;
    NSUInteger kernelHeight_;
    NSUInteger inputFeatureChannels_;
    NSUInteger outputFeatureChannels_;
    NSUInteger strideInPixelsX_;
    NSUInteger strideInPixelsY_;
    NSUInteger groups_;
    NSUInteger dilationRateX_;
    NSUInteger dilationRateY_;
    MPSNNNeuronDescriptor *fusedNeuronDescriptor_;
    NSData *batchNormalizationScale_;
    NSData *batchNormalizationShift_;
}
@property(nonatomic) NSUInteger kernelWidth;
@property(nonatomic) NSUInteger kernelHeight;
@property(nonatomic) NSUInteger inputFeatureChannels;
@property(nonatomic) NSUInteger outputFeatureChannels;
@property(nonatomic) NSUInteger strideInPixelsX;
@property(nonatomic) NSUInteger strideInPixelsY;
@property(nonatomic) NSUInteger groups;
@property(nonatomic) NSUInteger dilationRateX;
@property(nonatomic) NSUInteger dilationRateY;
@property(nonatomic, retain) MPSNNNeuronDescriptor *fusedNeuronDescriptor;
+ (instancetype)cnnConvolutionDescriptorWithKernelWidth:(NSUInteger)kernelWidth
                                           kernelHeight:(NSUInteger)kernelHeight
                                   inputFeatureChannels:(NSUInteger)inputFeatureChannels
                                  outputFeatureChannels:(NSUInteger)outputFeatureChannels;
- (void)setBatchNormalizationParametersForInferenceWithMean:(const float *)mean
                                                   variance:(const float *)variance
                                                      gamma:(const float *)gamma
                                                       beta:(const float *)beta
                                                    epsilon:(const float)epsilon;
@end

@interface MPSCNNDepthWiseConvolutionDescriptor : MPSCNNConvolutionDescriptor
@property(nonatomic, readonly) NSUInteger channelMultiplier;
@end

typedef float vector_float2 __attribute__((ext_vector_type(2)));

@protocol MPSCNNConvolutionDataSource <NSCopying, NSObject>
- (MPSDataType)dataType;
- (MPSCNNConvolutionDescriptor *)descriptor;
- (void *)weights;
- (float *)biasTerms;
- (BOOL)load;
- (void)purge;
- (NSString *)label;
@optional
- (vector_float2 *)rangesForUInt8Kernel;
- (float *)lookupTableForUInt8Kernel;
- (MPSCNNWeightsQuantizationType)weightsQuantizationType;
- (instancetype)copyWithZone:(NSZone *)zone device:(id<MTLDevice>)device;
- (MPSCNNConvolutionWeightsLayout)weightsLayout;
- (MPSDataType)kernelWeightsDataType;
@end

@class MPSCNNConvolution;

@interface MPSCNNConvolutionGradientState : MPSNNGradientState <MPSImageSizeEncodingState> {
@protected
    id<MTLBuffer> gradientForWeights_;
    id<MTLBuffer> gradientForBiases_;
    BOOL isUsed_;
}
@property(nonatomic, readonly) id<MTLBuffer> gradientForWeights;
@property(nonatomic, readonly) id<MTLBuffer> gradientForBiases;
@property(nonatomic, readonly, retain) MPSCNNConvolution *convolution;
@property(nonatomic, readonly) MPSCNNConvolutionWeightsLayout gradientForWeightsLayout;
@end

typedef NSArray<MPSCNNConvolutionGradientState *> MPSCNNConvolutionGradientStateBatch;

@interface MPSCNNConvolutionWeightsAndBiasesState : MPSState {
@protected
    id<MTLBuffer> weights_;
    id<MTLBuffer> biases_;
    NSUInteger weightsOffset_;
    NSUInteger biasesOffset_;
}
@property(nonatomic, readonly) id<MTLBuffer> weights;
@property(nonatomic, readonly) id<MTLBuffer> biases;
@property(nonatomic, readonly) NSUInteger weightsOffset;
@property(nonatomic, readonly) NSUInteger biasesOffset;
- (instancetype)initWithWeights:(id<MTLBuffer>)weights
                  weightsOffset:(NSUInteger)weightsOffset
                         biases:(id<MTLBuffer>)biases
                   biasesOffset:(NSUInteger)biasesOffset
       cnnConvolutionDescriptor:(MPSCNNConvolutionDescriptor *)descriptor;
@end

@interface MPSCNNConvolution : MPSCNNKernel {
@protected
    id<MPSCNNConvolutionDataSource> dataSource_;
    NSUInteger channelMultiplier_;
    MPSNNConvolutionAccumulatorPrecisionOption accumulatorPrecisionOption_;
    MPSCNNConvolutionDescriptor *descriptor_;
    NSData *weights_;
    NSData *bias_;
}
@property(nonatomic, readonly) NSUInteger inputFeatureChannels;
@property(nonatomic, readonly) NSUInteger outputFeatureChannels;
@property(nonatomic, readonly) NSUInteger groups;
@property(nonatomic, readonly, retain) id<MPSCNNConvolutionDataSource> dataSource;
@property(nonatomic, readonly) NSUInteger subPixelScaleFactor;
@property(nonatomic, readonly) MPSNNNeuronDescriptor *fusedNeuronDescriptor;
@property(nonatomic, readonly) NSUInteger channelMultiplier;
@property(nonatomic) MPSNNConvolutionAccumulatorPrecisionOption accumulatorPrecisionOption;
- (instancetype)initWithDevice:(id<MTLDevice>)device weights:(id<MPSCNNConvolutionDataSource>)weights;
- (MPSCNNConvolutionGradientState *)resultStateForSourceImage:(MPSImage *)sourceImage
                                                 sourceStates:(NSArray<MPSState *> *)sourceStates
                                             destinationImage:(MPSImage *)destinationImage;
- (MPSCNNConvolutionGradientStateBatch *)resultStateBatchForSourceImage:(MPSImageBatch *)sourceImage
                                                           sourceStates:
                                                               (NSArray<MPSStateBatch *> *)sourceStates
                                                       destinationImage:(MPSImageBatch *)destinationImage;
- (void)reloadWeightsAndBiasesFromDataSource;
- (void)reloadWeightsAndBiasesWithCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
                                          state:(MPSCNNConvolutionWeightsAndBiasesState *)state;
@end

@interface MPSCNNFullyConnected : MPSCNNConvolution
- (instancetype)initWithDevice:(id<MTLDevice>)device weights:(id<MPSCNNConvolutionDataSource>)weights;
@end

@interface MPSCNNConvolutionTranspose : MPSCNNKernel {
@protected
    MPSCNNConvolution *convolution_;
    NSInteger kernelOffsetX_;
    NSInteger kernelOffsetY_;
}
@property(nonatomic, readonly) NSUInteger inputFeatureChannels;
@property(nonatomic, readonly) NSUInteger outputFeatureChannels;
@property(nonatomic) NSInteger kernelOffsetX;
@property(nonatomic) NSInteger kernelOffsetY;
@property(nonatomic, readonly) NSUInteger groups;
@property(nonatomic) MPSNNConvolutionAccumulatorPrecisionOption accumulatorPrecisionOption;
@property(nonatomic, readonly, retain) id<MPSCNNConvolutionDataSource> dataSource;
- (instancetype)initWithDevice:(id<MTLDevice>)device weights:(id<MPSCNNConvolutionDataSource>)weights;
@end

typedef NS_OPTIONS(NSUInteger, MPSCNNConvolutionGradientOption) {
    MPSCNNConvolutionGradientOptionGradientWithData = 1,
    MPSCNNConvolutionGradientOptionGradientWithWeightsAndBias = 2,
    MPSCNNConvolutionGradientOptionAll = 3,
};

@interface MPSCNNConvolutionGradient : MPSCNNGradientKernel {
@protected
    MPSCNNConvolution *convolution_;
    id held_;
    BOOL isLoaded_;
    MPSCNNConvolutionGradientOption gradientOption_;
}
@property(nonatomic, readonly) NSUInteger sourceGradientFeatureChannels;
@property(nonatomic, readonly) NSUInteger sourceImageFeatureChannels;
@property(nonatomic, readonly) NSUInteger groups;
@property(nonatomic, readonly) NSUInteger channelMultiplier;
@property(nonatomic, readonly, retain) id<MPSCNNConvolutionDataSource> dataSource;
@property(nonatomic) MPSCNNConvolutionGradientOption gradientOption;
- (instancetype)initWithDevice:(id<MTLDevice>)device weights:(id<MPSCNNConvolutionDataSource>)weights;
- (void)reloadWeightsAndBiasesFromDataSource;
- (void)reloadWeightsAndBiasesWithCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
                                          state:(MPSCNNConvolutionWeightsAndBiasesState *)state;
@end

@interface MPSCNNFullyConnectedGradient : MPSCNNConvolutionGradient
- (instancetype)initWithDevice:(id<MTLDevice>)device weights:(id<MPSCNNConvolutionDataSource>)weights;
@end
