// Images of feature channels. A pixel of a texture holds four channels, and each slice of a texture array
// holds four more.
#pragma once

#import <MetalPerformanceShaders/MPSCoreTypes.h>

@class MPSImage;

typedef NSArray<MPSImage *> MPSImageBatch;

typedef NS_ENUM(NSUInteger, MPSDataLayout) {
    MPSDataLayoutHeightxWidthxFeatureChannels = 0,
};

@interface MPSImageDescriptor : NSObject <NSCopying> {
@protected
    NSUInteger width_;
    NSUInteger height_;
    NSUInteger featureChannels_;
    NSUInteger numberOfImages_;
    MPSImageFeatureChannelFormat channelFormat_;
    MTLStorageMode storageMode_;
    MTLTextureUsage usage_;
}
@property(nonatomic) NSUInteger width;
@property(nonatomic) NSUInteger height;
@property(nonatomic) NSUInteger featureChannels;
@property(nonatomic) NSUInteger numberOfImages;
@property(nonatomic, readonly) MTLPixelFormat pixelFormat;
@property(nonatomic) MPSImageFeatureChannelFormat channelFormat;
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
@property(nonatomic, readonly) id<MTLTexture> texture;
@property(copy) NSString *label;
@property(nonatomic, readonly, retain) MPSImage *parent;
- (instancetype)initWithDevice:(id<MTLDevice>)device
               imageDescriptor:(const MPSImageDescriptor *)imageDescriptor;
- (instancetype)initWithTexture:(id<MTLTexture>)texture featureChannels:(NSUInteger)featureChannels;
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
+ (instancetype)temporaryImageWithCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
                                imageDescriptor:(const MPSImageDescriptor *)imageDescriptor;
@end
