#include "metal/layers/resize.h"
#include "core/json.h"
#include "metal/device/text.h"
#include "metal/layers/steps.h"

#include <algorithm>
#include <cmath>

namespace mpscnn::metal {

namespace {

static_assert(sizeof(ResizeTap) == 3 * sizeof(int) && sizeof(ResizeSpan) == 3 * sizeof(int) &&
              sizeof(ResizeParams) == 5 * sizeof(int));

ResizeTap tap_at(const ops::Resize &resize, const ops::ResizeAxis &axis, std::int64_t output,
                 std::int64_t size) {
    const bool nearest = resize.kind == ops::ResizeKind::nearest, zero = resize.edge == ops::EdgeRule::zero;
    double position =
        (static_cast<double>(output) + axis.centre) * axis.numerator / axis.denominator + axis.offset;
    const ops::NearestRule rule = resize.nearest_rule();
    if (nearest) position += rule.bias;
    // With edge zero, positions more than one pixel beyond an end read zeros only, so they are clamped.
    const double low = zero ? -2.0 : 0.0, high = static_cast<double>(size) - 1.0 - low;
    position = std::clamp(position, low, high);
    const double first = nearest && rule.up ? std::ceil(position) : std::floor(position);
    const auto index = [&](double at) {
        if (at >= 0.0 && at < static_cast<double>(size)) return static_cast<int>(at);
        return zero ? -1 : static_cast<int>(std::clamp(at, 0.0, static_cast<double>(size) - 1.0));
    };
    if (nearest) return {index(first), index(first), 0.0f};
    return {index(first), index(first + 1.0), static_cast<float>(position - first)};
}

/// Append the range of rows or columns that each output of Lanczos' filter sums, and their weights.
void append_spans(const ops::Resize &resize, const ops::ResizeAxis &axis, std::int64_t outputs,
                  std::int64_t size, std::vector<ResizeSpan> &spans, std::vector<float> &weights) {
    const auto taps = static_cast<std::size_t>(ops::lanczos_taps(axis, size));
    for (std::int64_t output = 0; output < outputs; ++output) {
        const std::size_t begin = weights.size();
        weights.resize(begin + taps);
        const ops::LanczosSpan span = ops::lanczos_weights(axis, size, resize.edge == ops::EdgeRule::zero,
                                                           output, weights.data() + begin);
        weights.resize(begin + static_cast<std::size_t>(span.count));
        spans.push_back(
            {static_cast<int>(span.first), static_cast<int>(span.count), static_cast<int>(begin)});
    }
}

/// Return the arguments of the Lanczos shader, with the weights of ops::lanczos_weights. MPSImageLanczosScale
/// is not used: it does not document the width of its filter, nor its weights at borders and for smaller
/// results, and it supports only four channels of one image.
ShaderArguments lanczos_arguments(const ops::Resize &resize, const Operands &operands, Device &device) {
    const ImageLayout &from = operands.source().layout, &to = operands.destination.layout;
    std::vector<ResizeSpan> spans;
    std::vector<float> weights;
    append_spans(resize, resize.horizontal(from.width, to.width), to.width, from.width, spans, weights);
    append_spans(resize, resize.vertical(from.height, to.height), to.height, from.height, spans, weights);
    // If all samples lie outside the image, there are no weights. A buffer may not be empty, so add a
    // placeholder.
    if (weights.empty()) weights.push_back(0.0f);
    return ShaderArguments(ResizeParams{to.params()},
                           {device.make_constants(spans), device.make_constants(weights)});
}

} // namespace

std::vector<ResizeTap> resize_taps(const ops::Resize &resize, const ops::ResizeAxis &axis,
                                   std::int64_t outputs, std::int64_t size) {
    std::vector<ResizeTap> taps;
    for (std::int64_t output = 0; output < outputs; ++output)
        taps.push_back(tap_at(resize, axis, output, size));
    return taps;
}

/// Make a resize layer. It uses shaders, because the sampling positions of MPS differ between systems; see
/// shaders/resize.metal.
std::unique_ptr<Layer> make_layer(const ops::Resize &resize, const LayerSource &source, Device &device) {
    const auto bind = [resize, &device](const Operands &operands) {
        const ImageLayout &from = operands.source().layout, &to = operands.destination.layout;
        const ops::ResizeAxis horizontal = resize.horizontal(from.width, to.width),
                              vertical = resize.vertical(from.height, to.height);
        std::vector<ResizeTap> taps = resize_taps(resize, horizontal, to.width, from.width);
        const std::vector<ResizeTap> rows = resize_taps(resize, vertical, to.height, from.height);
        taps.insert(taps.end(), rows.begin(), rows.end());
        return ShaderArguments(ResizeParams{to.params()}, {device.make_constants(taps)});
    };
    if (resize.kind == ops::ResizeKind::lanczos)
        return shader_layer(source, device, "resize_lanczos", [resize, &device](const Operands &operands) {
            return lanczos_arguments(resize, operands, device);
        });
    const bool nearest = resize.kind == ops::ResizeKind::nearest;
    return shader_layer(source, device, nearest ? "resize_nearest" : "resize_bilinear", bind);
}

} // namespace mpscnn::metal
