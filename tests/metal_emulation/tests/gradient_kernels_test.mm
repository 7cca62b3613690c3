// Gradients of softmax, average poolings and upsampling: tests of their results, and of every rule, which is
// broken once and must be noticed.
#include "emulation_check.h"

#include <cmath>

namespace {

MPSCNNPoolingAverage *average(NSUInteger width = 2, NSUInteger stride = 1) {
    return owned([[MPSCNNPoolingAverage alloc] initWithDevice:device()
                                                  kernelWidth:width
                                                 kernelHeight:1
                                              strideInPixelsX:stride
                                              strideInPixelsY:1]);
}

/// Make a forward kernel: an average pooling without padding.
MPSCNNPoolingAverage *forward_average(NSUInteger width = 2, NSUInteger stride = 1) {
    MPSCNNPoolingAverage *kernel = average(width, stride);
    [kernel setOffset:MPSOffset{1, 0, 0}];
    return kernel;
}

MPSCNNPoolingAverageGradient *average_gradient(NSUInteger width = 2, NSUInteger stride = 1) {
    MPSCNNPoolingAverageGradient *kernel = owned([[MPSCNNPoolingAverageGradient alloc] initWithDevice:device()
                                                                                          kernelWidth:width
                                                                                         kernelHeight:1
                                                                                      strideInPixelsX:stride
                                                                                      strideInPixelsY:1]);
    [kernel setSecondaryOffset:MPSOffset{1, 0, 0}];
    return kernel;
}

std::vector<float> gradient_of(MPSCNNGradientKernel *kernel, MPSCNNKernel *forward, MPSImage *gradient,
                               MPSImage *source) {
    MPSImage *result = image([source width], [source height], [source featureChannels]);
    id<MTLCommandBuffer> commands = command_buffer();
    [kernel encodeToCommandBuffer:commands
                   sourceGradient:gradient
                      sourceImage:source
                    gradientState:[forward resultStateForSourceImage:source
                                                        sourceStates:nil
                                                    destinationImage:gradient]
              destinationGradient:result];
    finish(commands);
    return pixels_of(result);
}

template <class Kernel> Kernel *upsampling(NSUInteger factor) {
    return owned([[Kernel alloc] initWithDevice:device() integerScaleFactorX:factor integerScaleFactorY:1]);
}

MPSImage *row(const std::vector<float> &values) { return image_of(values.size(), 1, 1, values); }

} // namespace

CLEAN_TEST(softmax_gradients_read_the_forward_result) {
    MPSImage *gradient = image_of(1, 1, 2, {1, 3});
    MPSCNNSoftMax *softmax = owned([[MPSCNNSoftMax alloc] initWithDevice:device()]);
    MPSCNNSoftMaxGradient *back = owned([[MPSCNNSoftMaxGradient alloc] initWithDevice:device()]);
    CHECK(gradient_of(back, softmax, gradient, image_of(1, 1, 2, {0.25f, 0.75f})) ==
          std::vector<float>({-0.375f, 0.375f})); // y (g - 2.5)
    MPSCNNLogSoftMax *log_softmax = owned([[MPSCNNLogSoftMax alloc] initWithDevice:device()]);
    MPSCNNLogSoftMaxGradient *log_back = owned([[MPSCNNLogSoftMaxGradient alloc] initWithDevice:device()]);
    const auto got = gradient_of(log_back, log_softmax, gradient, image_of(1, 1, 2, {std::log(0.5f), 0}));
    CHECK(std::fabs(got[0] + 1) < 1e-6f && got[1] == -1); // g - 4 e^y
}

CLEAN_TEST(averages_share_their_gradient) {
    CHECK(gradient_of(average_gradient(), forward_average(), row({2, 4}), row({0, 0, 0})) ==
          std::vector<float>({1, 3, 2}));
    CHECK(gradient_of(average_gradient(2, 2), forward_average(2, 2), row({2, 4}), row({0, 0, 0, 0, 0})) ==
          std::vector<float>({1, 1, 2, 2, 0}));
}

CLEAN_TEST(averages_at_the_edge_are_divided_by_what_they_count) {
    const auto run = [](MPSImageEdgeMode mode, NSUInteger padding) {
        MPSCNNPoolingAverage *forward = average(3);
        MPSCNNPoolingAverageGradient *back = average_gradient(3);
        [back setSecondaryOffset:MPSOffset{0, 0, 0}]; // a column outside the image at both ends
        [forward setEdgeMode:mode];
        [back setSecondaryEdgeMode:mode];
        [forward setZeroPadSizeX:padding];
        [back setZeroPadSizeX:padding];
        return gradient_of(back, forward, row({6, 6}), row({0, 0}));
    };
    CHECK(run(MPSImageEdgeModeZero, 0) == std::vector<float>({4, 4}));
    CHECK(run(MPSImageEdgeModeClamp, 0) == std::vector<float>({6, 6}));
    CHECK(run(MPSImageEdgeModeClamp, 1) == std::vector<float>({4, 4}));
}

CLEAN_TEST(copies_of_a_pixel_add_their_gradients) {
    auto *back = upsampling<MPSCNNUpsamplingNearestGradient>(2);
    CHECK([back scaleFactorX] == 2 && [back scaleFactorY] == 1);
    CHECK(gradient_of(back, upsampling<MPSCNNUpsamplingNearest>(2), row({1, 2, 3, 4}), row({0, 0})) ==
          std::vector<float>({3, 7}));
}

TEST(rules_of_gradient_kernels) {
    const Pool pool;
    MPSImage *two = row({1, 1}), *three = row({0, 0, 0});
    BREAKS("the state of another kernel than its forward kernel",
           gradient_of(average_gradient(), any_kernel(), two, three));
    BREAKS("another offset or edge mode", gradient_of(average_gradient(), average(), two, three));
    BREAKS("another window or padding", gradient_of(average_gradient(2, 2), forward_average(), two, three));
    BREAKS("a pooling's gradient kernel with a window of 0 x 1", average_gradient(0));
    BREAKS("initWithDevice: of MPSCNNPoolingAverageGradient is unavailable",
           [[MPSCNNPoolingAverageGradient alloc] initWithDevice:device()]);
    BREAKS("other factors than the upsampling's",
           gradient_of(upsampling<MPSCNNUpsamplingNearestGradient>(1), upsampling<MPSCNNUpsamplingNearest>(2),
                       row({1, 2}), row({0})));
    BREAKS("a gradient of an upsampling by 0 and 1", upsampling<MPSCNNUpsamplingNearestGradient>(0));
    BREAKS("abstract class MPSCNNGradientKernel", {
        MPSCNNGradientKernel *kernel = owned([[MPSCNNGradientKernel alloc] initWithDevice:device()]);
        gradient_of(kernel, any_kernel(), row({1}), row({0}));
    });
}
