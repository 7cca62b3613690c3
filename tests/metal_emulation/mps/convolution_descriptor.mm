#import "mps/convolution.h"

#import <objc/runtime.h>

using namespace metal_emulation;

@implementation MPSCNNConvolutionDescriptor
@synthesize kernelWidth = kernelWidth_, kernelHeight = kernelHeight_;
@synthesize inputFeatureChannels = inputFeatureChannels_, outputFeatureChannels = outputFeatureChannels_;
@synthesize strideInPixelsX = strideInPixelsX_, strideInPixelsY = strideInPixelsY_, groups = groups_;
@synthesize dilationRateX = dilationRateX_, dilationRateY = dilationRateY_;
@synthesize fusedNeuronDescriptor = fusedNeuronDescriptor_;
METAL_EMULATION_COUNT_OBJECTS

+ (instancetype)cnnConvolutionDescriptorWithKernelWidth:(NSUInteger)kernelWidth
                                           kernelHeight:(NSUInteger)kernelHeight
                                   inputFeatureChannels:(NSUInteger)inputFeatureChannels
                                  outputFeatureChannels:(NSUInteger)outputFeatureChannels {
    METAL_EXPECT(kernelWidth && kernelHeight && inputFeatureChannels && outputFeatureChannels,
                 "a convolution descriptor with a size of 0");
    MPSCNNConvolutionDescriptor *descriptor = [[[self alloc] init] autorelease];
    [descriptor setKernelWidth:kernelWidth];
    [descriptor setKernelHeight:kernelHeight];
    [descriptor setInputFeatureChannels:inputFeatureChannels];
    [descriptor setOutputFeatureChannels:outputFeatureChannels];
    return descriptor;
}

- (instancetype)init {
    self = [super init];
    kernelWidth_ = kernelHeight_ = inputFeatureChannels_ = outputFeatureChannels_ = 1;
    strideInPixelsX_ = strideInPixelsY_ = dilationRateX_ = dilationRateY_ = groups_ = 1;
    return self;
}

- (void)dealloc {
    object_died(object_getClassName(self));
    [fusedNeuronDescriptor_ release];
    [super dealloc];
}

- (id)copyWithZone:(NSZone *)zone {
    MPSCNNConvolutionDescriptor *copy = [[[self class] allocWithZone:zone] init];
    [copy setKernelWidth:kernelWidth_];
    [copy setKernelHeight:kernelHeight_];
    [copy setInputFeatureChannels:inputFeatureChannels_];
    [copy setOutputFeatureChannels:outputFeatureChannels_];
    [copy setStrideInPixelsX:strideInPixelsX_];
    [copy setStrideInPixelsY:strideInPixelsY_];
    [copy setDilationRateX:dilationRateX_];
    [copy setDilationRateY:dilationRateY_];
    [copy setGroups:groups_];
    MPSNNNeuronDescriptor *neuron = [fusedNeuronDescriptor_ copy];
    [copy setFusedNeuronDescriptor:neuron];
    [neuron release];
    return copy;
}

- (BOOL)isDepthwise {
    return NO;
}

- (BOOL)isValid {
    return METAL_EXPECT(strideInPixelsX_ && strideInPixelsY_ && dilationRateX_ && dilationRateY_ && groups_,
                        "a convolution with a stride, dilation or number of groups of 0") &&
           METAL_EXPECT(inputFeatureChannels_ % groups_ == 0 && outputFeatureChannels_ % groups_ == 0,
                        "a convolution of %lu and %lu channels in %lu groups", inputFeatureChannels_,
                        outputFeatureChannels_, groups_) &&
           METAL_EXPECT(groups_ == 1 || (inputFeatureChannels_ / groups_ % channels_per_slice == 0 &&
                                         outputFeatureChannels_ / groups_ % channels_per_slice == 0),
                        "a convolution whose groups have a number of channels that is not a multiple of 4");
}
@end

@implementation MPSCNNDepthWiseConvolutionDescriptor

- (BOOL)isDepthwise {
    return YES;
}

- (BOOL)isValid {
    return [super isValid] && METAL_EXPECT(groups_ == 1, "a depthwise convolution with groups") &&
           METAL_EXPECT(outputFeatureChannels_ == inputFeatureChannels_,
                        "a depthwise convolution of %lu and %lu channels: the multiplier must be 1",
                        inputFeatureChannels_, outputFeatureChannels_);
}
@end
