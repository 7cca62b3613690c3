#import "mps/kernel.h"

#import <objc/runtime.h>

#import "metal/command_buffer.h"

using namespace metal_emulation;

BOOL MPSSupportsMTLDevice(id<MTLDevice> device) { return device && !switches().unsupported_device; }

void MPSHintTemporaryMemoryHighWaterMark(id<MTLCommandBuffer> cmdBuf, NSUInteger bytes) {
    METAL_EXPECT([cmdBuf status] < MTLCommandBufferStatusCommitted,
                 "MPSHintTemporaryMemoryHighWaterMark of %lu bytes after the commit", bytes);
    [static_cast<EmulatedCommandBuffer *>(cmdBuf) announceTemporaryBytes:bytes];
}

@implementation MPSKernel
@synthesize device = device_, label = label_;
METAL_EMULATION_COUNT_OBJECTS

- (instancetype)initWithDevice:(id<MTLDevice>)device {
    self = [super init];
    if (!METAL_EXPECT(MPSSupportsMTLDevice(device), "a kernel for a device that MPS does not support")) {
        [self release];
        return nil;
    }
    if (take_one_silently(switches().fail_kernels)) {
        [self release];
        raise_if_told();
        return nil;
    }
    device_ = [device retain];
    return self;
}

- (id)refuse:(const char *)selector {
    violation("%s of %s is unavailable", selector, object_getClassName(self));
    [self release];
    return nil;
}

- (void)dealloc {
    object_died(object_getClassName(self));
    [device_ release];
    [label_ release];
    [super dealloc];
}
@end
