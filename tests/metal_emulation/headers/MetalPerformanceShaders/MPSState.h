// Objects other than images that kernels pass to other kernels.
#pragma once

#import <MetalPerformanceShaders/MPSImage.h>

@interface MPSState : NSObject {
@protected
    NSString *label_;
}
@property(copy) NSString *label;
@end

typedef NSArray<MPSState *> MPSStateBatch;

@class MPSCNNKernel;

@interface MPSNNGradientState : MPSState {
@protected
    MPSCNNKernel *kernel_;
    MPSOffset offset_;
    MPSImageEdgeMode edgeMode_;
    NSUInteger sourceWidth_;
    NSUInteger sourceHeight_;
    NSUInteger resultWidth_;
    NSUInteger resultHeight_;
}
@end
