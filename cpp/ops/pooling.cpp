#include "ops/pooling.h"

#include <algorithm>

namespace mpscnn::ops {

namespace {

/// Return whether any tap of the window at output position `o` lies on one of the `size` input positions.
bool touches(const WindowAxis &axis, std::int64_t size, std::int64_t o) {
    const std::int64_t start = o * axis.stride - axis.before;
    const std::int64_t skipped = start < 0 ? (-start + axis.dilation - 1) / axis.dilation : 0;
    return skipped < axis.kernel && start + skipped * axis.dilation < size;
}

/// Return the smallest x >= 0 with low <= factor * x mod modulus <= high, or -1 if there is none. The limits
/// must satisfy 0 < low <= high < modulus. If the first multiple that reaches `low` is above `high`,
/// multiples must first pass the modulus a number of times. As in Euclid's algorithm, that number (`turns`)
/// is the answer to a question of the same kind with `factor` as its modulus.
std::int64_t first_multiple_within(std::int64_t factor, std::int64_t modulus, std::int64_t low,
                                   std::int64_t high) {
    if (factor == 0) return -1;
    const std::int64_t direct = (low + factor - 1) / factor;
    if (direct * factor <= high) return direct;
    const auto negated = [&](std::int64_t value) { return (factor - value % factor) % factor; };
    const std::int64_t turns = first_multiple_within(modulus % factor, factor, negated(high), negated(low));
    return turns < 0 ? -1 : (low + modulus * turns + factor - 1) / factor;
}

/// Throws if a window lies wholly in the padding or its taps skip the whole image, because it has no maximum
/// and no mean.
void require_pixels(const WindowAxis &axis, std::int64_t size, const char *what) {
    // Windows that begin inside the input have a tap there, so only windows that begin before or after it are
    // checked.
    const std::int64_t first_inside =
        std::clamp<std::int64_t>((axis.before + axis.stride - 1) / axis.stride, 0, axis.output);
    const std::int64_t first_behind =
        std::clamp((size + axis.before + axis.stride - 1) / axis.stride, first_inside, axis.output);
    const auto refuse = [&](std::int64_t o) {
        fail(ErrorKind::shape, {Pooling::info.name, ": window ", o, " covers none of the ", size, " ", what,
                                ", only padding; use less padding or dilation"});
    };
    // No window has more taps before the input than the first one.
    if (first_inside > 0 && !touches(axis, size, 0)) refuse(0);
    if (axis.dilation > size) { // a window's first tap that is not before the input may be after it
        const std::int64_t first = (axis.dilation - axis.before % axis.dilation) % axis.dilation;
        const std::int64_t over = first_multiple_within(axis.stride % axis.dilation, axis.dilation,
                                                        size - first, axis.dilation - 1 - first);
        if (over >= 0 && over < first_inside) refuse(over);
    }
    if (first_behind < axis.output) refuse(first_behind);
}

} // namespace

CanonicalWindow Pooling::canonical(std::int64_t height, std::int64_t width) const {
    if (!global) return window.canonical(info, height, width);
    const Window whole{.kernel_height = height, .kernel_width = width};
    return whole.canonical(info, height, width);
}

/// Check the parameters that decide which taps an average counts.
void Pooling::check_divisor() const {
    for (const auto &[name, zeros] :
         {std::pair{"zero_pad_y", zero_pad_y}, std::pair{"zero_pad_x", zero_pad_x}}) {
        require_minimum(info, name, zeros, 0);
        if (zeros == 0) continue;
        if (kind != PoolingKind::average) refuse_parameter(info, name, "0 unless kind is average", zeros);
        if (edge == EdgeRule::zero) refuse_parameter(info, name, "0 with edge zero", zeros);
        if (count_padding) refuse_parameter(info, name, "0 with count_padding", zeros);
    }
    if (count_padding && edge != EdgeRule::exclude)
        refuse_parameter(info, "count_padding", "false unless edge is exclude", "true");
}

void Pooling::check(const InputShapes &inputs) const {
    require_rank(info, inputs, 4);
    window.check(info);
    require_edge(info, edge, {EdgeRule::exclude, EdgeRule::zero, EdgeRule::clamp});
    check_divisor();
    if (global && (window.kernel_height != 1 || window.kernel_width != 1))
        refuse_parameter(info, "global", "false when a kernel size is given", "true");
    if (!global && edge == EdgeRule::exclude && inputs[0].with_batch(1).fixed()) {
        const CanonicalWindow covered = canonical(inputs[0][1], inputs[0][2]);
        require_pixels(covered.vertical, inputs[0][1], "rows");
        require_pixels(covered.horizontal, inputs[0][2], "columns");
    }
}

Shape Pooling::output_shape(const InputShapes &inputs) const {
    const Shape &input = inputs[0];
    if (global) return {input[0], 1, 1, input[3]};
    return {input[0], window.output_height(info, input[1]), window.output_width(info, input[2]), input[3]};
}

Cost Pooling::cost(const InputShapes &inputs, const Shape &output) const {
    const CanonicalWindow canonical_window = canonical(inputs[0][1], inputs[0][2]);
    // Shape::elements() multiplies, because it throws for products beyond 64 bits.
    const Shape taps{output.elements(), canonical_window.vertical.kernel, canonical_window.horizontal.kernel};
    return {0, taps.elements()};
}

void PoolingGradient::check(const InputShapes &inputs) const {
    const InputShapes input = inputs.subspan(1, 1);
    pooling.check(input);
    require_result(info, inputs[0], pooling.output_shape(input));
    require_like_first(info, inputs, 2);
}

} // namespace mpscnn::ops
