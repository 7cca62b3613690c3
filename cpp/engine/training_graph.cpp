#include "engine/training_graph.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "core/text.h"
#include "engine/differentiation.h"
#include "ops/fields.h"

namespace mpscnn::engine {

TrainingOptions TrainingOptions::from_json(const Json &json) {
    TrainingOptions options;
    const JsonView view(json, "training");
    view.allow_only({"loss", "optimizer", "frozen", "seed", "statistics_rate"});
    if (view.has("loss")) ops::read_fields(options.loss, view.at("loss").value(), "loss");
    if (view.has("optimizer")) ops::read_fields(options.optimizer, view.at("optimizer").value(), "optimizer");
    if (view.has("frozen")) options.frozen = view.at("frozen").get<std::vector<std::string>>();
    if (view.has("seed")) options.seed = view.at("seed").get<std::int64_t>();
    if (view.has("statistics_rate")) options.statistics_rate = view.at("statistics_rate").get<float>();
    return options;
}

namespace {

/// Mean and variance of a batch normalization that is trained, as one variable.
constexpr const char *statistics_role = "statistics";

bool trains_weights(const ops::Operation &operation) {
    return std::holds_alternative<ops::Convolution>(operation) ||
           std::holds_alternative<ops::FullyConnected>(operation) ||
           std::holds_alternative<ops::BatchNormalization>(operation);
}

/// A seed of each layer's own: FNV-1a of its name.
std::int64_t seed_of(std::int64_t seed, const std::string &layer) {
    std::uint64_t hash = 14695981039346656037ull ^ static_cast<std::uint64_t>(seed);
    for (const char letter : layer) hash = (hash ^ static_cast<unsigned char>(letter)) * 1099511628211ull;
    return static_cast<std::int64_t>(hash >> 2);
}

class TrainingGraphMaker {
public:
    TrainingGraphMaker(const Graph &network, const TrainingOptions &options)
        : network_(network), options_(options) {}

    TrainingGraph run() {
        look_at_layers();
        add_inputs();
        copy_layers();
        add_backward();
        return std::move(result_);
    }

private:
    const Node &node(std::size_t i) const { return network_.nodes()[i]; }
    void look_at_layers();
    void add_inputs();
    void add_variable(const std::string &name, const Shape &shape, std::vector<float> first,
                      const std::string &layer, const std::string &role);
    void add_weights(std::size_t i);
    void add_moments(const std::string &weight, const Shape &shape);
    void copy_layers();
    void copy_layer(std::size_t i);
    ValueId copy_operation(std::size_t i, const std::string &name, std::vector<ValueId> inputs);
    void add_backward();
    void update(const std::string &weight, ValueId gradient);
    void give(const std::string &name, ValueId value);
    ValueId variable(const std::string &name) const { return by_name_.at(name); }
    ValueId add(const std::string &name, ops::Operation operation, std::vector<ValueId> inputs) {
        return result_.graph.add_node(name, std::move(operation), std::move(inputs));
    }

    const Graph &network_;
    const TrainingOptions &options_;
    TrainingGraph result_;
    ValueId prediction_ = -1; ///< of the network
    std::vector<bool> needed_, trained_, reads_variables_;
    std::vector<ValueId> copies_; ///< of the network's values
    std::map<std::string, ValueId> by_name_;
    std::vector<std::string> weights_; ///< those that are trained
    ValueId labels_ = -1, rates_ = -1, step_ = -1;
};

void TrainingGraphMaker::look_at_layers() {
    network_.require_complete();
    if (network_.outputs().size() != 1)
        fail(ErrorKind::parameter, {"training: network ", quoted(network_.name()),
                                    " must have one output, has ", network_.outputs().size()});
    prediction_ = network_.outputs()[0];
    // Cross entropy has the softmax in it.
    if (options_.loss.kind == ops::LossKind::softmax_cross_entropy && !network_.is_input(prediction_)) {
        const Node &last = network_.producer(prediction_);
        if (std::holds_alternative<ops::Softmax>(last.operation) ||
            std::holds_alternative<ops::LogSoftmax>(last.operation))
            prediction_ = last.inputs[0];
    }
    const std::size_t count = network_.nodes().size(), inputs = network_.inputs().size();
    std::set<std::string> frozen(options_.frozen.begin(), options_.frozen.end());
    needed_.assign(static_cast<std::size_t>(network_.values()), false);
    needed_[static_cast<std::size_t>(prediction_)] = true;
    for (std::size_t i = count; i-- > 0;)
        if (needed_[inputs + i])
            for (const ValueId value : node(i).inputs) needed_[static_cast<std::size_t>(value)] = true;
    trained_.assign(count, false);
    reads_variables_.assign(count, false);
    std::vector<bool> depends(static_cast<std::size_t>(network_.values()), false); // on what is trained
    bool any = false;
    for (std::size_t i = 0; i < count; ++i) {
        const bool is_frozen = frozen.erase(node(i).name) > 0;
        if (!needed_[inputs + i]) continue;
        bool behind = false;
        for (const ValueId value : node(i).inputs)
            behind = behind || depends[static_cast<std::size_t>(value)];
        const bool has_own = trains_weights(node(i).operation);
        trained_[i] = has_own && !is_frozen;
        reads_variables_[i] = trained_[i] || (has_own && behind);
        depends[inputs + i] = behind || trained_[i];
        any = any || trained_[i];
    }
    for (const std::string &name : frozen)
        fail(ErrorKind::parameter,
             {"training: network ", quoted(network_.name()), " has no layer ", quoted(name), " to freeze"});
    if (!any)
        fail(ErrorKind::parameter,
             {"training: network ", quoted(network_.name()), " has no layer that can be trained"});
}

void TrainingGraphMaker::add_variable(const std::string &name, const Shape &shape, std::vector<float> first,
                                      const std::string &layer, const std::string &role) {
    by_name_[name] = result_.graph.add_variable(name, shape);
    result_.variables.push_back({name, shape, layer, role, std::move(first)});
}

void TrainingGraphMaker::add_moments(const std::string &weight, const Shape &shape) {
    const auto moment = [&](const char *name) {
        const auto size = static_cast<std::size_t>(shape.elements());
        add_variable(concat({weight, ".", name}), shape, std::vector<float>(size, 0.0f), "", "");
    };
    const OptimizerOptions &optimizer = options_.optimizer;
    if (optimizer.kind == OptimizerKind::sgd && optimizer.momentum != 0.0f) moment("moment");
    if (optimizer.kind == OptimizerKind::rmsprop) moment("squares");
    if (optimizer.kind != OptimizerKind::adam) return;
    moment("first_moment");
    moment("second_moment");
    if (optimizer.amsgrad) moment("largest_moment");
}

void TrainingGraphMaker::add_weights(std::size_t i) {
    const Node &layer = node(i);
    const bool normalizes = std::holds_alternative<ops::BatchNormalization>(layer.operation);
    if (normalizes && !trained_[i])
        fail(ErrorKind::unsupported,
             {"training: layer ", quoted(layer.name),
              " is frozen behind layers that are trained; a batch normalization that is can be frozen only "
              "with all layers before it"});
    if (layer.weights.count("slope") > 0)
        fail(ErrorKind::unsupported,
             {"training: layer ", quoted(layer.name),
              ": slopes of prelu cannot be trained, nor can the weights before them"});
    if (normalizes) {
        std::vector<float> statistics = layer.weights.at("mean").values();
        const std::vector<float> variance = layer.weights.at("variance").values();
        const auto channels = static_cast<std::int64_t>(variance.size());
        statistics.insert(statistics.end(), variance.begin(), variance.end());
        add_variable(concat({layer.name, ".", statistics_role}), {1, 2, 1, channels}, std::move(statistics),
                     layer.name, statistics_role);
    }
    for (const auto &[role, tensor] : layer.weights) {
        if (normalizes && (role == "mean" || role == "variance")) continue;
        const std::string name = concat({layer.name, ".", role});
        const Shape shape = variable_shape(tensor.shape());
        add_variable(name, shape, tensor.values(), layer.name, role);
        if (!trained_[i]) continue;
        weights_.push_back(name);
        add_moments(name, shape);
    }
}

void TrainingGraphMaker::add_inputs() {
    for (const Input &input : network_.inputs())
        copies_.push_back(input.is_variable ? result_.graph.add_variable(input.name, input.shape)
                                            : result_.graph.add_input(input.name, input.shape));
    result_.network_inputs = network_.inputs().size();
    labels_ = result_.graph.add_input("training.labels", network_.shape(prediction_));
    rates_ = result_.graph.add_variable("training.rates", {1, 2});
    step_ = result_.graph.add_variable("training.step", {1, 1});
    for (std::size_t i = 0; i < network_.nodes().size(); ++i)
        if (reads_variables_[i]) add_weights(i);
}

ValueId TrainingGraphMaker::copy_operation(std::size_t i, const std::string &name,
                                           std::vector<ValueId> inputs) {
    const Node &layer = node(i);
    if (const auto *dropout = std::get_if<ops::Dropout>(&layer.operation)) {
        ops::StepDropout random{*dropout};
        random.dropout.seed = seed_of(options_.seed, layer.name);
        random.dropout.training = true;
        return add(name, random, {inputs[0], step_});
    }
    const bool normalizes = std::holds_alternative<ops::BatchNormalization>(layer.operation);
    if (normalizes && reads_variables_[i]) {
        const ValueId statistics = add(concat({layer.name, ".batch"}), ops::BatchStatistics{}, {inputs[0]});
        const std::string running = concat({layer.name, ".", statistics_role});
        give(running, add(concat({running, ".new"}), ops::MovingAverage{options_.statistics_rate, false},
                          {variable(running), statistics}));
        inputs.push_back(statistics);
    }
    const ValueId value = add(name, layer.operation, std::move(inputs));
    if (!reads_variables_[i]) return value;
    for (const auto &[role, tensor] : layer.weights)
        if (!normalizes || (role != "mean" && role != "variance"))
            result_.graph.use_variable(value, role, variable(concat({layer.name, ".", role})));
    return value;
}

/// An activation becomes a layer of its own: passes join it again unless what lies before it is needed.
void TrainingGraphMaker::copy_layer(std::size_t i) {
    const Node &layer = node(i);
    std::vector<ValueId> inputs;
    for (const ValueId value : layer.inputs) inputs.push_back(copies_[static_cast<std::size_t>(value)]);
    if (!layer.activation) {
        const ValueId value = copy_operation(i, layer.name, std::move(inputs));
        if (!reads_variables_[i]) result_.graph.adopt_weights(value, layer.weights);
        copies_.push_back(value);
        return;
    }
    const ValueId before = copy_operation(i, concat({layer.name, ".before_activation"}), std::move(inputs));
    const ValueId value = add(layer.name, *layer.activation, {before});
    if (!reads_variables_[i]) {
        std::map<std::string, WeightTensor> own = layer.weights, slopes;
        if (auto slope = own.extract("slope")) slopes.insert(std::move(slope));
        result_.graph.adopt_weights(before, std::move(own));
        result_.graph.adopt_weights(value, std::move(slopes));
    }
    copies_.push_back(value);
}

void TrainingGraphMaker::copy_layers() {
    for (std::size_t i = 0; i < network_.nodes().size(); ++i) {
        if (needed_[network_.inputs().size() + i])
            copy_layer(i);
        else
            copies_.push_back(-1);
    }
}

void TrainingGraphMaker::give(const std::string &name, ValueId value) {
    const auto found = std::find_if(result_.variables.begin(), result_.variables.end(),
                                    [&](const TrainingVariable &entry) { return entry.name == name; });
    found->output = value; // until all outputs are known
}

void TrainingGraphMaker::update(const std::string &weight, ValueId gradient) {
    const OptimizerOptions &optimizer = options_.optimizer;
    const ops::OptimizerGradient &ready = optimizer.gradient;
    const ValueId old = variable(weight);
    if (ready.clip || ready.rescale != 1.0f || ready.regularization != ops::Regularization::none)
        gradient = add(concat({weight, ".gradient"}), ready, {gradient, old});
    const auto moment = [&](const char *name, ops::Operation operation, std::vector<ValueId> inputs) {
        const std::string full = concat({weight, ".", name});
        inputs.insert(inputs.begin(), variable(full));
        const ValueId value = add(concat({full, ".new"}), std::move(operation), std::move(inputs));
        give(full, value);
        return value;
    };
    const std::string name = concat({weight, ".new"});
    const ops::AdaptiveUpdate adaptive{optimizer.epsilon, optimizer.weight_decay};
    ValueId updated = -1;
    switch (optimizer.kind) {
    case OptimizerKind::sgd: {
        const ops::SgdUpdate sgd{optimizer.momentum, optimizer.nesterov, optimizer.weight_decay};
        std::vector<ValueId> inputs{old, gradient, rates_};
        if (optimizer.momentum != 0.0f)
            inputs.push_back(moment("moment", ops::MomentumUpdate{optimizer.momentum, optimizer.nesterov},
                                    {gradient, rates_}));
        updated = add(name, sgd, std::move(inputs));
        break;
    }
    case OptimizerKind::rmsprop: {
        const ValueId squares = moment("squares", ops::MovingAverage{optimizer.decay, true}, {gradient});
        updated = add(name, adaptive, {old, gradient, squares, rates_});
        break;
    }
    case OptimizerKind::adam: {
        const ValueId first = moment("first_moment", ops::MovingAverage{optimizer.beta1, false}, {gradient});
        ValueId second = moment("second_moment", ops::MovingAverage{optimizer.beta2, true}, {gradient});
        if (optimizer.amsgrad) second = moment("largest_moment", ops::Maximum{}, {second});
        updated = add(name, adaptive, {old, first, second, rates_});
        break;
    }
    }
    give(weight, updated);
}

void TrainingGraphMaker::add_backward() {
    Graph &graph = result_.graph;
    const ValueId prediction = copies_[static_cast<std::size_t>(prediction_)];
    ops::LossFields fields = options_.loss;
    if (fields.reduction == ops::LossReduction::none)
        fail(ErrorKind::parameter, {"training: the loss's reduction must be sum, mean or "
                                    "sum_by_nonzero_weights, got none"});
    fields.reduce_across_batch = true;
    const ValueId loss = add("training.loss", ops::Loss{fields}, {prediction, labels_});
    const ValueId gradient =
        add("training.loss.gradient", ops::LossGradient{fields, true}, {prediction, labels_});
    std::vector<ValueId> wanted;
    for (const std::string &weight : weights_) wanted.push_back(variable(weight));
    const std::map<ValueId, ValueId> gradients = differentiate(graph, prediction, gradient, wanted);
    for (const std::string &weight : weights_)
        if (const auto found = gradients.find(variable(weight)); found != gradients.end())
            update(weight, found->second);
    graph.mark_output(loss);
    graph.mark_output(prediction);
    int next = 2;
    for (TrainingVariable &entry : result_.variables) {
        if (entry.output < 0) continue;
        graph.mark_output(entry.output);
        entry.output = next++;
    }
}

} // namespace

TrainingGraph make_training_graph(const Graph &network, const TrainingOptions &options) {
    return TrainingGraphMaker(network, options).run();
}

} // namespace mpscnn::engine
