#pragma once

#include "kernels/encoding.h"

namespace mpscnn::kernels {

/// MPSCNNDropout. Its mask covers the pixels and channels that are written.
struct Dropout {
    float keep_probability = 0.999f;
    std::int64_t seed = 0;
    Offset mask_stride{1, 1, 1};

    template <class Visitor> void fixed(Visitor &visit) {
        visit("keep_probability", keep_probability, "share of the elements that are kept, above 0, below 1");
        visit("seed", seed, "seed of the random numbers: the same seed gives the same mask");
        visit("mask_stride_in_pixels", mask_stride,
              "(x, y, channels): 1, or 0 where one element of the mask serves the whole axis");
    }
    template <class Visitor> void fields(Visitor &) {}

    void check(const std::string &kernel) const {
        if (!(keep_probability > 0.0f && keep_probability < 1.0f))
            fail(ErrorKind::parameter,
                 {kernel, ": keep_probability must be above 0 and below 1, got ", keep_probability});
        for (std::int64_t stride : {mask_stride.x, mask_stride.y, mask_stride.z})
            if (stride != 0 && stride != 1)
                fail(ErrorKind::parameter,
                     {kernel, ": mask_stride_in_pixels must be 0 or 1 on each axis, got ", stride});
    }
    ops::WeightSpecs weights() const { return {}; }
    std::int64_t output_channels(ChannelCounts sources) const { return sources[0]; }
    int build(EncodingBuilder &builder) const {
        const int source = builder.pixels();
        ops::Dropout dropout;
        dropout.keep_probability = keep_probability;
        dropout.seed = seed;
        dropout.mask_stride_x = mask_stride.x;
        dropout.mask_stride_y = mask_stride.y;
        dropout.mask_stride_channels = mask_stride.z;
        dropout.training = true;
        return builder.add(dropout, {source});
    }
};

} // namespace mpscnn::kernels
