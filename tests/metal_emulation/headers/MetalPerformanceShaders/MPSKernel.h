// The base class of all kernels.
#pragma once

#import <MetalPerformanceShaders/MPSImage.h>

@interface MPSKernel : NSObject {
@protected
    id<MTLDevice> device_;
    NSString *label_;
}
@property(nonatomic, readonly, retain) id<MTLDevice> device;
@property(copy) NSString *label;
- (instancetype)initWithDevice:(id<MTLDevice>)device;
@end

FOUNDATION_EXPORT BOOL MPSSupportsMTLDevice(id<MTLDevice> device);
FOUNDATION_EXPORT void MPSHintTemporaryMemoryHighWaterMark(id<MTLCommandBuffer> cmdBuf, NSUInteger bytes);
