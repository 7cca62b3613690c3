#import "mps/convolution.h"

#include <cstring>

using namespace metal_emulation;

namespace {

/// Return the source pixel at a position of the source after stride - 1 zeros are inserted between its
/// pixels, or null for a zero.
const float *spread_pixel(const ConvolutionPlan &plan, const Pixels &source, NSInteger x, NSInteger y) {
    if (x < 0 || y < 0 || x % plan.stride_x != 0 || y % plan.stride_y != 0) return nullptr;
    const auto column = static_cast<NSUInteger>(x / plan.stride_x),
               row = static_cast<NSUInteger>(y / plan.stride_y);
    return column < source.width && row < source.height ? source.at(column, row) : nullptr;
}

/// Correlate with stride 1 over the spread source; x0 and y0 are positions there.
void convolve_spread(const ConvolutionPlan &plan, const Pixels &source, Pixels &result) {
    for (NSUInteger y = 0; y < result.height; ++y)
        for (NSUInteger x = 0; x < result.width; ++x) {
            float *sums = result.at(x, y);
            std::memcpy(sums, plan.bias.data(), plan.outputs * sizeof(float));
            for (NSUInteger row = 0; row < plan.kernel_height; ++row)
                for (NSUInteger column = 0; column < plan.kernel_width; ++column)
                    if (const float *from =
                            spread_pixel(plan, source, plan.x0 + static_cast<NSInteger>(x + column),
                                         plan.y0 + static_cast<NSInteger>(y + row)))
                        add_tap(plan, from, row, column, sums);
            for (NSUInteger o = 0; o < plan.outputs; ++o) sums[o] = plan.neuron(sums[o]);
        }
}

} // namespace

// The weights are used like those of a convolution, without rotation.
@implementation MPSCNNConvolutionTranspose
@synthesize kernelOffsetX = kernelOffsetX_, kernelOffsetY = kernelOffsetY_;

- (instancetype)initWithDevice:(id<MTLDevice>)device {
    (void)device;
    return [self refuse:"initWithDevice:"];
}

- (instancetype)initWithDevice:(id<MTLDevice>)device weights:(id<MPSCNNConvolutionDataSource>)weights {
    self = [super initWithDevice:device];
    if (!self) return nil;
    try {
        convolution_ = [[MPSCNNConvolution alloc] initWithDevice:device weights:weights];
    } catch (...) { // an NSException
        [self release];
        throw;
    }
    if (!convolution_) {
        [self release];
        return nil;
    }
    METAL_EXPECT([weights dataType] == MPSDataTypeFloat32,
                 "a transposed convolution with weights that are not Float32");
    METAL_EXPECT([convolution_ groups] == 1 && [convolution_ dilationRateX] == 1 &&
                     [convolution_ dilationRateY] == 1,
                 "a transposed convolution with groups or dilation, which no header says to work");
    kernelWidth_ = [convolution_ kernelWidth];
    kernelHeight_ = [convolution_ kernelHeight];
    strideInPixelsX_ = [convolution_ strideInPixelsX];
    strideInPixelsY_ = [convolution_ strideInPixelsY];
    return self;
}

- (void)dealloc {
    [convolution_ release];
    [super dealloc];
}

- (MPSNNConvolutionAccumulatorPrecisionOption)accumulatorPrecisionOption {
    return [convolution_ accumulatorPrecisionOption];
}
- (void)setAccumulatorPrecisionOption:(MPSNNConvolutionAccumulatorPrecisionOption)option {
    [convolution_ setAccumulatorPrecisionOption:option];
}

- (NSUInteger)sourceChannelsIn:(MPSImage *)source {
    return [convolution_ sourceChannelsIn:source];
}
- (NSUInteger)resultChannelsFor:(MPSImage *)source {
    return [convolution_ resultChannelsFor:source];
}

- (Compute)computeForSource:(MPSImage *)source {
    [convolution_ acceptsSource:source];
    METAL_EXPECT(edgeMode_ == MPSImageEdgeModeZero, "a transposed convolution with an edge mode");
    const auto plan = [convolution_ plan];
    plan->x0 = window_start(offset_.x * plan->stride_x + kernelOffsetX_, kernelWidth_);
    plan->y0 = window_start(offset_.y * plan->stride_y + kernelOffsetY_, kernelHeight_);
    return [plan](const std::vector<Pixels> &sources, Pixels &result) {
        convolve_spread(*plan, sources[0], result);
    };
}
@end
