#include "ops/dropout.h"

#include <algorithm>
#include <cmath>

namespace mpscnn::ops {

std::uint32_t Dropout::last_kept() const {
    // This is exact, because it multiplies a float by a power of two.
    const double words = std::max(1.0, std::floor(static_cast<double>(keep_probability) * 0x1p32));
    return static_cast<std::uint32_t>(words - 1.0);
}

void Dropout::check(const InputShapes &inputs) const {
    if (!(keep_probability > 0.0f && keep_probability <= 1.0f))
        refuse_parameter(info, "keep_probability", "above 0 and at most 1", keep_probability);
    if (seed < 0) refuse_parameter(info, "seed", "at least 0", seed);
    for (const auto &[field, stride] :
         {std::pair{"mask_stride_y", mask_stride_y}, std::pair{"mask_stride_x", mask_stride_x},
          std::pair{"mask_stride_channels", mask_stride_channels}})
        if (stride != 0 && stride != 1) refuse_parameter(info, field, "0 or 1", stride);
    constexpr int image_rank = 4; // with more axes, kernels see all axes before the last two as rows
    if (inputs[0].rank() > image_rank && mask_stride_y != 1)
        refuse_parameter(info, "mask_stride_y", "1 for tensors of more than 4 axes", mask_stride_y);
}

void StepDropout::check(const InputShapes &inputs) const {
    dropout.check(inputs);
    require_shape(info, inputs, 1, {1, 1}, "the step");
}

} // namespace mpscnn::ops
