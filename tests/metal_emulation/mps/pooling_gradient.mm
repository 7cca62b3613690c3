#import "mps/kernel.h"

#include <algorithm>

using namespace metal_emulation;

namespace {

/// The forward kernel's windows along one axis: the beginning of the first window, the extent of each,
/// the distance between them, and the size and padding of the source.
struct Axis {
    NSInteger first, extent, stride;
    NSInteger size, padding;
    bool counts_all; // edge mode zero: averages count positions outside of the image

    /// Return the number of positions that an average is divided by.
    NSInteger counted(NSInteger window) const {
        const NSInteger begin = first + window * stride, end = begin + extent;
        return counts_all ? extent : std::min(end, size + padding) - std::max(begin, -padding);
    }
};

/// Each pixel gets its share of the gradients of all windows that include it.
void average_gradient(const Axis &columns, const Axis &rows, const Pixels &gradient, Pixels &result) {
    std::vector<double> sums(result.values.size());
    for (NSUInteger y = 0; y < gradient.height; ++y)
        for (NSUInteger x = 0; x < gradient.width; ++x) {
            const NSInteger left = columns.first + static_cast<NSInteger>(x) * columns.stride,
                            top = rows.first + static_cast<NSInteger>(y) * rows.stride;
            const NSInteger counted =
                columns.counted(static_cast<NSInteger>(x)) * rows.counted(static_cast<NSInteger>(y));
            const float *given = gradient.at(x, y);
            for (NSInteger to_y = std::max<NSInteger>(top, 0); to_y < std::min(top + rows.extent, rows.size);
                 ++to_y)
                for (NSInteger to_x = std::max<NSInteger>(left, 0);
                     to_x < std::min(left + columns.extent, columns.size); ++to_x)
                    for (NSUInteger c = 0; c < result.channels; ++c)
                        sums[static_cast<std::size_t>(to_y * columns.size + to_x) * result.channels + c] +=
                            static_cast<double>(given[c]) / static_cast<double>(counted);
        }
    std::transform(sums.begin(), sums.end(), result.values.begin(),
                   [](double sum) { return static_cast<float>(sum); });
}

} // namespace

@implementation MPSCNNPoolingGradient
@synthesize sourceSize = sourceSize_;

- (instancetype)initWithDevice:(id<MTLDevice>)device {
    (void)device;
    return [self refuse:"initWithDevice:"];
}

- (instancetype)initWithDevice:(id<MTLDevice>)device
                   kernelWidth:(NSUInteger)kernelWidth
                  kernelHeight:(NSUInteger)kernelHeight
               strideInPixelsX:(NSUInteger)strideInPixelsX
               strideInPixelsY:(NSUInteger)strideInPixelsY {
    self = [super initWithDevice:device];
    if (!self) return nil;
    METAL_EXPECT(kernelWidth && kernelHeight && strideInPixelsX && strideInPixelsY,
                 "a pooling's gradient kernel with a window of %lu x %lu and strides %lu, %lu", kernelWidth,
                 kernelHeight, strideInPixelsX, strideInPixelsY);
    kernelWidth_ = kernelWidth;
    kernelHeight_ = kernelHeight;
    primaryStrideInPixelsX_ = secondaryStrideInPixelsX_ = strideInPixelsX;
    primaryStrideInPixelsY_ = secondaryStrideInPixelsY_ = strideInPixelsY;
    sourceSize_ = MTLSizeMake(NSUIntegerMax, NSUIntegerMax, NSUIntegerMax);
    return self;
}
@end

@implementation MPSCNNPoolingAverageGradient
@synthesize zeroPadSizeX = zeroPadSizeX_, zeroPadSizeY = zeroPadSizeY_;

- (instancetype)initWithDevice:(id<MTLDevice>)device
                   kernelWidth:(NSUInteger)kernelWidth
                  kernelHeight:(NSUInteger)kernelHeight
               strideInPixelsX:(NSUInteger)strideInPixelsX
               strideInPixelsY:(NSUInteger)strideInPixelsY {
    return [super initWithDevice:device
                     kernelWidth:kernelWidth
                    kernelHeight:kernelHeight
                 strideInPixelsX:strideInPixelsX
                 strideInPixelsY:strideInPixelsY];
}

- (Class)forwardClass {
    return [MPSCNNPoolingAverage class];
}

- (BOOL)acceptsState:(MPSState *)state gradient:(MPSImage *)gradient source:(MPSImage *)source {
    if (![super acceptsState:state gradient:gradient source:source]) return NO;
    auto *forward = static_cast<MPSCNNPoolingAverage *>([static_cast<MPSNNGradientState *>(state) kernel]);
    return METAL_EXPECT([forward kernelWidth] == kernelWidth_ && [forward kernelHeight] == kernelHeight_ &&
                            [forward strideInPixelsX] == secondaryStrideInPixelsX_ &&
                            [forward strideInPixelsY] == secondaryStrideInPixelsY_ &&
                            [forward zeroPadSizeX] == zeroPadSizeX_ &&
                            [forward zeroPadSizeY] == zeroPadSizeY_,
                        "a pooling's gradient kernel with another window or padding than the pooling's") &&
           METAL_EXPECT(sourceSize_.width >= [gradient width] && sourceSize_.height >= [gradient height] &&
                            primaryOffset_.x == 0 && primaryOffset_.y == 0,
                        "the emulation has gradients of all of a pooling's result only");
}

// Only the size of the source image is used.
- (void)encodeGradient:(MPSImage *)gradient
                source:(MPSImage *)source
                result:(MPSImage *)result
         commandBuffer:(id<MTLCommandBuffer>)commandBuffer {
    const auto axis = [&](NSInteger offset, NSUInteger kernel, NSUInteger stride, NSUInteger size,
                          NSUInteger padding) {
        return Axis{window_start(offset, kernel),    static_cast<NSInteger>(kernel),
                    static_cast<NSInteger>(stride),  static_cast<NSInteger>(size),
                    static_cast<NSInteger>(padding), secondaryEdgeMode_ == MPSImageEdgeModeZero};
    };
    const Axis columns = axis(secondaryOffset_.x, kernelWidth_, secondaryStrideInPixelsX_, [source width],
                              zeroPadSizeX_),
               rows = axis(secondaryOffset_.y, kernelHeight_, secondaryStrideInPixelsY_, [source height],
                           zeroPadSizeY_);
    METAL_EXPECT(columns.first <= 0 && rows.first <= 0 && [result width] == [source width] &&
                     [result height] == [source height],
                 "the emulation has gradients of a pooling's whole source only");
    if (![source acceptsUseOn:static_cast<EmulatedCommandBuffer *>(commandBuffer)]) return;
    const NSUInteger channels = [gradient featureChannels];
    encode([self class], commandBuffer,
           {
               { gradient, primaryOffset_, channels }
           },
           {result, channels},
           [columns, rows](const std::vector<Pixels> &sources, Pixels &to) {
               average_gradient(columns, rows, sources[0], to);
           });
    [source wasRead];
}
@end
