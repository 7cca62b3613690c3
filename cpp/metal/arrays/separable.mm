#include "metal/arrays/separable.h"

#include <cmath>

#include "metal/arrays/depthwise.h"

namespace mpscnn::metal {

using ops::NeuronKind;

std::optional<SeparableLimits> limits_of(const ops::Neuron &activation) {
    const bool has_slope = activation.a != 0.0f;
    switch (activation.kind) {
    case NeuronKind::none:
        return SeparableLimits{-INFINITY, INFINITY};
    case NeuronKind::relu:
        if (has_slope) return std::nullopt;
        return SeparableLimits{0.0f, INFINITY};
    case NeuronKind::relun:
        if (has_slope) return std::nullopt;
        return SeparableLimits{0.0f, activation.b};
    default:
        return std::nullopt;
    }
}

const char *separable_shader(const ops::Convolution &depthwise, const Shape &input,
                             const ops::Neuron &activation, const ops::Convolution &pointwise,
                             const Shape &between) {
    // Each tile of 64 outputs computes the depthwise results again, and waits for its reads in each step. So
    // one kernel is faster than two only with few channels and outputs (docs/metal_engine.md).
    constexpr std::int64_t max_channels = 96, max_outputs = 128;
    // A thread computes two pixels of a row, so rows have an even number of pixels.
    if (between[1] == Shape::any || between[2] == Shape::any || between[2] % 2 != 0) return nullptr;
    if (input.back() > max_channels || pointwise.output_channels > max_outputs) return nullptr;
    const ops::Window &window = depthwise.window, &point = pointwise.window;
    const bool is_padded = point.padding == ops::PaddingPolicy::explicit_ &&
                           point.pad_top + point.pad_bottom + point.pad_left + point.pad_right != 0;
    const bool is_pointwise = pointwise.groups == 1 && point.kernel_height == 1 && point.kernel_width == 1 &&
                              point.stride_y == 1 && point.stride_x == 1 && !is_padded;
    const bool is_window = window.kernel_height == 3 && window.kernel_width == 3 && window.dilation_y == 1 &&
                           window.dilation_x == 1 && window.stride_x <= 2;
    if (!is_pointwise || !is_window || !is_array_depthwise(depthwise, input) || !limits_of(activation))
        return nullptr;
    return window.stride_x == 1 ? "array_separable_product_step1" : "array_separable_product_step2";
}

} // namespace mpscnn::metal
