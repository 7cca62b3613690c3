// A function that is compiled for a device.
#pragma once

#import <Metal/MTLArgument.h>
#import <Metal/MTLBinaryArchive.h>
#import <Metal/MTLTypes.h>

@protocol MTLDevice;
@protocol MTLFunction;

@interface MTLComputePipelineDescriptor : NSObject <NSCopying> {
@protected
    NSString *label_;
    id<MTLFunction> computeFunction_;
    NSArray<id<MTLBinaryArchive>> *binaryArchives_;
}
@property(copy, nonatomic) NSString *label;
@property(readwrite, nonatomic, strong) id<MTLFunction> computeFunction;
@property(readwrite, nonatomic, copy) NSArray<id<MTLBinaryArchive>> *binaryArchives;
@end

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
