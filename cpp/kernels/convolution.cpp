#include "kernels/convolution.h"

#include "core/text.h"
#include "kernels/filter.h"

namespace mpscnn::kernels {

ops::Window Convolution::taps() const { return taps_of(*this); }

void Convolution::check(const std::string &kernel) const {
    check_filter(kernel, *this);
    require_range(kernel, "groups", groups, 1);
    const auto refuse = [&](const char *field, const std::string &allowed, std::int64_t given) {
        fail(ErrorKind::parameter, {kernel, ": ", field, " must be ", allowed, ", got ", given});
    };
    if (depthwise && groups != 1) refuse("groups", "1 for a depthwise convolution", groups);
    if (depthwise && output_feature_channels % input_feature_channels != 0)
        refuse("output_feature_channels",
               concat({"a multiple of the ", input_feature_channels,
                       " input_feature_channels for a depthwise convolution"}),
               output_feature_channels);
    require_range(kernel, "sub_pixel_scale_factor", sub_pixel_scale_factor, 1);
    if (output_feature_channels % (sub_pixel_scale_factor * sub_pixel_scale_factor) != 0)
        refuse("output_feature_channels",
               concat({"a multiple of sub_pixel_scale_factor^2 = ",
                       sub_pixel_scale_factor * sub_pixel_scale_factor}),
               output_feature_channels);
    if (batch_normalization && !(batch_normalization_epsilon > 0.0f))
        fail(ErrorKind::parameter,
             {kernel, ": batch_normalization_epsilon must be above 0, got ", batch_normalization_epsilon});
    const std::int64_t slice = ImageDescriptor::slice_channels;
    if (groups > 1 &&
        output_feature_channels / (sub_pixel_scale_factor * sub_pixel_scale_factor) % slice != 0)
        refuse("output_feature_channels",
               "such that a multiple of 4 is written (divided by sub_pixel_scale_factor^2) when there are "
               "groups",
               output_feature_channels);
    if (groups > 1 &&
        (input_feature_channels % (groups * slice) != 0 || output_feature_channels % (groups * slice) != 0))
        refuse("groups",
               concat({"1, or such that every group has a multiple of 4 of the ", input_feature_channels,
                       " input and ", output_feature_channels, " output feature channels"}),
               groups);
}

ops::WeightSpecs Convolution::weights() const {
    ops::WeightSpecs specs;
    if (depthwise)
        specs = {{"weights", {input_feature_channels, channel_multiplier(), kernel_height, kernel_width}}};
    else
        specs = {{"weights",
                  {output_feature_channels, kernel_height, kernel_width, input_feature_channels / groups}}};
    specs.push_back({"bias_terms", {output_feature_channels}, false});
    if (batch_normalization) {
        specs.push_back({"mean", {output_feature_channels}});
        specs.push_back({"variance", {output_feature_channels}, true, 0.0f});
        specs.push_back({"gamma", {output_feature_channels}, false});
        specs.push_back({"beta", {output_feature_channels}, false});
    }
    fused_neuron_descriptor.add_weights(specs, output_feature_channels);
    return specs;
}

ImageSize Convolution::computed_size(const ImageSize &written) const {
    const std::int64_t scale = sub_pixel_scale_factor;
    return {(written.width + scale - 1) / scale, (written.height + scale - 1) / scale};
}

ImageRegion Convolution::source_region(const Offset &offset, const ImageSize &written, std::size_t) const {
    return windowed_region(taps(), offset, computed_size(written));
}

int Convolution::build(EncodingBuilder &builder) const {
    builder.read_channels(input_feature_channels);
    ops::Convolution convolution;
    convolution.output_channels = output_feature_channels;
    convolution.groups = depthwise ? input_feature_channels : groups;
    const std::int64_t scale = sub_pixel_scale_factor;
    const ImageSize size = computed_size({builder.width(), builder.height()});
    convolution.window = builder.place(taps(), size);
    const int source = builder.widened(convolution.window);

    const Shape per_channel{output_feature_channels};
    int result = builder.add(convolution, {source},
                             {{"weight",
                               "weights",
                               {output_feature_channels, kernel_height, kernel_width,
                                input_feature_channels / convolution.groups}},
                              {"bias", "bias_terms", per_channel}});
    if (batch_normalization) {
        ops::BatchNormalization normalization;
        normalization.epsilon = batch_normalization_epsilon;
        result = builder.add(normalization, {result},
                             {{"mean", "mean", per_channel},
                              {"variance", "variance", per_channel},
                              {"gamma", "gamma", per_channel},
                              {"beta", "beta", per_channel}});
    }
    result = builder.add_neuron(fused_neuron_descriptor.neuron, result, output_feature_channels);
    if (scale == 1) return result;
    ops::DepthToSpace blocks;
    blocks.scale = scale;
    return builder.cut(builder.add(blocks, {result}), {size.width * scale, size.height * scale});
}

} // namespace mpscnn::kernels
