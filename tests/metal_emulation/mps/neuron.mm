#import "mps/neuron.h"

#import <objc/runtime.h>

#include <cmath>

using namespace metal_emulation;

namespace metal_emulation {

Neuron Neuron::from(MPSNNNeuronDescriptor *descriptor) {
    if (!descriptor) return {};
    return {[descriptor neuronType], [descriptor a], [descriptor b], [descriptor c]};
}

// The formulas of MPSCNNNeuron.h and MPSCNNNeuronType.h in float. min, max and clamp are a GPU's: of a number
// and a NaN they return the number. So large arguments overflow, and NaN and infinities may be lost.
float Neuron::operator()(float x) const {
    const float base = c == -1 ? std::exp(1.0f) : c;
    switch (type) {
    case MPSCNNNeuronTypeReLU:
        return x >= 0 ? x : a * x;
    case MPSCNNNeuronTypeLinear:
        return a * x + b;
    case MPSCNNNeuronTypeSigmoid:
        return 1 / (1 + std::exp(-x));
    case MPSCNNNeuronTypeHardSigmoid:
        return std::fmin(std::fmax(a * x + b, 0.0f), 1.0f);
    case MPSCNNNeuronTypeTanH:
        return a * std::tanh(b * x);
    case MPSCNNNeuronTypeAbsolute:
        return std::fabs(x);
    case MPSCNNNeuronTypeSoftPlus:
        return a * std::log(1 + std::exp(b * x));
    case MPSCNNNeuronTypeSoftSign:
        return x / (1 + std::fabs(x));
    case MPSCNNNeuronTypeELU:
        return x >= 0 ? x : a * (std::exp(x) - 1);
    case MPSCNNNeuronTypeReLUN:
        return std::fmin(x >= 0 ? x : a * x, b);
    case MPSCNNNeuronTypePower:
        return std::pow(a * x + b, c);
    case MPSCNNNeuronTypeExponential:
        return std::pow(base, a * x + b);
    case MPSCNNNeuronTypeLogarithm:
        return std::log(a * x + b) / std::log(base);
    case MPSCNNNeuronTypeGeLU:
        return 0.5f * x * (1 + std::erf(x * std::sqrt(0.5f)));
    default:
        return x;
    }
}

} // namespace metal_emulation

@implementation MPSNNNeuronDescriptor
@synthesize neuronType = neuronType_, a = a_, b = b_, c = c_;
METAL_EMULATION_COUNT_OBJECTS

+ (MPSNNNeuronDescriptor *)cnnNeuronDescriptorWithType:(MPSCNNNeuronType)neuronType {
    return [self cnnNeuronDescriptorWithType:neuronType a:0 b:0 c:0];
}

+ (MPSNNNeuronDescriptor *)cnnNeuronDescriptorWithType:(MPSCNNNeuronType)neuronType a:(float)a {
    return [self cnnNeuronDescriptorWithType:neuronType a:a b:0 c:0];
}

+ (MPSNNNeuronDescriptor *)cnnNeuronDescriptorWithType:(MPSCNNNeuronType)neuronType a:(float)a b:(float)b {
    return [self cnnNeuronDescriptorWithType:neuronType a:a b:b c:0];
}

+ (MPSNNNeuronDescriptor *)cnnNeuronDescriptorWithType:(MPSCNNNeuronType)neuronType
                                                     a:(float)a
                                                     b:(float)b
                                                     c:(float)c {
    METAL_EXPECT(neuronType >= MPSCNNNeuronTypeNone && neuronType < MPSCNNNeuronTypeCount, "neuron type %d",
                 static_cast<int>(neuronType));
    METAL_EXPECT(neuronType != MPSCNNNeuronTypePReLU,
                 "PReLU is described by cnnNeuronPReLUDescriptorWithData:noCopy:");
    MPSNNNeuronDescriptor *descriptor = [[[self alloc] initForFactory] autorelease];
    [descriptor setNeuronType:neuronType];
    [descriptor setA:a];
    [descriptor setB:b];
    [descriptor setC:c];
    return descriptor;
}

- (instancetype)init {
    violation("init of MPSNNNeuronDescriptor is unavailable");
    return [self initForFactory];
}

- (instancetype)initForFactory {
    return [super init];
}

- (void)dealloc {
    object_died(object_getClassName(self));
    [super dealloc];
}

- (id)copyWithZone:(NSZone *)zone {
    MPSNNNeuronDescriptor *copy = [[[self class] allocWithZone:zone] initForFactory];
    [copy setNeuronType:neuronType_];
    [copy setA:a_];
    [copy setB:b_];
    [copy setC:c_];
    return copy;
}
@end

@implementation MPSCNNNeuron

- (instancetype)initWithDevice:(id<MTLDevice>)device {
    (void)device;
    return [self refuse:"initWithDevice:"];
}

- (instancetype)initWithDevice:(id<MTLDevice>)device
              neuronDescriptor:(MPSNNNeuronDescriptor *)neuronDescriptor {
    self = [super initWithDevice:device];
    if (!self) return nil;
    METAL_EXPECT(neuronDescriptor, "a neuron without a descriptor");
    descriptor_ = [neuronDescriptor copy];
    return self;
}

- (void)dealloc {
    [descriptor_ release];
    [super dealloc];
}

- (Compute)computeForSource:(MPSImage *)source {
    (void)source;
    const Neuron neuron = Neuron::from(descriptor_);
    const MPSOffset offset = offset_;
    const MPSImageEdgeMode edge = edgeMode_;
    return [neuron, offset, edge](const std::vector<Pixels> &sources, Pixels &result) {
        for (NSUInteger y = 0; y < result.height; ++y)
            for (NSUInteger x = 0; x < result.width; ++x) {
                const NSInteger from_x =
                    edge_index(offset.x + static_cast<NSInteger>(x), sources[0].width, edge);
                const NSInteger from_y =
                    edge_index(offset.y + static_cast<NSInteger>(y), sources[0].height, edge);
                const float *from = from_x < 0 || from_y < 0 ? nullptr
                                                             : sources[0].at(static_cast<NSUInteger>(from_x),
                                                                             static_cast<NSUInteger>(from_y));
                for (NSUInteger c = 0; c < result.channels; ++c)
                    result.at(x, y)[c] = neuron(from ? from[c] : 0);
            }
    };
}
@end
