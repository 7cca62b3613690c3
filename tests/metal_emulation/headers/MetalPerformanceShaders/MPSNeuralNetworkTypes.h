// Types that several kernels share.
#pragma once

#import <MetalPerformanceShaders/MPSKernel.h>
#import <MetalPerformanceShaders/MPSState.h>

typedef NS_ENUM(NSUInteger, MPSNNConvolutionAccumulatorPrecisionOption) {
    MPSNNConvolutionAccumulatorPrecisionOptionHalf = 0,
    MPSNNConvolutionAccumulatorPrecisionOptionFloat = 1,
};

@protocol MPSImageSizeEncodingState <NSObject>
@property(nonatomic, readonly) NSUInteger sourceWidth;
@property(nonatomic, readonly) NSUInteger sourceHeight;
@end
