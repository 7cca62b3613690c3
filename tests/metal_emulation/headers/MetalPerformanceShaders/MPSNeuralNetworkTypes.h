// The rules by which a kernel sizes and places its result.
#pragma once

#import <MetalPerformanceShaders/MPSKernel.h>
#import <MetalPerformanceShaders/MPSState.h>

typedef NS_OPTIONS(NSUInteger, MPSNNPaddingMethod) {
    MPSNNPaddingMethodAlignCentered = 0,
    MPSNNPaddingMethodAlignTopLeft = 1,
    MPSNNPaddingMethodAlignBottomRight = 2,
    MPSNNPaddingMethodAlignMask = 3,
    MPSNNPaddingMethodAddRemainderToTopLeft = 0,
    MPSNNPaddingMethodAddRemainderToTopRight = 4,
    MPSNNPaddingMethodAddRemainderToBottomLeft = 8,
    MPSNNPaddingMethodAddRemainderToBottomRight = 12,
    MPSNNPaddingMethodAddRemainderToMask = 12,
    MPSNNPaddingMethodSizeValidOnly = 0,
    MPSNNPaddingMethodSizeSame = 16,
    MPSNNPaddingMethodSizeFull = 32,
    MPSNNPaddingMethodCustomAllowForNodeFusion = 8192,
    MPSNNPaddingMethodCustom = 16384,
    MPSNNPaddingMethodSizeMask = 2032,
    MPSNNPaddingMethodExcludeEdges = 32768,
};

typedef NS_ENUM(NSUInteger, MPSNNConvolutionAccumulatorPrecisionOption) {
    MPSNNConvolutionAccumulatorPrecisionOptionHalf = 0,
    MPSNNConvolutionAccumulatorPrecisionOptionFloat = 1,
};

@protocol MPSNNPadding <NSObject, NSSecureCoding>
- (MPSNNPaddingMethod)paddingMethod;
@optional
- (NSString *)label;
- (MPSImageDescriptor *)destinationImageDescriptorForSourceImages:(NSArray<MPSImage *> *)sourceImages
                                                     sourceStates:(NSArray<MPSState *> *)sourceStates
                                                        forKernel:(MPSKernel *)kernel
                                              suggestedDescriptor:(MPSImageDescriptor *)inDescriptor;
- (instancetype)inverse;
@end

@interface MPSNNDefaultPadding : NSObject <MPSNNPadding> {
@protected
    MPSNNPaddingMethod method_;
}
+ (instancetype)paddingWithMethod:(MPSNNPaddingMethod)method;
+ (instancetype)paddingForTensorflowAveragePooling;
+ (instancetype)paddingForTensorflowAveragePoolingValidOnly;
- (NSString *)label;
@end

@protocol MPSImageSizeEncodingState <NSObject>
@property(nonatomic, readonly) NSUInteger sourceWidth;
@property(nonatomic, readonly) NSUInteger sourceHeight;
@end
