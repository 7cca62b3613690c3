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
- (void)reloadWeightsAndBiasesFromDataSource;
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
