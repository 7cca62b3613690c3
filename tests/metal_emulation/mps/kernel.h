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

@interface MPSCNNBinaryKernel (Emulation)
- (metal_emulation::Compute)computeForPrimary:(MPSImage *)primary secondary:(MPSImage *)secondary;
- (NSUInteger)primaryChannelsIn:(MPSImage *)image;
- (NSUInteger)secondaryChannelsIn:(MPSImage *)image;
- (NSUInteger)resultChannelsFor:(MPSImage *)primary secondary:(MPSImage *)secondary;
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

namespace metal_emulation {

/// A kernel's window along one axis, for the rules of automatic sizing.
struct WindowAxis {
    NSUInteger kernel;
    NSUInteger stride;
    NSUInteger dilation;

    NSUInteger extent() const { return (kernel - 1) * dilation + 1; }
};

/// The result's size and the offset that a padding policy determines.
struct PlacedAxis {
    NSUInteger size;
    NSInteger offset;
};
PlacedAxis place(MPSNNPaddingMethod method, const WindowAxis &window, NSUInteger source_size,
                 bool remainder_before);

/// Record a violation for alignments whose meaning is only known on a Mac.
void check_padding_method(MPSNNPaddingMethod method);

/// Remainder bits: true if the odd pixel of padding comes first along x or y.
bool remainder_left(MPSNNPaddingMethod method);
bool remainder_top(MPSNNPaddingMethod method);

} // namespace metal_emulation
