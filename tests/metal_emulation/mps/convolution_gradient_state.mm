#import "mps/convolution.h"

using namespace metal_emulation;

namespace {

bool have_one_shape(MPSCNNConvolutionDescriptor *a, MPSCNNConvolutionDescriptor *b) {
    return [a kernelWidth] == [b kernelWidth] && [a kernelHeight] == [b kernelHeight] &&
           [a inputFeatureChannels] == [b inputFeatureChannels] &&
           [a outputFeatureChannels] == [b outputFeatureChannels] && [a groups] == [b groups] &&
           [a strideInPixelsX] == [b strideInPixelsX] && [a strideInPixelsY] == [b strideInPixelsY] &&
           [a dilationRateX] == [b dilationRateX] && [a dilationRateY] == [b dilationRateY] &&
           [a isDepthwise] == [b isDepthwise];
}

} // namespace

@implementation MPSCNNConvolutionGradientState
@synthesize gradientForWeights = gradientForWeights_, gradientForBiases = gradientForBiases_;
@synthesize sourceWidth = sourceWidth_, sourceHeight = sourceHeight_;

- (instancetype)initWithConvolution:(MPSCNNConvolution *)convolution
                        sourceImage:(MPSImage *)sourceImage
                   destinationImage:(MPSImage *)destinationImage {
    self = [super initWithKernel:convolution sourceImage:sourceImage destinationImage:destinationImage];
    const auto plan = [convolution plan];
    // This buffer is MPS's own, so it does not count as the program's.
    const auto buffer = [&](NSUInteger floats) {
        return [[EmulatedBuffer alloc] initWithDevice:[convolution device]
                                               length:floats * sizeof(float)
                                              options:MTLResourceStorageModePrivate];
    };
    gradientForWeights_ = buffer(plan->weights.size());
    gradientForBiases_ = buffer(plan->outputs);
    return self;
}

- (void)dealloc {
    [gradientForWeights_ release];
    [gradientForBiases_ release];
    [super dealloc];
}

- (MPSCNNConvolution *)convolution {
    return static_cast<MPSCNNConvolution *>(kernel_);
}

- (BOOL)isTakenBy:(MPSCNNConvolutionDescriptor *)descriptor
         gradient:(MPSImage *)gradient
           source:(MPSImage *)source {
    const BOOL good = METAL_EXPECT(have_one_shape(descriptor, [[self convolution] descriptor]),
                                   "a gradient kernel with the state of a convolution of another shape") &&
                      [self acceptsGradient:gradient source:source] &&
                      METAL_EXPECT(!isUsed_, "a gradient state is used for a second batch");
    isUsed_ = YES;
    return good;
}
@end

@implementation MPSCNNConvolutionWeightsAndBiasesState
@synthesize weights = weights_, biases = biases_;
@synthesize weightsOffset = weightsOffset_, biasesOffset = biasesOffset_;

- (instancetype)initWithWeights:(id<MTLBuffer>)weights
                  weightsOffset:(NSUInteger)weightsOffset
                         biases:(id<MTLBuffer>)biases
                   biasesOffset:(NSUInteger)biasesOffset
       cnnConvolutionDescriptor:(MPSCNNConvolutionDescriptor *)descriptor {
    self = [super init];
    const NSUInteger outputs = [descriptor outputFeatureChannels],
                     inputs = [descriptor isDepthwise]
                                  ? 1
                                  : [descriptor inputFeatureChannels] / [descriptor groups];
    const NSUInteger floats = outputs * [descriptor kernelHeight] * [descriptor kernelWidth] * inputs;
    if (!METAL_EXPECT(weights && weightsOffset % sizeof(float) == 0 &&
                          weightsOffset + floats * sizeof(float) <= [weights length],
                      "weights of a convolution: %lu floats from byte %lu of a buffer of %lu", floats,
                      weightsOffset, [weights length]) ||
        !METAL_EXPECT(!biases || (biasesOffset % sizeof(float) == 0 &&
                                  biasesOffset + outputs * sizeof(float) <= [biases length]),
                      "biases of a convolution: %lu floats from byte %lu of a buffer of %lu", outputs,
                      biasesOffset, [biases length])) {
        [self release];
        return nil;
    }
    weights_ = [weights retain];
    biases_ = [biases retain];
    weightsOffset_ = weightsOffset;
    biasesOffset_ = biasesOffset;
    return self;
}

- (void)dealloc {
    [weights_ release];
    [biases_ release];
    [super dealloc];
}
@end
