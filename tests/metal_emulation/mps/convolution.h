// The private parts of convolutions, their descriptors and their gradient states.
#pragma once

#import "mps/kernel.h"
#import "mps/neuron.h"

namespace metal_emulation {

/// The parameters and weights of a convolution. Weights are [group][row][column][input of the group][output
/// of the group].
struct ConvolutionPlan {
    NSInteger x0, y0, stride_x, stride_y, dilation_x, dilation_y;
    NSUInteger kernel_width, kernel_height, inputs, outputs, groups;
    MPSImageEdgeMode edge;
    bool half_sums;
    std::vector<float> weights;
    std::vector<float> bias;
    Neuron neuron;

    NSUInteger group_inputs() const { return inputs / groups; }
    NSUInteger group_outputs() const { return outputs / groups; }
    const float *tap(NSUInteger group, NSUInteger row, NSUInteger column) const {
        return weights.data() +
               ((group * kernel_height + row) * kernel_width + column) * group_inputs() * group_outputs();
    }
};

float rounded_to_half(float value);

/// Add the contribution of one source pixel through one tap to the sums of all outputs.
void add_tap(const ConvolutionPlan &plan, const float *from, NSUInteger row, NSUInteger column, float *sums);

} // namespace metal_emulation

@interface MPSCNNConvolutionDescriptor (Emulation)
- (BOOL)isDepthwise;
/// Record a violation for parameters that MPS refuses.
- (BOOL)isValid;
@end

@interface MPSCNNConvolution (Emulation)
/// Return the first column and the first row of the window of result (0, 0).
- (NSInteger)firstColumn;
- (NSInteger)firstRow;
- (BOOL)acceptsSource:(MPSImage *)source;
- (MPSCNNConvolutionDescriptor *)descriptor;
/// True if weights are kept as float32; otherwise they are rounded to halves.
- (BOOL)holdsFloat32;
- (std::shared_ptr<metal_emulation::ConvolutionPlan>)plan;
@end

@interface MPSCNNConvolutionGradientState (Emulation)
- (instancetype)initWithConvolution:(MPSCNNConvolution *)convolution
                        sourceImage:(MPSImage *)sourceImage
                   destinationImage:(MPSImage *)destinationImage;
/// Record a violation if a gradient kernel with these weights and images may not use the state; otherwise
/// mark it as used by its batch.
- (BOOL)isTakenBy:(MPSCNNConvolutionDescriptor *)descriptor
         gradient:(MPSImage *)gradient
           source:(MPSImage *)source;
@end
