#include "metal/layers/neuron.h"
#include "metal/layers/steps.h"
#include "shaders/neuron_params.h"
#include "shaders/normalization_params.h"

namespace mpscnn::metal {

namespace {

static_assert(sizeof(MomentsParams) == 10 * sizeof(int) && sizeof(StatisticsParams) == 12 * sizeof(int));
static_assert(sizeof(NormalizationParams) == 14 * sizeof(int));
static_assert(sizeof(PixelStatisticsParams) == 13 * sizeof(int));
static_assert(sizeof(LayerNormalizationParams) == 13 * sizeof(int));

using Buffer = objc_ptr<id<MTLBuffer>>;

void append_in_slices(std::vector<float> &terms, const std::vector<float> &values) {
    const std::vector<float> padded = in_slices(values);
    terms.insert(terms.end(), padded.begin(), padded.end());
}

std::size_t channels_of(const LayerSource &source) {
    return static_cast<std::size_t>(source.graph.shape(source.node.inputs[0]).back());
}

/// Return a buffer with gamma, beta and the slopes of a PReLU, each in slices of four channels.
Buffer normalization_terms(const LayerSource &source, Device &device) {
    std::vector<float> terms;
    append_in_slices(terms, source.node.weight_or("gamma", channels_of(source), 1.0f));
    append_in_slices(terms, source.node.weight_or("beta", channels_of(source), 0.0f));
    append_in_slices(terms, source.node.weight_or("slope", 1, 0.0f));
    return device.make_constants(terms);
}

/// Return the layout of intermediate images: the moments of an image's rows, or the statistics of its
/// channels. Both are float in any precision.
ImageLayout moments_layout(const ImageLayout &image) {
    return {image.images, image.height, 4, image.channels, engine::Precision::float32};
}

ImageLayout statistics_layout(const ImageLayout &image) {
    return {image.images, 4, 1, image.channels, engine::Precision::float32};
}

/// The kind and parameters of a normalization.
class Normalization {
public:
    Normalization(float epsilon, const LayerSource &source, Device &device)
        : shaders_(source, device), epsilon_(epsilon), activation_(activation_of(source)),
          terms_(normalization_terms(source, device)) {}

    const ShaderMaker &shaders() const { return shaders_; }
    ShaderCall call(const ImageLayout &image, const ImageLayout &statistics,
                    const ImageLayout &destination) const {
        const NormalizationParams params{image.params(), statistics.params(), epsilon_, activation_.params};
        const std::array sources{image, statistics};
        return shaders_.call("normalize", sources, destination, ShaderArguments(params, {terms_}),
                             activation_.kind);
    }

private:
    ShaderMaker shaders_;
    float epsilon_;
    Activation activation_;
    Buffer terms_;
};

/// Return the stage that computes the moments of the rows of the step's first source.
Stage moments_stage(const ShaderMaker &shaders, const ImageLayout &image) {
    const ImageLayout moments = moments_layout(image);
    ShaderCall call = shaders.call("row_moments", {&image, 1}, moments,
                                   ShaderArguments(MomentsParams{image.params(), moments.params()}));
    ImageLayout rows = moments;
    rows.width = 1;
    return shader_stage(std::move(call), {0}, moments, rows);
}

/// Return the stage that computes statistics from image `source`, with one thread for each slice.
Stage statistics_stage(const ShaderMaker &shaders, const char *shader, std::size_t source,
                       const ImageLayout &from, const ImageLayout &to, std::int64_t group) {
    const StatisticsParams params{from.params(), to.params(),
                                  static_cast<unsigned int>(from.images / to.images),
                                  static_cast<unsigned int>(group)};
    ImageLayout slices = to;
    slices.height = 1;
    return shader_stage(shaders.call(shader, {&from, 1}, to, ShaderArguments(params)), {source}, to, slices);
}

class GroupNormalization : public Layer {
public:
    GroupNormalization(const ops::GroupNormalization &operation, const LayerSource &source, Device &device)
        : normalization_(operation.epsilon, source, device),
          group_(static_cast<std::int64_t>(channels_of(source)) / operation.groups) {}

    std::unique_ptr<Step> bind(Operands operands) const override {
        const ImageLayout &image = operands.source().layout, &result = operands.destination.layout;
        const ImageLayout moments = moments_layout(image), statistics = statistics_layout(image);
        const ShaderMaker &shaders = normalization_.shaders();
        std::vector<Stage> stages{moments_stage(shaders, image)};
        stages.push_back(statistics_stage(shaders, "unite_rows", 1, moments, statistics, 1));
        if (group_ > 1)
            stages.push_back(statistics_stage(shaders, "unite_channels", 2, statistics, statistics, group_));
        const std::size_t last = stages.size();
        stages.push_back(shader_stage(normalization_.call(image, statistics, result), {0, last}, result));
        return staged_step(std::move(stages), std::move(operands));
    }

private:
    Normalization normalization_;
    std::int64_t group_;
};

class BatchStatistics : public Layer {
public:
    BatchStatistics(const LayerSource &source, Device &device) : shaders_(source, device) {}

    std::unique_ptr<Step> bind(Operands operands) const override {
        const ImageLayout image = operands.source().layout, result = operands.destination.layout;
        std::vector<Stage> stages{moments_stage(shaders_, image)};
        stages.push_back(statistics_stage(shaders_, "unite_rows", 1, moments_layout(image), result, 1));
        return staged_step(std::move(stages), std::move(operands));
    }

private:
    ShaderMaker shaders_;
};

/// A layer normalization, over the channels of each pixel.
class LayerNormalization : public Layer {
public:
    LayerNormalization(const ops::LayerNormalization &operation, const LayerSource &source, Device &device)
        : shaders_(source, device), operation_(operation), activation_(activation_of(source)),
          terms_(normalization_terms(source, device)) {}

    std::unique_ptr<Step> bind(Operands operands) const override {
        const ImageLayout image = operands.source().layout, result = operands.destination.layout;
        const ImageLayout statistics{image.images, image.height, image.width, 4, engine::Precision::float32};
        const PixelStatisticsParams statistics_params{
            image.params(), statistics.params(), static_cast<int>(operation_.norm),
            static_cast<int>(operation_.epsilon_rule), operation_.epsilon};
        ShaderCall find =
            shaders_.call("pixel_statistics", {&image, 1}, statistics, ShaderArguments(statistics_params));
        const LayerNormalizationParams params{image.params(), statistics.params(), activation_.params};
        const std::array sources{image, statistics};
        ShaderCall normalize = shaders_.call("layer_normalize", sources, result,
                                             ShaderArguments(params, {terms_}), activation_.kind);
        std::vector<Stage> stages{shader_stage(std::move(find), {0}, statistics)};
        stages.push_back(shader_stage(std::move(normalize), {0, 1}, result));
        return staged_step(std::move(stages), std::move(operands));
    }

private:
    ShaderMaker shaders_;
    ops::LayerNormalization operation_;
    Activation activation_;
    Buffer terms_;
};

/// A normalization whose statistics are the second input.
class NormalizationByStatistics : public Layer {
public:
    NormalizationByStatistics(const ops::BatchNormalization &operation, const LayerSource &source,
                              Device &device)
        : normalization_(operation.epsilon, source, device) {}

    std::unique_ptr<Step> bind(Operands operands) const override {
        ShaderCall call = normalization_.call(operands.sources[0].layout, operands.sources[1].layout,
                                              operands.destination.layout);
        return shader_step(std::move(call), std::move(operands));
    }

private:
    Normalization normalization_;
};

/// Make a batch normalization with constant statistics. It is one multiplication and one addition, with
/// constants that are computed in double and rounded once.
std::unique_ptr<Layer> make_scale_shift(const ops::BatchNormalization &operation, const LayerSource &source,
                                        Device &device) {
    const auto weight = [&](const char *role, float otherwise) {
        return source.node.weight_or(role, channels_of(source), otherwise);
    };
    const ops::ScaleShift coefficients = operation.scale_and_shift(
        weight("mean", 0.0f), weight("variance", 1.0f), weight("gamma", 1.0f), weight("beta", 0.0f));
    std::vector<float> terms;
    append_in_slices(terms, {coefficients.scale.begin(), coefficients.scale.end()});
    append_in_slices(terms, {coefficients.shift.begin(), coefficients.shift.end()});
    append_in_slices(terms, source.node.weight_or("slope", 1, 0.0f));
    const Activation activation = activation_of(source);
    const auto bind = [activation, buffer = device.make_constants(terms)](const Operands &operands) {
        return ShaderArguments(NeuronParams{operands.destination.layout.params(), activation.params},
                               {buffer});
    };
    return shader_layer(source, device, "scale_shift", bind, activation.kind);
}

} // namespace

/// Make a group normalization. It uses shaders, because MPS does not document its divisor of a variance, nor
/// which channels form a group.
std::unique_ptr<Layer> make_layer(const ops::GroupNormalization &operation, const LayerSource &source,
                                  Device &device) {
    return std::make_unique<GroupNormalization>(operation, source, device);
}

std::unique_ptr<Layer> make_layer(const ops::LayerNormalization &operation, const LayerSource &source,
                                  Device &device) {
    return std::make_unique<LayerNormalization>(operation, source, device);
}

std::unique_ptr<Layer> make_layer(const ops::BatchStatistics &, const LayerSource &source, Device &device) {
    return std::make_unique<BatchStatistics>(source, device);
}

std::unique_ptr<Layer> make_layer(const ops::BatchNormalization &operation, const LayerSource &source,
                                  Device &device) {
    if (source.node.inputs.size() == 1) return make_scale_shift(operation, source, device);
    return std::make_unique<NormalizationByStatistics>(operation, source, device);
}

} // namespace mpscnn::metal
