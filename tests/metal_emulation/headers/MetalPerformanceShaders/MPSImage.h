// Images of feature channels. A pixel of a texture holds four channels, and each slice of a texture array
// holds four more.
#pragma once

#import <MetalPerformanceShaders/MPSCoreTypes.h>

@class MPSImage, MPSKernel;

typedef NSArray<MPSImage *> MPSImageBatch;

typedef NS_ENUM(NSUInteger, MPSPurgeableState) {
    MPSPurgeableStateAllocationDeferred = 0,
    MPSPurgeableStateKeepCurrent = 1,
    MPSPurgeableStateNonVolatile = 2,
    MPSPurgeableStateVolatile = 3,
    MPSPurgeableStateEmpty = 4,
};

typedef NS_ENUM(NSUInteger, MPSDataLayout) {
    MPSDataLayoutHeightxWidthxFeatureChannels = 0,
    MPSDataLayoutFeatureChannelsxHeightxWidth = 1,
};

typedef struct MPSImageReadWriteParams {
    NSUInteger featureChannelOffset;
    NSUInteger numberOfFeatureChannelsToReadWrite;
} MPSImageReadWriteParams;

@interface MPSImageDescriptor : NSObject <NSCopying> {
@protected
    NSUInteger width_;
    NSUInteger height_;
    NSUInteger featureChannels_;
    NSUInteger numberOfImages_;
    MPSImageFeatureChannelFormat channelFormat_;
    MTLCPUCacheMode cpuCacheMode_;
    MTLStorageMode storageMode_;
    MTLTextureUsage usage_;
}
@property(nonatomic) NSUInteger width;
@property(nonatomic) NSUInteger height;
@property(nonatomic) NSUInteger featureChannels;
@property(nonatomic) NSUInteger numberOfImages;
@property(nonatomic, readonly) MTLPixelFormat pixelFormat;
@property(nonatomic) MPSImageFeatureChannelFormat channelFormat;
@property(nonatomic) MTLCPUCacheMode cpuCacheMode;
@property(nonatomic) MTLStorageMode storageMode;
@property(nonatomic) MTLTextureUsage usage;
+ (instancetype)imageDescriptorWithChannelFormat:(MPSImageFeatureChannelFormat)channelFormat
                                           width:(NSUInteger)width
                                          height:(NSUInteger)height
                                 featureChannels:(NSUInteger)featureChannels;
+ (instancetype)imageDescriptorWithChannelFormat:(MPSImageFeatureChannelFormat)channelFormat
                                           width:(NSUInteger)width
                                          height:(NSUInteger)height
                                 featureChannels:(NSUInteger)featureChannels
                                  numberOfImages:(NSUInteger)numberOfImages
                                           usage:(MTLTextureUsage)usage;
- (instancetype)copyWithZone:(NSZone *)zone;
@end

@protocol MPSImageAllocator <NSObject, NSSecureCoding>
- (MPSImage *)imageForCommandBuffer:(id<MTLCommandBuffer>)cmdBuf
                    imageDescriptor:(MPSImageDescriptor *)descriptor
                             kernel:(MPSKernel *)kernel;
@optional
- (MPSImageBatch *)imageBatchForCommandBuffer:(id<MTLCommandBuffer>)cmdBuf
                              imageDescriptor:(MPSImageDescriptor *)descriptor
                                       kernel:(MPSKernel *)kernel
                                        count:(NSUInteger)count;
@end

@interface MPSImage : NSObject {
@protected
    id<MTLDevice> device_;
    id<MTLTexture> texture_;
    NSString *label_;
    MPSImageDescriptor *descriptor_;
    BOOL givenTexture_;
}
@property(nonatomic, readonly, retain) id<MTLDevice> device;
@property(nonatomic, readonly) NSUInteger width;
@property(nonatomic, readonly) NSUInteger height;
@property(nonatomic, readonly) NSUInteger featureChannels;
@property(nonatomic, readonly) NSUInteger numberOfImages;
@property(nonatomic, readonly) MTLTextureType textureType;
@property(nonatomic, readonly) MTLPixelFormat pixelFormat;
@property(nonatomic, readonly) NSUInteger precision;
@property(nonatomic, readonly) MTLTextureUsage usage;
@property(nonatomic, readonly) MPSImageFeatureChannelFormat featureChannelFormat;
@property(nonatomic, readonly) size_t pixelSize;
@property(nonatomic, readonly) id<MTLTexture> texture;
@property(copy) NSString *label;
@property(nonatomic, readonly, retain) MPSImage *parent;
+ (id<MPSImageAllocator>)defaultAllocator;
- (instancetype)initWithDevice:(id<MTLDevice>)device
               imageDescriptor:(const MPSImageDescriptor *)imageDescriptor;
- (instancetype)initWithTexture:(id<MTLTexture>)texture featureChannels:(NSUInteger)featureChannels;
- (NSUInteger)resourceSize;
- (void)readBytes:(void *)dataBytes
            dataLayout:(MPSDataLayout)dataLayout
           bytesPerRow:(NSUInteger)bytesPerRow
                region:(MTLRegion)region
    featureChannelInfo:(MPSImageReadWriteParams)featureChannelInfo
            imageIndex:(NSUInteger)imageIndex;
- (void)writeBytes:(const void *)dataBytes
            dataLayout:(MPSDataLayout)dataLayout
           bytesPerRow:(NSUInteger)bytesPerRow
                region:(MTLRegion)region
    featureChannelInfo:(MPSImageReadWriteParams)featureChannelInfo
            imageIndex:(NSUInteger)imageIndex;
- (void)readBytes:(void *)dataBytes
            dataLayout:(MPSDataLayout)dataLayout
           bytesPerRow:(NSUInteger)bytesPerRow
         bytesPerImage:(NSUInteger)bytesPerImage
                region:(MTLRegion)region
    featureChannelInfo:(MPSImageReadWriteParams)featureChannelInfo
            imageIndex:(NSUInteger)imageIndex;
- (void)writeBytes:(const void *)dataBytes
            dataLayout:(MPSDataLayout)dataLayout
           bytesPerRow:(NSUInteger)bytesPerRow
         bytesPerImage:(NSUInteger)bytesPerImage
                region:(MTLRegion)region
    featureChannelInfo:(MPSImageReadWriteParams)featureChannelInfo
            imageIndex:(NSUInteger)imageIndex;
- (void)readBytes:(void *)dataBytes dataLayout:(MPSDataLayout)dataLayout imageIndex:(NSUInteger)imageIndex;
- (void)writeBytes:(const void *)dataBytes
        dataLayout:(MPSDataLayout)dataLayout
        imageIndex:(NSUInteger)imageIndex;
- (void)synchronizeOnCommandBuffer:(id<MTLCommandBuffer>)commandBuffer;
@end

@interface MPSTemporaryImage : MPSImage {
@protected
    NSUInteger readCount_;
    id<MTLCommandBuffer> commandBuffer_;
}
@property(nonatomic) NSUInteger readCount;
+ (id<MPSImageAllocator>)defaultAllocator;
+ (instancetype)temporaryImageWithCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
                                imageDescriptor:(const MPSImageDescriptor *)imageDescriptor;
+ (void)prefetchStorageWithCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
                     imageDescriptorList:(NSArray<MPSImageDescriptor *> *)descriptorList;
@end

FOUNDATION_EXPORT NSUInteger MPSImageBatchIncrementReadCount(MPSImageBatch *batch, NSInteger amount);
FOUNDATION_EXPORT void MPSImageBatchSynchronize(MPSImageBatch *batch, id<MTLCommandBuffer> cmdBuf);
