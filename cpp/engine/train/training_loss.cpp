#include "engine/train/training_loss.h"

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "core/text.h"
#include "engine/graph/differentiation.h"

namespace mpscnn::engine {

namespace {

constexpr const char *loss_name = "training.loss", *gradient_name = "training.loss.gradient";

ops::Neuron power_of(float exponent) {
    return {.kind = ops::NeuronKind::power, .a = 1.0f, .b = 0.0f, .c = exponent};
}

ops::Neuron linear(float factor, float offset) {
    return {.kind = ops::NeuronKind::linear, .a = factor, .b = offset};
}

class LossMaker {
public:
    LossMaker(Graph &graph, const LossInputs &inputs) : graph_(graph), inputs_(inputs) {}

    LossValues make(const ops::LossFields &fields) { return add_elementwise(loss_name, fields, inputs_); }
    LossValues make(const MultiboxOptions &options);
    LossValues make(const FocalOptions &options);
    LossValues make(const SigmoidFocalOptions &options);
    LossValues make(const DiceOptions &options);
    LossValues make(const GraphLoss &loss);

private:
    const Shape &shape() const { return graph_.shape(inputs_.prediction); }
    ValueId add(const std::string &name, ops::Operation operation, std::vector<ValueId> inputs) {
        return graph_.add_node(name, std::move(operation), std::move(inputs));
    }
    ValueId part(const std::string &name, ops::Operation operation, std::vector<ValueId> inputs) {
        return add(concat({loss_name, ".", name}), std::move(operation), std::move(inputs));
    }
    ValueId prediction();
    ValueId weighted(const std::string &name, ValueId value);
    ValueId power_of_rest(ValueId rest, float gamma);
    ValueId share_of_weights(ValueId weights, bool joins_classes);
    LossValues add_elementwise(const std::string &name, ops::LossFields fields, const LossInputs &inputs);
    LossValues add_mean(const std::string &name, ValueId elements, ops::LossReduction reduction, float weight,
                        std::optional<ValueId> counted);
    ValueId add_dice(const DiceOptions &options);
    LossValues with_cross_entropy(const LossValues &dice, const DiceOptions &options);
    std::vector<ValueId> copy(const Graph &loss);
    ValueId copied_input(const Input &input);

    Graph &graph_;
    const LossInputs &inputs_;
    std::optional<ValueId> prediction_;
};

/// Return a copy of the prediction. Gradients with respect to the copy add no operations to the network.
ValueId LossMaker::prediction() {
    if (!prediction_)
        prediction_ = part("prediction", ops::Neuron{.kind = ops::NeuronKind::none}, {inputs_.prediction});
    return *prediction_;
}

/// Multiply each element by its weight, if there are weights.
ValueId LossMaker::weighted(const std::string &name, ValueId value) {
    if (!inputs_.weights) return value;
    return part(name, ops::Multiplication{}, {value, *inputs_.weights});
}

/// Return 1 / (number of weights that are not 0). The number counts elements, or pixels if it joins classes.
ValueId LossMaker::share_of_weights(ValueId weights, bool joins_classes) {
    ops::Greater above_zero;
    above_zero.secondary_scale = 0.0f;
    const ValueId sizes =
        add("training.weights.sizes", ops::Neuron{.kind = ops::NeuronKind::absolute}, {weights});
    ValueId counted = add("training.weights.counted", above_zero, {sizes, weights});
    if (joins_classes)
        counted = add("training.weights.pixels", ops::Reduction{.kind = ops::ReductionKind::max}, {counted});
    const ValueId count = add("training.weights.count", ops::SumLike{}, {counted, inputs_.number});
    const float largest = std::numeric_limits<float>::max();
    const ValueId divisor =
        add("training.weights.divisor", ops::Neuron{.kind = ops::NeuronKind::clamp, .a = 1.0f, .b = largest},
            {count});
    return add("training.weights.share", power_of(-1.0f), {divisor});
}

/// Add one of the losses of single elements, and its gradient.
LossValues LossMaker::add_elementwise(const std::string &name, ops::LossFields fields,
                                      const LossInputs &inputs) {
    if (fields.reduction == ops::LossReduction::none)
        fail(ErrorKind::parameter, {"training: the loss's reduction must be sum, mean or "
                                    "sum_by_nonzero_weights, got none"});
    fields.reduce_across_batch = true;
    std::vector<ValueId> values{inputs.prediction, inputs.labels};
    if (inputs.weights) values.push_back(*inputs.weights);
    const ops::Loss loss{fields};
    const ValueId sum = add(name, loss, values);
    const std::string gradient = name + ".gradient";
    const bool counts_weights =
        inputs.weights && fields.reduction == ops::LossReduction::sum_by_nonzero_weights;
    if (!counts_weights) return {sum, add(gradient, ops::LossGradient{fields, true}, values)};
    fields.reduction = ops::LossReduction::sum;
    const ValueId whole = add(gradient + ".of_sum", ops::LossGradient{fields, true}, values);
    const ValueId share = share_of_weights(*inputs.weights, loss.loss.joins_classes(loss.counts_pixels));
    return {sum, add(gradient, ops::OptimizerGradient{}, {whole, whole, share})};
}

/// Add a loss that is the sum or the mean of `elements`, which are computed from `prediction()`. With
/// `counted`, in the shape of the elements, sum_by_nonzero_weights counts its elements that are not 0.
LossValues LossMaker::add_mean(const std::string &name, ValueId elements, ops::LossReduction reduction,
                               float weight, std::optional<ValueId> counted) {
    // For labels of 1, the Kullback-Leibler loss of y is -y.
    ops::LossFields fields{
        .kind = ops::LossKind::kullback_leibler, .reduction = reduction, .weight = -weight};
    const LossInputs sources{elements, part("ones", linear(0.0f, 1.0f), {elements}), counted, inputs_.number};
    const LossValues sum = add_elementwise(name, fields, sources);
    const ValueId own = prediction();
    return {sum.loss, differentiate(graph_, elements, sum.gradient, {own}).at(own)};
}

LossValues LossMaker::make(const MultiboxOptions &options) {
    if (inputs_.weights) fail(ErrorKind::parameter, "training: the multibox loss takes no weights of losses");
    const std::vector<ValueId> values{inputs_.prediction, inputs_.labels};
    return {add(loss_name, ops::MultiboxLoss{options.multibox}, values),
            add(gradient_name, ops::MultiboxLossGradient{options.multibox}, values)};
}

/// Return rest^gamma, where the rest 1 - p is at least 0 but for rounding.
ValueId LossMaker::power_of_rest(ValueId rest, float gamma) {
    if (!(gamma == 0.0f || (gamma >= 1.0f && std::isfinite(gamma))))
        fail(ErrorKind::parameter, {"training: loss.gamma must be 0, or at least 1 and finite, got ", gamma});
    const ValueId positive = part("rest", ops::Neuron{.kind = ops::NeuronKind::relu}, {rest});
    return part("rest.power", power_of(gamma), {positive});
}

LossValues LossMaker::make(const FocalOptions &options) {
    const FocalFields &focal = options.focal;
    const ValueId logarithms = part("logarithms", ops::LogSoftmax{}, {prediction()});
    const ValueId probabilities = part(
        "probabilities", ops::Neuron{.kind = ops::NeuronKind::exponential, .a = 1.0f, .b = 0.0f, .c = -1.0f},
        {logarithms});
    const ValueId rest = part("rest.linear", linear(-1.0f, 1.0f), {probabilities});
    ops::Multiplication negated;
    negated.primary_scale = -1.0f;
    const ValueId each = part("each", negated, {logarithms, power_of_rest(rest, focal.gamma)});
    const ValueId labelled =
        weighted("weighted", part("labelled", ops::Multiplication{}, {each, inputs_.labels}));
    const ValueId pixels = part("pixels", ops::Reduction{.kind = ops::ReductionKind::sum}, {labelled});
    std::optional<ValueId> counted;
    if (inputs_.weights) {
        const ValueId sizes =
            part("weights.sizes", ops::Neuron{.kind = ops::NeuronKind::absolute}, {*inputs_.weights});
        const ValueId largest =
            part("weights.largest", ops::Reduction{.kind = ops::ReductionKind::max}, {sizes});
        counted = part("weights.pixels", ops::Neuron{.kind = ops::NeuronKind::sign}, {largest});
    }
    return add_mean(loss_name, pixels, focal.reduction, focal.weight, counted);
}

LossValues LossMaker::make(const SigmoidFocalOptions &options) {
    const FocalFields &focal = options.focal;
    const ValueId x = prediction(), t = inputs_.labels;
    const ValueId probabilities = part("probabilities", ops::Neuron{.kind = ops::NeuronKind::sigmoid}, {x});
    const ValueId growth =
        part("growth", ops::Neuron{.kind = ops::NeuronKind::softplus, .a = 1.0f, .b = 1.0f}, {x});
    const ValueId entropy =
        part("entropy", ops::Subtraction{}, {growth, part("agreement", ops::Multiplication{}, {x, t})});
    ops::Subtraction without_both;
    without_both.secondary_scale = 2.0f;
    const ValueId rest = part("rest.linear", without_both,
                              {part("sum", ops::Addition{}, {probabilities, t}),
                               part("product", ops::Multiplication{}, {probabilities, t})});
    ValueId each = part("each", ops::Multiplication{}, {entropy, power_of_rest(rest, focal.gamma)});
    if (options.alpha > 1.0f || !std::isfinite(options.alpha))
        fail(ErrorKind::parameter, {"training: loss.alpha must be at most 1, got ", options.alpha});
    if (options.alpha >= 0.0f)
        each = part("balanced", ops::Multiplication{},
                    {each, part("alphas", linear(2.0f * options.alpha - 1.0f, 1.0f - options.alpha), {t})});
    return add_mean(loss_name, each, focal.reduction, focal.weight, inputs_.weights);
}

/// Return 1 - dice of each image and class, (n, 1, 1, classes).
ValueId LossMaker::add_dice(const DiceOptions &options) {
    const int rank = shape().rank();
    if (rank < 3 || rank > 4)
        fail(ErrorKind::shape, {"training: the dice loss is for pixels, (n, height, width, classes) or "
                                "(n, points, classes), got a prediction of ",
                                shape().text()});
    if (!(options.smooth > 0.0f) || !std::isfinite(options.smooth))
        fail(ErrorKind::parameter,
             {"training: loss.smooth must be above 0 and finite, got ", options.smooth});
    ops::Operation probability = ops::Softmax{};
    if (shape().back() == 1) probability = ops::Neuron{.kind = ops::NeuronKind::sigmoid};
    const ValueId p = part("probabilities", std::move(probability), {prediction()});
    const auto summed = [&](const std::string &name, ValueId value) {
        const ValueId given = weighted(name + ".weighted", value);
        const ops::ReductionKind sum = ops::ReductionKind::sum;
        const ValueId rows = part(name + ".rows", ops::Reduction{sum, ops::ReductionAxis::width}, {given});
        if (rank == 3) return rows;
        return part(name + ".sum", ops::Reduction{sum, ops::ReductionAxis::height}, {rows});
    };
    const ValueId both = summed("both", part("both", ops::Multiplication{}, {p, inputs_.labels}));
    const ValueId either = summed("either", part("either", ops::Addition{}, {p, inputs_.labels}));
    const ValueId dice = part("dice", ops::Division{},
                              {part("both.smooth", linear(2.0f, options.smooth), {both}),
                               part("either.smooth", linear(1.0f, options.smooth), {either})});
    return part("each", linear(-1.0f, 1.0f), {dice});
}

LossValues LossMaker::with_cross_entropy(const LossValues &dice, const DiceOptions &options) {
    const std::int64_t classes = shape().back();
    ops::LossFields fields;
    fields.kind = classes == 1 ? ops::LossKind::sigmoid_cross_entropy : ops::LossKind::softmax_cross_entropy;
    fields.reduction = ops::LossReduction::sum_by_nonzero_weights;
    fields.weight = options.weight * options.cross_entropy;
    fields.number_of_classes = classes;
    const LossValues entropy = add_elementwise(concat({loss_name, ".entropy"}), fields, inputs_);
    return {add(loss_name, ops::Addition{}, {dice.loss, entropy.loss}),
            add(gradient_name, ops::Addition{}, {dice.gradient, entropy.gradient})};
}

LossValues LossMaker::make(const DiceOptions &options) {
    const bool adds = options.cross_entropy != 0.0f;
    const std::string name = adds ? concat({loss_name, ".overlap"}) : loss_name;
    const LossValues dice =
        add_mean(name, add_dice(options), ops::LossReduction::mean, options.weight, std::nullopt);
    return adds ? with_cross_entropy(dice, options) : dice;
}

// ---- Losses of the caller ----

ValueId LossMaker::copied_input(const Input &input) {
    ValueId value = inputs_.labels;
    if (input.name == "prediction")
        value = prediction();
    else if (input.name == "weights" && inputs_.weights)
        value = *inputs_.weights;
    else if (input.name != "labels")
        fail(ErrorKind::parameter,
             {"training: the graph of a loss has the inputs \"prediction\", \"labels\" and, if batches are "
              "weighted, \"weights\", got ",
              quoted(input.name)});
    if (!(input.shape == graph_.shape(value)))
        fail(ErrorKind::shape, {"training: input ", quoted(input.name), " of the loss must have the shape ",
                                graph_.shape(value).text(), ", got ", input.shape.text()});
    return value;
}

/// Copy the loss's operations, and return the copies of its outputs.
std::vector<ValueId> LossMaker::copy(const Graph &loss) {
    std::vector<ValueId> copies, outputs;
    for (const Input &input : loss.inputs()) copies.push_back(copied_input(input));
    for (const Node &node : loss.nodes()) {
        std::vector<ValueId> sources;
        for (const ValueId value : node.inputs) sources.push_back(copies[static_cast<std::size_t>(value)]);
        const std::string name = concat({loss_name, ".", node.name});
        ValueId value =
            add(node.activation ? name + ".before_activation" : name, node.operation, std::move(sources));
        graph_.adopt_weights(value, node.weights);
        if (node.activation) value = add(name, *node.activation, {value});
        copies.push_back(value);
    }
    for (const ValueId value : loss.outputs()) outputs.push_back(copies[static_cast<std::size_t>(value)]);
    return outputs;
}

LossValues LossMaker::make(const GraphLoss &loss) {
    const Graph &given = *loss.graph;
    given.require_complete();
    const std::vector<ValueId> outputs = copy(given);
    if (outputs.empty() || outputs.size() > 2)
        fail(ErrorKind::parameter, {"training: the graph of a loss must have the losses as its output, and "
                                    "perhaps the gradient as its second one, has ",
                                    outputs.size(), " outputs"});
    if (outputs.size() == 1)
        return add_mean(loss_name, outputs[0], ops::LossReduction::mean, 1.0f, std::nullopt);
    if (!(graph_.shape(outputs[1]) == shape()))
        fail(ErrorKind::shape, {"training: the gradient of the loss must have the prediction's shape ",
                                shape().text(), ", got ", graph_.shape(outputs[1]).text()});
    const ops::LossFields mean{
        .kind = ops::LossKind::kullback_leibler, .reduction = ops::LossReduction::mean, .weight = -1.0f};
    const ValueId ones = part("ones", linear(0.0f, 1.0f), {outputs[0]});
    return {add(loss_name, ops::Loss{mean}, {outputs[0], ones}),
            add(gradient_name, ops::Neuron{.kind = ops::NeuronKind::none}, {outputs[1]})};
}

} // namespace

bool includes_softmax(const LossOptions &loss) {
    if (const auto *fields = std::get_if<ops::LossFields>(&loss))
        return fields->kind == ops::LossKind::softmax_cross_entropy;
    return !std::holds_alternative<GraphLoss>(loss) && !std::holds_alternative<SigmoidFocalOptions>(loss);
}

LossValues add_loss(Graph &graph, const LossOptions &loss, const LossInputs &inputs) {
    LossMaker maker(graph, inputs);
    return std::visit([&](const auto &options) { return maker.make(options); }, loss);
}

} // namespace mpscnn::engine
