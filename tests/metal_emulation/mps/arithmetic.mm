#import "mps/kernel.h"

#include <cfloat>

using namespace metal_emulation;

namespace {

/// The steps through one of the two sources.
struct Operand {
    MPSOffset offset;
    NSInteger stride_x, stride_y;
    NSUInteger channel_stride;
    MPSImageEdgeMode edge;

    float read(const Pixels &source, NSUInteger x, NSUInteger y, NSUInteger c) const {
        const NSInteger from_x =
            edge_index(offset.x + stride_x * static_cast<NSInteger>(x), source.width, edge);
        const NSInteger from_y =
            edge_index(offset.y + stride_y * static_cast<NSInteger>(y), source.height, edge);
        // Too few channels in a source are a violation, after which the command continues.
        if (from_x < 0 || from_y < 0 || c * channel_stride >= source.channels) return 0;
        return source.at(static_cast<NSUInteger>(from_x),
                         static_cast<NSUInteger>(from_y))[c * channel_stride];
    }
};

} // namespace

@interface MPSCNNArithmetic (Emulation)
- (float (*)(float, float))function;
@end

@implementation MPSCNNArithmetic
@synthesize primaryScale = primaryScale_, secondaryScale = secondaryScale_, bias = bias_;
@synthesize primaryStrideInFeatureChannels = primaryStrideInFeatureChannels_;
@synthesize secondaryStrideInFeatureChannels = secondaryStrideInFeatureChannels_;
@synthesize minimumValue = minimumValue_, maximumValue = maximumValue_;

- (instancetype)initWithDevice:(id<MTLDevice>)device {
    if ([self class] == [MPSCNNArithmetic class]) return [self refuse:"initWithDevice:"];
    self = [super initWithDevice:device];
    if (!self) return nil;
    primaryScale_ = secondaryScale_ = 1;
    primaryStrideInFeatureChannels_ = secondaryStrideInFeatureChannels_ = 1;
    minimumValue_ = -FLT_MAX;
    maximumValue_ = FLT_MAX;
    return self;
}

- (BOOL)acceptsStride:(NSUInteger)stride {
    return METAL_EXPECT(stride <= 1, "a stride of %lu of an arithmetic kernel, where 0 and 1 are allowed",
                        stride);
}

- (Operand)primary {
    for (NSUInteger stride :
         {primaryStrideInPixelsX_, primaryStrideInPixelsY_, primaryStrideInFeatureChannels_})
        [self acceptsStride:stride];
    return {primaryOffset_, static_cast<NSInteger>(primaryStrideInPixelsX_),
            static_cast<NSInteger>(primaryStrideInPixelsY_), primaryStrideInFeatureChannels_,
            primaryEdgeMode_};
}

- (Operand)secondary {
    for (NSUInteger stride :
         {secondaryStrideInPixelsX_, secondaryStrideInPixelsY_, secondaryStrideInFeatureChannels_})
        [self acceptsStride:stride];
    return {secondaryOffset_, static_cast<NSInteger>(secondaryStrideInPixelsX_),
            static_cast<NSInteger>(secondaryStrideInPixelsY_), secondaryStrideInFeatureChannels_,
            secondaryEdgeMode_};
}

- (Compute)computeForPrimary:(MPSImage *)primaryImage secondary:(MPSImage *)secondaryImage {
    const Operand primary = [self primary], secondary = [self secondary];
    const NSUInteger channels = [self resultChannelsFor:primaryImage secondary:secondaryImage];
    METAL_EXPECT(primary.channel_stride == 0 || [self primaryChannelsIn:primaryImage] == channels,
                 "the primary source of an arithmetic kernel has too few feature channels");
    METAL_EXPECT(secondary.channel_stride == 0 || [self secondaryChannelsIn:secondaryImage] == channels,
                 "the secondary source of an arithmetic kernel has too few feature channels");
    const float primary_scale = primaryScale_, secondary_scale = secondaryScale_, bias = bias_;
    const float low = minimumValue_, high = maximumValue_;
    float (*const function)(float, float) = [self function];
    return [=](const std::vector<Pixels> &sources, Pixels &result) {
        for (NSUInteger y = 0; y < result.height; ++y)
            for (NSUInteger x = 0; x < result.width; ++x)
                for (NSUInteger c = 0; c < result.channels; ++c) {
                    const float value = function(primary_scale * primary.read(sources[0], x, y, c),
                                                 secondary_scale * secondary.read(sources[1], x, y, c)) +
                                        bias;
                    result.at(x, y)[c] = value < low ? low : value > high ? high : value;
                }
    };
}
@end

#define ARITHMETIC(NAME, OPERATOR)                                                                           \
    @implementation NAME                                                                                     \
    -(instancetype)initWithDevice : (id<MTLDevice>)device {                                                  \
        return [super initWithDevice:device];                                                                \
    }                                                                                                        \
    -(float (*)(float, float))function {                                                                     \
        return [](float x, float y) { return x OPERATOR y; };                                                \
    }                                                                                                        \
    @end

ARITHMETIC(MPSCNNAdd, +)
ARITHMETIC(MPSCNNSubtract, -)
ARITHMETIC(MPSCNNMultiply, *)
ARITHMETIC(MPSCNNDivide, /)
