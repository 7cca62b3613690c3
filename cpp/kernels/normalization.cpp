#include "kernels/normalization.h"

#include "core/text.h"

namespace mpscnn::kernels {

void BatchNormalization::check(const std::string &kernel) const {
    require_range(kernel, "number_of_feature_channels", number_of_feature_channels, 1);
    if (!(epsilon > 0.0f)) fail(ErrorKind::parameter, {kernel, ": epsilon must be above 0, got ", epsilon});
}

ops::WeightSpecs BatchNormalization::weights() const {
    const Shape channels{number_of_feature_channels};
    ops::WeightSpecs specs{{"mean", channels},
                           {"variance", channels, true, 0.0f},
                           {"gamma", channels, false},
                           {"beta", channels, false}};
    fused_neuron_descriptor.add_weights(specs, number_of_feature_channels);
    return specs;
}

int BatchNormalization::build(EncodingBuilder &builder) const {
    builder.read_channels(number_of_feature_channels);
    const Shape channels{number_of_feature_channels};
    ops::BatchNormalization normalization;
    normalization.epsilon = epsilon;
    std::vector<int> inputs{builder.pixels()};
    std::vector<WeightUse> weights{{"gamma", "gamma", channels}, {"beta", "beta", channels}};
    if (builder.has_statistics()) {
        inputs.push_back(builder.statistics(number_of_feature_channels));
    } else {
        weights.push_back({"mean", "mean", channels});
        weights.push_back({"variance", "variance", channels});
    }
    const int result = builder.add(normalization, std::move(inputs), std::move(weights));
    return builder.add_neuron(fused_neuron_descriptor.neuron, result, number_of_feature_channels);
}

int BatchStatistics::build(EncodingBuilder &builder) const {
    constexpr const char *of_all = "statistics are those of the whole source";
    builder.require_no_offset(of_all);
    builder.require_written({builder.image().width, builder.image().height}, of_all);
    if (const std::int64_t offset = builder.properties().destination_feature_channel_offset; offset != 0)
        builder.refuse(
            ErrorKind::parameter,
            concat({"destination_feature_channel_offset must be 0, for a state is written, got ", offset}));
    const int source = builder.whole();
    return builder.add(ops::BatchStatistics{}, {source});
}

void GroupNormalization::check(const std::string &kernel) const {
    require_range(kernel, "number_of_feature_channels", number_of_feature_channels, 1);
    require_range(kernel, "number_of_groups", number_of_groups, 1);
    if (number_of_feature_channels % number_of_groups != 0)
        fail(ErrorKind::parameter, {kernel, ": number_of_groups must be a divisor of the ",
                                    number_of_feature_channels, " feature channels, got ", number_of_groups});
    if (!(epsilon > 0.0f)) fail(ErrorKind::parameter, {kernel, ": epsilon must be above 0, got ", epsilon});
}

ops::WeightSpecs GroupNormalization::weights() const {
    const Shape channels{number_of_feature_channels};
    return {{"gamma", channels, false}, {"beta", channels, false}};
}

int GroupNormalization::build(EncodingBuilder &builder) const {
    builder.read_channels(number_of_feature_channels);
    builder.require_no_offset("statistics are those of the whole source");
    builder.require_written({builder.image().width, builder.image().height},
                            "the result is as large as the source");
    ops::GroupNormalization normalization;
    normalization.groups = grouped ? number_of_groups : number_of_feature_channels;
    normalization.epsilon = epsilon;
    const Shape channels{number_of_feature_channels};
    const int source = builder.whole();
    return builder.add(normalization, {source}, {{"gamma", "gamma", channels}, {"beta", "beta", channels}});
}

int CrossChannelNormalization::build(EncodingBuilder &builder) const {
    ops::CrossChannelNormalization normalization;
    normalization.kernel_size = kernel_size;
    normalization.alpha = alpha;
    normalization.beta = beta;
    normalization.delta = delta;
    const int source = builder.pixels();
    return builder.add(normalization, {source});
}

ops::Window WindowNormalization::taps() const {
    ops::Window window;
    window.kernel_height = kernel_height;
    window.kernel_width = kernel_width;
    return window;
}

void WindowNormalization::check(const std::string &kernel) const {
    require_range(kernel, "kernel_width", kernel_width, 1);
    require_range(kernel, "kernel_height", kernel_height, 1);
    if (kernel_width != kernel_height)
        fail(ErrorKind::parameter, {kernel, ": kernel_width must be equal to kernel_height, got ",
                                    kernel_width, " and ", kernel_height});
}

int WindowNormalization::build(EncodingBuilder &builder) const {
    const SourceProperties &given = builder.properties().sources[0];
    ops::CentredWindow window;
    window.kernel_height = kernel_height;
    window.kernel_width = kernel_width;
    window.offset_y = given.offset.y;
    window.offset_x = given.offset.x;
    window.height = builder.height();
    window.width = builder.width();
    window.edge = given.edge_mode == EdgeMode::clamp ? ops::EdgeRule::clamp : ops::EdgeRule::zero;
    const int source = builder.whole();
    const auto add = [&](auto normalization) {
        normalization.window = window;
        normalization.alpha = alpha;
        normalization.beta = beta;
        normalization.delta = delta;
        return builder.add(normalization, {source});
    };
    if (!local_contrast) return add(ops::SpatialNormalization{});
    ops::LocalContrastNormalization normalization;
    normalization.p0 = p0;
    normalization.pm = pm;
    normalization.ps = ps;
    return add(normalization);
}

} // namespace mpscnn::kernels
