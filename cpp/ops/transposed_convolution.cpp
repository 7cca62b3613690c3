#include "ops/transposed_convolution.h"

#include <algorithm>

#include "core/text.h"
#include "ops/convolution.h"
#include "ops/window.h"

namespace mpscnn::ops {

namespace {

/// The user's window along one axis, before the input's extent is known.
struct TransposedParameters {
    const char *axis, *output_name;
    std::int64_t kernel, stride, dilation;
    TransposedPadding padding;
    std::int64_t before, after, output_padding, output;

    std::int64_t reach() const { return (kernel - 1) * dilation + 1; }
};

TransposedParameters vertical(const TransposedWindow &w) {
    return {"rows",    "output_height", w.kernel_height, w.stride_y,         w.dilation_y,
            w.padding, w.pad_top,       w.pad_bottom,    w.output_padding_y, w.output_height};
}

TransposedParameters horizontal(const TransposedWindow &w) {
    return {"columns", "output_width", w.kernel_width, w.stride_x,         w.dilation_x,
            w.padding, w.pad_left,     w.pad_right,    w.output_padding_x, w.output_width};
}

/// Return the output size that follows from the padding.
std::int64_t natural_output(const TransposedParameters &given, std::int64_t size) {
    const std::int64_t all = (size - 1) * given.stride + given.reach();
    switch (given.padding) {
    case TransposedPadding::valid: // as Keras' deconv_output_length
        return std::max(all, size * given.stride);
    case TransposedPadding::same:
        return size * given.stride;
    case TransposedPadding::explicit_: // as PyTorch's ConvTranspose2d
        return all - given.before - given.after + given.output_padding;
    }
    return 0;
}

/// Return whether TensorFlow's forward convolution of `output` rows would have `size` rows.
bool belongs_together(const TransposedParameters &given, std::int64_t size, std::int64_t output) {
    const std::int64_t positions =
        given.padding == TransposedPadding::valid ? output - given.reach() + 1 : output;
    return positions > (size - 1) * given.stride && positions <= size * given.stride;
}

/// Return the number of output positions before the one that the first tap of the first input position
/// writes. It does not depend on the input's size.
std::int64_t leading(const TransposedParameters &given) {
    if (given.padding != TransposedPadding::same) return given.before;
    // This is the padding at the beginning of TensorFlow's forward convolution from the output to the input.
    const std::int64_t behind_last = given.output == 0 ? given.stride : (given.output - 1) % given.stride + 1;
    return std::max<std::int64_t>(given.reach() - behind_last, 0) / 2;
}

TransposedAxis canonical_axis(const OperationInfo &info, const TransposedParameters &given,
                              std::int64_t size) {
    TransposedAxis axis{given.kernel, given.stride, given.dilation, leading(given), given.output};
    if (given.output == 0)
        axis.output = natural_output(given, size);
    else if (given.padding != TransposedPadding::explicit_ && !belongs_together(given, size, given.output))
        fail(ErrorKind::shape,
             {info.name, ": ", given.output_name, " ", given.output, " does not lead back to the input's ",
              size, " ", given.axis, " with a stride of ", given.stride, " and ", name_of(given.padding),
              " padding"});
    if (axis.output < 1)
        fail(ErrorKind::shape,
             {info.name, ": the padding leaves ", axis.output, " ", given.axis, " of the result"});
    return axis;
}

std::int64_t output_size(const OperationInfo &info, const TransposedParameters &given, std::int64_t size) {
    return size == Shape::any ? Shape::any : canonical_axis(info, given, size).output;
}

void refuse_unless_zero(const OperationInfo &info, const char *field, std::int64_t value, const char *when) {
    if (value != 0) refuse_parameter(info, field, std::string("0 ") + when, value);
}

void check_output_padding(const OperationInfo &info, const char *field, std::int64_t value,
                          std::int64_t stride, std::int64_t dilation) {
    const std::int64_t largest = std::max(stride, dilation) - 1;
    if (value < 0 || value > largest)
        refuse_parameter(info, field, concat({"0 to ", largest, " (less than the stride or the dilation)"}),
                         value);
}

} // namespace

void TransposedWindow::check(const OperationInfo &info) const {
    require_minimum(info, "output_height", output_height, 0);
    require_minimum(info, "output_width", output_width, 0);
    check_window(info, *this, [&](const char *field, std::int64_t pad) {
        if (padding != TransposedPadding::explicit_)
            refuse_unless_zero(info, field, pad, "unless padding is explicit");
    });
    check_output_padding(info, "output_padding_y", output_padding_y, stride_y, dilation_y);
    check_output_padding(info, "output_padding_x", output_padding_x, stride_x, dilation_x);
    if (padding != TransposedPadding::explicit_) {
        refuse_unless_zero(info, "output_padding_y", output_padding_y, "unless padding is explicit");
        refuse_unless_zero(info, "output_padding_x", output_padding_x, "unless padding is explicit");
    }
    if (output_height != 0) {
        refuse_unless_zero(info, "pad_bottom", pad_bottom, "where output_height is given");
        refuse_unless_zero(info, "output_padding_y", output_padding_y, "where output_height is given");
    }
    if (output_width != 0) {
        refuse_unless_zero(info, "pad_right", pad_right, "where output_width is given");
        refuse_unless_zero(info, "output_padding_x", output_padding_x, "where output_width is given");
    }
}

std::int64_t TransposedWindow::rows_before() const { return leading(vertical(*this)); }

std::int64_t TransposedWindow::columns_before() const { return leading(horizontal(*this)); }

std::int64_t TransposedWindow::result_height(const OperationInfo &info, std::int64_t height) const {
    return output_size(info, vertical(*this), height);
}

std::int64_t TransposedWindow::result_width(const OperationInfo &info, std::int64_t width) const {
    return output_size(info, horizontal(*this), width);
}

CanonicalTransposedWindow TransposedWindow::canonical(const OperationInfo &info, std::int64_t height,
                                                      std::int64_t width) const {
    return {canonical_axis(info, vertical(*this), height), canonical_axis(info, horizontal(*this), width)};
}

void TransposedConvolution::check(const InputShapes &inputs) const {
    require_rank(info, inputs, 4);
    require_fixed_channels(info, inputs);
    require_minimum(info, "output_channels", output_channels, 1);
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
    // Every input pixel is multiplied by the whole kernel. Shape::elements() multiplies, because it throws
    // for products beyond 64 bits.
    const Shape products{2, inputs[0].elements(), window.kernel_height, window.kernel_width,
                         output_channels / groups};
    const std::int64_t flops = products.elements();
    return {flops / 2, flops};
}

} // namespace mpscnn::ops
