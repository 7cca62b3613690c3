// Activation functions.
#pragma once

#import <MetalPerformanceShaders/MPSCNNKernel.h>

typedef NS_ENUM(int32_t, MPSCNNNeuronType) {
    MPSCNNNeuronTypeNone = 0,
    MPSCNNNeuronTypeReLU = 1,
    MPSCNNNeuronTypeLinear = 2,
    MPSCNNNeuronTypeSigmoid = 3,
    MPSCNNNeuronTypeHardSigmoid = 4,
    MPSCNNNeuronTypeTanH = 5,
    MPSCNNNeuronTypeAbsolute = 6,
    MPSCNNNeuronTypeSoftPlus = 7,
    MPSCNNNeuronTypeSoftSign = 8,
    MPSCNNNeuronTypeELU = 9,
    MPSCNNNeuronTypePReLU = 10,
    MPSCNNNeuronTypeReLUN = 11,
    MPSCNNNeuronTypePower = 12,
    MPSCNNNeuronTypeExponential = 13,
    MPSCNNNeuronTypeLogarithm = 14,
    MPSCNNNeuronTypeGeLU = 15,
    MPSCNNNeuronTypeCount = 16,
};

@interface MPSNNNeuronDescriptor : NSObject <NSCopying> {
@protected
    MPSCNNNeuronType neuronType_;
    float a_;
    float b_;
    float c_;
}
@property(nonatomic) MPSCNNNeuronType neuronType;
@property(nonatomic) float a;
@property(nonatomic) float b;
@property(nonatomic) float c;
+ (MPSNNNeuronDescriptor *)cnnNeuronDescriptorWithType:(MPSCNNNeuronType)neuronType;
+ (MPSNNNeuronDescriptor *)cnnNeuronDescriptorWithType:(MPSCNNNeuronType)neuronType a:(float)a;
+ (MPSNNNeuronDescriptor *)cnnNeuronDescriptorWithType:(MPSCNNNeuronType)neuronType a:(float)a b:(float)b;
+ (MPSNNNeuronDescriptor *)cnnNeuronDescriptorWithType:(MPSCNNNeuronType)neuronType
                                                     a:(float)a
                                                     b:(float)b
                                                     c:(float)c;
@end

@interface MPSCNNNeuron : MPSCNNKernel {
@protected
    MPSNNNeuronDescriptor *descriptor_;
}
- (instancetype)initWithDevice:(id<MTLDevice>)device
              neuronDescriptor:(MPSNNNeuronDescriptor *)neuronDescriptor;
@end
