#import "mps/image.h"

#import <objc/runtime.h>

#import "metal/pixel_format.h"

using namespace metal_emulation;

@implementation EmulatedImageAllocator

- (instancetype)initWithImageClass:(Class)imageClass {
    self = [super init];
    imageClass_ = imageClass;
    return self;
}

- (MPSImage *)imageForCommandBuffer:(id<MTLCommandBuffer>)cmdBuf
                    imageDescriptor:(MPSImageDescriptor *)descriptor
                             kernel:(MPSKernel *)kernel {
    (void)kernel;
    if (imageClass_ == [MPSTemporaryImage class])
        return [MPSTemporaryImage temporaryImageWithCommandBuffer:cmdBuf imageDescriptor:descriptor];
    return [[[MPSImage alloc] initWithDevice:[cmdBuf device] imageDescriptor:descriptor] autorelease];
}

+ (BOOL)supportsSecureCoding {
    return YES;
}
- (void)encodeWithCoder:(NSCoder *)coder {
    (void)coder;
}
- (id)initWithCoder:(NSCoder *)coder {
    (void)coder;
    return [self initWithImageClass:[MPSImage class]];
}
@end

@implementation MPSImage
@synthesize device = device_, label = label_;
METAL_EMULATION_COUNT_OBJECTS

+ (id<MPSImageAllocator>)defaultAllocator {
    static id allocator = [[EmulatedImageAllocator alloc] initWithImageClass:[MPSImage class]];
    return allocator;
}

- (instancetype)initWithDevice:(id<MTLDevice>)device
               imageDescriptor:(const MPSImageDescriptor *)imageDescriptor {
    self = [super init];
    METAL_EXPECT(device, "an image without a device");
    device_ = [device retain];
    descriptor_ = [imageDescriptor copy];
    METAL_EXPECT([descriptor_ width] && [descriptor_ height] && [descriptor_ featureChannels] &&
                     [descriptor_ numberOfImages],
                 "an image of %lu x %lu pixels, %lu channels, %lu images", [descriptor_ width],
                 [descriptor_ height], [descriptor_ featureChannels], [descriptor_ numberOfImages]);
    METAL_EXPECT([descriptor_ pixelFormat] != MTLPixelFormatInvalid, "an image without a channel format");
    return self;
}

static MPSImageFeatureChannelFormat channel_format_of(MTLPixelFormat format) {
    const auto layout = pixel_layout(format);
    if (!layout) return MPSImageFeatureChannelFormatNone;
    switch (layout->type) {
    case msl::ChannelType::unorm8:
        return MPSImageFeatureChannelFormatUnorm8;
    case msl::ChannelType::unorm16:
        return MPSImageFeatureChannelFormatUnorm16;
    case msl::ChannelType::float16:
        return MPSImageFeatureChannelFormatFloat16;
    case msl::ChannelType::float32:
        return MPSImageFeatureChannelFormatFloat32;
    default:
        return MPSImageFeatureChannelFormatNone;
    }
}

- (instancetype)initWithTexture:(id<MTLTexture>)texture featureChannels:(NSUInteger)featureChannels {
    const bool is_array = [texture textureType] == MTLTextureType2DArray;
    METAL_EXPECT(is_array || featureChannels <= channels_per_slice,
                 "initWithTexture: of a 2D texture with %lu feature channels", featureChannels);
    METAL_EXPECT([texture arrayLength] % slices_of(featureChannels) == 0,
                 "initWithTexture: of %lu slices, no multiple of those of %lu channels",
                 [texture arrayLength], featureChannels);
    const NSUInteger images = [texture arrayLength] / slices_of(featureChannels);
    MPSImageDescriptor *descriptor =
        [MPSImageDescriptor imageDescriptorWithChannelFormat:channel_format_of([texture pixelFormat])
                                                       width:[texture width]
                                                      height:[texture height]
                                             featureChannels:featureChannels
                                              numberOfImages:images
                                                       usage:[texture usage]];
    [descriptor setStorageMode:[texture storageMode]];
    const bool is_camera_frame = [texture pixelFormat] == MTLPixelFormatBGRA8Unorm &&
                                 [descriptor pixelFormat] == MTLPixelFormatRGBA8Unorm;
    METAL_EXPECT(is_camera_frame || [descriptor pixelFormat] == [texture pixelFormat],
                 "initWithTexture: with a pixel format that does not fit %lu channels", featureChannels);
    self = [self initWithDevice:[texture device] imageDescriptor:descriptor];
    texture_ = [texture retain];
    givenTexture_ = YES;
    return self;
}

- (void)dealloc {
    object_died(object_getClassName(self));
    [device_ release];
    [texture_ release];
    [label_ release];
    [descriptor_ release];
    [super dealloc];
}

- (NSUInteger)width {
    return [descriptor_ width];
}
- (NSUInteger)height {
    return [descriptor_ height];
}
- (NSUInteger)featureChannels {
    return [descriptor_ featureChannels];
}
- (NSUInteger)numberOfImages {
    return [descriptor_ numberOfImages];
}
- (MTLPixelFormat)pixelFormat {
    return givenTexture_ ? [texture_ pixelFormat] : [descriptor_ pixelFormat];
}
- (MTLTextureUsage)usage {
    return [descriptor_ usage];
}
- (MPSImageFeatureChannelFormat)featureChannelFormat {
    return [descriptor_ channelFormat];
}
- (MTLTextureType)textureType {
    if (givenTexture_) return [texture_ textureType];
    const bool is_flat = [self featureChannels] <= channels_per_slice && [self numberOfImages] == 1;
    return is_flat ? MTLTextureType2D : MTLTextureType2DArray;
}
- (NSUInteger)precision {
    return static_cast<NSUInteger>(pixel_layout([self pixelFormat])->channel_bytes) * 8;
}
- (size_t)pixelSize {
    return static_cast<size_t>(pixel_layout([self pixelFormat])->bytes());
}
- (MPSImage *)parent {
    return nil;
}

- (NSUInteger)resourceSize {
    if (givenTexture_) return 0;
    return [self width] * [self height] * [self pixelSize] * slices_of([self featureChannels]) *
           [self numberOfImages];
}

// The texture is made at first use.
- (id<MTLTexture>)texture {
    if (texture_) return texture_;
    MTLTextureDescriptor *descriptor = [[MTLTextureDescriptor alloc] init];
    [descriptor setTextureType:[self textureType]];
    [descriptor setPixelFormat:[self pixelFormat]];
    [descriptor setWidth:[self width]];
    [descriptor setHeight:[self height]];
    [descriptor setArrayLength:slices_of([self featureChannels]) * [self numberOfImages]];
    [descriptor setUsage:[self usage]];
    [descriptor setCpuCacheMode:[descriptor_ cpuCacheMode]];
    [descriptor setStorageMode:[descriptor_ storageMode]];
    texture_ = [device_ newTextureWithDescriptor:descriptor];
    [descriptor release];
    return texture_;
}

- (EmulatedTexture *)emulatedTexture {
    return static_cast<EmulatedTexture *>([self texture]);
}

- (BOOL)acceptsUseOn:(EmulatedCommandBuffer *)commandBuffer {
    return METAL_EXPECT([commandBuffer device] == device_,
                        "an image of another device than the command buffer's");
}

- (void)wasRead {
}

- (void)synchronizeOnCommandBuffer:(id<MTLCommandBuffer>)commandBuffer {
    if ([descriptor_ storageMode] != MTLStorageModeManaged) return;
    id<MTLBlitCommandEncoder> encoder = [commandBuffer blitCommandEncoder];
    [encoder synchronizeResource:[self texture]];
    [encoder endEncoding];
}

- (void)readBytes:(void *)dataBytes
            dataLayout:(MPSDataLayout)dataLayout
           bytesPerRow:(NSUInteger)bytesPerRow
         bytesPerImage:(NSUInteger)bytesPerImage
                region:(MTLRegion)region
    featureChannelInfo:(MPSImageReadWriteParams)featureChannelInfo
            imageIndex:(NSUInteger)imageIndex {
    if (![self acceptsRegion:region channels:featureChannelInfo imageIndex:imageIndex action:"readBytes:"])
        return;
    [self transfer:static_cast<unsigned char *>(dataBytes)
           dataLayout:dataLayout
          bytesPerRow:bytesPerRow
        bytesPerImage:bytesPerImage
               region:region
             channels:featureChannelInfo
           imageIndex:imageIndex
              writing:NO];
}

- (void)writeBytes:(const void *)dataBytes
            dataLayout:(MPSDataLayout)dataLayout
           bytesPerRow:(NSUInteger)bytesPerRow
         bytesPerImage:(NSUInteger)bytesPerImage
                region:(MTLRegion)region
    featureChannelInfo:(MPSImageReadWriteParams)featureChannelInfo
            imageIndex:(NSUInteger)imageIndex {
    const NSUInteger end =
        featureChannelInfo.featureChannelOffset + featureChannelInfo.numberOfFeatureChannelsToReadWrite;
    if (![self acceptsRegion:region channels:featureChannelInfo imageIndex:imageIndex action:"writeBytes:"] ||
        !METAL_EXPECT(end % channels_per_slice == 0 || end == [self featureChannels],
                      "writeBytes: of only some channels of a pixel"))
        return;
    // The bytes are only read, since they are the source here.
    [self transfer:static_cast<unsigned char *>(const_cast<void *>(dataBytes))
           dataLayout:dataLayout
          bytesPerRow:bytesPerRow
        bytesPerImage:bytesPerImage
               region:region
             channels:featureChannelInfo
           imageIndex:imageIndex
              writing:YES];
}

- (void)readBytes:(void *)dataBytes
            dataLayout:(MPSDataLayout)dataLayout
           bytesPerRow:(NSUInteger)bytesPerRow
                region:(MTLRegion)region
    featureChannelInfo:(MPSImageReadWriteParams)featureChannelInfo
            imageIndex:(NSUInteger)imageIndex {
    [self readBytes:dataBytes
                dataLayout:dataLayout
               bytesPerRow:bytesPerRow
             bytesPerImage:0
                    region:region
        featureChannelInfo:featureChannelInfo
                imageIndex:imageIndex];
}

- (void)writeBytes:(const void *)dataBytes
            dataLayout:(MPSDataLayout)dataLayout
           bytesPerRow:(NSUInteger)bytesPerRow
                region:(MTLRegion)region
    featureChannelInfo:(MPSImageReadWriteParams)featureChannelInfo
            imageIndex:(NSUInteger)imageIndex {
    [self writeBytes:dataBytes
                dataLayout:dataLayout
               bytesPerRow:bytesPerRow
             bytesPerImage:0
                    region:region
        featureChannelInfo:featureChannelInfo
                imageIndex:imageIndex];
}

- (void)readBytes:(void *)dataBytes dataLayout:(MPSDataLayout)dataLayout imageIndex:(NSUInteger)imageIndex {
    [self readBytes:dataBytes
                dataLayout:dataLayout
               bytesPerRow:[self denseRow:dataLayout]
                    region:MTLRegionMake3D(0, 0, 0, [self width], [self height], 1)
        featureChannelInfo:MPSImageReadWriteParams{0, [self featureChannels]}
                imageIndex:imageIndex];
}

- (void)writeBytes:(const void *)dataBytes
        dataLayout:(MPSDataLayout)dataLayout
        imageIndex:(NSUInteger)imageIndex {
    [self writeBytes:dataBytes
                dataLayout:dataLayout
               bytesPerRow:[self denseRow:dataLayout]
                    region:MTLRegionMake3D(0, 0, 0, [self width], [self height], 1)
        featureChannelInfo:MPSImageReadWriteParams{0, [self featureChannels]}
                imageIndex:imageIndex];
}
@end
