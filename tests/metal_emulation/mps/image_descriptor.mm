#import "mps/image.h"

#import <objc/runtime.h>

using namespace metal_emulation;

namespace metal_emulation {

MTLPixelFormat pixel_format_of(MPSImageFeatureChannelFormat format, NSUInteger channels) {
    // Choose a format with one, two or four components; three channels use four.
    const auto choose = [channels](MTLPixelFormat one, MTLPixelFormat two, MTLPixelFormat four) {
        return channels == 1 ? one : channels == 2 ? two : four;
    };
    switch (format) {
    case MPSImageFeatureChannelFormatUnorm8:
        return choose(MTLPixelFormatR8Unorm, MTLPixelFormatRG8Unorm, MTLPixelFormatRGBA8Unorm);
    case MPSImageFeatureChannelFormatUnorm16:
        return choose(MTLPixelFormatR16Unorm, MTLPixelFormatRG16Unorm, MTLPixelFormatRGBA16Unorm);
    case MPSImageFeatureChannelFormatFloat16:
        return choose(MTLPixelFormatR16Float, MTLPixelFormatRG16Float, MTLPixelFormatRGBA16Float);
    case MPSImageFeatureChannelFormatFloat32:
        return choose(MTLPixelFormatR32Float, MTLPixelFormatRG32Float, MTLPixelFormatRGBA32Float);
    default:
        return MTLPixelFormatInvalid;
    }
}

} // namespace metal_emulation

@implementation MPSImageDescriptor
@synthesize width = width_, height = height_, featureChannels = featureChannels_;
@synthesize numberOfImages = numberOfImages_, channelFormat = channelFormat_;
@synthesize storageMode = storageMode_, usage = usage_;
METAL_EMULATION_COUNT_OBJECTS

+ (instancetype)imageDescriptorWithChannelFormat:(MPSImageFeatureChannelFormat)channelFormat
                                           width:(NSUInteger)width
                                          height:(NSUInteger)height
                                 featureChannels:(NSUInteger)featureChannels {
    return [self imageDescriptorWithChannelFormat:channelFormat
                                            width:width
                                           height:height
                                  featureChannels:featureChannels
                                   numberOfImages:1
                                            usage:MTLTextureUsageShaderRead | MTLTextureUsageShaderWrite];
}

+ (instancetype)imageDescriptorWithChannelFormat:(MPSImageFeatureChannelFormat)channelFormat
                                           width:(NSUInteger)width
                                          height:(NSUInteger)height
                                 featureChannels:(NSUInteger)featureChannels
                                  numberOfImages:(NSUInteger)numberOfImages
                                           usage:(MTLTextureUsage)usage {
    MPSImageDescriptor *descriptor = [[[self alloc] init] autorelease];
    [descriptor setChannelFormat:channelFormat];
    [descriptor setWidth:width];
    [descriptor setHeight:height];
    [descriptor setFeatureChannels:featureChannels];
    [descriptor setNumberOfImages:numberOfImages];
    [descriptor setUsage:usage];
    return descriptor;
}

- (instancetype)init {
    self = [super init];
    width_ = height_ = featureChannels_ = numberOfImages_ = 1;
    storageMode_ = MTLStorageModeManaged;
    usage_ = MTLTextureUsageShaderRead | MTLTextureUsageShaderWrite;
    return self;
}

- (void)dealloc {
    object_died(object_getClassName(self));
    [super dealloc];
}

- (instancetype)copyWithZone:(NSZone *)zone {
    MPSImageDescriptor *copy = [[[self class] allocWithZone:zone] init];
    [copy setWidth:width_];
    [copy setHeight:height_];
    [copy setFeatureChannels:featureChannels_];
    [copy setNumberOfImages:numberOfImages_];
    [copy setChannelFormat:channelFormat_];
    [copy setStorageMode:storageMode_];
    [copy setUsage:usage_];
    return copy;
}

- (MTLPixelFormat)pixelFormat {
    return pixel_format_of(channelFormat_, featureChannels_);
}
@end
