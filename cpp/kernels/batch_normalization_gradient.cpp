#include "kernels/batch_normalization_gradient.h"

#include "core/text.h"

namespace mpscnn::kernels {

ops::WeightSpecs BatchNormalizationGradient::weights() const {
    const Shape channels{forward.number_of_feature_channels};
    ops::WeightSpecs specs{{"gamma", channels}, {"beta", channels, false}};
    forward.fused_neuron_descriptor.add_weights(specs, forward.number_of_feature_channels);
    return specs;
}

ImageDescriptor BatchNormalizationGradient::destination(std::span<const ImageDescriptor> sources) const {
    if (!statistics) return sources[1];
    return {1, 2, forward.number_of_feature_channels, 1, ImageFormat::float32};
}

int BatchNormalizationGradient::build(EncodingBuilder &builder) const {
    const std::int64_t channels = forward.number_of_feature_channels;
    for (const std::size_t source : {std::size_t{0}, std::size_t{1}})
        if (builder.image(source).feature_channels != channels)
            builder.refuse(ErrorKind::shape,
                           concat({"gradient and source must have ", channels, " feature channels, got ",
                                   builder.image(source).feature_channels}));
    int gradient = builder.everything(0);
    const int source = builder.everything(1), moments = builder.statistics_of_batch(channels);
    const auto &neuron = forward.fused_neuron_descriptor.neuron;
    if (neuron && neuron->kind == ops::NeuronKind::prelu)
        builder.refuse(ErrorKind::unsupported, "prelu has no gradient here; add a Neuron behind");
    if (neuron && neuron->kind != ops::NeuronKind::none) {
        ops::BatchNormalization normalization;
        normalization.epsilon = forward.epsilon;
        const Shape shape{channels};
        const int normalized = builder.add(normalization, {source, moments},
                                           {{"gamma", "gamma", shape}, {"beta", "beta", shape}});
        gradient = builder.add(ops::NeuronGradient{*neuron, false}, {gradient, normalized});
    }
    if (statistics)
        return builder.add(ops::BatchNormalizationSums{forward.epsilon}, {gradient, source, moments});
    const int sums = builder.tensor(2), gamma = builder.weight("gamma", {channels});
    return builder.add(ops::BatchNormalizationGradient{forward.epsilon},
                       {gradient, source, moments, sums, gamma});
}

} // namespace mpscnn::kernels
