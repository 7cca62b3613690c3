#pragma once

#include <cstdint>
#include <initializer_list>

#include "ops/kinds.h"

namespace mpscnn::ops {

/// How far windows may reach beyond the border of their input.
enum class PaddingPolicy {
    valid, ///< windows stay inside the input
    /// TensorFlow's SAME: ceil(size / stride) outputs; if the padding is odd, the extra pixel goes to the
    /// end.
    same,
    full, ///< all positions where the window covers at least one input position
    /// The parameters pad_top, pad_bottom, pad_left and pad_right, which can also express Apple's offset and
    /// clip rectangle.
    explicit_
};

template <> struct EnumNames<PaddingPolicy> {
    static constexpr std::array<std::pair<const char *, PaddingPolicy>, 4> values{
        {{"valid", PaddingPolicy::valid},
         {"same", PaddingPolicy::same},
         {"full", PaddingPolicy::full},
         {"explicit", PaddingPolicy::explicit_}}};
};

/// Throws ParameterError unless `edge` is one of the rules that the operation supports.
void require_edge(const OperationInfo &info, EdgeRule edge, std::initializer_list<EdgeRule> known);

/// Check the parameters that windows of all kinds have. check_padding(field, padding) checks each side's
/// padding further.
template <class Parameters, class CheckPadding>
void check_window(const OperationInfo &info, const Parameters &window, CheckPadding check_padding) {
    require_minimum(info, "kernel_height", window.kernel_height, 1);
    require_minimum(info, "kernel_width", window.kernel_width, 1);
    require_minimum(info, "stride_y", window.stride_y, 1);
    require_minimum(info, "stride_x", window.stride_x, 1);
    require_minimum(info, "dilation_y", window.dilation_y, 1);
    require_minimum(info, "dilation_x", window.dilation_x, 1);
    const std::initializer_list<std::pair<const char *, std::int64_t>> paddings{
        {"pad_top", window.pad_top},
        {"pad_bottom", window.pad_bottom},
        {"pad_left", window.pad_left},
        {"pad_right", window.pad_right}};
    for (const auto &[field, padding] : paddings) {
        require_minimum(info, field, padding, -largest_size);
        check_padding(field, padding);
    }
}

/// One axis of a window in the form that backends get: output position o covers the input positions o *
/// stride - before + t * dilation, t = 0 .. kernel - 1. `before` and `after` say how far windows reach beyond
/// the input's ends. They are negative if input positions are left unread.
struct WindowAxis {
    std::int64_t kernel = 1, stride = 1, dilation = 1;
    std::int64_t before = 0, after = 0;
    std::int64_t output = 1;
    /// The stated padding after the input, without the positions that ceil_mode adds.
    std::int64_t padding_after = 0;

    /// Return the number of input positions from the first tap to the last one.
    std::int64_t reach() const { return (kernel - 1) * dilation + 1; }
    /// Return Apple's `offset`: the input position of the first window's centre. A window of even size has
    /// two middle positions; the right one counts as the centre.
    std::int64_t offset() const { return reach() / 2 - before; }
};

/// A window of an image in the form that backends get.
struct CanonicalWindow {
    WindowAxis vertical, horizontal;
};

/// A sliding window with the user's parameters. Convolutions and poolings have one.
struct Window {
    std::int64_t kernel_height = 1, kernel_width = 1;
    std::int64_t stride_y = 1, stride_x = 1;
    std::int64_t dilation_y = 1, dilation_x = 1;
    PaddingPolicy padding = PaddingPolicy::valid;
    std::int64_t pad_top = 0, pad_bottom = 0, pad_left = 0, pad_right = 0;
    bool ceil_mode = false;

    template <class Visitor> void fields(Visitor &visit) {
        visit("kernel_height", kernel_height, "taps, vertically");
        visit("kernel_width", kernel_width, "taps, horizontally");
        visit("stride_y", stride_y, "input rows between output rows");
        visit("stride_x", stride_x, "input columns between output columns");
        visit("dilation_y", dilation_y, "input rows between taps");
        visit("dilation_x", dilation_x, "input columns between taps");
        visit("padding", padding, "valid, same (TensorFlow's), full, or explicit (pad_*)");
        visit("pad_top", pad_top, "rows above the image, explicit padding only; negative: left unread");
        visit("pad_bottom", pad_bottom, "rows below the image, explicit padding only; negative: left unread");
        visit("pad_left", pad_left,
              "columns left of the image, explicit padding only; negative: left unread");
        visit("pad_right", pad_right,
              "columns right of the image, explicit padding only; negative: left unread");
        visit("ceil_mode", ceil_mode, "keep a last window that overhangs the padded input (PyTorch's rule)");
    }

    void check(const OperationInfo &info) const;
    /// Return the output's height for an input of this height; a free extent stays free. Throws ShapeError if
    /// the window does not fit.
    std::int64_t output_height(const OperationInfo &info, std::int64_t height) const;
    std::int64_t output_width(const OperationInfo &info, std::int64_t width) const;
    CanonicalWindow canonical(const OperationInfo &info, std::int64_t height, std::int64_t width) const;
};

} // namespace mpscnn::ops
