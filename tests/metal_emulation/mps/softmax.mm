#import "mps/kernel.h"

#include <algorithm>
#include <cmath>

using namespace metal_emulation;

namespace {

/// Return the source pixel of a result, or null outside the source, where pixels are zeros.
const float *source_pixel(const Pixels &source, MPSOffset offset, NSUInteger x, NSUInteger y) {
    const NSInteger from_x = offset.x + static_cast<NSInteger>(x),
                    from_y = offset.y + static_cast<NSInteger>(y);
    if (from_x < 0 || from_y < 0 || from_x >= static_cast<NSInteger>(source.width) ||
        from_y >= static_cast<NSInteger>(source.height))
        return nullptr;
    return source.at(static_cast<NSUInteger>(from_x), static_cast<NSUInteger>(from_y));
}

void softmax(const float *from, float *to, NSUInteger channels, bool logarithm) {
    const float highest = *std::max_element(from, from + channels);
    double exact = 0; // in float, a thousand roundings would exceed the bound of the tests
    for (NSUInteger c = 0; c < channels; ++c) exact += static_cast<double>(std::exp(from[c] - highest));
    const auto sum = static_cast<float>(exact);
    for (NSUInteger c = 0; c < channels; ++c)
        to[c] = logarithm ? from[c] - highest - std::log(sum) : std::exp(from[c] - highest) / sum;
}

/// Compute the gradient from the forward kernel's result.
void softmax_gradient(const float *gradient, const float *result, float *to, NSUInteger channels,
                      bool logarithm) {
    double sum = 0;
    for (NSUInteger c = 0; c < channels; ++c)
        sum += static_cast<double>(gradient[c]) * (logarithm ? 1.0 : static_cast<double>(result[c]));
    for (NSUInteger c = 0; c < channels; ++c) {
        const auto g = static_cast<double>(gradient[c]), y = static_cast<double>(result[c]);
        to[c] = static_cast<float>(logarithm ? g - std::exp(y) * sum : y * (g - sum));
    }
}

Compute compute_softmax_gradient(bool logarithm) {
    return [logarithm](const std::vector<Pixels> &sources, Pixels &result) {
        for (NSUInteger y = 0; y < result.height; ++y)
            for (NSUInteger x = 0; x < result.width; ++x)
                softmax_gradient(sources[0].at(x, y), sources[1].at(x, y), result.at(x, y), result.channels,
                                 logarithm);
    };
}

Compute compute_softmax(MPSOffset offset, bool logarithm) {
    return [offset, logarithm](const std::vector<Pixels> &sources, Pixels &result) {
        const std::vector<float> zeros(result.channels);
        for (NSUInteger y = 0; y < result.height; ++y)
            for (NSUInteger x = 0; x < result.width; ++x) {
                const float *from = source_pixel(sources[0], offset, x, y);
                softmax(from ? from : zeros.data(), result.at(x, y), result.channels, logarithm);
            }
    };
}

} // namespace

@implementation MPSCNNSoftMax
- (Compute)computeForSource:(MPSImage *)source {
    (void)source;
    return compute_softmax(offset_, false);
}
@end

@implementation MPSCNNLogSoftMax
- (Compute)computeForSource:(MPSImage *)source {
    (void)source;
    return compute_softmax(offset_, true);
}
@end

@implementation MPSCNNSoftMaxGradient

- (instancetype)initWithDevice:(id<MTLDevice>)device {
    return [super initWithDevice:device];
}

- (Class)forwardClass {
    return [MPSCNNSoftMax class];
}

- (Compute)compute {
    return compute_softmax_gradient(false);
}
@end

@implementation MPSCNNLogSoftMaxGradient

- (instancetype)initWithDevice:(id<MTLDevice>)device {
    return [super initWithDevice:device];
}

- (Class)forwardClass {
    return [MPSCNNLogSoftMax class];
}

- (Compute)compute {
    return compute_softmax_gradient(true);
}
@end
