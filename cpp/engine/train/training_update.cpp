#include "engine/train/training_update.h"

#include <limits>

#include "core/text.h"
#include "ops/op_list.h"

namespace mpscnn::engine {

namespace {

class UpdateMaker {
public:
    UpdateMaker(Graph &graph, const TrainingOptions &options, const UpdateValues &values)
        : graph_(graph), options_(options), optimizer_(options.optimizer), values_(values) {}

    void limit(const NamedGradients &gradients);
    void update(const std::string &weight, ValueId gradient);

    std::map<std::string, ValueId> made;

private:
    ValueId add(const std::string &name, ops::Operation operation, std::vector<ValueId> inputs) {
        return graph_.add_node(name, std::move(operation), std::move(inputs));
    }
    ValueId variable(const std::string &name) const { return values_.variables.at(name); }
    ValueId ready(const std::string &weight, ValueId gradient);
    ValueId moment(const std::string &weight, const char *name, ops::Operation operation,
                   std::vector<ValueId> inputs);
    ValueId new_weight(const std::string &weight, ValueId gradient);

    Graph &graph_;
    const TrainingOptions &options_;
    const OptimizerOptions &optimizer_;
    const UpdateValues &values_;
    ValueId factor_ = -1; ///< the factor that limits the norm of all gradients; -1: none
};

/// Compute the factor: limit / norm if the norm of all gradients is above the limit, otherwise 1.
void UpdateMaker::limit(const NamedGradients &gradients) {
    ValueId sum = -1;
    for (const auto &[weight, gradient] : gradients) {
        const ValueId own = add(concat({weight, ".squared_sum"}), ops::SquaredSum{}, {gradient});
        sum = sum < 0 ? own : add(concat({weight, ".squared_sums"}), ops::Addition{}, {sum, own});
    }
    // The limit applies to the mean gradient over the batches. Gradients here are sums over the batches, so
    // the limit is multiplied by their number.
    const auto batches = static_cast<float>(options_.accumulate);
    const float limit = optimizer_.global_norm * batches;
    using ops::NeuronKind;
    const float largest = std::numeric_limits<float>::max();
    sum = add("training.norm.limited", ops::Neuron{.kind = NeuronKind::linear, .a = 1.0f / limit / limit},
              {sum});
    sum = add("training.norm.above_limit", ops::Neuron{.kind = NeuronKind::clamp, .a = 1.0f, .b = largest},
              {sum});
    factor_ = add("training.norm.factor",
                  ops::Neuron{.kind = NeuronKind::power, .a = 1.0f, .b = 0.0f, .c = -0.5f}, {sum});
}

/// Return a gradient in the form that the optimiser takes: clipped, scaled and regularized.
ValueId UpdateMaker::ready(const std::string &weight, ValueId gradient) {
    const ops::OptimizerGradient &own = optimizer_.gradient;
    const bool changes = own.clip || own.rescale != 1.0f || own.regularization != ops::Regularization::none;
    if (options_.accumulates()) {
        const float share = 1.0f / static_cast<float>(options_.accumulate);
        gradient = add(concat({weight, ".mean_gradient"}),
                       ops::Neuron{.kind = ops::NeuronKind::linear, .a = share}, {gradient});
    }
    if (!changes && factor_ < 0) return gradient;
    std::vector<ValueId> inputs{gradient, variable(weight)};
    if (factor_ >= 0) inputs.push_back(factor_);
    return add(concat({weight, ".ready_gradient"}), own, std::move(inputs));
}

ValueId UpdateMaker::moment(const std::string &weight, const char *name, ops::Operation operation,
                            std::vector<ValueId> inputs) {
    const std::string full = concat({weight, ".", name});
    inputs.insert(inputs.begin(), variable(full));
    return made[full] = add(concat({full, ".new"}), std::move(operation), std::move(inputs));
}

ValueId UpdateMaker::new_weight(const std::string &weight, ValueId gradient) {
    const ValueId old = variable(weight), rates = values_.rates.at(weight);
    const std::string name = concat({weight, ".new"});
    const ops::AdaptiveUpdate adaptive{optimizer_.epsilon, optimizer_.weight_decay};
    switch (optimizer_.kind) {
    case OptimizerKind::sgd: {
        const ops::SgdUpdate sgd{optimizer_.momentum, optimizer_.nesterov, optimizer_.weight_decay};
        std::vector<ValueId> inputs{old, gradient, rates};
        if (optimizer_.momentum != 0.0f)
            inputs.push_back(moment(weight, "moment",
                                    ops::MomentumUpdate{optimizer_.momentum, optimizer_.nesterov},
                                    {gradient, rates}));
        return add(name, sgd, std::move(inputs));
    }
    case OptimizerKind::rmsprop: {
        const ValueId squares =
            moment(weight, "squares", ops::MovingAverage{optimizer_.decay, true}, {gradient});
        return add(name, adaptive, {old, gradient, squares, rates});
    }
    case OptimizerKind::adam:
        break;
    }
    const ValueId first =
        moment(weight, "first_moment", ops::MovingAverage{optimizer_.beta1, false}, {gradient});
    ValueId second = moment(weight, "second_moment", ops::MovingAverage{optimizer_.beta2, true}, {gradient});
    if (optimizer_.amsgrad) second = moment(weight, "largest_moment", ops::Maximum{}, {second});
    return add(name, adaptive, {old, first, second, rates});
}

void UpdateMaker::update(const std::string &weight, ValueId gradient) {
    const ValueId updated = new_weight(weight, ready(weight, gradient));
    made[weight] = updated;
    if (!options_.averages()) return;
    const std::string average = concat({weight, average_suffix});
    made[average] = add(concat({average, ".new"}), ops::MovingAverage{options_.average_rate, false},
                        {variable(average), updated});
}

} // namespace

std::vector<std::string> moments_of(const OptimizerOptions &optimizer) {
    switch (optimizer.kind) {
    case OptimizerKind::sgd:
        return optimizer.momentum != 0.0f ? std::vector<std::string>{".moment"} : std::vector<std::string>{};
    case OptimizerKind::rmsprop:
        return {".squares"};
    case OptimizerKind::adam:
        break;
    }
    std::vector<std::string> moments{".first_moment", ".second_moment"};
    if (optimizer.amsgrad) moments.emplace_back(".largest_moment");
    return moments;
}

std::map<std::string, ValueId> add_updates(Graph &graph, const TrainingOptions &options,
                                           const UpdateValues &values, const NamedGradients &gradients) {
    UpdateMaker maker(graph, options, values);
    if (options.optimizer.global_norm > 0.0f) maker.limit(gradients);
    for (const auto &[weight, gradient] : gradients) maker.update(weight, gradient);
    return std::move(maker.made);
}

} // namespace mpscnn::engine
