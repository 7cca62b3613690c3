#import "mps/kernel.h"

#include <algorithm>
#include <cmath>

using namespace metal_emulation;

namespace {

/// Where the source pixel of a result lies; zeros outside.
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
    float sum = 0;
    for (NSUInteger c = 0; c < channels; ++c) sum += std::exp(from[c] - highest);
    for (NSUInteger c = 0; c < channels; ++c)
        to[c] = logarithm ? from[c] - highest - std::log(sum) : std::exp(from[c] - highest) / sum;
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
