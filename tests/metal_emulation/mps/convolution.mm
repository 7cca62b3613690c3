#import "mps/convolution.h"

#include <cstdint>
#include <cstring>

using namespace metal_emulation;

namespace metal_emulation {

float rounded_to_half(float value) { return static_cast<float>(static_cast<_Float16>(value)); }

void add_tap(const ConvolutionPlan &plan, const float *from, NSUInteger row, NSUInteger column, float *sums) {
    for (NSUInteger group = 0; group < plan.groups; ++group) {
        const float *weights = plan.tap(group, row, column);
        float *group_sums = sums + group * plan.group_outputs();
        for (NSUInteger i = 0; i < plan.group_inputs(); ++i, weights += plan.group_outputs()) {
            const float value = from[group * plan.group_inputs() + i];
            for (NSUInteger o = 0; o < plan.group_outputs(); ++o) group_sums[o] += value * weights[o];
            if (plan.half_sums)
                for (NSUInteger o = 0; o < plan.group_outputs(); ++o)
                    group_sums[o] = rounded_to_half(group_sums[o]);
        }
    }
}

} // namespace metal_emulation

namespace {

void convolve(const ConvolutionPlan &plan, const Pixels &source, Pixels &result) {
    for (NSUInteger y = 0; y < result.height; ++y)
        for (NSUInteger x = 0; x < result.width; ++x) {
            float *sums = result.at(x, y);
            std::memcpy(sums, plan.bias.data(), plan.outputs * sizeof(float));
            for (NSUInteger row = 0; row < plan.kernel_height; ++row)
                for (NSUInteger column = 0; column < plan.kernel_width; ++column) {
                    const NSInteger from_x = edge_index(plan.x0 + plan.stride_x * static_cast<NSInteger>(x) +
                                                            plan.dilation_x * static_cast<NSInteger>(column),
                                                        source.width, plan.edge);
                    const NSInteger from_y = edge_index(plan.y0 + plan.stride_y * static_cast<NSInteger>(y) +
                                                            plan.dilation_y * static_cast<NSInteger>(row),
                                                        source.height, plan.edge);
                    if (from_x < 0 || from_y < 0) continue;
                    add_tap(plan, source.at(static_cast<NSUInteger>(from_x), static_cast<NSUInteger>(from_y)),
                            row, column, sums);
                }
            for (NSUInteger o = 0; o < plan.outputs; ++o) sums[o] = plan.neuron(sums[o]);
        }
}

std::vector<float> floats_from(const void *memory, MPSDataType type, std::size_t count) {
    std::vector<float> values(count);
    if (type == MPSDataTypeUInt8) {
        const auto *integers = static_cast<const std::uint8_t *>(memory);
        for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<float>(integers[i]) / 255.0f;
    } else if (type == MPSDataTypeFloat32) {
        std::memcpy(values.data(), memory, count * sizeof(float));
    } else {
        const auto *halves = static_cast<const _Float16 *>(memory);
        for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<float>(halves[i]);
    }
    return values;
}

std::size_t bytes_of(MPSDataType type) {
    return type == MPSDataTypeFloat32 ? 4 : type == MPSDataTypeFloat16 ? 2 : 1;
}

/// Map UInt8 weights from 0..1 to their channels' ranges. Record a violation and return NO for an invalid
/// range.
BOOL stretch(std::vector<float> &weights, const vector_float2 *ranges, std::size_t outputs) {
    const std::size_t size = weights.size() / outputs;
    for (std::size_t i = 0; i < weights.size(); ++i) {
        const vector_float2 range = ranges[i / size];
        if (!METAL_EXPECT(range.x <= range.y, "a range of UInt8 weights from %g to %g",
                          static_cast<double>(range.x), static_cast<double>(range.y)))
            return NO;
        const float extent = range.y - range.x;
        weights[i] = weights[i] * extent + range.x;
    }
    return YES;
}

NSData *data_of(const std::vector<float> &values) {
    return [[NSData alloc] initWithBytes:values.data() length:values.size() * sizeof(float)];
}

std::vector<float> floats_of(NSData *data) {
    const auto *first = static_cast<const float *>([data bytes]);
    return {first, first + [data length] / sizeof(float)};
}

} // namespace

@implementation MPSCNNConvolution
@synthesize accumulatorPrecisionOption = accumulatorPrecisionOption_;

- (instancetype)initWithDevice:(id<MTLDevice>)device {
    (void)device;
    return [self refuse:"initWithDevice:"];
}

- (instancetype)initWithDevice:(id<MTLDevice>)device weights:(id<MPSCNNConvolutionDataSource>)weights {
    self = [super initWithDevice:device];
    if (!self) return nil;
    METAL_EXPECT(weights, "a convolution without weights");
    accumulatorPrecisionOption_ = MPSNNConvolutionAccumulatorPrecisionOptionFloat;
    dataSource_ = [weights retain];
    if (![self loadWeights]) {
        [self release];
        return nil;
    }
    return self;
}

- (void)dealloc {
    [dataSource_ release];
    [descriptor_ release];
    [weights_ release];
    [bias_ release];
    [super dealloc];
}

// MPS calls a data source between load and purge only. The emulation asks for types of weights later, too.
- (BOOL)loadWeights {
    if (switches().purge_first) [dataSource_ purge];
    if (![dataSource_ load]) return NO;
    METAL_EXPECT([dataSource_ label] != nil, "a data source without a label");
    MPSCNNConvolutionDescriptor *descriptor = [dataSource_ descriptor];
    const BOOL good = [descriptor isValid] && [self acceptsDataType] && [self takeDescriptor:descriptor] &&
                      [self takeWeights];
    [dataSource_ purge];
    return good;
}

- (BOOL)acceptsDataType {
    const MPSDataType type = [dataSource_ dataType];
    if (!METAL_EXPECT(type == MPSDataTypeFloat32 || type == MPSDataTypeFloat16 || type == MPSDataTypeUInt8,
                      "weights of data type %#x", static_cast<unsigned>(type)))
        return NO;
    return METAL_EXPECT(![self holdsFloat32] || type == MPSDataTypeFloat32,
                        "kernelWeightsDataType Float32 of a source that is not Float32") &&
           METAL_EXPECT([dataSource_ weights], "a data source without weights") &&
           [self acceptsQuantization:type == MPSDataTypeUInt8];
}

- (BOOL)acceptsQuantization:(BOOL)isInteger {
    const MPSCNNWeightsQuantizationType type =
        [dataSource_ respondsToSelector:@selector(weightsQuantizationType)]
            ? [dataSource_ weightsQuantizationType]
            : MPSCNNWeightsQuantizationTypeNone;
    if (!isInteger)
        return METAL_EXPECT(type == MPSCNNWeightsQuantizationTypeNone,
                            "a quantization type of weights that are not UInt8");
    return METAL_EXPECT(type != MPSCNNWeightsQuantizationTypeNone,
                        "UInt8 weights without a quantization type") &&
           METAL_EXPECT(type == MPSCNNWeightsQuantizationTypeLinear,
                        "the emulation does not have look-up tables of weights") &&
           METAL_EXPECT([dataSource_ respondsToSelector:@selector(rangesForUInt8Kernel)] &&
                            [dataSource_ rangesForUInt8Kernel],
                        "linear UInt8 weights without ranges");
}

- (BOOL)holdsFloat32 {
    return [dataSource_ respondsToSelector:@selector(kernelWeightsDataType)] &&
           [dataSource_ kernelWeightsDataType] == MPSDataTypeFloat32;
}

- (BOOL)takeDescriptor:(MPSCNNConvolutionDescriptor *)descriptor {
    [descriptor_ release];
    descriptor_ = [descriptor copy];
    kernelWidth_ = [descriptor kernelWidth];
    kernelHeight_ = [descriptor kernelHeight];
    strideInPixelsX_ = [descriptor strideInPixelsX];
    strideInPixelsY_ = [descriptor strideInPixelsY];
    dilationRateX_ = [descriptor dilationRateX];
    dilationRateY_ = [descriptor dilationRateY];
    return YES;
}

// A depthwise convolution has one channel in each group.
- (NSUInteger)groupCount {
    return [descriptor_ isDepthwise] ? [descriptor_ inputFeatureChannels] : [descriptor_ groups];
}

- (BOOL)takeWeights {
    const NSUInteger outputs = [descriptor_ outputFeatureChannels], groups = [self groupCount];
    const NSUInteger inputs = [descriptor_ inputFeatureChannels] / groups,
                     taps = kernelWidth_ * kernelHeight_;
    std::vector<float> given =
        floats_from([dataSource_ weights], [dataSource_ dataType], outputs * taps * inputs);
    if ([dataSource_ dataType] == MPSDataTypeUInt8)
        if (!stretch(given, [dataSource_ rangesForUInt8Kernel], outputs)) return NO;
    switches().bytes_of_weights += static_cast<long>(given.size() * bytes_of([dataSource_ dataType]));
    const float *terms = [dataSource_ biasTerms];
    std::vector<float> weights(given.size()), bias(outputs);
    const bool exact = [self holdsFloat32];
    for (NSUInteger o = 0; o < outputs; ++o) {
        bias[o] = terms ? terms[o] : 0.0f;
        for (NSUInteger tap = 0; tap < taps; ++tap)
            for (NSUInteger i = 0; i < inputs; ++i) {
                const float weight = given[(o * taps + tap) * inputs + i];
                const NSUInteger in_group = o % (outputs / groups), group = o / (outputs / groups);
                weights[((group * taps + tap) * inputs + i) * (outputs / groups) + in_group] =
                    exact ? weight : rounded_to_half(weight);
            }
    }
    [weights_ release];
    [bias_ release];
    weights_ = data_of(weights);
    bias_ = data_of(bias);
    return YES;
}

- (BOOL)isResultStateReusedAcrossBatch {
    return YES;
}

- (MPSCNNConvolutionGradientState *)resultStateForSourceImage:(MPSImage *)sourceImage
                                                 sourceStates:(NSArray<MPSState *> *)sourceStates
                                             destinationImage:(MPSImage *)destinationImage {
    (void)sourceStates;
    return [[[MPSCNNConvolutionGradientState alloc] initWithConvolution:self
                                                            sourceImage:sourceImage
                                                       destinationImage:destinationImage] autorelease];
}

- (MPSCNNConvolutionGradientStateBatch *)resultStateBatchForSourceImage:(MPSImageBatch *)sourceImage
                                                           sourceStates:
                                                               (NSArray<MPSStateBatch *> *)sourceStates
                                                       destinationImage:(MPSImageBatch *)destinationImage {
    return static_cast<MPSCNNConvolutionGradientStateBatch *>([super
        resultStateBatchForSourceImage:sourceImage
                          sourceStates:sourceStates
                      destinationImage:destinationImage]);
}

- (void)reloadWeightsAndBiasesFromDataSource {
    METAL_EXPECT([self loadWeights], "reloadWeightsAndBiasesFromDataSource: the data source did not load");
}

// The emulation only checks the state. It continues to compute with the weights that it loaded before.
- (void)reloadWeightsAndBiasesWithCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
                                          state:(MPSCNNConvolutionWeightsAndBiasesState *)state {
    auto *buffer = static_cast<EmulatedCommandBuffer *>(commandBuffer);
    if (!METAL_EXPECT([state weights] && [state biases],
                      "a convolution is reloaded from a state without weights or without biases") ||
        ![buffer acceptsCommands:"a convolution is reloaded" fromEncoder:nil])
        return;
    [buffer useArgument:static_cast<EmulatedBuffer *>([state weights]) written:NO];
    [buffer useArgument:static_cast<EmulatedBuffer *>([state biases]) written:NO];
}

- (MPSCNNConvolutionDescriptor *)descriptor {
    return descriptor_;
}
- (NSUInteger)inputFeatureChannels {
    return [descriptor_ inputFeatureChannels];
}
- (NSUInteger)outputFeatureChannels {
    return [descriptor_ outputFeatureChannels];
}
- (NSUInteger)groups {
    return [descriptor_ groups];
}
- (MPSNNNeuronDescriptor *)fusedNeuronDescriptor {
    return [descriptor_ fusedNeuronDescriptor];
}

- (NSUInteger)sourceChannelsIn:(MPSImage *)source {
    (void)source;
    return [self inputFeatureChannels];
}

- (NSUInteger)resultChannelsFor:(MPSImage *)source {
    (void)source;
    return [self outputFeatureChannels];
}

- (NSInteger)firstColumn {
    return window_start(offset_.x, (kernelWidth_ - 1) * dilationRateX_ + 1);
}

- (NSInteger)firstRow {
    return window_start(offset_.y, (kernelHeight_ - 1) * dilationRateY_ + 1);
}

- (BOOL)acceptsSource:(MPSImage *)source {
    (void)source;
    return METAL_EXPECT(![self holdsFloat32] ||
                            accumulatorPrecisionOption_ == MPSNNConvolutionAccumulatorPrecisionOptionFloat,
                        "weights held as Float32 with sums in half precision");
}

- (std::shared_ptr<ConvolutionPlan>)plan {
    auto plan = std::make_shared<ConvolutionPlan>();
    plan->x0 = [self firstColumn];
    plan->y0 = [self firstRow];
    plan->stride_x = static_cast<NSInteger>(strideInPixelsX_);
    plan->stride_y = static_cast<NSInteger>(strideInPixelsY_);
    plan->dilation_x = static_cast<NSInteger>(dilationRateX_);
    plan->dilation_y = static_cast<NSInteger>(dilationRateY_);
    plan->kernel_width = kernelWidth_;
    plan->kernel_height = kernelHeight_;
    plan->inputs = [self inputFeatureChannels];
    plan->outputs = [self outputFeatureChannels];
    plan->groups = [self groupCount];
    plan->edge = edgeMode_;
    plan->half_sums = accumulatorPrecisionOption_ == MPSNNConvolutionAccumulatorPrecisionOptionHalf;
    plan->weights = floats_of(weights_);
    plan->bias = floats_of(bias_);
    plan->neuron = Neuron::from([self fusedNeuronDescriptor]);
    return plan;
}

- (Compute)computeForSource:(MPSImage *)source {
    [self acceptsSource:source];
    return [plan = [self plan]](const std::vector<Pixels> &sources, Pixels &result) {
        convolve(*plan, sources[0], result);
    };
}
@end

@implementation MPSCNNFullyConnected

- (instancetype)initWithDevice:(id<MTLDevice>)device {
    (void)device;
    return [self refuse:"initWithDevice:"];
}

- (instancetype)initWithDevice:(id<MTLDevice>)device weights:(id<MPSCNNConvolutionDataSource>)weights {
    return [super initWithDevice:device weights:weights];
}

// The kernel covers the whole source; the offset is ignored.
- (NSInteger)firstColumn {
    return 0;
}
- (NSInteger)firstRow {
    return 0;
}

- (BOOL)acceptsSource:(MPSImage *)source {
    return [super acceptsSource:source] &&
           METAL_EXPECT([source width] == kernelWidth_ && [source height] == kernelHeight_,
                        "a fully connected kernel of %lu x %lu for a source of %lu x %lu", kernelWidth_,
                        kernelHeight_, [source width], [source height]) &&
           METAL_EXPECT(
               kernelWidth_ == kernelHeight_,
               "a fully connected kernel that is not square: the order of its weights is not documented") &&
           METAL_EXPECT([self groups] == 1 && strideInPixelsX_ == 1 && strideInPixelsY_ == 1,
                        "a fully connected kernel with groups or strides");
}
@end
