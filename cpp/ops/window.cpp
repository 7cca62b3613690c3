#include "ops/window.h"

#include <algorithm>

namespace mpscnn::ops {

namespace {

/// The user's window along one axis, before the input's extent is known.
struct WindowParameters {
    const char *axis;
    std::int64_t kernel, stride, dilation;
    PaddingPolicy padding;
    std::int64_t before, after;
    bool ceil_mode;

    /// Return the number of input positions from the first tap to the last one.
    std::int64_t reach() const { return (kernel - 1) * dilation + 1; }
};

WindowAxis canonical_axis(const OperationInfo &info, const WindowParameters &given, std::int64_t size) {
    WindowAxis axis{given.kernel, given.stride, given.dilation};
    const std::int64_t reach = given.reach();
    if (given.padding == PaddingPolicy::same) {
        // The output size of TensorFlow's SAME (tf.nn.convolution). There is no padding if the stride is
        // larger than the window.
        axis.output = (size + given.stride - 1) / given.stride;
        axis.before = std::max<std::int64_t>((axis.output - 1) * given.stride + reach - size, 0) / 2;
    } else {
        const bool full = given.padding == PaddingPolicy::full;
        axis.before = full ? reach - 1 : given.before;
        const std::int64_t padded = size + axis.before + (full ? reach - 1 : given.after);
        const std::int64_t overhang = given.ceil_mode ? given.stride - 1 : 0;
        if (padded + overhang < reach)
            fail(ErrorKind::shape, {info.name, ": a window of ", reach, " ", given.axis,
                                    " does not fit into ", padded, " (padding included)"});
        axis.output = (padded - reach + overhang) / given.stride + 1;
        // As in PyTorch, with ceil_mode a window must begin inside the input or the padding before it.
        if (given.ceil_mode && (axis.output - 1) * given.stride >= size + axis.before) --axis.output;
    }
    axis.after = (axis.output - 1) * given.stride + reach - size - axis.before;
    axis.padding_after = given.padding == PaddingPolicy::same   ? std::max<std::int64_t>(axis.after, 0)
                         : given.padding == PaddingPolicy::full ? reach - 1
                                                                : given.after;
    return axis;
}

WindowParameters vertical(const Window &w) {
    return {"rows",    w.kernel_height, w.stride_y,   w.dilation_y,
            w.padding, w.pad_top,       w.pad_bottom, w.ceil_mode};
}

WindowParameters horizontal(const Window &w) {
    return {"columns", w.kernel_width, w.stride_x,  w.dilation_x,
            w.padding, w.pad_left,     w.pad_right, w.ceil_mode};
}

std::int64_t output_size(const OperationInfo &info, const WindowParameters &given, std::int64_t size) {
    return size == Shape::any ? Shape::any : canonical_axis(info, given, size).output;
}

} // namespace

void require_edge(const OperationInfo &info, EdgeRule edge, std::initializer_list<EdgeRule> known) {
    if (std::find(known.begin(), known.end(), edge) != known.end()) return;
    std::string allowed;
    for (EdgeRule rule : known) allowed += (allowed.empty() ? "" : " or ") + std::string(name_of(rule));
    refuse_parameter(info, "edge", allowed, name_of(edge));
}

void Window::check(const OperationInfo &info) const {
    check_window(info, *this, [&](const char *field, std::int64_t pad) {
        // With ceil_mode the last window would read positions that negative padding excludes.
        if (pad < 0 && ceil_mode) refuse_parameter(info, field, "0 or more with ceil_mode", pad);
    });
    const bool padded = pad_top != 0 || pad_bottom != 0 || pad_left != 0 || pad_right != 0;
    if (padded && padding != PaddingPolicy::explicit_)
        refuse_parameter(info, "padding", "explicit when pad_top, pad_bottom, pad_left or pad_right is set",
                         name_of(padding));
}

std::int64_t Window::output_height(const OperationInfo &info, std::int64_t height) const {
    return output_size(info, vertical(*this), height);
}

std::int64_t Window::output_width(const OperationInfo &info, std::int64_t width) const {
    return output_size(info, horizontal(*this), width);
}

CanonicalWindow Window::canonical(const OperationInfo &info, std::int64_t height, std::int64_t width) const {
    return {canonical_axis(info, vertical(*this), height), canonical_axis(info, horizontal(*this), width)};
}

} // namespace mpscnn::ops
