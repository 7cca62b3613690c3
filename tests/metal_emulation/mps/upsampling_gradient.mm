#import "mps/kernel.h"

using namespace metal_emulation;

namespace {

/// Each pixel gets the sum of the gradients of its copies.
void sum_copies(NSUInteger factor_x, NSUInteger factor_y, const Pixels &gradient, Pixels &result) {
    for (NSUInteger y = 0; y < result.height; ++y)
        for (NSUInteger x = 0; x < result.width; ++x)
            for (NSUInteger c = 0; c < result.channels; ++c) {
                double sum = 0;
                for (NSUInteger row = 0; row < factor_y; ++row)
                    for (NSUInteger column = 0; column < factor_x; ++column)
                        sum += static_cast<double>(gradient.at(x * factor_x + column, y * factor_y + row)[c]);
                result.at(x, y)[c] = static_cast<float>(sum);
            }
}

} // namespace

@implementation MPSCNNUpsamplingGradient

- (instancetype)initWithDevice:(id<MTLDevice>)device {
    (void)device;
    return [self refuse:"initWithDevice:"];
}

- (instancetype)initForDevice:(id<MTLDevice>)device factorX:(NSUInteger)factorX factorY:(NSUInteger)factorY {
    self = [super initWithDevice:device];
    if (!self) return nil;
    METAL_EXPECT(factorX > 0 && factorY > 0, "a gradient of an upsampling by %lu and %lu", factorX, factorY);
    factorX_ = factorX;
    factorY_ = factorY;
    return self;
}

- (double)scaleFactorX {
    return static_cast<double>(factorX_);
}
- (double)scaleFactorY {
    return static_cast<double>(factorY_);
}
@end

@implementation MPSCNNUpsamplingNearestGradient

- (instancetype)initWithDevice:(id<MTLDevice>)device
           integerScaleFactorX:(NSUInteger)integerScaleFactorX
           integerScaleFactorY:(NSUInteger)integerScaleFactorY {
    return [self initForDevice:device factorX:integerScaleFactorX factorY:integerScaleFactorY];
}

- (Class)forwardClass {
    return [MPSCNNUpsamplingNearest class];
}

- (BOOL)acceptsState:(MPSState *)state gradient:(MPSImage *)gradient source:(MPSImage *)source {
    if (![super acceptsState:state gradient:gradient source:source]) return NO;
    auto *forward = static_cast<MPSCNNUpsampling *>([static_cast<MPSNNGradientState *>(state) kernel]);
    return METAL_EXPECT([forward scaleFactorX] == [self scaleFactorX] &&
                            [forward scaleFactorY] == [self scaleFactorY],
                        "an upsampling's gradient kernel with other factors than the upsampling's") &&
           METAL_EXPECT([gradient width] == [source width] * factorX_ &&
                            [gradient height] == [source height] * factorY_,
                        "the emulation has gradients of whole enlarged images only");
}

// Only the size of the source image is used.
- (void)encodeGradient:(MPSImage *)gradient
                source:(MPSImage *)source
                result:(MPSImage *)result
         commandBuffer:(id<MTLCommandBuffer>)commandBuffer {
    if (![source acceptsUseOn:static_cast<EmulatedCommandBuffer *>(commandBuffer)]) return;
    const NSUInteger channels = [gradient featureChannels];
    encode([self class], commandBuffer,
           {
               { gradient, primaryOffset_, channels }
           },
           {result, channels},
           [factor_x = factorX_, factor_y = factorY_](const std::vector<Pixels> &sources, Pixels &to) {
               sum_copies(factor_x, factor_y, sources[0], to);
           });
    [source wasRead];
}
@end
