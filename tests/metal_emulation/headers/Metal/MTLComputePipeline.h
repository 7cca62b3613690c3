// A function that is compiled for a device.
#pragma once

#import <Metal/MTLArgument.h>
#import <Metal/MTLTypes.h>

@protocol MTLDevice;

@interface MTLComputePipelineReflection : NSObject {
@protected
    NSArray<MTLArgument *> *arguments_;
}
@property(readonly) NSArray<MTLArgument *> *arguments;
@end

@protocol MTLComputePipelineState <NSObject>
@property(readonly) NSString *label;
@property(readonly) id<MTLDevice> device;
@property(readonly) NSUInteger maxTotalThreadsPerThreadgroup;
@property(readonly) NSUInteger threadExecutionWidth;
@property(readonly) NSUInteger staticThreadgroupMemoryLength;
@end
