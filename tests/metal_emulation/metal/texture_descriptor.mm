#import "metal/pixel_format.h"

#import "metal/object.h"

#import <objc/runtime.h>

using namespace metal_emulation;

@implementation MTLTextureDescriptor
@synthesize textureType = textureType_, pixelFormat = pixelFormat_, width = width_, height = height_;
@synthesize arrayLength = arrayLength_, storageMode = storageMode_, usage = usage_;
METAL_EMULATION_COUNT_OBJECTS

+ (MTLTextureDescriptor *)texture2DDescriptorWithPixelFormat:(MTLPixelFormat)pixelFormat
                                                       width:(NSUInteger)width
                                                      height:(NSUInteger)height
                                                   mipmapped:(BOOL)mipmapped {
    METAL_EXPECT(!mipmapped, "the emulation has no mipmaps");
    MTLTextureDescriptor *descriptor = [[[MTLTextureDescriptor alloc] init] autorelease];
    [descriptor setPixelFormat:pixelFormat];
    [descriptor setWidth:width];
    [descriptor setHeight:height];
    return descriptor;
}

- (instancetype)init {
    self = [super init];
    textureType_ = MTLTextureType2D;
    pixelFormat_ = MTLPixelFormatRGBA8Unorm;
    width_ = height_ = arrayLength_ = 1;
    storageMode_ = switches().discrete_memory ? MTLStorageModeManaged : MTLStorageModeShared;
    usage_ = MTLTextureUsageShaderRead;
    return self;
}

- (void)dealloc {
    object_died(object_getClassName(self));
    [super dealloc];
}

- (id)copyWithZone:(NSZone *)zone {
    MTLTextureDescriptor *copy = [[MTLTextureDescriptor allocWithZone:zone] init];
    [copy setTextureType:textureType_];
    [copy setPixelFormat:pixelFormat_];
    [copy setWidth:width_];
    [copy setHeight:height_];
    [copy setArrayLength:arrayLength_];
    [copy setStorageMode:storageMode_];
    [copy setUsage:usage_];
    return copy;
}
@end
