// Convolution: its descriptor's hidden half.
#pragma once

#import "mps/neuron.h"

@interface MPSCNNConvolutionDescriptor (Emulation)
- (NSData *)batchNormalizationScale;
- (NSData *)batchNormalizationShift;
- (BOOL)isDepthwise;
/// Records what MPS refuses.
- (BOOL)isValid;
@end

@interface MPSCNNConvolution (Emulation)
/// Of the window of result (0, 0), and the distances between windows.
- (NSInteger)firstColumn;
- (NSInteger)firstRow;
- (BOOL)acceptsSource:(MPSImage *)source;
@end
