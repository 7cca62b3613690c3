#import "mps/kernel.h"

#include <algorithm>
#include <cmath>

using namespace metal_emulation;

namespace {

/// x / (delta + alpha * mean)^beta.
struct Power {
    float alpha, beta, delta;

    float divide(float x, float mean) const { return x / std::pow(delta + alpha * mean, beta); }
};

/// The window of the headers: it begins floor(size / 2) before its centre.
struct CentredWindow {
    NSInteger x0, y0; // position of the window of result (0, 0)
    NSInteger width, height;
    MPSOffset centre;
    MPSImageEdgeMode edge;

    float value(const Pixels &source, NSInteger x, NSInteger y, NSUInteger c) const {
        const NSInteger from_x = edge_index(x, source.width, edge),
                        from_y = edge_index(y, source.height, edge);
        if (from_x < 0 || from_y < 0) return 0;
        return source.at(static_cast<NSUInteger>(from_x), static_cast<NSUInteger>(from_y))[c];
    }

    /// Return the mean of term(value) over the window of result (x, y). Positions outside the image count in
    /// the divisor.
    template <class Term>
    float mean(const Pixels &source, NSUInteger x, NSUInteger y, NSUInteger c, Term term) const {
        float sum = 0;
        for (NSInteger i = 0; i < height; ++i)
            for (NSInteger j = 0; j < width; ++j)
                sum += term(
                    value(source, x0 + static_cast<NSInteger>(x) + j, y0 + static_cast<NSInteger>(y) + i, c));
        return sum / static_cast<float>(width * height);
    }

    float middle(const Pixels &source, NSUInteger x, NSUInteger y, NSUInteger c) const {
        return value(source, centre.x + static_cast<NSInteger>(x), centre.y + static_cast<NSInteger>(y), c);
    }
};

template <class Function> void for_each_element(Pixels &result, Function function) {
    for (NSUInteger y = 0; y < result.height; ++y)
        for (NSUInteger x = 0; x < result.width; ++x)
            for (NSUInteger c = 0; c < result.channels; ++c) result.at(x, y)[c] = function(x, y, c);
}

/// Record a violation for a window that is not square, has an even size, or has an edge mode other than Zero.
/// Such windows have not been measured on a Mac at edges.
bool accepts_window(const char *kernel, NSUInteger width, NSUInteger height, MPSImageEdgeMode edge) {
    return METAL_EXPECT(width == height, "%s: a window of %lu x %lu, which is not square", kernel, width,
                        height) &&
           METAL_EXPECT(width % 2 == 1, "%s: a window of an even size, whose place is not documented",
                        kernel) &&
           METAL_EXPECT(edge == MPSImageEdgeModeZero,
                        "%s: an edge mode other than Zero, for which no header says what it is", kernel);
}

} // namespace

@implementation MPSCNNSpatialNormalization
@synthesize alpha = alpha_, beta = beta_, delta = delta_;

- (instancetype)initWithDevice:(id<MTLDevice>)device {
    (void)device;
    return [self refuse:"initWithDevice:"];
}

- (instancetype)initWithDevice:(id<MTLDevice>)device
                   kernelWidth:(NSUInteger)kernelWidth
                  kernelHeight:(NSUInteger)kernelHeight {
    self = [super initWithDevice:device];
    if (!self) return nil;
    kernelWidth_ = kernelWidth;
    kernelHeight_ = kernelHeight;
    alpha_ = 1;
    beta_ = 5;
    delta_ = 1;
    return self;
}

- (Compute)computeForSource:(MPSImage *)source {
    (void)source;
    accepts_window("MPSCNNSpatialNormalization", kernelWidth_, kernelHeight_, edgeMode_);
    const CentredWindow window{window_start(offset_.x, kernelWidth_),
                               window_start(offset_.y, kernelHeight_),
                               static_cast<NSInteger>(kernelWidth_),
                               static_cast<NSInteger>(kernelHeight_),
                               offset_,
                               edgeMode_};
    return
        [window, power = Power{alpha_, beta_, delta_}](const std::vector<Pixels> &sources, Pixels &result) {
            for_each_element(result, [&](NSUInteger x, NSUInteger y, NSUInteger c) {
                const float squares = window.mean(sources[0], x, y, c, [](float v) { return v * v; });
                return power.divide(window.middle(sources[0], x, y, c), squares);
            });
        };
}
@end

@implementation MPSCNNLocalContrastNormalization
@synthesize alpha = alpha_, beta = beta_, delta = delta_, p0 = p0_, pm = pm_, ps = ps_;

- (instancetype)initWithDevice:(id<MTLDevice>)device {
    (void)device;
    return [self refuse:"initWithDevice:"];
}

- (instancetype)initWithDevice:(id<MTLDevice>)device
                   kernelWidth:(NSUInteger)kernelWidth
                  kernelHeight:(NSUInteger)kernelHeight {
    self = [super initWithDevice:device];
    if (!self) return nil;
    kernelWidth_ = kernelWidth;
    kernelHeight_ = kernelHeight;
    beta_ = 0.5f;
    delta_ = 1.0f / 1024;
    p0_ = ps_ = 1;
    return self;
}

- (Compute)computeForSource:(MPSImage *)source {
    (void)source;
    accepts_window("MPSCNNLocalContrastNormalization", kernelWidth_, kernelHeight_, edgeMode_);
    const CentredWindow window{window_start(offset_.x, kernelWidth_),
                               window_start(offset_.y, kernelHeight_),
                               static_cast<NSInteger>(kernelWidth_),
                               static_cast<NSInteger>(kernelHeight_),
                               offset_,
                               edgeMode_};
    return [window, power = Power{alpha_, beta_, delta_}, p0 = p0_, pm = pm_,
            ps = ps_](const std::vector<Pixels> &sources, Pixels &result) {
        for_each_element(result, [&](NSUInteger x, NSUInteger y, NSUInteger c) {
            const float mean = window.mean(sources[0], x, y, c, [](float v) { return v; });
            const float variance =
                window.mean(sources[0], x, y, c, [&](float v) { return (v - mean) * (v - mean); });
            return pm + ps * power.divide(window.middle(sources[0], x, y, c) - p0 * mean, variance);
        });
    };
}
@end

@implementation MPSCNNCrossChannelNormalization
@synthesize alpha = alpha_, beta = beta_, delta = delta_, kernelSize = kernelSize_;

- (instancetype)initWithDevice:(id<MTLDevice>)device {
    (void)device;
    return [self refuse:"initWithDevice:"];
}

- (instancetype)initWithDevice:(id<MTLDevice>)device kernelSize:(NSUInteger)kernelSize {
    self = [super initWithDevice:device];
    if (!self) return nil;
    METAL_EXPECT(kernelSize > 0, "MPSCNNCrossChannelNormalization of no channels");
    kernelSize_ = kernelSize;
    alpha_ = 1;
    beta_ = 5;
    delta_ = 1;
    return self;
}

- (Compute)computeForSource:(MPSImage *)source {
    (void)source;
    METAL_EXPECT(offset_.x == 0 && offset_.y == 0, "MPSCNNCrossChannelNormalization with an offset");
    const auto size = static_cast<NSInteger>(kernelSize_);
    return [size, power = Power{alpha_, beta_, delta_}](const std::vector<Pixels> &sources, Pixels &result) {
        for_each_element(result, [&](NSUInteger x, NSUInteger y, NSUInteger c) {
            const float *pixel = sources[0].at(x, y);
            const auto at = static_cast<NSInteger>(c), last = static_cast<NSInteger>(result.channels) - 1;
            float squares = 0;
            for (NSInteger q = std::max<NSInteger>(at - size / 2, 0);
                 q <= std::min(at + (size - 1) / 2, last); ++q)
                squares += pixel[q] * pixel[q];
            return power.divide(pixel[c], squares / static_cast<float>(size));
        });
    };
}
@end
