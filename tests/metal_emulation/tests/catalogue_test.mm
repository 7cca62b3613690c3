// The emulation's normalizations, norms, upsampling and transposed convolutions, compared with numbers that
// were measured on a Mac and with their definitions. Their rules are tested as well.
#import "convolution_weights.h"

#include "emulation_check.h"

#include <cmath>

namespace {

std::vector<float> one_to(std::size_t last) {
    std::vector<float> values(last);
    for (std::size_t i = 0; i < last; ++i) values[i] = static_cast<float>(i + 1);
    return values;
}

template <class Kernel> Kernel *window_kernel(Kernel *allocated, NSUInteger width, NSUInteger height) {
    return owned([allocated initWithDevice:device() kernelWidth:width kernelHeight:height]);
}

MPSCNNConvolutionTranspose *transposed(const std::vector<float> &weights, NSUInteger kernel,
                                       NSUInteger stride, NSUInteger dilation = 1) {
    MPSCNNConvolutionDescriptor *descriptor =
        [MPSCNNConvolutionDescriptor cnnConvolutionDescriptorWithKernelWidth:kernel
                                                                kernelHeight:1
                                                        inputFeatureChannels:1
                                                       outputFeatureChannels:1];
    [descriptor setStrideInPixelsX:stride];
    [descriptor setDilationRateX:dilation];
    TestWeights *source = owned([[TestWeights alloc] initWithDescriptor:descriptor weights:weights bias:{}]);
    return owned([[MPSCNNConvolutionTranspose alloc] initWithDevice:device() weights:source]);
}

} // namespace

CLEAN_TEST(spatial_normalization_as_measured) {
    MPSCNNSpatialNormalization *kernel = window_kernel([MPSCNNSpatialNormalization alloc], 3, 3);
    const auto got = result_of(kernel, image_of(4, 4, 1, one_to(16)), image(4, 4, 1));
    CHECK(std::fabs(got[0] - 2.48832e-5f) < 1e-10f); // (1 + 66 / 9)^-5
    [kernel setOffset:MPSOffset{1, 1, 0}];
    CHECK(result_of(kernel, image_of(4, 4, 1, one_to(16)), image(3, 3, 1))[0] == got[5]);
}

CLEAN_TEST(local_contrast_normalization_as_measured) {
    MPSCNNLocalContrastNormalization *kernel = window_kernel([MPSCNNLocalContrastNormalization alloc], 3, 3);
    CHECK([kernel alpha] == 0 && [kernel beta] == 0.5f && [kernel p0] == 1 && [kernel ps] == 1);
    [kernel setDelta:1];
    [kernel setPm:2];
    // The mean of the window at the corner is 14 / 9.
    const auto got = result_of(kernel, image_of(4, 4, 1, one_to(16)), image(4, 4, 1));
    CHECK(std::fabs(got[0] - (2 + 1 - 14.0f / 9)) < 1e-6f);
}

CLEAN_TEST(cross_channel_normalization_divides_by_its_size_everywhere) {
    MPSCNNCrossChannelNormalization *kernel =
        owned([[MPSCNNCrossChannelNormalization alloc] initWithDevice:device() kernelSize:3]);
    [kernel setBeta:1];
    const auto got = result_of(kernel, image_of(1, 1, 3, {1, 2, 3}), image(1, 1, 3));
    const std::vector<float> sums{5, 14, 13};
    for (std::size_t c = 0; c < 3; ++c)
        CHECK(std::fabs(got[c] - static_cast<float>(c + 1) / (1 + sums[c] / 3)) < 1e-6f);
}

CLEAN_TEST(norms_ignore_what_is_outside) {
    MPSCNNPoolingL2Norm *kernel = window_kernel([MPSCNNPoolingL2Norm alloc], 2, 1);
    CHECK(result_of(kernel, image_of(2, 1, 1, {3, 4}), image(2, 1, 1)) == std::vector<float>({3, 5}));
}

CLEAN_TEST(upsampling_repeats_pixels) {
    MPSCNNUpsamplingNearest *kernel = owned([[MPSCNNUpsamplingNearest alloc] initWithDevice:device()
                                                                        integerScaleFactorX:2
                                                                        integerScaleFactorY:3]);
    CHECK([kernel scaleFactorX] == 2 && [kernel scaleFactorY] == 3);
    CHECK(result_of(kernel, image_of(2, 1, 1, {1, 2}), image(4, 3, 1)) ==
          std::vector<float>({1, 1, 2, 2, 1, 1, 2, 2, 1, 1, 2, 2}));
}

CLEAN_TEST(transposed_convolution_correlates_with_the_spread_source) {
    MPSCNNConvolutionTranspose *kernel = transposed({1, 10, 100}, 3, 2);
    // The spread source is 5 0 7, and the centre of the first window is at position 0.
    CHECK(result_of(kernel, image_of(2, 1, 1, {5, 7}), image(4, 1, 1)) ==
          std::vector<float>({50, 705, 70, 7}));
    // The offsets of PyTorch's transposed convolution without padding. The kernel is rotated.
    [kernel setKernelOffsetX:-1];
    CHECK(result_of(kernel, image_of(2, 1, 1, {5, 7}), image(5, 1, 1)) ==
          std::vector<float>({500, 50, 705, 70, 7}));
    [kernel setKernelOffsetX:0];
    [kernel setOffset:MPSOffset{1, 0, 0}]; // counted in source pixels
    CHECK(result_of(kernel, image_of(2, 1, 1, {5, 7}), image(1, 1, 1)) == std::vector<float>({70}));
}

TEST(rules) {
    BREAKS("not square", encode(window_kernel([MPSCNNSpatialNormalization alloc], 3, 1),
                                image_of(1, 1, 1, {0}), image(1, 1, 1)));
    BREAKS("an even size", encode(window_kernel([MPSCNNLocalContrastNormalization alloc], 2, 2),
                                  image_of(1, 1, 1, {0}), image(1, 1, 1)));
    BREAKS("other than Zero", {
        MPSCNNSpatialNormalization *kernel = window_kernel([MPSCNNSpatialNormalization alloc], 3, 3);
        [kernel setEdgeMode:MPSImageEdgeModeClamp];
        encode(kernel, image_of(1, 1, 1, {0}), image(1, 1, 1));
    });
    BREAKS("another edge mode than Zero", {
        MPSCNNPoolingL2Norm *kernel = window_kernel([MPSCNNPoolingL2Norm alloc], 3, 3);
        [kernel setEdgeMode:MPSImageEdgeModeClamp];
        encode(kernel, image_of(1, 1, 1, {0}), image(1, 1, 1));
    });
    BREAKS("more than the source has", encode(owned([[MPSCNNUpsamplingNearest alloc] initWithDevice:device()
                                                                                integerScaleFactorX:2
                                                                                integerScaleFactorY:1]),
                                              image_of(1, 1, 1, {0}), image(3, 1, 1)));
    BREAKS("groups or dilation", transposed({1, 2}, 2, 1, 2));
    BREAKS("initWithDevice: of MPSCNNUpsamplingNearest is unavailable",
           [[MPSCNNUpsamplingNearest alloc] initWithDevice:device()]);
    BREAKS("initWithDevice: of MPSCNNConvolutionTranspose is unavailable",
           [[MPSCNNConvolutionTranspose alloc] initWithDevice:device()]);
}
