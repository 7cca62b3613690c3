#pragma once

#include "kernels/encoding.h"

namespace mpscnn::kernels {

/// MPSNNOptimizerStochasticGradientDescent, ...RMSProp and ...Adam, for weights that are whole images. One
/// encode computes one of their results, the new values or a moment. Sources: the gradient, the values and
/// the previous moments that the optimiser has.
struct Optimizer {
    enum class Kind { sgd, rmsprop, adam };
    /// The result that one encode computes.
    enum class Result { values, momentum, velocity, maximum_velocity };

    Kind kind = Kind::sgd;
    Result result = Result::values;
    float learning_rate = 1e-3f;
    ops::OptimizerGradient gradient;
    float momentum_scale = 0.0f;
    bool use_nesterov_momentum = false;
    double decay = 0.9, beta1 = 0.9, beta2 = 0.999;
    float epsilon = 1e-8f;
    std::int64_t time_step = 0;

    template <class Visitor> void fixed(Visitor &visit) {
        if (kind == Kind::sgd) {
            visit("momentum_scale", momentum_scale,
                  "share of the moment that is kept, 0 to 1; 0: there is none");
            visit("use_nesterov_momentum", use_nesterov_momentum, "whether the moment is Nesterov's");
        }
        if (kind == Kind::rmsprop)
            visit("decay", decay, "share of the average of squares that is kept, 0 to 1");
        if (kind == Kind::adam) {
            visit("beta1", beta1, "share of the average of gradients that is kept, at least 0 and below 1");
            visit("beta2", beta2, "share of the average of squares that is kept, at least 0 and below 1");
        }
        if (kind != Kind::sgd) visit("epsilon", epsilon, "added to the root");
    }
    template <class Visitor> void fields(Visitor &visit) {
        visit("result", result, "which result is computed: 'values' or one of the moments");
        visit("learning_rate", learning_rate, "size of the step, at least 0");
        visit("gradient_rescale", gradient.rescale, "factor of the gradient, once it is clipped");
        visit("apply_gradient_clipping", gradient.clip, "whether the gradient is limited");
        visit("gradient_clip_min", gradient.minimum, "lower limit of the gradient");
        visit("gradient_clip_max", gradient.maximum, "upper limit of the gradient");
        visit("regularization_type", gradient.regularization, "'none', 'l1' or 'l2'");
        visit("regularization_scale", gradient.regularization_scale,
              "factor of the regularization, at least 0");
        if (kind == Kind::adam) visit("time_step", time_step, "number of steps that were made before");
    }

    void check(const std::string &kernel) const;
    ops::WeightSpecs weights() const { return {}; }
    std::int64_t output_channels(ChannelCounts sources) const { return sources[0]; }
    ImageDescriptor destination(std::span<const ImageDescriptor> sources) const { return sources[1]; }
    int build(EncodingBuilder &builder) const;

private:
    int prepared_gradient(EncodingBuilder &builder, int values) const;
    int build_sgd(EncodingBuilder &builder, int gradient, int values) const;
    int build_rmsprop(EncodingBuilder &builder, int gradient, int values) const;
    int build_adam(EncodingBuilder &builder, int gradient, int values) const;
    int moment(EncodingBuilder &builder, std::size_t source) const;
};

} // namespace mpscnn::kernels

namespace mpscnn::ops {

template <> struct EnumNames<kernels::Optimizer::Result> {
    using Result = kernels::Optimizer::Result;
    static constexpr std::array<std::pair<const char *, Result>, 4> values{
        {{"values", Result::values},
         {"momentum", Result::momentum},
         {"velocity", Result::velocity},
         {"maximum_velocity", Result::maximum_velocity}}};
};

} // namespace mpscnn::ops
