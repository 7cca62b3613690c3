#import "mps/kernel.h"

using namespace metal_emulation;

namespace {

/// True if all images of a batch have the same description.
bool is_uniform(MPSImageBatch *batch) {
    MPSImage *first = [batch count] ? [batch objectAtIndex:0] : nil;
    for (MPSImage *image in batch)
        if ([image width] != [first width] || [image height] != [first height] ||
            [image featureChannels] != [first featureChannels] ||
            [image featureChannelFormat] != [first featureChannelFormat] || [image numberOfImages] != 1)
            return false;
    return true;
}

} // namespace

@implementation MPSCNNGradientKernel
@synthesize kernelOffsetX = kernelOffsetX_, kernelOffsetY = kernelOffsetY_;

- (instancetype)initWithDevice:(id<MTLDevice>)device {
    return [super initWithDevice:device];
}

- (BOOL)acceptsGradients:(MPSImageBatch *)gradients
                 sources:(MPSImageBatch *)sources
                  states:(MPSStateBatch *)states
                 results:(MPSImageBatch *)results {
    const NSUInteger images = [gradients count];
    return METAL_EXPECT(images && [sources count] == images && [states count] == images &&
                            [results count] == images,
                        "a gradient kernel with batches of %lu gradients, %lu source images, %lu states and "
                        "%lu results",
                        images, [sources count], [states count], [results count]) &&
           METAL_EXPECT(is_uniform(gradients) && is_uniform(sources) && is_uniform(results),
                        "a batch whose images differ, or hold several images each") &&
           accepts_edge_mode(primaryEdgeMode_) && accepts_edge_mode(secondaryEdgeMode_);
}

- (void)encodeToCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
               sourceGradient:(MPSImage *)sourceGradient
                  sourceImage:(MPSImage *)sourceImage
                gradientState:(MPSState *)gradientState
          destinationGradient:(MPSImage *)destinationGradient {
    if (!METAL_EXPECT(sourceGradient && sourceImage && gradientState && destinationGradient,
                      "a gradient kernel without a gradient, a source image, a state or a result"))
        return;
    [self encodeBatchToCommandBuffer:commandBuffer
                     sourceGradients:[NSArray arrayWithObject:sourceGradient]
                        sourceImages:[NSArray arrayWithObject:sourceImage]
                      gradientStates:[NSArray arrayWithObject:gradientState]
                destinationGradients:[NSArray arrayWithObject:destinationGradient]];
}

- (void)encodeBatchToCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
                   sourceGradients:(MPSImageBatch *)sourceGradients
                      sourceImages:(MPSImageBatch *)sourceImages
                    gradientStates:(MPSStateBatch *)gradientStates
              destinationGradients:(MPSImageBatch *)destinationGradients {
    if (![self acceptsGradients:sourceGradients
                        sources:sourceImages
                         states:gradientStates
                        results:destinationGradients])
        return;
    for (NSUInteger i = 0; i < [sourceGradients count]; ++i) {
        MPSImage *gradient = [sourceGradients objectAtIndex:i], *source = [sourceImages objectAtIndex:i];
        MPSState *state = [gradientStates objectAtIndex:i];
        if (![self acceptsState:state gradient:gradient source:source]) return;
        [self encodeGradient:gradient
                      source:source
                      result:[destinationGradients objectAtIndex:i]
               commandBuffer:commandBuffer];
    }
}

- (Class)forwardClass {
    violation("a kernel of the abstract class MPSCNNGradientKernel is encoded");
    return nil;
}

- (BOOL)acceptsState:(MPSState *)state gradient:(MPSImage *)gradient source:(MPSImage *)source {
    auto *given = static_cast<MPSNNGradientState *>(state);
    return METAL_EXPECT([state isKindOfClass:[MPSNNGradientState class]] &&
                            [[given kernel] isKindOfClass:[self forwardClass]],
                        "a gradient kernel with the state of another kernel than its forward kernel") &&
           [given acceptsGradient:gradient source:source] &&
           [given acceptsOffset:secondaryOffset_ edgeMode:secondaryEdgeMode_];
}

- (void)encodeGradient:(MPSImage *)gradient
                source:(MPSImage *)source
                result:(MPSImage *)result
         commandBuffer:(id<MTLCommandBuffer>)commandBuffer {
    const NSUInteger channels = [source featureChannels];
    encode([self class], commandBuffer,
           {
               {gradient, primaryOffset_, channels}, { source, secondaryOffset_, channels }
           },
           {result, channels}, [self compute]);
}
@end
