// The methods that subclasses of the emulated kernels override.
#pragma once

#import "mps/encode.h"

@interface MPSKernel (Emulation)
/// Record the call of an initialiser that Apple marks unavailable, and return nil.
- (id)refuse:(const char *)selector;
@end

@interface MPSCNNKernel (Emulation)
/// Return the computation with the current properties.
- (metal_emulation::Compute)computeForSource:(MPSImage *)source;
/// Return the number of feature channels that are read from an image.
- (NSUInteger)sourceChannelsIn:(MPSImage *)source;
/// Return the number of feature channels of the result.
- (NSUInteger)resultChannelsFor:(MPSImage *)source;
@end

@interface MPSNNGradientState (Emulation)
- (instancetype)initWithKernel:(MPSCNNKernel *)kernel
                   sourceImage:(MPSImage *)sourceImage
              destinationImage:(MPSImage *)destinationImage;
- (MPSCNNKernel *)kernel;
/// Record a violation if image sizes differ from the forward kernel's.
- (BOOL)acceptsGradient:(MPSImage *)gradient source:(MPSImage *)source;
/// Record a violation if properties differ from the forward kernel's.
- (BOOL)acceptsOffset:(MPSOffset)offset edgeMode:(MPSImageEdgeMode)edgeMode;
@end

@interface MPSCNNGradientKernel (Emulation)
/// Return the computation for a gradient and an image of equal size, which most kernels have.
- (metal_emulation::Compute)compute;
/// The class of the forward kernel.
- (Class)forwardClass;
/// Record a violation for a state of another kernel or of a kernel with other properties.
- (BOOL)acceptsState:(MPSState *)state gradient:(MPSImage *)gradient source:(MPSImage *)source;
/// Encode the gradient of one image, whose state was accepted. Reads both images and decrements their read
/// counts.
- (void)encodeGradient:(MPSImage *)gradient
                source:(MPSImage *)source
                result:(MPSImage *)result
         commandBuffer:(id<MTLCommandBuffer>)commandBuffer;
/// Record a violation for batches of different lengths or with different images.
- (BOOL)acceptsGradients:(MPSImageBatch *)gradients
                 sources:(MPSImageBatch *)sources
                  states:(MPSStateBatch *)states
                 results:(MPSImageBatch *)results;
@end
