#pragma once

#include "kernels/encoding.h"

namespace mpscnn::kernels {

/// MPSCNNPoolingMax, MPSCNNPoolingAverage, MPSCNNPoolingL2Norm and MPSCNNDilatedPoolingMax.
struct Pooling {
    ops::PoolingKind kind = ops::PoolingKind::max;
    bool dilated = false;

    std::int64_t kernel_width = 1, kernel_height = 1, stride_x = 1, stride_y = 1;
    std::int64_t dilation_rate_x = 1, dilation_rate_y = 1;
    std::int64_t zero_pad_size_x = 0, zero_pad_size_y = 0;

    template <class Visitor> void fixed(Visitor &visit) {
        visit("kernel_width", kernel_width, "columns of the window");
        visit("kernel_height", kernel_height, "rows of the window");
        visit("stride_x", stride_x, "source columns between destination columns (strideInPixelsX)");
        visit("stride_y", stride_y, "source rows between destination rows (strideInPixelsY)");
        if (!dilated) return;
        visit("dilation_rate_x", dilation_rate_x, "source columns between taps");
        visit("dilation_rate_y", dilation_rate_y, "source rows between taps");
    }
    template <class Visitor> void fields(Visitor &visit) {
        if (kind != ops::PoolingKind::average) return;
        visit("zero_pad_size_x", zero_pad_size_x,
              "columns of zeros left and right of the image that count; edge_mode 'clamp' only");
        visit("zero_pad_size_y", zero_pad_size_y,
              "rows of zeros above and below the image that count; edge_mode 'clamp' only");
    }

    ops::Window taps() const;
    void policy_applied(KernelProperties &properties, ImageDescriptor &);
    void check(const std::string &kernel) const;
    ops::WeightSpecs weights() const { return {}; }
    std::int64_t output_channels(ChannelCounts sources) const { return sources[0]; }
    int build(EncodingBuilder &builder) const;
};

} // namespace mpscnn::kernels
