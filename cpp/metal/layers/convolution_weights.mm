#include "metal/layers/convolution_weights.h"

#include <exception>

#include "metal/device/text.h"
#include "metal/layers/shader_convolution.h"

using mpscnn::engine::Precision;
using mpscnn::metal::ConvolutionWeights;
using mpscnn::metal::DeviceWeights;

namespace mpscnn::metal {

ConvolutionWeights::ConvolutionWeights(const LayerSource &source)
    : weight(source.node.weights.at("weight")),
      bias(source.node.weight_or("bias", static_cast<std::size_t>(weight.shape()[0]), 0.0f)),
      label(source.name()), given(source.precision), held(source.precision) {
    for (const engine::WeightRange &range : weight.ranges())
        ranges.push_back(vector_float2{range.low, range.high});
}

std::vector<float> ConvolutionWeights::values() const {
    return rotated ? metal::rotated(weight.values(), weight.shape()) : weight.values();
}

const std::byte *ConvolutionWeights::in_place() const {
    if (!ranges.empty()) return weight.data();
    const auto wanted =
        given == Precision::float16 ? engine::WeightType::float16 : engine::WeightType::float32;
    return rotated ? nullptr : weight.in_place(wanted);
}

namespace {

MPSDataType data_type(Precision precision) {
    return precision == Precision::float16 ? MPSDataTypeFloat16 : MPSDataTypeFloat32;
}

} // namespace

} // namespace mpscnn::metal

@implementation MpscnnConvolutionWeights

- (instancetype)initWithDescriptor:(MPSCNNConvolutionDescriptor *)descriptor
                           weights:(const ConvolutionWeights &)weights {
    self = [super init];
    if (!self) return nil;
    descriptor_ = mpscnn::metal::share(descriptor);
    source_ = std::make_unique<ConvolutionWeights>(weights);
    loads_ = 0;
    return self;
}

/// Return this object itself. Weights never change, so all copies of a kernel can share it.
- (id)copyWithZone:(NSZone *)zone {
    (void)zone;
    return [self retain];
}

- (MPSDataType)dataType {
    return mpscnn::metal::data_type(source_->given);
}

/// Ask MPS to keep the weights in their type. By default it would keep float32 weights as halves.
- (MPSDataType)kernelWeightsDataType {
    return mpscnn::metal::data_type(source_->held);
}

- (MPSCNNConvolutionDescriptor *)descriptor {
    return descriptor_.get();
}

- (void *)weights {
    // MPS only reads the memory, although its protocol lacks const.
    if (const std::byte *lying = source_->in_place()) return const_cast<std::byte *>(lying);
    return weights_.data();
}

- (float *)biasTerms {
    return source_->bias.data();
}

- (BOOL)load {
    const std::lock_guard lock(mutex_);
    try {
        if (loads_ == 0 && !source_->in_place()) weights_ = DeviceWeights(source_->values(), source_->given);
        ++loads_;
        return YES;
    } catch (const std::exception &) { // MPS then fails to make the kernel; no exception may pass through it
        return NO;
    }
}

- (void)purge {
    const std::lock_guard lock(mutex_);
    if (loads_ > 0 && --loads_ == 0) weights_ = DeviceWeights();
}

- (NSString *)label {
    return mpscnn::metal::string_of(source_->label);
}

@end

@implementation MpscnnByteWeights

- (MPSDataType)dataType {
    return MPSDataTypeUInt8;
}

/// Return the only type that MPS allows for 8-bit weights.
- (MPSDataType)kernelWeightsDataType {
    return MPSDataTypeFloat16;
}

- (MPSCNNWeightsQuantizationType)weightsQuantizationType {
    return MPSCNNWeightsQuantizationTypeLinear;
}

- (vector_float2 *)rangesForUInt8Kernel {
    return source_->ranges.data();
}

@end

namespace mpscnn::metal {

objc_ptr<MpscnnConvolutionWeights *> data_source(MPSCNNConvolutionDescriptor *descriptor,
                                                 const ConvolutionWeights &weights) {
    const Class kind = weights.ranges.empty() ? [MpscnnConvolutionWeights class] : [MpscnnByteWeights class];
    MpscnnConvolutionWeights *allocated = [kind alloc];
    return adopt([allocated initWithDescriptor:descriptor weights:weights]);
}

} // namespace mpscnn::metal
