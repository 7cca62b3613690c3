#import "mps/kernel.h"

using namespace metal_emulation;

@implementation MPSCNNKernel
@synthesize offset = offset_, edgeMode = edgeMode_;
@synthesize kernelWidth = kernelWidth_, kernelHeight = kernelHeight_;
@synthesize strideInPixelsX = strideInPixelsX_, strideInPixelsY = strideInPixelsY_;
@synthesize dilationRateX = dilationRateX_, dilationRateY = dilationRateY_;

- (instancetype)initWithDevice:(id<MTLDevice>)device {
    self = [super initWithDevice:device];
    if (!self) return nil;
    kernelWidth_ = kernelHeight_ = strideInPixelsX_ = strideInPixelsY_ = dilationRateX_ = dilationRateY_ = 1;
    return self;
}

- (Compute)computeForSource:(MPSImage *)source {
    (void)source;
    violation("a kernel of the abstract class MPSCNNKernel is encoded");
    return [](const std::vector<Pixels> &, Pixels &) {};
}

- (NSUInteger)sourceChannelsIn:(MPSImage *)source {
    return [source featureChannels];
}

- (NSUInteger)resultChannelsFor:(MPSImage *)source {
    return [self sourceChannelsIn:source];
}

- (void)encodeToCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
                  sourceImage:(MPSImage *)sourceImage
             destinationImage:(MPSImage *)destinationImage {
    if (!accepts_edge_mode(edgeMode_) ||
        !METAL_EXPECT(sourceImage, "a kernel is encoded without a source image"))
        return;
    const Source source{sourceImage, offset_, [self sourceChannelsIn:sourceImage]};
    encode([self class], commandBuffer, { source }, {destinationImage, [self resultChannelsFor:sourceImage]},
           [self computeForSource:sourceImage]);
}

- (BOOL)isResultStateReusedAcrossBatch {
    return NO;
}

- (MPSState *)resultStateForSourceImage:(MPSImage *)sourceImage
                           sourceStates:(NSArray<MPSState *> *)sourceStates
                       destinationImage:(MPSImage *)destinationImage {
    (void)sourceStates;
    return [[[MPSNNGradientState alloc] initWithKernel:self
                                           sourceImage:sourceImage
                                      destinationImage:destinationImage] autorelease];
}

- (MPSStateBatch *)resultStateBatchForSourceImage:(MPSImageBatch *)sourceImage
                                     sourceStates:(NSArray<MPSStateBatch *> *)sourceStates
                                 destinationImage:(MPSImageBatch *)destinationImage {
    (void)sourceStates;
    if (!METAL_EXPECT([sourceImage count] && [sourceImage count] == [destinationImage count],
                      "states for batches of %lu source images and %lu results", [sourceImage count],
                      [destinationImage count]))
        return nil;
    NSMutableArray *states = [NSMutableArray array];
    for (NSUInteger i = 0; i < [sourceImage count]; ++i) {
        MPSState *state = i > 0 && [self isResultStateReusedAcrossBatch]
                              ? [states objectAtIndex:0]
                              : [self resultStateForSourceImage:[sourceImage objectAtIndex:i]
                                                   sourceStates:nil
                                               destinationImage:[destinationImage objectAtIndex:i]];
        if (!state) return nil;
        [states addObject:state];
    }
    return states;
}
@end
