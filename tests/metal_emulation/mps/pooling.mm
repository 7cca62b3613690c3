#import "mps/kernel.h"

#include <algorithm>
#include <cmath>

using namespace metal_emulation;

namespace {

/// The window of a pooling kernel, without dilation.
struct Window {
    NSInteger x0, y0; // position of the window of result (0, 0)
    NSInteger width, height;
    NSInteger stride_x, stride_y;
    MPSImageEdgeMode edge;
};

/// Set each result to reduce(source, left, top, channel), where (left, top) is the corner of the window.
template <class Reduce>
void for_each_window(const Window &window, const Pixels &source, Pixels &result, Reduce reduce) {
    for (NSUInteger y = 0; y < result.height; ++y)
        for (NSUInteger x = 0; x < result.width; ++x) {
            const NSInteger left = window.x0 + window.stride_x * static_cast<NSInteger>(x);
            const NSInteger top = window.y0 + window.stride_y * static_cast<NSInteger>(y);
            for (NSUInteger c = 0; c < result.channels; ++c)
                result.at(x, y)[c] = reduce(source, left, top, c);
        }
}

float maximum(const Window &window, const Pixels &source, NSInteger left, NSInteger top, NSUInteger c) {
    float best = -std::numeric_limits<float>::infinity();
    for (NSInteger y = top; y < top + window.height; ++y)
        for (NSInteger x = left; x < left + window.width; ++x) {
            const NSInteger from_x = edge_index(x, source.width, window.edge);
            const NSInteger from_y = edge_index(y, source.height, window.edge);
            const bool outside = from_x < 0 || from_y < 0;
            best = std::fmax(best, outside ? 0.0f
                                           : source.at(static_cast<NSUInteger>(from_x),
                                                       static_cast<NSUInteger>(from_y))[c]);
        }
    return best;
}

/// Padding that counts in the divisor; used with edge mode clamp only.
struct ZeroPadding {
    NSInteger x, y;
};

float mean(const Window &window, ZeroPadding padding, const Pixels &source, NSInteger left, NSInteger top,
           NSUInteger c) {
    const auto width = static_cast<NSInteger>(source.width), height = static_cast<NSInteger>(source.height);
    float sum = 0;
    for (NSInteger y = std::max<NSInteger>(top, 0); y < std::min(top + window.height, height); ++y)
        for (NSInteger x = std::max<NSInteger>(left, 0); x < std::min(left + window.width, width); ++x)
            sum += source.at(static_cast<NSUInteger>(x), static_cast<NSUInteger>(y))[c];
    if (window.edge == MPSImageEdgeModeZero) return sum / static_cast<float>(window.width * window.height);
    // The window is cut off at the border of the image and its padding.
    const NSInteger counted_x = std::min(left + window.width, width + padding.x) - std::max(left, -padding.x);
    const NSInteger counted_y = std::min(top + window.height, height + padding.y) - std::max(top, -padding.y);
    return counted_x > 0 && counted_y > 0 ? sum / static_cast<float>(counted_x * counted_y) : 0.0f;
}

float norm(const Window &window, const Pixels &source, NSInteger left, NSInteger top, NSUInteger c) {
    const auto width = static_cast<NSInteger>(source.width), height = static_cast<NSInteger>(source.height);
    float sum = 0;
    for (NSInteger y = std::max<NSInteger>(top, 0); y < std::min(top + window.height, height); ++y)
        for (NSInteger x = std::max<NSInteger>(left, 0); x < std::min(left + window.width, width); ++x) {
            const float value = source.at(static_cast<NSUInteger>(x), static_cast<NSUInteger>(y))[c];
            sum += value * value;
        }
    return std::sqrt(sum);
}

} // namespace

@implementation MPSCNNPooling

- (instancetype)initWithDevice:(id<MTLDevice>)device {
    (void)device;
    return [self refuse:"initWithDevice:"];
}

- (instancetype)initWithDevice:(id<MTLDevice>)device
                   kernelWidth:(NSUInteger)kernelWidth
                  kernelHeight:(NSUInteger)kernelHeight {
    return [self initWithDevice:device
                    kernelWidth:kernelWidth
                   kernelHeight:kernelHeight
                strideInPixelsX:1
                strideInPixelsY:1];
}

- (instancetype)initWithDevice:(id<MTLDevice>)device
                   kernelWidth:(NSUInteger)kernelWidth
                  kernelHeight:(NSUInteger)kernelHeight
               strideInPixelsX:(NSUInteger)strideInPixelsX
               strideInPixelsY:(NSUInteger)strideInPixelsY {
    self = [super initWithDevice:device];
    if (!self) return nil;
    METAL_EXPECT(kernelWidth && kernelHeight && strideInPixelsX && strideInPixelsY,
                 "a pooling kernel with a window of %lu x %lu and strides %lu, %lu", kernelWidth,
                 kernelHeight, strideInPixelsX, strideInPixelsY);
    kernelWidth_ = kernelWidth;
    kernelHeight_ = kernelHeight;
    strideInPixelsX_ = strideInPixelsX;
    strideInPixelsY_ = strideInPixelsY;
    return self;
}

- (Window)window {
    return {window_start(offset_.x, kernelWidth_),
            window_start(offset_.y, kernelHeight_),
            static_cast<NSInteger>(kernelWidth_),
            static_cast<NSInteger>(kernelHeight_),
            static_cast<NSInteger>(strideInPixelsX_),
            static_cast<NSInteger>(strideInPixelsY_),
            edgeMode_};
}
@end

@implementation MPSCNNPoolingMax

- (Compute)computeForSource:(MPSImage *)source {
    (void)source;
    return [window = [self window]](const std::vector<Pixels> &sources, Pixels &result) {
        for_each_window(window, sources[0], result,
                        [&](const Pixels &from, NSInteger left, NSInteger top, NSUInteger c) {
                            return maximum(window, from, left, top, c);
                        });
    };
}
@end

@implementation MPSCNNPoolingAverage
@synthesize zeroPadSizeX = zeroPadSizeX_, zeroPadSizeY = zeroPadSizeY_;

- (Compute)computeForSource:(MPSImage *)source {
    (void)source;
    const ZeroPadding padding{static_cast<NSInteger>(zeroPadSizeX_), static_cast<NSInteger>(zeroPadSizeY_)};
    return [window = [self window], padding](const std::vector<Pixels> &sources, Pixels &result) {
        for_each_window(window, sources[0], result,
                        [&](const Pixels &from, NSInteger left, NSInteger top, NSUInteger c) {
                            return mean(window, padding, from, left, top, c);
                        });
    };
}
@end

@implementation MPSCNNPoolingL2Norm

- (Compute)computeForSource:(MPSImage *)source {
    (void)source;
    METAL_EXPECT(edgeMode_ == MPSImageEdgeModeZero,
                 "MPSCNNPoolingL2Norm with another edge mode than Zero, for which no header says what it is");
    return [window = [self window]](const std::vector<Pixels> &sources, Pixels &result) {
        for_each_window(window, sources[0], result,
                        [&](const Pixels &from, NSInteger left, NSInteger top, NSUInteger c) {
                            return norm(window, from, left, top, c);
                        });
    };
}
@end
