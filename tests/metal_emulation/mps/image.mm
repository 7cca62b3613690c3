#import "mps/image.h"

#import <objc/runtime.h>

#import "metal/pixel_format.h"

using namespace metal_emulation;

@implementation MPSImage
@synthesize device = device_, label = label_;
METAL_EMULATION_COUNT_OBJECTS

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
- (MPSImage *)parent {
    return nil;
}

- (NSUInteger)resourceSize {
    if (givenTexture_) return 0;
    const auto pixel = static_cast<NSUInteger>(pixel_layout([self pixelFormat])->bytes());
    return [self width] * [self height] * pixel * slices_of([self featureChannels]) * [self numberOfImages];
}

// The texture is made at first use.
- (id<MTLTexture>)texture {
    if (texture_) return texture_;
    MTLTextureDescriptor *descriptor = [[[MTLTextureDescriptor alloc] init] autorelease];
    [descriptor setTextureType:[self textureType]];
    [descriptor setPixelFormat:[self pixelFormat]];
    [descriptor setWidth:[self width]];
    [descriptor setHeight:[self height]];
    [descriptor setArrayLength:slices_of([self featureChannels]) * [self numberOfImages]];
    [descriptor setUsage:[self usage]];
    [descriptor setStorageMode:[descriptor_ storageMode]];
    texture_ = [device_ newTextureWithDescriptor:descriptor];
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
    auto *buffer = static_cast<EmulatedCommandBuffer *>(commandBuffer);
    if ([descriptor_ storageMode] != MTLStorageModeManaged ||
        ![buffer acceptsCommands:"an image is synchronized" fromEncoder:nil])
        return;
    EmulatedTexture *texture = [self emulatedTexture];
    [buffer useResource:texture written:NO];
    [buffer append:[texture] { [texture synchronize]; }];
}

- (void)readBytes:(void *)dataBytes dataLayout:(MPSDataLayout)dataLayout imageIndex:(NSUInteger)imageIndex {
    (void)dataLayout; // there is one
    [self transfer:static_cast<unsigned char *>(dataBytes)
        imageIndex:imageIndex
           writing:NO
            action:"readBytes:"];
}

- (void)writeBytes:(const void *)dataBytes
        dataLayout:(MPSDataLayout)dataLayout
        imageIndex:(NSUInteger)imageIndex {
    (void)dataLayout;
    // The bytes are only read, since they are the source here.
    [self transfer:static_cast<unsigned char *>(const_cast<void *>(dataBytes))
        imageIndex:imageIndex
           writing:YES
            action:"writeBytes:"];
}
@end
