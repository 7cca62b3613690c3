#import "mps/kernel.h"

#include <algorithm>

using namespace metal_emulation;

@interface MPSCNNUpsampling (Emulation)
- (instancetype)initWithDevice:(id<MTLDevice>)device factorX:(NSUInteger)factorX factorY:(NSUInteger)factorY;
@end

@implementation MPSCNNUpsampling

- (instancetype)initWithDevice:(id<MTLDevice>)device {
    (void)device;
    return [self refuse:"initWithDevice:"];
}

- (instancetype)initWithDevice:(id<MTLDevice>)device factorX:(NSUInteger)factorX factorY:(NSUInteger)factorY {
    self = [super initWithDevice:device];
    if (!self) return nil;
    METAL_EXPECT(factorX > 0 && factorY > 0, "upsampling by %lu and %lu", factorX, factorY);
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

@implementation MPSCNNUpsamplingNearest

- (instancetype)initWithDevice:(id<MTLDevice>)device
           integerScaleFactorX:(NSUInteger)integerScaleFactorX
           integerScaleFactorY:(NSUInteger)integerScaleFactorY {
    return [super initWithDevice:device factorX:integerScaleFactorX factorY:integerScaleFactorY];
}

- (BOOL)acceptsSource:(MPSImage *)source {
    (void)source;
    return METAL_EXPECT(offset_.x == 0 && offset_.y == 0,
                        "MPSCNNUpsamplingNearest with an offset, which the emulation does not have");
}

- (Compute)computeForSource:(MPSImage *)source {
    [self acceptsSource:source];
    return [factor_x = factorX_, factor_y = factorY_](const std::vector<Pixels> &sources, Pixels &result) {
        const Pixels &from = sources[0];
        if (!METAL_EXPECT(result.width <= from.width * factor_x && result.height <= from.height * factor_y,
                          "upsampling to %lu x %lu, more than the source has", result.width, result.height))
            return;
        for (NSUInteger y = 0; y < result.height; ++y)
            for (NSUInteger x = 0; x < result.width; ++x) {
                const float *pixel = from.at(x / factor_x, y / factor_y);
                std::copy(pixel, pixel + result.channels, result.at(x, y));
            }
    };
}
@end
