#include "engine/train/training_graph.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "core/text.h"
#include "engine/graph/differentiation.h"
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

/// True if a layer is a batch normalization that stores its mean and variance as weights.
bool keeps_statistics(const Node &layer) {
    return layer.operation.is<ops::BatchNormalization>() && layer.inputs.size() == 1;
}

class TrainingGraphMaker {
public:
    TrainingGraphMaker(const Graph &network, const TrainingOptions &options)
        : network_(network), options_(options), detector_(std::get_if<MultiboxOptions>(&options.loss)) {}

    TrainingGraph run() {
        look_at_layers(false);
        add_inputs(true);
        copy_layers();
        add_backward();
        return std::move(result_);
    }
    Graph gradients(bool of_output) {
        look_at_layers(true);
        add_inputs(false);
        copy_layers();
        add_gradients(of_output);
        return std::move(result_.graph);
    }

private:
    const Node &node(std::size_t i) const { return network_.nodes()[i]; }
    ValueId output_named(const std::string &name) const;
    ValueId before_softmax(ValueId value) const;
    void find_predictions();
    void look_at_layers(bool of_inputs);
    void add_inputs(bool with_rates);
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
    void add_gradients(bool of_output);
    TrainingVariable &entry(const std::string &name);
    ValueId variable(const std::string &name) const { return by_name_.at(name); }
    ValueId add(const std::string &name, ops::Operation operation, std::vector<ValueId> inputs) {
        return result_.graph.add_node(name, std::move(operation), std::move(inputs));
    }

    const Graph &network_;
    const TrainingOptions &options_;
    TrainingGraph result_;
    const MultiboxOptions *detector_ = nullptr; ///< set for a detector's loss
    std::vector<ValueId> predictions_;          ///< outputs of the network that are predictions
    Shape labels_shape_;                        ///< the shape of all predictions concatenated
    std::vector<bool> needed_, trained_, reads_variables_;
    /// True for each node that is an untrained batch normalization after layers that are trained, or after
    /// inputs whose gradients are wanted.
    std::vector<bool> is_fixed_;
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

ValueId TrainingGraphMaker::output_named(const std::string &name) const {
    for (const ValueId value : network_.outputs())
        if (network_.value_name(value) == name) return value;
    fail(ErrorKind::parameter,
         {"training: network ", quoted(network_.name()), " has no output ", quoted(name),
          ", which the multibox loss compares with labels; \"boxes\" and \"scores\" of the loss name its ",
          "outputs"});
}

/// Return the input of the final softmax that computes `value`, because the loss includes a softmax.
ValueId TrainingGraphMaker::before_softmax(ValueId value) const {
    if (network_.is_input(value)) return value;
    const Node &last = network_.producer(value);
    const bool is_softmax = last.operation.is<ops::Softmax>() || last.operation.is<ops::LogSoftmax>();
    return is_softmax ? last.inputs[0] : value;
}

/// Find the values that the loss compares with the labels.
void TrainingGraphMaker::find_predictions() {
    if (detector_) {
        const ValueId boxes = output_named(detector_->boxes);
        const ValueId scores = before_softmax(output_named(detector_->scores));
        const Shape &numbers = network_.shape(boxes), &logits = network_.shape(scores);
        constexpr std::int64_t box_numbers = ops::MultiboxFields::box_numbers;
        if (numbers.rank() != 3 || numbers[2] != box_numbers || logits.rank() != 3 || logits[2] < 2 ||
            logits[1] != numbers[1])
            fail(ErrorKind::shape, {"training: outputs ", quoted(detector_->boxes), " and ",
                                    quoted(detector_->scores), " must be (n, anchors, ", box_numbers,
                                    ") and (n, anchors, classes), the background among the classes, got ",
                                    numbers.text(), " and ", logits.text()});
        predictions_ = {boxes, scores};
        labels_shape_ = Shape{numbers[0], numbers[1], box_numbers + logits[2]};
    } else {
        if (network_.outputs().size() != 1)
            fail(ErrorKind::parameter, {"training: network ", quoted(network_.name()),
                                        " must have one output, has ", network_.outputs().size()});
        const ValueId output = network_.outputs()[0];
        predictions_ = {includes_softmax(options_.loss) ? before_softmax(output) : output};
        labels_shape_ = network_.shape(predictions_[0]);
    }
    for (const ValueId value : predictions_) result_.prediction_layers.push_back(network_.value_name(value));
}

/// Find the layers that are needed, trained, or only passed by gradients. `of_inputs`: true if gradients of
/// the network's inputs are wanted.
void TrainingGraphMaker::look_at_layers(bool of_inputs) {
    network_.require_complete();
    find_predictions();
    const std::size_t count = network_.nodes().size(), inputs = network_.inputs().size();
    std::set<std::string> frozen(options_.frozen.begin(), options_.frozen.end());
    needed_.assign(static_cast<std::size_t>(network_.values()), false);
    for (const ValueId value : predictions_) needed_[static_cast<std::size_t>(value)] = true;
    for (std::size_t i = count; i-- > 0;)
        if (needed_[inputs + i])
            for (const ValueId value : node(i).inputs) needed_[static_cast<std::size_t>(value)] = true;
    trained_.assign(count, false);
    is_fixed_.assign(count, false);
    reads_variables_.assign(count, false);
    // True for each value whose gradient is computed.
    std::vector<bool> depends(static_cast<std::size_t>(network_.values()), false);
    std::fill_n(depends.begin(), inputs, of_inputs);
    bool any = of_inputs;
    for (std::size_t i = 0; i < count; ++i) {
        const bool is_frozen = frozen.erase(node(i).name) > 0;
        if (!needed_[inputs + i]) continue;
        bool behind = false;
        for (const ValueId value : node(i).inputs)
            behind = behind || depends[static_cast<std::size_t>(value)];
        const bool has_own = trains_weights(node(i));
        trained_[i] = has_own && !is_frozen && node(i).learns.value_or(true);
        reads_variables_[i] = trained_[i] || (has_own && behind);
        is_fixed_[i] = behind && !trained_[i] && keeps_statistics(node(i));
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
        if (!trained_[i]) continue;
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
    if (normalizes && !is_fixed_[i]) {
        std::vector<float> statistics = layer.weights.at("mean").values();
        const std::vector<float> variance = layer.weights.at("variance").values();
        const auto channels = static_cast<std::int64_t>(variance.size());
        statistics.insert(statistics.end(), variance.begin(), variance.end());
        add_variable(concat({layer.name, ".", statistics_role}), {1, 2, 1, channels}, std::move(statistics),
                     layer.name, statistics_role);
    }
    for (const auto &[role, tensor] : layer.weights) {
        if (normalizes && (role == "mean" || role == "variance")) continue;
        if (is_fixed_[i] && role != slope_role) continue;
        const std::string name = concat({layer.name, ".", role});
        const Shape shape = trained_shape(role, tensor.shape());
        add_variable(name, shape, {}, layer.name, role);
        if (!trained_[i]) continue;
        weights_.push_back(name);
        add_kept(name, shape, tensor);
    }
}

void TrainingGraphMaker::add_inputs(bool with_rates) {
    for (const Input &input : network_.inputs())
        copies_.push_back(input.is_variable ? result_.graph.add_variable(input.name, input.shape)
                                            : result_.graph.add_input(input.name, input.shape));
    inputs_ = copies_;
    result_.network_inputs = network_.inputs().size();
    labels_ = result_.graph.add_input("training.labels", labels_shape_);
    if (options_.weighted) label_weights_ = result_.graph.add_input("training.weights", labels_shape_);
    if (with_rates) find_missed_updates();
    if (with_rates && !options_.accumulates()) rates_ = add_rates(result_.graph);
    step_ = result_.graph.add_variable("training.step", {1, 1});
    for (std::size_t i = 0; i < network_.nodes().size(); ++i)
        if (reads_variables_[i]) add_weights(i);
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
    if (layer.inputs.size() == 2 && reads_variables_[i] && layer.operation.is<ops::BatchNormalization>())
        require_statistics_of_input(layer);
    if (is_fixed_[i]) return add_fixed_normalization(result_.graph, name, layer, inputs[0], inputs_[0]);
    const bool normalizes = keeps_statistics(layer);
    if (normalizes && reads_variables_[i]) {
        const ValueId statistics = add(concat({layer.name, ".batch"}), ops::BatchStatistics{}, {inputs[0]});
        const std::string running = concat({layer.name, ".", statistics_role});
        entry(running).output =
            add(concat({running, ".new"}), ops::MovingAverage{options_.statistics_rate, false},
                {variable(running), statistics});
        inputs.push_back(statistics);
    }
    std::map<std::string, ValueId> weights;
    if (reads_variables_[i])
        for (const auto &[role, tensor] : layer.weights)
            if (!(normalizes && (role == "mean" || role == "variance")))
                weights[role] = variable(concat({layer.name, ".", role}));
    return add_trained_layer(result_.graph, name, layer.operation, std::move(inputs), weights);
}

ValueId TrainingGraphMaker::copy_activation(std::size_t i, const ops::Neuron &activation, ValueId before) {
    std::map<std::string, ValueId> weights;
    if (reads_variables_[i] && node(i).weights.count("slope") > 0)
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
        if (!reads_variables_[i] && !is_fixed_[i]) result_.graph.adopt_weights(value, layer.weights);
        copies_.push_back(value);
        return;
    }
    const ValueId before = copy_operation(i, concat({layer.name, ".before_activation"}), std::move(inputs));
    const ValueId value = copy_activation(i, *layer.activation, before);
    if (!reads_variables_[i]) {
        std::map<std::string, WeightTensor> own = layer.weights, slopes;
        if (auto slope = own.extract("slope")) slopes.insert(std::move(slope));
        if (!is_fixed_[i]) result_.graph.adopt_weights(before, std::move(own));
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

TrainingVariable &TrainingGraphMaker::entry(const std::string &name) {
    return *std::find_if(result_.variables.begin(), result_.variables.end(),
                         [&](const TrainingVariable &known) { return known.name == name; });
}

void TrainingGraphMaker::add_prediction() {
    std::vector<ValueId> parts;
    for (const ValueId value : predictions_) parts.push_back(copies_[static_cast<std::size_t>(value)]);
    prediction_ = detector_ ? add("training.prediction", ops::Concatenation{}, parts) : parts[0];
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

void TrainingGraphMaker::add_gradients(bool of_output) {
    Graph &graph = result_.graph;
    add_prediction();
    const ValueId gradient = of_output ? labels_ : add_loss_gradient();
    std::vector<ValueId> wanted = inputs_;
    for (const std::string &weight : weights_) wanted.push_back(variable(weight));
    const std::map<ValueId, ValueId> gradients = differentiate(graph, prediction_, gradient, wanted);
    if (!of_output) graph.mark_output(loss_);
    graph.mark_output(prediction_);
    for (const ValueId value : wanted)
        if (const auto found = gradients.find(value); found != gradients.end())
            graph.mark_output(add(graph.value_name(value) + gradient_suffix,
                                  ops::Neuron{.kind = ops::NeuronKind::none}, {found->second}));
}

} // namespace

TrainingGraph make_training_graph(const Graph &network, const TrainingOptions &options) {
    return TrainingGraphMaker(network, options).run();
}

Graph make_gradient_graph(const Graph &network, const TrainingOptions &options, bool of_output) {
    TrainingOptions plain = options; // computing gradients needs no moments
    plain.optimizer = {};
    plain.optimizer.kind = OptimizerKind::sgd;
    plain.accumulate = 1;
    plain.average_rate = 0.0;
    return TrainingGraphMaker(network, plain).gradients(of_output);
}

} // namespace mpscnn::engine
