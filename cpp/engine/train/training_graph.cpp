#include "engine/train/training_graph.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "core/text.h"
#include "engine/graph/differentiation.h"
#include "engine/train/trained_layers.h"
#include "engine/train/training_layers.h"
#include "engine/train/training_loss.h"
#include "engine/train/training_update.h"

namespace mpscnn::engine {

namespace {

/// Return a seed for a layer: a hash (FNV-1a) of `seed` and the layer's name.
std::int64_t seed_of(std::int64_t seed, const std::string &layer) {
    std::uint64_t hash = 14695981039346656037ull ^ static_cast<std::uint64_t>(seed);
    for (const char letter : layer) hash = (hash ^ static_cast<unsigned char>(letter)) * 1099511628211ull;
    return static_cast<std::int64_t>(hash >> 2);
}

class TrainingGraphMaker {
public:
    /// Begin a graph with the network's inputs, the labels, the variables, and copies of the layers.
    TrainingGraphMaker(const Graph &network, const TrainingOptions &options, WantedGradients wanted)
        : network_(network), options_(options), layers_(find_trained_layers(network, options, wanted)) {
        for (const ValueId value : layers_.predictions)
            result_.prediction_layers.push_back(network_.value_name(value));
        add_inputs(wanted);
        copy_layers();
    }

    /// Add the loss, and the new values of the variables.
    TrainingGraph training_step() && {
        add_backward();
        return std::move(result_);
    }
    /// Add the gradients of the inputs and the weights, from the loss or from a given gradient.
    Graph gradients(GradientSource source) && {
        add_gradients(source);
        return std::move(result_.graph);
    }

private:
    const Node &node(std::size_t i) const { return network_.nodes()[i]; }
    void add_inputs(WantedGradients wanted);
    void add_variable(const std::string &name, const Shape &shape, std::vector<float> first,
                      const std::string &layer, const std::string &role);
    void add_weights(std::size_t i);
    void find_missed_updates();
    std::map<std::int64_t, ValueId> add_rates(Graph &graph) const;
    std::map<std::string, ValueId> rates_of_weights(const std::map<std::int64_t, ValueId> &rates) const;
    void add_kept(const std::string &weight, const Shape &shape, const WeightTensor &first);
    void require_statistics_of_input(const Node &layer) const;
    void copy_layers();
    void copy_layer(std::size_t i);
    ValueId copy_operation(std::size_t i, const std::string &name, std::vector<ValueId> inputs);
    ValueId copy_activation(std::size_t i, const ops::Neuron &activation, ValueId before);
    void add_prediction();
    ValueId add_loss_gradient();
    NamedGradients gradients_of_weights(const std::map<ValueId, ValueId> &gradients) const;
    void add_backward();
    void add_update_graph();
    void add_gradients(GradientSource source);
    TrainingVariable &entry(const std::string &name);
    ValueId variable(const std::string &name) const { return by_name_.at(name); }
    ValueId add(const std::string &name, ops::Operation operation, std::vector<ValueId> inputs) {
        return result_.graph.add_node(name, std::move(operation), std::move(inputs));
    }

    const Graph &network_;
    const TrainingOptions &options_;
    const TrainedLayers layers_;
    TrainingGraph result_;
    std::vector<ValueId> copies_; ///< the copy of each of the network's values in the training graph
    std::map<std::string, ValueId> by_name_;
    std::vector<std::string> weights_; ///< names of the trained weights
    std::vector<ValueId> inputs_;      ///< copies of the network's inputs
    /// Maps the name of each trained weight to the number of updates that its moments have missed.
    std::map<std::string, std::int64_t> missed_;
    /// Maps each number of missed updates to the graph's input with the learning rates of such weights.
    std::map<std::int64_t, ValueId> rates_;
    ValueId labels_ = -1, label_weights_ = -1, step_ = -1, prediction_ = -1, loss_ = -1;
};

/// Group the weights by the number of updates that their moments have missed. Adam corrects each group with
/// its own rate.
void TrainingGraphMaker::find_missed_updates() {
    const auto &given = options_.missed_updates;
    for (const auto &[layer, missed] : given)
        if (std::none_of(network_.nodes().begin(), network_.nodes().end(),
                         [&name = layer](const Node &known) { return known.name == name; }))
            fail(ErrorKind::parameter, {"training: network ", quoted(network_.name()), " has no layer ",
                                        quoted(layer), " that missed updates"});
    std::set<std::int64_t> groups;
    for (std::size_t i = 0; i < network_.nodes().size(); ++i) {
        if (!layers_.trained[i]) continue;
        const auto found = given.find(node(i).name);
        const bool counts = options_.optimizer.kind == OptimizerKind::adam && found != given.end();
        const std::int64_t missed = counts ? found->second : 0;
        groups.insert(missed);
        for (const auto &[role, tensor] : node(i).weights)
            missed_[concat({node(i).name, ".", role})] = missed;
    }
    result_.missed_updates.assign(groups.begin(), groups.end());
}

std::map<std::int64_t, ValueId> TrainingGraphMaker::add_rates(Graph &graph) const {
    std::map<std::int64_t, ValueId> rates;
    for (const std::int64_t missed : result_.missed_updates)
        rates[missed] =
            graph.add_variable(missed == 0 ? "training.rates" : concat({"training.rates.", missed}), {1, 2});
    return rates;
}

std::map<std::string, ValueId>
TrainingGraphMaker::rates_of_weights(const std::map<std::int64_t, ValueId> &rates) const {
    std::map<std::string, ValueId> result;
    for (const std::string &weight : weights_) result[weight] = rates.at(missed_.at(weight));
    return result;
}

void TrainingGraphMaker::add_variable(const std::string &name, const Shape &shape, std::vector<float> first,
                                      const std::string &layer, const std::string &role) {
    by_name_[name] = result_.graph.add_variable(name, shape);
    result_.variables.push_back({name, shape, layer, role, std::move(first)});
}

/// Add the variables that belong to a trained weight, such as its moments.
void TrainingGraphMaker::add_kept(const std::string &weight, const Shape &shape, const WeightTensor &first) {
    for (const std::string &moment : moments_of(options_.optimizer))
        add_variable(weight + moment, shape, {}, "", "");
    if (options_.averages()) add_variable(weight + average_suffix, shape, first.values(), "", "");
    if (options_.accumulates()) add_variable(weight + sum_suffix, shape, {}, "", "");
}

void TrainingGraphMaker::add_weights(std::size_t i) {
    const Node &layer = node(i);
    const bool normalizes = keeps_statistics(layer);
    if (normalizes && !layers_.is_fixed[i]) {
        std::vector<float> statistics = layer.weights.at("mean").values();
        const std::vector<float> variance = layer.weights.at("variance").values();
        const auto channels = static_cast<std::int64_t>(variance.size());
        statistics.insert(statistics.end(), variance.begin(), variance.end());
        add_variable(concat({layer.name, ".", statistics_role}), {1, 2, 1, channels}, std::move(statistics),
                     layer.name, statistics_role);
    }
    for (const auto &[role, tensor] : layer.weights) {
        if (normalizes && (role == "mean" || role == "variance")) continue;
        if (layers_.is_fixed[i] && role != slope_role) continue;
        const std::string name = concat({layer.name, ".", role});
        const Shape shape = trained_shape(role, tensor.shape());
        add_variable(name, shape, {}, layer.name, role);
        if (!layers_.trained[i]) continue;
        weights_.push_back(name);
        add_kept(name, shape, tensor);
    }
}

void TrainingGraphMaker::add_inputs(WantedGradients wanted) {
    for (const Input &input : network_.inputs())
        copies_.push_back(input.is_variable ? result_.graph.add_variable(input.name, input.shape)
                                            : result_.graph.add_input(input.name, input.shape));
    inputs_ = copies_;
    result_.network_inputs = network_.inputs().size();
    labels_ = result_.graph.add_input("training.labels", layers_.labels_shape);
    if (options_.weighted) label_weights_ = result_.graph.add_input("training.weights", layers_.labels_shape);
    if (wanted == WantedGradients::weights) { // which an optimiser reads
        find_missed_updates();
        if (!options_.accumulates()) rates_ = add_rates(result_.graph);
    }
    step_ = result_.graph.add_variable("training.step", {1, 1});
    for (std::size_t i = 0; i < network_.nodes().size(); ++i)
        if (layers_.reads_variables[i]) add_weights(i);
}

/// Throws unless a batch normalization's second input has the statistics of its first input. Its derivative
/// includes the derivative of these statistics.
void TrainingGraphMaker::require_statistics_of_input(const Node &layer) const {
    const ValueId statistics = layer.inputs[1];
    if (!network_.is_input(statistics)) {
        const Node &maker = network_.producer(statistics);
        if (maker.operation.is<ops::BatchStatistics>() && maker.inputs[0] == layer.inputs[0]) return;
    }
    fail(ErrorKind::unsupported, {"training: layer ", quoted(layer.name),
                                  ": a batch normalization is trained with statistics that are its own or "
                                  "those of its input, not with others"});
}

ValueId TrainingGraphMaker::copy_operation(std::size_t i, const std::string &name,
                                           std::vector<ValueId> inputs) {
    const Node &layer = node(i);
    if (const auto *dropout = layer.operation.get_if<ops::Dropout>()) {
        ops::StepDropout random{*dropout};
        random.dropout.seed = seed_of(options_.seed, layer.name);
        random.dropout.training = true;
        return add(name, random, {inputs[0], step_});
    }
    if (layer.inputs.size() == 2 && layers_.reads_variables[i] &&
        layer.operation.is<ops::BatchNormalization>())
        require_statistics_of_input(layer);
    if (layers_.is_fixed[i])
        return add_fixed_normalization(result_.graph, name, layer, inputs[0], inputs_[0]);
    const bool normalizes = keeps_statistics(layer);
    if (normalizes && layers_.reads_variables[i]) {
        const ValueId statistics = add(concat({layer.name, ".batch"}), ops::BatchStatistics{}, {inputs[0]});
        const std::string running = concat({layer.name, ".", statistics_role});
        entry(running).output =
            add(concat({running, ".new"}), ops::MovingAverage{options_.statistics_rate, false},
                {variable(running), statistics});
        inputs.push_back(statistics);
    }
    std::map<std::string, ValueId> weights;
    if (layers_.reads_variables[i])
        for (const auto &[role, tensor] : layer.weights)
            if (!(normalizes && (role == "mean" || role == "variance")))
                weights[role] = variable(concat({layer.name, ".", role}));
    return add_trained_layer(result_.graph, name, layer.operation, std::move(inputs), weights);
}

ValueId TrainingGraphMaker::copy_activation(std::size_t i, const ops::Neuron &activation, ValueId before) {
    std::map<std::string, ValueId> weights;
    if (layers_.reads_variables[i] && node(i).weights.count("slope") > 0)
        weights["slope"] = variable(concat({node(i).name, ".slope"}));
    return add_trained_layer(result_.graph, node(i).name, activation, {before}, weights);
}

/// Copy a layer to the training graph. Its activation becomes a separate layer. Optimization passes attach
/// the activation to the layer again, unless gradients need the activation's input.
void TrainingGraphMaker::copy_layer(std::size_t i) {
    const Node &layer = node(i);
    std::vector<ValueId> inputs;
    for (const ValueId value : layer.inputs) inputs.push_back(copies_[static_cast<std::size_t>(value)]);
    if (!layer.activation) {
        const ValueId value = copy_operation(i, layer.name, std::move(inputs));
        if (!layers_.reads_variables[i] && !layers_.is_fixed[i])
            result_.graph.adopt_weights(value, layer.weights);
        copies_.push_back(value);
        return;
    }
    const ValueId before = copy_operation(i, concat({layer.name, ".before_activation"}), std::move(inputs));
    const ValueId value = copy_activation(i, *layer.activation, before);
    if (!layers_.reads_variables[i]) {
        std::map<std::string, WeightTensor> own = layer.weights, slopes;
        if (auto slope = own.extract("slope")) slopes.insert(std::move(slope));
        if (!layers_.is_fixed[i]) result_.graph.adopt_weights(before, std::move(own));
        result_.graph.adopt_weights(value, std::move(slopes));
    }
    copies_.push_back(value);
}

void TrainingGraphMaker::copy_layers() {
    for (std::size_t i = 0; i < network_.nodes().size(); ++i) {
        if (layers_.needed[network_.inputs().size() + i])
            copy_layer(i);
        else
            copies_.push_back(-1);
    }
}

TrainingVariable &TrainingGraphMaker::entry(const std::string &name) {
    return *std::find_if(result_.variables.begin(), result_.variables.end(),
                         [&](const TrainingVariable &known) { return known.name == name; });
}

void TrainingGraphMaker::add_prediction() {
    std::vector<ValueId> parts;
    for (const ValueId value : layers_.predictions) parts.push_back(copies_[static_cast<std::size_t>(value)]);
    prediction_ = parts.size() > 1 ? add("training.prediction", ops::Concatenation{}, parts) : parts[0];
}

ValueId TrainingGraphMaker::add_loss_gradient() {
    LossInputs inputs{prediction_, labels_, std::nullopt, step_};
    if (options_.weighted) inputs.weights = label_weights_;
    const LossValues values = add_loss(result_.graph, options_.loss, inputs);
    loss_ = values.loss;
    return values.gradient;
}

NamedGradients TrainingGraphMaker::gradients_of_weights(const std::map<ValueId, ValueId> &gradients) const {
    NamedGradients named;
    for (const std::string &weight : weights_)
        if (const auto found = gradients.find(variable(weight)); found != gradients.end())
            named.emplace_back(weight, found->second);
    return named;
}

void TrainingGraphMaker::add_backward() {
    Graph &graph = result_.graph;
    add_prediction();
    const ValueId gradient = add_loss_gradient();
    std::vector<ValueId> wanted;
    for (const std::string &weight : weights_) wanted.push_back(variable(weight));
    const NamedGradients gradients =
        gradients_of_weights(differentiate(graph, prediction_, gradient, wanted));
    if (options_.accumulates()) {
        for (const auto &[weight, own] : gradients) {
            const std::string sum = weight + sum_suffix;
            entry(sum).output = add(sum + ".new", ops::Addition{}, {variable(sum), own});
        }
        add_update_graph();
    } else {
        for (const auto &[name, value] :
             add_updates(graph, options_, {rates_of_weights(rates_), by_name_}, gradients))
            entry(name).output = value;
    }
    graph.mark_output(loss_);
    graph.mark_output(prediction_);
    int next = 2;
    for (TrainingVariable &known : result_.variables) {
        if (known.output < 0) continue;
        graph.mark_output(known.output);
        known.output = next++;
    }
}

/// Add the graph that computes new weights from sums of gradients. It reads only variables.
void TrainingGraphMaker::add_update_graph() {
    Graph graph("training.update");
    UpdateValues values;
    values.rates = rates_of_weights(add_rates(graph));
    for (const TrainingVariable &known : result_.variables)
        values.variables[known.name] = graph.add_variable(known.name, known.shape);
    NamedGradients sums;
    for (const std::string &weight : weights_)
        if (entry(weight + sum_suffix).output >= 0)
            sums.emplace_back(weight, values.variables.at(weight + sum_suffix));
    for (const auto &[name, value] : add_updates(graph, options_, values, sums))
        entry(name).update_output = value;
    int next = 0;
    for (TrainingVariable &known : result_.variables) {
        if (known.update_output < 0) continue;
        graph.mark_output(known.update_output);
        known.update_output = next++;
    }
    result_.update = std::move(graph);
}

void TrainingGraphMaker::add_gradients(GradientSource source) {
    Graph &graph = result_.graph;
    add_prediction();
    const bool has_loss = source == GradientSource::loss;
    const ValueId gradient = has_loss ? add_loss_gradient() : labels_;
    std::vector<ValueId> wanted = inputs_;
    for (const std::string &weight : weights_) wanted.push_back(variable(weight));
    const std::map<ValueId, ValueId> gradients = differentiate(graph, prediction_, gradient, wanted);
    if (has_loss) graph.mark_output(loss_);
    graph.mark_output(prediction_);
    for (const ValueId value : wanted)
        if (const auto found = gradients.find(value); found != gradients.end())
            graph.mark_output(add(graph.value_name(value) + gradient_suffix,
                                  ops::Neuron{.kind = ops::NeuronKind::none}, {found->second}));
}

} // namespace

TrainingGraph make_training_graph(const Graph &network, const TrainingOptions &options) {
    return TrainingGraphMaker(network, options, WantedGradients::weights).training_step();
}

Graph make_gradient_graph(const Graph &network, const TrainingOptions &options, GradientSource source) {
    TrainingOptions plain = options; // computing gradients needs no moments
    plain.optimizer = {};
    plain.optimizer.kind = OptimizerKind::sgd;
    plain.accumulate = 1;
    plain.average_rate = 0.0;
    return TrainingGraphMaker(network, plain, WantedGradients::inputs_and_weights).gradients(source);
}

} // namespace mpscnn::engine
