// Gradients of convolutions: tests of their results, and of every rule, which is broken once and must be
// noticed.
#include "emulation_check.h"

#import "convolution_weights.h"

namespace {

/// One row of pixels and a window of two columns, unless set otherwise.
struct Case {
    NSUInteger inputs = 1, outputs = 1, width = 2, stride = 1;
    NSUInteger images = 1;
    std::vector<float> weights{1, 10};
    std::vector<float> source{1, 2, 3}, gradient{1, 1};
    MPSCNNConvolutionGradientOption option = MPSCNNConvolutionGradientOptionAll;
};

MPSCNNConvolutionDescriptor *describe_convolution(const Case &given) {
    MPSCNNConvolutionDescriptor *descriptor =
        [MPSCNNConvolutionDescriptor cnnConvolutionDescriptorWithKernelWidth:given.width
                                                                kernelHeight:1
                                                        inputFeatureChannels:given.inputs
                                                       outputFeatureChannels:given.outputs];
    [descriptor setStrideInPixelsX:given.stride];
    return descriptor;
}

TestWeights *weights_of(const Case &given) {
    TestWeights *weights = owned([[TestWeights alloc] initWithDescriptor:describe_convolution(given)
                                                                 weights:given.weights
                                                                    bias:{}]);
    weights->kernelType_ = MPSDataTypeFloat32;
    return weights;
}

template <class Kernel = MPSCNNConvolution> Kernel *convolution(const Case &given) {
    return owned([[Kernel alloc] initWithDevice:device() weights:weights_of(given)]);
}

/// Make a gradient kernel whose offsets fit a forward convolution without padding.
template <class Kernel = MPSCNNConvolutionGradient> Kernel *gradient_kernel(const Case &given) {
    Kernel *kernel = owned([[Kernel alloc] initWithDevice:device() weights:weights_of(given)]);
    const auto offset = static_cast<NSInteger>(given.width / 2); // the forward kernel's offset
    [kernel setKernelOffsetX:static_cast<NSInteger>(given.width % 2 == 0) - offset];
    [kernel setGradientOption:given.option];
    return kernel;
}

MPSImageBatch *batch_of(NSUInteger images, NSUInteger channels, const std::vector<float> &row) {
    NSMutableArray *batch = [NSMutableArray array];
    for (NSUInteger i = 0; i < images; ++i)
        [batch addObject:image_of(row.size() / channels, 1, channels, row)];
    return batch;
}

struct Encoding {
    MPSImageBatch *gradients, *sources, *results;
    MPSStateBatch *states;

    explicit Encoding(const Case &given)
        : gradients(batch_of(given.images, given.outputs, given.gradient)),
          sources(batch_of(given.images, given.inputs, given.source)),
          results(batch_of(given.images, given.inputs, std::vector<float>(given.source.size()))),
          states([convolution(given) resultStateBatchForSourceImage:sources
                                                       sourceStates:nil
                                                   destinationImage:gradients]) {}

    void run(MPSCNNGradientKernel *kernel) const {
        id<MTLCommandBuffer> commands = command_buffer();
        encode(kernel, commands);
        finish(commands);
    }
    void encode(MPSCNNGradientKernel *kernel, id<MTLCommandBuffer> commands) const {
        [kernel encodeBatchToCommandBuffer:commands
                           sourceGradients:gradients
                              sourceImages:sources
                            gradientStates:states
                      destinationGradients:results];
    }
    MPSCNNConvolutionGradientState *state() const {
        return static_cast<MPSCNNConvolutionGradientState *>([states objectAtIndex:0]);
    }
};

MPSImageBatch *without_last(MPSImageBatch *batch) {
    return [batch subarrayWithRange:NSMakeRange(0, [batch count] - 1)];
}

MPSCNNConvolutionWeightsAndBiasesState *weights_state(id<MTLBuffer> weights, NSUInteger offset = 0,
                                                      id<MTLBuffer> biases = nil) {
    return owned([[MPSCNNConvolutionWeightsAndBiasesState alloc] initWithWeights:weights
                                                                   weightsOffset:offset
                                                                          biases:biases
                                                                    biasesOffset:0
                                                        cnnConvolutionDescriptor:describe_convolution({})]);
}

} // namespace

CLEAN_TEST(a_batch_adds_to_one_gradient_of_weights) {
    const Case given{.images = 2};
    const Encoding encoding(given);
    CHECK([encoding.states objectAtIndex:0] == [encoding.states objectAtIndex:1]);
    CHECK([encoding.state() sourceWidth] == 3 && [encoding.state() sourceHeight] == 1);
    encoding.run(gradient_kernel(given));
    CHECK(pixels_of([encoding.results objectAtIndex:1]) == std::vector<float>({1, 11, 10}));
    CHECK(floats_in([encoding.state() gradientForWeights]) ==
          std::vector<float>({6, 10})); // 1 + 2, 2 + 3, twice
    CHECK(floats_in([encoding.state() gradientForBiases]) == std::vector<float>({4}));
}

CLEAN_TEST(strides_spread_the_gradient) {
    const Case given{.stride = 2, .source = {1, 2, 3, 4}};
    const Encoding encoding(given);
    encoding.run(gradient_kernel(given));
    CHECK(pixels_of([encoding.results objectAtIndex:0]) == std::vector<float>({1, 10, 1, 10}));
    CHECK(floats_in([encoding.state() gradientForWeights]) == std::vector<float>({4, 6}));
}

CLEAN_TEST(offsets_are_those_of_the_forward_kernel) {
    const Case given{.gradient = {1, 1, 1}};
    const Encoding encoding(given);
    MPSCNNConvolutionGradient *kernel = gradient_kernel(given);
    [kernel setKernelOffsetX:1]; // for offset 0: a column of padding on the left
    [kernel setSecondaryOffset:MPSOffset{-1, 0, 0}];
    encoding.run(kernel);
    CHECK(pixels_of([encoding.results objectAtIndex:0]) == std::vector<float>({11, 11, 10}));
    CHECK(floats_in([encoding.state() gradientForWeights]) == std::vector<float>({3, 6}));
}

CLEAN_TEST(weights_are_reloaded_in_the_order_of_commands) {
    Case given;
    given.option = MPSCNNConvolutionGradientOptionGradientWithData;
    const Encoding first(given), second(given);
    MPSCNNConvolutionGradient *kernel = gradient_kernel(given);
    id<MTLCommandBuffer> commands = command_buffer();
    first.encode(kernel, commands);
    [kernel reloadWeightsAndBiasesWithCommandBuffer:commands
                                              state:weights_state(buffer_of({0, 5, 7}), 4, buffer_of({0}))];
    second.encode(kernel, commands);
    finish(commands);
    CHECK(pixels_of([first.results objectAtIndex:0]) == std::vector<float>({1, 11, 10}));
    CHECK(pixels_of([second.results objectAtIndex:0]) == std::vector<float>({5, 12, 7}));
}

CLEAN_TEST(what_is_reloaded_before_the_first_encode_is_lost) {
    Case given;
    given.option = MPSCNNConvolutionGradientOptionGradientWithData;
    MPSCNNConvolutionWeightsAndBiasesState *state = weights_state(buffer_of({5, 7}), 0, buffer_of({0}));
    for (const bool loads : {false, true}) {
        const Encoding encoding(given);
        MPSCNNConvolutionGradient *kernel = gradient_kernel(given);
        if (loads) [kernel reloadWeightsAndBiasesFromDataSource];
        id<MTLCommandBuffer> commands = command_buffer();
        [kernel reloadWeightsAndBiasesWithCommandBuffer:commands state:state];
        encoding.encode(kernel, commands);
        finish(commands);
        const std::vector<float> expected =
            loads ? std::vector<float>{5, 12, 7} : std::vector<float>{1, 11, 10};
        CHECK(pixels_of([encoding.results objectAtIndex:0]) == expected);
    }
}

CLEAN_TEST(temporary_images_of_a_batch_are_read_once) {
    Case given{.inputs = 2, .outputs = 2, .width = 1, .weights = {1, 0, 0, 1}};
    given.option = MPSCNNConvolutionGradientOptionGradientWithData;
    id<MTLCommandBuffer> commands = command_buffer();
    MPSTemporaryImage *gradient = temporary(commands, 2), *source = temporary(commands, 2),
                      *result = temporary(commands, 2);
    MPSCNNConvolution *forward = convolution(given);
    MPSState *state = [forward resultStateForSourceImage:source sourceStates:nil destinationImage:gradient];
    [convolution(given) encodeToCommandBuffer:commands
                                  sourceImage:image_of(2, 2, 2, std::vector<float>(8))
                             destinationImage:gradient];
    [gradient_kernel(given) encodeToCommandBuffer:commands
                                   sourceGradient:gradient
                                      sourceImage:source
                                    gradientState:state
                              destinationGradient:result];
    CHECK([gradient readCount] == 0 && [source readCount] == 0 && [result readCount] == 1);
    [result setReadCount:0];
    finish(commands);
}

TEST(batches_of_gradients) {
    const Case two{.images = 2};
    BREAKS("batches of 1 gradients, 2 source images", {
        Encoding encoding(two);
        encoding.gradients = without_last(encoding.gradients);
        encoding.run(gradient_kernel(two));
    });
    BREAKS("a batch whose images differ", {
        Encoding encoding(two);
        encoding.sources = @[ [encoding.sources objectAtIndex:0], image_of(2, 1, 1, {0, 0}) ];
        encoding.run(gradient_kernel(two));
    });
    BREAKS("a batch of a convolution with several states", {
        Encoding encoding(two);
        encoding.states = @[ encoding.state(), Encoding(two).state() ];
        encoding.run(gradient_kernel(two));
    });
    BREAKS("states for batches of 2 source images and 1 results", {
        const Encoding encoding(two);
        [convolution(two) resultStateBatchForSourceImage:encoding.sources
                                            sourceStates:nil
                                        destinationImage:without_last(encoding.results)];
    });
    BREAKS("without a gradient, a source image, a state or a result", {
        const Encoding encoding({});
        [gradient_kernel({}) encodeToCommandBuffer:command_buffer()
                                    sourceGradient:[encoding.gradients objectAtIndex:0]
                                       sourceImage:[encoding.sources objectAtIndex:0]
                                     gradientState:nil
                               destinationGradient:[encoding.results objectAtIndex:0]];
    });
}

TEST(states_of_gradients) {
    BREAKS("with another kernel's state", {
        Encoding encoding({});
        encoding.states = @[ owned([[MPSNNGradientState alloc] init]) ];
        encoding.run(gradient_kernel({}));
    });
    BREAKS("the state of a convolution of another shape", {
        const Case strided{.stride = 2};
        Encoding encoding({});
        encoding.states =
            @[ [convolution(strided) resultStateForSourceImage:[encoding.sources objectAtIndex:0]
                                                  sourceStates:nil
                                              destinationImage:[encoding.gradients objectAtIndex:0]] ];
        encoding.run(gradient_kernel({}));
    });
    BREAKS("a gradient of 3 x 1 for a kernel whose result was 2 x 1", {
        Encoding encoding({});
        encoding.gradients = batch_of(1, 1, {1, 1, 1});
        encoding.run(gradient_kernel({}));
    });
    BREAKS("a source image of 4 x 1 for a kernel that read 3 x 1", {
        Encoding encoding({});
        encoding.sources = batch_of(1, 1, {1, 1, 1, 1});
        encoding.run(gradient_kernel({}));
    });
    BREAKS("used for a second batch", {
        const Encoding encoding({});
        encoding.run(gradient_kernel({}));
        encoding.run(gradient_kernel({}));
    });
}

TEST(properties_of_gradients) {
    BREAKS("other strides than its weights'", {
        MPSCNNConvolutionGradient *kernel = gradient_kernel({});
        [kernel setSecondaryStrideInPixelsX:2];
        Encoding({}).run(kernel);
    });
    BREAKS("begins within the gradient image", {
        MPSCNNConvolutionGradient *kernel = gradient_kernel({});
        [kernel setPrimaryOffset:MPSOffset{1, 0, 0}];
        Encoding({}).run(kernel);
    });
    BREAKS("fused neuron", {
        TestWeights *weights = weights_of({});
        [weights->descriptor_ setFusedNeuronDescriptor:[MPSNNNeuronDescriptor
                                                           cnnNeuronDescriptorWithType:MPSCNNNeuronTypeReLU]];
        owned([[MPSCNNConvolutionGradient alloc] initWithDevice:device() weights:weights]);
    });
    BREAKS("of another size than its images",
           { Encoding({}).run(gradient_kernel<MPSCNNFullyConnectedGradient>({})); });
    BREAKS("initWithDevice: of MPSCNNConvolutionGradient is unavailable",
           [[MPSCNNConvolutionGradient alloc] initWithDevice:device()]);
}

TEST(reloaded_weights) {
    BREAKS("weights of a convolution: 2 floats from byte 60 of a buffer of 64",
           weights_state(small_buffer(), 60));
    BREAKS("biases of a convolution: 1 floats", weights_state(small_buffer(), 0, buffer_of({})));
    BREAKS("biases are reloaded from a state without them", {
        [gradient_kernel({}) reloadWeightsAndBiasesWithCommandBuffer:command_buffer()
                                                               state:weights_state(buffer_of({1, 2}))];
    });
    BREAKS("reloaded from a state without weights or without biases", {
        [convolution({}) reloadWeightsAndBiasesWithCommandBuffer:command_buffer()
                                                           state:weights_state(buffer_of({1, 2}))];
    });
    BREAKS("a state without them, or with too few", {
        const Case wide{.width = 5, .weights = {0, 0, 0, 0, 0}, .source = {0, 0, 0, 0, 0, 0}};
        [gradient_kernel(wide) reloadWeightsAndBiasesWithCommandBuffer:command_buffer()
                                                                 state:weights_state(buffer_of({1, 2}))];
    });
}
