#include "ops/pooling.h"

namespace mpscnn::ops {

CanonicalWindow Pooling::canonical(std::int64_t height, std::int64_t width) const {
    if (!global) return window.canonical(info, height, width);
    Window whole;
    whole.kernel_height = height;
    whole.kernel_width = width;
    return whole.canonical(info, height, width);
}

void Pooling::check(const InputShapes &inputs) const {
    require_rank(info, inputs, 4);
    window.check(info);
    if (global && (window.kernel_height != 1 || window.kernel_width != 1))
        refuse_parameter(info, "global", "false when a kernel size is given", "true");
    // A window wholly in the padding has no maximum and no mean (PyTorch's and ONNX' rule: at most half).
    if (window.padding != PaddingPolicy::explicit_) return;
    const auto require_reach = [](const char *field, std::int64_t pad, std::int64_t kernel,
                                  std::int64_t dilation) {
        if (pad > (kernel - 1) * dilation)
            refuse_parameter(info, field,
                             "less than the window's reach " + std::to_string((kernel - 1) * dilation + 1),
                             std::to_string(pad));
    };
    require_reach("pad_top", window.pad_top, window.kernel_height, window.dilation_y);
    require_reach("pad_bottom", window.pad_bottom, window.kernel_height, window.dilation_y);
    require_reach("pad_left", window.pad_left, window.kernel_width, window.dilation_x);
    require_reach("pad_right", window.pad_right, window.kernel_width, window.dilation_x);
}

Shape Pooling::output_shape(const InputShapes &inputs) const {
    const Shape &input = inputs[0];
    if (global) return {input[0], 1, 1, input[3]};
    return {input[0], window.output_height(info, input[1]), window.output_width(info, input[2]), input[3]};
}

Cost Pooling::cost(const InputShapes &inputs, const Shape &output) const {
    const CanonicalWindow canonical_window = canonical(inputs[0][1], inputs[0][2]);
    return {0, output.elements() * canonical_window.vertical.kernel * canonical_window.horizontal.kernel};
}

} // namespace mpscnn::ops
