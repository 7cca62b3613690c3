#include "ops/transposed_convolution.h"

#include "ops/convolution.h"

namespace mpscnn::ops {

void TransposedConvolution::check(const InputShapes &inputs) const {
    require_rank(info, inputs, 4);
    require_fixed_channels(info, inputs);
    require_at_least(info, "output_channels", output_channels, 1);
    window.check(info);
    require_groups(info, groups, inputs[0].back(), output_channels);
}

Shape TransposedConvolution::output_shape(const InputShapes &inputs) const {
    return {inputs[0][0], window.result_height(info, inputs[0][1]), window.result_width(info, inputs[0][2]),
            output_channels};
}

WeightSpecs TransposedConvolution::weights(const InputShapes &inputs) const {
    return {
        {"weight", {output_channels, window.kernel_height, window.kernel_width, inputs[0].back() / groups}},
        {"bias", {output_channels}, false}};
}

Cost TransposedConvolution::cost(const InputShapes &inputs, const Shape &) const {
    // Every input pixel meets the whole kernel. As a shape, since that refuses products beyond 64 bits.
    const Shape products{2, inputs[0].elements(), window.kernel_height, window.kernel_width,
                         output_channels / groups};
    const std::int64_t flops = products.elements();
    return {flops / 2, flops};
}

} // namespace mpscnn::ops
