#include "kernels/optimizer.h"

#include <cmath>

#include "core/text.h"

namespace mpscnn::kernels {

void Optimizer::check(const std::string &kernel) const {
    const auto require = [&](const char *name, double value, bool allowed, const char *range) {
        if (!allowed) fail(ErrorKind::parameter, {kernel, ": ", name, " must be ", range, ", got ", value});
    };
    const auto share = [&](const char *name, double value) {
        require(name, value, value >= 0.0 && value <= 1.0, "0 to 1");
    };
    require("learning_rate", static_cast<double>(learning_rate), learning_rate >= 0.0f, "at least 0");
    require("regularization_scale", static_cast<double>(gradient.regularization_scale),
            gradient.regularization_scale >= 0.0f, "at least 0");
    require("epsilon", static_cast<double>(epsilon), epsilon >= 0.0f, "at least 0");
    require("gradient_clip_min", static_cast<double>(gradient.minimum), gradient.minimum <= gradient.maximum,
            "at most gradient_clip_max");
    share("momentum_scale", static_cast<double>(momentum_scale));
    share("decay", decay);
    share("beta1", beta1);
    share("beta2", beta2);
    if (kind == Kind::adam && result == Result::values) { // its correction divides by 1 - beta^t
        require("beta1", beta1, beta1 < 1.0, "below 1");
        require("beta2", beta2, beta2 < 1.0, "below 1");
    }
    require_range(kernel, "time_step", time_step, 0);
    const bool has_result = result == Result::values ||
                            (result == Result::momentum && kind != Kind::rmsprop) ||
                            (result == Result::velocity && kind != Kind::sgd) ||
                            (result == Result::maximum_velocity && kind == Kind::adam);
    if (!has_result) fail(ErrorKind::parameter, {kernel, ": has no result ", ops::name_of(result)});
}

int Optimizer::moment(EncodingBuilder &builder, std::size_t source) const {
    ImageDescriptor given = builder.image(source), wanted = builder.image(1);
    given.format = wanted.format;
    if (!(given == wanted))
        builder.refuse(ErrorKind::shape, concat({"source ", source, " must have the size of the values, ",
                                                 wanted.text(), ", got ", given.text()}));
    return builder.tensor(source);
}

int Optimizer::prepared_gradient(EncodingBuilder &builder, int values) const {
    const int given = moment(builder, 0);
    const bool changes =
        gradient.clip || gradient.rescale != 1.0f ||
        (gradient.regularization != ops::Regularization::none && gradient.regularization_scale != 0.0f);
    return changes ? builder.add(gradient, {given, values}) : given;
}

int Optimizer::build_sgd(EncodingBuilder &builder, int prepared, int values) const {
    const int rates = builder.numbers({learning_rate, learning_rate}, {1, 2});
    std::vector<int> inputs{values, prepared, rates};
    if (builder.sources() == 3) {
        const int kept = builder.add(ops::MomentumUpdate{momentum_scale, use_nesterov_momentum},
                                     {moment(builder, 2), prepared, rates});
        if (result == Result::momentum) return kept;
        inputs.push_back(kept);
    }
    return builder.add(ops::SgdUpdate{momentum_scale, use_nesterov_momentum, 0.0f}, std::move(inputs));
}

int Optimizer::build_rmsprop(EncodingBuilder &builder, int prepared, int values) const {
    const int squares = builder.add(ops::MovingAverage{decay, true}, {moment(builder, 2), prepared});
    if (result == Result::velocity) return squares;
    const int rates = builder.numbers({learning_rate, learning_rate}, {1, 2});
    return builder.add(ops::AdaptiveUpdate{epsilon, 0.0f}, {values, prepared, squares, rates});
}

int Optimizer::build_adam(EncodingBuilder &builder, int prepared, int values) const {
    if (result == Result::momentum)
        return builder.add(ops::MovingAverage{beta1, false}, {moment(builder, 2), prepared});
    int second = builder.add(ops::MovingAverage{beta2, true}, {moment(builder, 3), prepared});
    if (result == Result::velocity) return second;
    if (builder.sources() == 5) second = builder.add(ops::Maximum{}, {moment(builder, 4), second});
    if (result == Result::maximum_velocity) return second;
    const int first = builder.add(ops::MovingAverage{beta1, false}, {moment(builder, 2), prepared});
    // Adam's correction of moments that begin at zero.
    const auto time = static_cast<double>(time_step + 1);
    const double step = static_cast<double>(learning_rate) * std::sqrt(1.0 - std::pow(beta2, time)) /
                        (1.0 - std::pow(beta1, time));
    const int rates = builder.numbers({learning_rate, static_cast<float>(step)}, {1, 2});
    return builder.add(ops::AdaptiveUpdate{epsilon, 0.0f}, {values, first, second, rates});
}

int Optimizer::build(EncodingBuilder &builder) const {
    const std::size_t moments = builder.sources() - 2;
    const bool has_moments = kind == Kind::sgd       ? moments == (momentum_scale != 0.0f ? 1 : 0)
                             : kind == Kind::rmsprop ? moments == 1
                             : result == Result::maximum_velocity ? moments == 3
                                                                  : moments == 2 || moments == 3;
    if (!has_moments)
        builder.refuse(ErrorKind::parameter,
                       concat({"got ", moments, " moments behind the gradient and the values"}));
    if (result == Result::momentum && moments == 0)
        builder.refuse(ErrorKind::parameter, "has no momentum: momentum_scale is 0");
    const int values = builder.tensor(1), prepared = prepared_gradient(builder, values);
    switch (kind) {
    case Kind::sgd:
        return build_sgd(builder, prepared, values);
    case Kind::rmsprop:
        return build_rmsprop(builder, prepared, values);
    case Kind::adam:
        return build_adam(builder, prepared, values);
    }
    fail(ErrorKind::parameter, "unknown optimiser");
}

} // namespace mpscnn::kernels
