// Compares the results of the emulated MPS kernels with formulas that are written again here, and with
// numbers that were measured on a Mac.
#import "convolution_weights.h"

#include "emulation_check.h"

#include <cmath>

namespace {

float to_half(float value) { return static_cast<float>(static_cast<_Float16>(value)); }

std::vector<float> noise(std::size_t count, unsigned seed = 1) {
    std::vector<float> values(count);
    for (float &value : values) {
        seed = seed * 1664525u + 1013904223u;
        value = static_cast<float>(seed >> 16) / 32768.0f - 1.0f;
    }
    return values;
}

const std::vector<float> one_to_nine{1, 2, 3, 4, 5, 6, 7, 8, 9};

MPSCNNPoolingAverage *average(NSUInteger kernel, MPSImageEdgeMode edge) {
    MPSCNNPoolingAverage *pooling = owned([[MPSCNNPoolingAverage alloc] initWithDevice:device()
                                                                           kernelWidth:kernel
                                                                          kernelHeight:kernel
                                                                       strideInPixelsX:1
                                                                       strideInPixelsY:1]);
    [pooling setEdgeMode:edge];
    return pooling;
}

struct ConvolutionCase {
    NSUInteger kernel_width, kernel_height, inputs, outputs, groups, stride, dilation;
    bool depthwise;
};

MPSCNNConvolutionDescriptor *describe(const ConvolutionCase &c) {
    Class kind =
        c.depthwise ? [MPSCNNDepthWiseConvolutionDescriptor class] : [MPSCNNConvolutionDescriptor class];
    MPSCNNConvolutionDescriptor *descriptor = [kind cnnConvolutionDescriptorWithKernelWidth:c.kernel_width
                                                                               kernelHeight:c.kernel_height
                                                                       inputFeatureChannels:c.inputs
                                                                      outputFeatureChannels:c.outputs];
    [descriptor setGroups:c.groups];
    [descriptor setStrideInPixelsX:c.stride];
    [descriptor setStrideInPixelsY:c.stride];
    [descriptor setDilationRateX:c.dilation];
    [descriptor setDilationRateY:c.dilation];
    return descriptor;
}

// Correlate with weights in OHWI order. Depthwise weights are [channel][row][column], which is the same for
// one input.
double expected(const ConvolutionCase &c, const std::vector<float> &x, NSInteger width, NSInteger height,
                const std::vector<float> &w, const std::vector<float> &bias, MPSOffset offset, NSInteger ox,
                NSInteger oy, NSUInteger o) {
    const NSUInteger groups = c.depthwise ? c.inputs : c.groups, group_inputs = c.inputs / groups;
    const auto extent = [&](NSUInteger k) { return static_cast<NSInteger>((k - 1) * c.dilation + 1); };
    double sum = bias[o];
    for (NSUInteger r = 0; r < c.kernel_height; ++r)
        for (NSUInteger q = 0; q < c.kernel_width; ++q)
            for (NSUInteger i = 0; i < group_inputs; ++i) {
                const NSInteger iy = offset.y + static_cast<NSInteger>(c.stride) * oy -
                                     extent(c.kernel_height) / 2 + static_cast<NSInteger>(c.dilation * r);
                const NSInteger ix = offset.x + static_cast<NSInteger>(c.stride) * ox -
                                     extent(c.kernel_width) / 2 + static_cast<NSInteger>(c.dilation * q);
                if (ix < 0 || iy < 0 || ix >= width || iy >= height) continue;
                const NSUInteger channel = o / (c.outputs / groups) * group_inputs + i;
                sum +=
                    static_cast<double>(x[(static_cast<NSUInteger>(iy * width + ix)) * c.inputs + channel]) *
                    static_cast<double>(
                        to_half(w[((o * c.kernel_height + r) * c.kernel_width + q) * group_inputs + i]));
            }
    return sum;
}

void check_convolution(const ConvolutionCase &c) {
    const NSInteger width = 7, height = 6;
    const NSUInteger group_inputs = c.depthwise ? 1 : c.inputs / c.groups;
    const std::vector<float> x = noise(static_cast<std::size_t>(width * height) * c.inputs);
    const std::vector<float> w = noise(c.outputs * c.kernel_width * c.kernel_height * group_inputs, 2);
    const std::vector<float> bias = noise(c.outputs, 3);
    TestWeights *weights = owned([[TestWeights alloc] initWithDescriptor:describe(c) weights:w bias:bias]);
    MPSCNNConvolution *convolution = owned([[MPSCNNConvolution alloc] initWithDevice:device()
                                                                             weights:weights]);
    CHECK(weights->loads_ == 1 && weights->purges_ == 1);
    metal_emulation_set("purge_first", 1);
    [convolution reloadWeightsAndBiasesFromDataSource];
    metal_emulation_set("purge_first", 0);
    CHECK(weights->loads_ == 2 && weights->purges_ == 3);
    const MPSOffset offset{1, 0, 0};
    [convolution setOffset:offset];
    MPSImage *source = image_of(static_cast<NSUInteger>(width), static_cast<NSUInteger>(height), c.inputs, x);
    const std::vector<float> got = result_of(convolution, source, image(4, 3, c.outputs));
    for (NSInteger y = 0; y < 3; ++y)
        for (NSInteger ox = 0; ox < 4; ++ox)
            for (NSUInteger o = 0; o < c.outputs; ++o)
                CHECK(
                    std::fabs(static_cast<double>(got[static_cast<std::size_t>(y * 4 + ox) * c.outputs + o]) -
                              expected(c, x, width, height, w, bias, offset, ox, y, o)) < 2e-5);
}

} // namespace

CLEAN_TEST(average_pooling_as_measured) {
    MPSImage *source = image_of(3, 3, 1, one_to_nine);
    CHECK(result_of(average(2, MPSImageEdgeModeZero), source, image(3, 3, 1)) ==
          std::vector<float>({.25f, .75f, 1.25f, 1.25f, 3, 4, 2.75f, 6, 7}));
    CHECK(result_of(average(3, MPSImageEdgeModeZero), source, image(3, 3, 1))[0] == 12.0f / 9);
}

CLEAN_TEST(average_pooling_shrinks_its_window) {
    MPSImage *source = image_of(3, 3, 1, one_to_nine);
    CHECK(result_of(average(3, MPSImageEdgeModeClamp), source, image(3, 3, 1))[0] == 3);
    MPSCNNPoolingAverage *padded = average(3, MPSImageEdgeModeClamp);
    [padded setZeroPadSizeX:1];
    [padded setZeroPadSizeY:1];
    CHECK(result_of(padded, source, image(3, 3, 1))[0] == 12.0f / 9);
    [padded setOffset:MPSOffset{9, 9, 0}];
    CHECK(result_of(padded, source, image(1, 1, 1))[0] == 0);
}

CLEAN_TEST(max_pooling_at_edges) {
    MPSImage *source = image_of(2, 1, 1, {-3, -2});
    MPSCNNPoolingMax *pooling = owned([[MPSCNNPoolingMax alloc] initWithDevice:device()
                                                                   kernelWidth:3
                                                                  kernelHeight:1]);
    CHECK(result_of(pooling, source, image(2, 1, 1)) == std::vector<float>({0, 0}));
    [pooling setEdgeMode:MPSImageEdgeModeClamp];
    CHECK(result_of(pooling, source, image(2, 1, 1)) == std::vector<float>({-2, -2}));
}

CLEAN_TEST(convolutions) {
    for (const ConvolutionCase &c : {ConvolutionCase{3, 3, 3, 5, 1, 1, 1, false},
                                     {2, 4, 4, 4, 1, 2, 1, false},
                                     {3, 2, 8, 16, 2, 1, 2, false},
                                     {3, 3, 6, 6, 1, 2, 1, true},
                                     {2, 3, 5, 5, 1, 1, 2, true},
                                     {1, 1, 9, 2, 1, 1, 1, false}})
        check_convolution(c);
}

CLEAN_TEST(weights_are_held_as_half_unless_told) {
    const ConvolutionCase c{1, 1, 1, 1, 1, 1, 1, false};
    TestWeights *weights = owned([[TestWeights alloc] initWithDescriptor:describe(c) weights:{0.1f} bias:{}]);
    MPSCNNConvolution *rounded = owned([[MPSCNNConvolution alloc] initWithDevice:device() weights:weights]);
    CHECK(result_of(rounded, image_of(1, 1, 1, {1}), image(1, 1, 1))[0] == to_half(0.1f));
    weights->kernelType_ = MPSDataTypeFloat32;
    MPSCNNConvolution *exact = owned([[MPSCNNConvolution alloc] initWithDevice:device() weights:weights]);
    CHECK(result_of(exact, image_of(1, 1, 1, {1}), image(1, 1, 1))[0] == 0.1f);
}

CLEAN_TEST(fused_neurons) {
    MPSCNNConvolutionDescriptor *descriptor = describe(ConvolutionCase{1, 1, 1, 2, 1, 1, 1, false});
    [descriptor
        setFusedNeuronDescriptor:[MPSNNNeuronDescriptor cnnNeuronDescriptorWithType:MPSCNNNeuronTypeReLU
                                                                                  a:0.5f]];
    TestWeights *weights = owned([[TestWeights alloc] initWithDescriptor:descriptor
                                                                 weights:{1, -2}
                                                                    bias:{1, 0}]);
    MPSCNNConvolution *convolution = owned([[MPSCNNConvolution alloc] initWithDevice:device()
                                                                             weights:weights]);
    CHECK(result_of(convolution, image_of(1, 1, 1, {4}), image(1, 1, 2)) == std::vector<float>({5, -4}));
}

CLEAN_TEST(fully_connected) {
    const ConvolutionCase c{2, 2, 1, 2, 1, 1, 1, false};
    TestWeights *weights = owned([[TestWeights alloc] initWithDescriptor:describe(c)
                                                                 weights:{1, 2, 3, 4, 1, 0, 0, -1}
                                                                    bias:{10, 0}]);
    MPSCNNFullyConnected *kernel = owned([[MPSCNNFullyConnected alloc] initWithDevice:device()
                                                                              weights:weights]);
    CHECK(result_of(kernel, image_of(2, 2, 1, {1, 2, 3, 4}), image(1, 1, 2)) == std::vector<float>({40, -3}));
}

CLEAN_TEST(refusing_data_source_makes_no_kernel) {
    const ConvolutionCase c{1, 1, 1, 1, 1, 1, 1, false};
    TestWeights *weights = owned([[TestWeights alloc] initWithDescriptor:describe(c) weights:{1} bias:{}]);
    weights->refuses_ = YES;
    CHECK([[MPSCNNConvolution alloc] initWithDevice:device() weights:weights] == nil);
}

CLEAN_TEST(neurons) {
    struct Case {
        MPSCNNNeuronType type;
        float a, b, c, x, y;
    };
    for (const Case &k : {Case{MPSCNNNeuronTypeReLU, 0.5f, 0, 0, -2, -1},
                          {MPSCNNNeuronTypeReLUN, 0, 6, 0, 9, 6},
                          {MPSCNNNeuronTypeLinear, 2, 1, 0, 3, 7},
                          {MPSCNNNeuronTypeSigmoid, 0, 0, 0, 0, 0.5f},
                          {MPSCNNNeuronTypeHardSigmoid, 0.2f, 0.5f, 0, 9, 1},
                          {MPSCNNNeuronTypeAbsolute, 0, 0, 0, -3, 3},
                          {MPSCNNNeuronTypeSoftSign, 0, 0, 0, -3, -0.75f},
                          {MPSCNNNeuronTypePower, 1, 1, 2, 2, 9},
                          {MPSCNNNeuronTypeExponential, 1, 0, 2, 3, 8},
                          {MPSCNNNeuronTypeNone, 0, 0, 0, -3, -3}}) {
        MPSNNNeuronDescriptor *descriptor = [MPSNNNeuronDescriptor cnnNeuronDescriptorWithType:k.type
                                                                                             a:k.a
                                                                                             b:k.b
                                                                                             c:k.c];
        MPSCNNNeuron *neuron = owned([[MPSCNNNeuron alloc] initWithDevice:device()
                                                         neuronDescriptor:descriptor]);
        CHECK(std::fabs(result_of(neuron, image_of(1, 1, 1, {k.x}), image(1, 1, 1))[0] - k.y) < 1e-6f);
    }
}

// For most of these numbers the formulas of Apple's headers fail, so an engine must not rely on them.
CLEAN_TEST(neurons_of_large_values) {
    const float infinity = HUGE_VALF, nan = std::nanf("");
    struct Case {
        MPSCNNNeuronType type;
        float a, b, x, y;
    };
    for (const Case &k : {Case{MPSCNNNeuronTypeSoftPlus, 1, 1, 100, infinity}, // exact: 100
                          {MPSCNNNeuronTypeSoftPlus, 1, 1, -20, 0},            // exact: e^-20
                          {MPSCNNNeuronTypeELU, 1, 0, -1e-9f, 0},              // exact: -1e-9
                          {MPSCNNNeuronTypeReLUN, 0, 6, nan, 6},
                          {MPSCNNNeuronTypeReLUN, 0, 6, -infinity, 6},
                          {MPSCNNNeuronTypeReLU, 0, 0, -infinity, nan}, // exact: 0
                          {MPSCNNNeuronTypeHardSigmoid, 1, 0, nan, 0},
                          {MPSCNNNeuronTypeSoftSign, 0, 0, infinity, nan},
                          {MPSCNNNeuronTypeGeLU, 0, 0, -infinity, nan},
                          {MPSCNNNeuronTypeAbsolute, 0, 0, -infinity, infinity},
                          {MPSCNNNeuronTypeLinear, 2, 1, -infinity, -infinity}}) {
        MPSNNNeuronDescriptor *descriptor = [MPSNNNeuronDescriptor cnnNeuronDescriptorWithType:k.type
                                                                                             a:k.a
                                                                                             b:k.b];
        MPSCNNNeuron *neuron = owned([[MPSCNNNeuron alloc] initWithDevice:device()
                                                         neuronDescriptor:descriptor]);
        const float got = result_of(neuron, image_of(1, 1, 1, {k.x}), image(1, 1, 1))[0];
        CHECK(std::isnan(k.y) ? std::isnan(got) : got == k.y);
    }
}

CLEAN_TEST(softmax_of_large_values) {
    MPSCNNSoftMax *softmax = owned([[MPSCNNSoftMax alloc] initWithDevice:device()]);
    const std::vector<float> got = result_of(softmax, image_of(1, 1, 2, {1000, 1000}), image(1, 1, 2));
    CHECK(got == std::vector<float>({0.5f, 0.5f}));
}

CLEAN_TEST(images_keep_what_is_written) {
    const std::vector<float> hwc = noise(2 * 3 * 5);
    MPSImage *filled = image_of(2, 3, 5, hwc);
    CHECK(pixels_of(filled) == hwc);
    CHECK([filled textureType] == MTLTextureType2DArray && [[filled texture] arrayLength] == 2);
    CHECK([image(2, 3, 3) textureType] == MTLTextureType2D);
    CHECK([image(2, 3, 3) pixelFormat] == MTLPixelFormatRGBA32Float);
}

CLEAN_TEST(managed_images_are_synchronized) {
    MPSImage *managed = owned([[MPSImage alloc] initWithDevice:device()
                                               imageDescriptor:describe(1, 1, 1, MTLStorageModeManaged)]);
    MPSCNNSoftMax *softmax = owned([[MPSCNNSoftMax alloc] initWithDevice:device()]);
    id<MTLCommandBuffer> commands = command_buffer();
    [softmax encodeToCommandBuffer:commands sourceImage:image_of(1, 1, 1, {3}) destinationImage:managed];
    [managed synchronizeOnCommandBuffer:commands];
    finish(commands);
    CHECK(pixels_of(managed)[0] == 1);
}
