// The base class of all kernels.
#pragma once

#import <MetalPerformanceShaders/MPSImage.h>

@interface MPSKernel : NSObject <NSCopying> {
@protected
    MPSKernelOptions options_;
    id<MTLDevice> device_;
    NSString *label_;
}
@property(nonatomic) MPSKernelOptions options;
@property(nonatomic, readonly, retain) id<MTLDevice> device;
@property(copy) NSString *label;
- (instancetype)initWithDevice:(id<MTLDevice>)device;
- (instancetype)copyWithZone:(NSZone *)zone device:(id<MTLDevice>)device;
@end

FOUNDATION_EXPORT BOOL MPSSupportsMTLDevice(id<MTLDevice> device);
FOUNDATION_EXPORT void MPSHintTemporaryMemoryHighWaterMark(id<MTLCommandBuffer> cmdBuf, NSUInteger bytes);
