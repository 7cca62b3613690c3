// What subclasses of the emulated kernels override.
#pragma once

#import "mps/encode.h"

@interface MPSKernel (Emulation)
/// Records that an initialiser that Apple marks unavailable was called, and returns nil.
- (id)refuse:(const char *)selector;
@end

@interface MPSCNNKernel (Emulation)
/// The computation with the properties as they are now.
- (metal_emulation::Compute)computeForSource:(MPSImage *)source;
/// Feature channels read from an image.
- (NSUInteger)sourceChannelsIn:(MPSImage *)source;
/// Feature channels of the result.
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
/// Records images of other sizes than the forward kernel's.
- (BOOL)acceptsGradient:(MPSImage *)gradient source:(MPSImage *)source;
/// Records what differs from the forward kernel.
- (BOOL)acceptsOffset:(MPSOffset)offset edgeMode:(MPSImageEdgeMode)edgeMode;
@end

@interface MPSCNNGradientKernel (Emulation)
/// The class of the forward kernel.
- (Class)forwardClass;
/// Records a state of another kernel, or of one with other properties.
- (BOOL)acceptsState:(MPSState *)state gradient:(MPSImage *)gradient source:(MPSImage *)source;
/// One image, whose state was accepted. Reads both images; lowers their read counts.
- (void)encodeGradient:(MPSImage *)gradient
                source:(MPSImage *)source
                result:(MPSImage *)result
         commandBuffer:(id<MTLCommandBuffer>)commandBuffer;
/// Records batches of different lengths, or of images that differ.
- (BOOL)acceptsGradients:(MPSImageBatch *)gradients
                 sources:(MPSImageBatch *)sources
                  states:(MPSStateBatch *)states
                 results:(MPSImageBatch *)results;
@end

namespace metal_emulation {

/// A kernel's window along one axis, as the rules of automatic sizing need it.
struct WindowAxis {
    NSUInteger kernel;
    NSUInteger stride;
    NSUInteger dilation;

    NSUInteger extent() const { return (kernel - 1) * dilation + 1; }
};

/// Size of the result and the offset that a padding policy asks for.
struct PlacedAxis {
    NSUInteger size;
    NSInteger offset;
};
PlacedAxis place(MPSNNPaddingMethod method, const WindowAxis &window, NSUInteger source_size,
                 bool remainder_before);

/// Records use of alignments whose meaning only a Mac can tell.
void check_padding_method(MPSNNPaddingMethod method);

/// Remainder bits: whether the odd pixel of padding comes first along x or y.
bool remainder_left(MPSNNPaddingMethod method);
bool remainder_top(MPSNNPaddingMethod method);

} // namespace metal_emulation
