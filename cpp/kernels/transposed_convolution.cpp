#include "kernels/transposed_convolution.h"

#include "kernels/filter.h"

namespace mpscnn::kernels {

namespace {

std::int64_t reach_of(std::int64_t kernel, std::int64_t dilation) { return (kernel - 1) * dilation + 1; }

struct Range {
    std::int64_t begin, size;
};

/// Return the range of source pixels that the windows of `size` results read. Positions count the source with
/// stride - 1 zeros between its pixels; the first window has its centre at `total`.
Range read_range(std::int64_t total, std::int64_t size, std::int64_t reach, std::int64_t stride) {
    const auto pixels_before = [&](std::int64_t position) { // rounded up, also for negative positions
        return position > 0 ? (position + stride - 1) / stride : position / stride;
    };
    const std::int64_t first = total - reach / 2;
    const std::int64_t begin = pixels_before(first);
    return {begin, pixels_before(first + size - 1 + reach) - begin};
}

} // namespace

ImageSize ConvolutionTranspose::reach() const {
    return {reach_of(kernel_width, dilation_rate_x), reach_of(kernel_height, dilation_rate_y)};
}

void ConvolutionTranspose::check(const std::string &kernel) const {
    check_filter(kernel, *this);
    require_range(kernel, "groups", groups, 1);
    require_range(kernel, "kernel_offset_x", kernel_offset_x, -ops::largest_size);
    require_range(kernel, "kernel_offset_y", kernel_offset_y, -ops::largest_size);
    if (input_feature_channels % groups != 0 || output_feature_channels % groups != 0)
        fail(ErrorKind::parameter,
             {kernel, ": groups must be a divisor of the ", input_feature_channels, " input and ",
              output_feature_channels, " output feature channels, got ", groups});
}

ops::WeightSpecs ConvolutionTranspose::weights() const {
    ops::WeightSpecs specs{
        {"weights", {output_feature_channels, kernel_height, kernel_width, input_feature_channels / groups}},
        {"bias_terms", {output_feature_channels}, false}};
    fused_neuron_descriptor.add_weights(specs, output_feature_channels);
    return specs;
}

ImageSize ConvolutionTranspose::destination_size(std::span<const ImageDescriptor> sources) const {
    return {(sources[0].width - 1) * stride_x + reach().width,
            (sources[0].height - 1) * stride_y + reach().height};
}

ImageRegion ConvolutionTranspose::source_region(const Offset &offset, const ImageSize &written,
                                                std::size_t) const {
    const Range rows =
        read_range(offset.y * stride_y + kernel_offset_y, written.height, reach().height, stride_y);
    const Range columns =
        read_range(offset.x * stride_x + kernel_offset_x, written.width, reach().width, stride_x);
    ImageRegion region;
    region.y = rows.begin;
    region.height = rows.size;
    region.x = columns.begin;
    region.width = columns.size;
    return region;
}

int ConvolutionTranspose::build(EncodingBuilder &builder) const {
    const SourceProperties &given = builder.properties().sources[0];
    if (given.edge_mode != EdgeMode::zero)
        builder.refuse(ErrorKind::unsupported,
                       std::string("edge_mode must be zero, got ") + ops::name_of(given.edge_mode));
    builder.read_channels(input_feature_channels);
    ops::TransposedConvolution convolution;
    convolution.output_channels = output_feature_channels;
    convolution.groups = groups;
    convolution.kernel_use = ops::KernelUse::gather;
    ops::TransposedWindow &window = convolution.window;
    set_taps(window, *this);
    window.padding = ops::TransposedPadding::explicit_;
    // The padding that expresses Apple's offsets; see ops::TransposedAxis.
    const auto before = [](std::int64_t total, std::int64_t reach) { return total + reach - 1 - reach / 2; };
    const ImageSize all = destination_size({&builder.image(), 1});
    window.pad_top = before(given.offset.y * stride_y + kernel_offset_y, reach().height);
    window.pad_left = before(given.offset.x * stride_x + kernel_offset_x, reach().width);
    window.pad_bottom = all.height - window.pad_top - builder.height();
    window.pad_right = all.width - window.pad_left - builder.width();
    const int source = builder.whole();
    const Shape weights{output_feature_channels, kernel_height, kernel_width,
                        input_feature_channels / groups};
    const int result =
        builder.add(convolution, {source},
                    {{"weight", "weights", weights}, {"bias", "bias_terms", {output_feature_channels}}});
    return builder.add_neuron(fused_neuron_descriptor.neuron, result, output_feature_channels);
}

} // namespace mpscnn::kernels
