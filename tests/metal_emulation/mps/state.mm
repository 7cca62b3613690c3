#import "mps/kernel.h"

#import <objc/runtime.h>

using namespace metal_emulation;

@implementation MPSState
@synthesize label = label_;
METAL_EMULATION_COUNT_OBJECTS

- (void)dealloc {
    object_died(object_getClassName(self));
    [label_ release];
    [super dealloc];
}
@end

@implementation MPSNNGradientState

- (instancetype)initWithKernel:(MPSCNNKernel *)kernel
                   sourceImage:(MPSImage *)sourceImage
              destinationImage:(MPSImage *)destinationImage {
    self = [super init];
    kernel_ = [kernel retain];
    offset_ = [kernel offset];
    edgeMode_ = [kernel edgeMode];
    sourceWidth_ = [sourceImage width];
    sourceHeight_ = [sourceImage height];
    resultWidth_ = [destinationImage width];
    resultHeight_ = [destinationImage height];
    return self;
}

- (void)dealloc {
    [kernel_ release];
    [super dealloc];
}

- (MPSCNNKernel *)kernel {
    return kernel_;
}

- (BOOL)acceptsGradient:(MPSImage *)gradient source:(MPSImage *)source {
    return METAL_EXPECT([gradient width] == resultWidth_ && [gradient height] == resultHeight_,
                        "a gradient of %lu x %lu for a kernel whose result was %lu x %lu", [gradient width],
                        [gradient height], resultWidth_, resultHeight_) &&
           METAL_EXPECT([source width] == sourceWidth_ && [source height] == sourceHeight_,
                        "a source image of %lu x %lu for a kernel that read %lu x %lu", [source width],
                        [source height], sourceWidth_, sourceHeight_);
}

- (BOOL)acceptsOffset:(MPSOffset)offset edgeMode:(MPSImageEdgeMode)edgeMode {
    return METAL_EXPECT(offset.x == offset_.x && offset.y == offset_.y && edgeMode == edgeMode_,
                        "a gradient kernel with another offset or edge mode than its forward kernel's");
}
@end
