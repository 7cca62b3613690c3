#import "mps/convolution.h"

#include <cmath>
#include <cstring>
#include <utility>

using namespace metal_emulation;

/// Weights in device memory: [output][row][column][input of the group]. Commands retain them.
@interface EmulatedWeights : EmulatedObject {
@public
    std::shared_ptr<std::vector<float>> values_;
}
@end

@implementation EmulatedWeights
@end

namespace {

/// The parameters of both gradients.
struct GradientPlan {
    std::shared_ptr<ConvolutionPlan> forward;
    MPSOffset primary, secondary;
    NSInteger kernel_x, kernel_y;

    std::size_t weight(NSUInteger output, NSUInteger row, NSUInteger column) const {
        return ((output * forward->kernel_height + row) * forward->kernel_width + column) *
               forward->group_inputs();
    }
};

std::vector<float> in_order_of_outputs(const ConvolutionPlan &plan) {
    std::vector<float> values;
    values.reserve(plan.weights.size());
    for (NSUInteger o = 0; o < plan.outputs; ++o)
        for (NSUInteger row = 0; row < plan.kernel_height; ++row)
            for (NSUInteger column = 0; column < plan.kernel_width; ++column)
                for (NSUInteger i = 0; i < plan.group_inputs(); ++i)
                    values.push_back(plan.tap(o / plan.group_outputs(), row,
                                              column)[i * plan.group_outputs() + o % plan.group_outputs()]);
    return values;
}

/// Return the pixel at a position of the gradient after stride - 1 zeros are inserted between its pixels, or
/// null for a zero.
const float *spread_gradient(const ConvolutionPlan &plan, const Pixels &gradient, NSInteger x, NSInteger y) {
    if (x < 0 || y < 0 || x % plan.stride_x != 0 || y % plan.stride_y != 0) return nullptr;
    const auto column = static_cast<NSUInteger>(x / plan.stride_x),
               row = static_cast<NSUInteger>(y / plan.stride_y);
    return column < gradient.width && row < gradient.height ? gradient.at(column, row) : nullptr;
}

/// Correlate the spread gradient with the weights, rotated by 180 degrees.
void data_gradient(const GradientPlan &plan, const std::vector<float> &weights, const Pixels &gradient,
                   Pixels &result) {
    const ConvolutionPlan &forward = *plan.forward;
    const auto start = [](NSInteger offset, NSInteger stride, NSInteger kernel_offset, NSUInteger extent) {
        return window_start(offset * stride + kernel_offset, extent);
    };
    const NSInteger left =
                        start(plan.primary.x, forward.stride_x, plan.kernel_x,
                              (forward.kernel_width - 1) * static_cast<NSUInteger>(forward.dilation_x) + 1),
                    top =
                        start(plan.primary.y, forward.stride_y, plan.kernel_y,
                              (forward.kernel_height - 1) * static_cast<NSUInteger>(forward.dilation_y) + 1);
    std::vector<double> sums(result.channels);
    for (NSUInteger y = 0; y < result.height; ++y)
        for (NSUInteger x = 0; x < result.width; ++x) {
            std::fill(sums.begin(), sums.end(), 0.0);
            for (NSUInteger row = 0; row < forward.kernel_height; ++row)
                for (NSUInteger column = 0; column < forward.kernel_width; ++column) {
                    const float *from = spread_gradient(
                        forward, gradient,
                        left + static_cast<NSInteger>(x) +
                            forward.dilation_x * static_cast<NSInteger>(column),
                        top + static_cast<NSInteger>(y) + forward.dilation_y * static_cast<NSInteger>(row));
                    if (!from) continue;
                    for (NSUInteger o = 0; o < forward.outputs; ++o) {
                        const float *weight = weights.data() + plan.weight(o, forward.kernel_height - 1 - row,
                                                                           forward.kernel_width - 1 - column);
                        double *to = sums.data() + o / forward.group_outputs() * forward.group_inputs();
                        for (NSUInteger i = 0; i < forward.group_inputs(); ++i)
                            to[i] += static_cast<double>(from[o]) * static_cast<double>(weight[i]);
                    }
                }
            for (NSUInteger i = 0; i < result.channels; ++i) result.at(x, y)[i] = static_cast<float>(sums[i]);
        }
}

void add_weight_gradient(const GradientPlan &plan, const Pixels &gradient, const Pixels &source,
                         std::vector<double> &weights, std::vector<double> &biases) {
    const ConvolutionPlan &forward = *plan.forward;
    for (NSUInteger y = 0; y < gradient.height; ++y)
        for (NSUInteger x = 0; x < gradient.width; ++x) {
            const float *given = gradient.at(x, y);
            for (NSUInteger o = 0; o < forward.outputs; ++o) biases[o] += static_cast<double>(given[o]);
            for (NSUInteger row = 0; row < forward.kernel_height; ++row)
                for (NSUInteger column = 0; column < forward.kernel_width; ++column) {
                    const NSInteger from_x =
                        edge_index(forward.stride_x * static_cast<NSInteger>(x) + plan.secondary.x +
                                       forward.dilation_x * static_cast<NSInteger>(column),
                                   source.width, forward.edge);
                    const NSInteger from_y =
                        edge_index(forward.stride_y * static_cast<NSInteger>(y) + plan.secondary.y +
                                       forward.dilation_y * static_cast<NSInteger>(row),
                                   source.height, forward.edge);
                    if (from_x < 0 || from_y < 0) continue;
                    const float *pixel =
                        source.at(static_cast<NSUInteger>(from_x), static_cast<NSUInteger>(from_y));
                    for (NSUInteger o = 0; o < forward.outputs; ++o) {
                        const float *from = pixel + o / forward.group_outputs() * forward.group_inputs();
                        double *to = weights.data() + plan.weight(o, row, column);
                        for (NSUInteger i = 0; i < forward.group_inputs(); ++i)
                            to[i] += static_cast<double>(given[o]) * static_cast<double>(from[i]);
                    }
                }
        }
}

void write(const std::vector<double> &sums, id<MTLBuffer> buffer, bool wrong) {
    std::vector<float> values(sums.begin(), sums.end());
    if (switches().wrong_results || wrong)
        for (float &value : values) value = switches().wrong_results == 2 ? 0.0f : 2.0f * value + 1.0f;
    std::memcpy([static_cast<EmulatedBuffer *>(buffer) deviceBytes], values.data(),
                values.size() * sizeof(float));
}

} // namespace

// The first encode takes weights from the data source, whatever has been reloaded on the device before it.
@implementation MPSCNNConvolutionGradient
@synthesize gradientOption = gradientOption_;

- (instancetype)initWithDevice:(id<MTLDevice>)device {
    (void)device;
    return [self refuse:"initWithDevice:"];
}

- (instancetype)initWithDevice:(id<MTLDevice>)device weights:(id<MPSCNNConvolutionDataSource>)weights {
    self = [super initWithDevice:device];
    if (!self) return nil;
    convolution_ = [[MPSCNNConvolution alloc] initWithDevice:device weights:weights];
    if (!convolution_) {
        [self release];
        return nil;
    }
    METAL_EXPECT(![convolution_ fusedNeuronDescriptor], "a gradient of a convolution with a fused neuron");
    gradientOption_ = MPSCNNConvolutionGradientOptionAll;
    primaryStrideInPixelsX_ = secondaryStrideInPixelsX_ = [convolution_ strideInPixelsX];
    primaryStrideInPixelsY_ = secondaryStrideInPixelsY_ = [convolution_ strideInPixelsY];
    [self hold:std::vector<float>([convolution_ plan]->weights.size(), std::nanf(""))];
    return self;
}

// Hold new weights. Encoded commands keep the weights that were held before.
- (void)hold:(std::vector<float>)values {
    EmulatedWeights *held = [[EmulatedWeights alloc] init];
    held->values_ = std::make_shared<std::vector<float>>(std::move(values));
    [held_ release];
    held_ = held;
}

- (void)loadOnce {
    if (isLoaded_) return;
    isLoaded_ = YES;
    [self hold:in_order_of_outputs(*[convolution_ plan])];
}

- (void)reloadWeightsAndBiasesFromDataSource {
    [convolution_ reloadWeightsAndBiasesFromDataSource];
    isLoaded_ = NO;
    [self loadOnce];
}

- (void)dealloc {
    [convolution_ release];
    [held_ release];
    [super dealloc];
}

- (void)reloadWeightsAndBiasesWithCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
                                          state:(MPSCNNConvolutionWeightsAndBiasesState *)state {
    auto *buffer = static_cast<EmulatedCommandBuffer *>(commandBuffer);
    auto *given = static_cast<EmulatedBuffer *>([state weights]);
    const auto held = static_cast<EmulatedWeights *>(held_)->values_;
    const NSUInteger bytes = held->size() * sizeof(float), offset = [state weightsOffset];
    if (!METAL_EXPECT(given && offset + bytes <= [given length],
                      "a convolution's weights are reloaded from a state without them, or with too few") ||
        !METAL_EXPECT([state biases], "a convolution's biases are reloaded from a state without them") ||
        ![buffer acceptsCommands:"weights are reloaded" fromEncoder:nil])
        return;
    [buffer useArgument:given written:NO];
    const BOOL exact = [convolution_ holdsFloat32];
    [buffer append:[held, given, offset, bytes, exact] {
        std::memcpy(held->data(), [given deviceBytes] + offset, bytes);
        if (!exact)
            for (float &value : *held) value = rounded_to_half(value);
    }];
}

- (BOOL)acceptsStates:(MPSStateBatch *)states gradient:(MPSImage *)gradient source:(MPSImage *)source {
    MPSState *state = [states objectAtIndex:0];
    for (MPSState *other in states)
        if (!METAL_EXPECT(other == state, "a batch of a convolution with several states")) return NO;
    return METAL_EXPECT([state isKindOfClass:[MPSCNNConvolutionGradientState class]],
                        "a convolution's gradient kernel with another kernel's state") &&
           METAL_EXPECT(primaryStrideInPixelsX_ == [convolution_ strideInPixelsX] &&
                            primaryStrideInPixelsY_ == [convolution_ strideInPixelsY] &&
                            secondaryStrideInPixelsX_ == [convolution_ strideInPixelsX] &&
                            secondaryStrideInPixelsY_ == [convolution_ strideInPixelsY],
                        "a convolution's gradient kernel with other strides than its weights'") &&
           METAL_EXPECT(!(gradientOption_ & MPSCNNConvolutionGradientOptionGradientWithWeightsAndBias) ||
                            (primaryOffset_.x == 0 && primaryOffset_.y == 0),
                        "a gradient of weights that begins within the gradient image") &&
           [static_cast<MPSCNNConvolutionGradientState *>(state) isTakenBy:[convolution_ descriptor]
                                                                  gradient:gradient
                                                                    source:source];
}

- (GradientPlan)gradientPlan {
    const auto plan = [convolution_ plan];
    plan->edge = secondaryEdgeMode_;
    return {plan, primaryOffset_, secondaryOffset_, kernelOffsetX_, kernelOffsetY_};
}

- (void)encodeWeightsOf:(MPSCNNConvolutionGradientState *)state
          commandBuffer:(EmulatedCommandBuffer *)commandBuffer
              gradients:(MPSImageBatch *)gradients
                sources:(MPSImageBatch *)sources {
    struct Image {
        msl::TextureView texture;
        NSUInteger channels;
    };
    std::vector<std::pair<Image, Image>> images;
    const auto use = [commandBuffer](MPSImage *image) {
        [commandBuffer useResource:[image emulatedTexture] written:NO];
        return Image{*[[image emulatedTexture] view], [image featureChannels]};
    };
    for (NSUInteger i = 0; i < [gradients count]; ++i)
        images.emplace_back(use([gradients objectAtIndex:i]), use([sources objectAtIndex:i]));
    id<MTLBuffer> weights = [state gradientForWeights], biases = [state gradientForBiases];
    [commandBuffer useResource:static_cast<EmulatedBuffer *>(weights) written:YES];
    [commandBuffer useResource:static_cast<EmulatedBuffer *>(biases) written:YES];
    const bool wrong = behaviour_of(class_getName([self class])) == Behaviour::wrong;
    [commandBuffer append:[plan = [self gradientPlan], images, weights, biases, wrong] {
        std::vector<double> sums(plan.forward->weights.size()), bias_sums(plan.forward->outputs);
        for (const auto &[gradient, source] : images)
            add_weight_gradient(plan, unpack(gradient.texture, gradient.channels, 0, gradient.channels),
                                unpack(source.texture, source.channels, 0, source.channels), sums, bias_sums);
        write(sums, weights, wrong);
        write(bias_sums, biases, wrong);
    }];
}

- (void)encodeDataOf:(MPSImage *)gradient
       commandBuffer:(id<MTLCommandBuffer>)commandBuffer
              result:(MPSImage *)result {
    const Source source{gradient, MPSOffset{0, 0, 0}, [convolution_ outputFeatureChannels]};
    const Target target{result, [convolution_ inputFeatureChannels]};
    encode(
        [self class], commandBuffer, { source }, target,
        [plan = [self gradientPlan], held = static_cast<EmulatedWeights *>(held_)->values_](
            const std::vector<Pixels> &sources, Pixels &to) { data_gradient(plan, *held, sources[0], to); });
}

- (void)encodeBatchToCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
                   sourceGradients:(MPSImageBatch *)sourceGradients
                      sourceImages:(MPSImageBatch *)sourceImages
                    gradientStates:(MPSStateBatch *)gradientStates
              destinationGradients:(MPSImageBatch *)destinationGradients {
    if (![self acceptsGradients:sourceGradients
                        sources:sourceImages
                         states:gradientStates
                        results:destinationGradients] ||
        ![self acceptsStates:gradientStates
                    gradient:[sourceGradients objectAtIndex:0]
                      source:[sourceImages objectAtIndex:0]])
        return;
    auto *buffer = static_cast<EmulatedCommandBuffer *>(commandBuffer);
    if (![buffer acceptsCommands:"a kernel is encoded" fromEncoder:nil]) return;
    [self loadOnce];
    for (MPSImageBatch *batch in @[ sourceGradients, sourceImages, destinationGradients ])
        for (MPSImage *image in batch)
            if (![image acceptsUseOn:buffer]) return;
    const bool wants_data = gradientOption_ & MPSCNNConvolutionGradientOptionGradientWithData;
    if (gradientOption_ & MPSCNNConvolutionGradientOptionGradientWithWeightsAndBias)
        [self encodeWeightsOf:static_cast<MPSCNNConvolutionGradientState *>([gradientStates objectAtIndex:0])
                commandBuffer:buffer
                    gradients:sourceGradients
                      sources:sourceImages];
    for (NSUInteger i = 0; i < [sourceGradients count]; ++i) {
        if (wants_data)
            [self encodeDataOf:[sourceGradients objectAtIndex:i] // this decrements its read count
                 commandBuffer:commandBuffer
                        result:[destinationGradients objectAtIndex:i]];
        else
            [[sourceGradients objectAtIndex:i] wasRead];
        [[sourceImages objectAtIndex:i] wasRead];
    }
}
@end

@implementation MPSCNNFullyConnectedGradient

- (instancetype)initWithDevice:(id<MTLDevice>)device {
    (void)device;
    return [self refuse:"initWithDevice:"];
}

- (instancetype)initWithDevice:(id<MTLDevice>)device weights:(id<MPSCNNConvolutionDataSource>)weights {
    return [super initWithDevice:device weights:weights];
}

- (BOOL)acceptsStates:(MPSStateBatch *)states gradient:(MPSImage *)gradient source:(MPSImage *)source {
    return METAL_EXPECT([source width] == [convolution_ kernelWidth] &&
                            [source height] == [convolution_ kernelHeight] && [gradient width] == 1 &&
                            [gradient height] == 1,
                        "a fully connected gradient kernel of another size than its images") &&
           [super acceptsStates:states gradient:gradient source:source];
}
@end
