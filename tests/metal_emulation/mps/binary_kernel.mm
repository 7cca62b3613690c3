#import "mps/kernel.h"

@implementation MPSCNNBinaryKernel
@synthesize primaryOffset = primaryOffset_, secondaryOffset = secondaryOffset_;
@synthesize primaryEdgeMode = primaryEdgeMode_, secondaryEdgeMode = secondaryEdgeMode_;
@synthesize primaryStrideInPixelsX = primaryStrideInPixelsX_,
            primaryStrideInPixelsY = primaryStrideInPixelsY_;
@synthesize secondaryStrideInPixelsX = secondaryStrideInPixelsX_,
            secondaryStrideInPixelsY = secondaryStrideInPixelsY_;

- (instancetype)initWithDevice:(id<MTLDevice>)device {
    self = [super initWithDevice:device];
    if (!self) return nil;
    primaryStrideInPixelsX_ = primaryStrideInPixelsY_ = 1;
    secondaryStrideInPixelsX_ = secondaryStrideInPixelsY_ = 1;
    return self;
}
@end
