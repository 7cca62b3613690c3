#include "engine/train/trained_layers.h"

#include <algorithm>
#include <set>

#include "core/text.h"
#include "engine/train/training_layers.h"
#include "engine/train/training_loss.h"

namespace mpscnn::engine {

namespace {

ValueId prediction_named(const Graph &network, const std::string &name) {
    for (const ValueId value : network.outputs())
        if (network.value_name(value) == name) return value;
    fail(ErrorKind::parameter,
         {"training: network ", quoted(network.name()), " has no output ", quoted(name),
          ", which the multibox loss compares with labels; \"boxes\" and \"scores\" of the loss name its ",
          "outputs"});
}

/// Return the input of the final softmax that computes `value`, because the loss includes a softmax.
ValueId before_softmax(const Graph &network, ValueId value) {
    if (network.is_input(value)) return value;
    const Node &last = network.producer(value);
    const bool is_softmax = last.operation.is<ops::Softmax>() || last.operation.is<ops::LogSoftmax>();
    return is_softmax ? last.inputs[0] : value;
}

/// Find the values that the loss compares with the labels.
void find_predictions(const Graph &network, const LossOptions &loss, TrainedLayers &found) {
    if (const auto *detector = std::get_if<MultiboxOptions>(&loss)) {
        const ValueId boxes = prediction_named(network, detector->boxes);
        const ValueId scores = before_softmax(network, prediction_named(network, detector->scores));
        const Shape &numbers = network.shape(boxes), &logits = network.shape(scores);
        constexpr std::int64_t box_numbers = ops::MultiboxFields::box_numbers;
        if (numbers.rank() != 3 || numbers[2] != box_numbers || logits.rank() != 3 || logits[2] < 2 ||
            logits[1] != numbers[1])
            fail(ErrorKind::shape, {"training: outputs ", quoted(detector->boxes), " and ",
                                    quoted(detector->scores), " must be (n, anchors, ", box_numbers,
                                    ") and (n, anchors, classes), the background among the classes, got ",
                                    numbers.text(), " and ", logits.text()});
        found.predictions = {boxes, scores};
        found.labels_shape = Shape{numbers[0], numbers[1], box_numbers + logits[2]};
    } else {
        if (network.outputs().size() != 1)
            fail(ErrorKind::parameter, {"training: network ", quoted(network.name()),
                                        " must have one output, has ", network.outputs().size()});
        const ValueId output = network.outputs()[0];
        found.predictions = {includes_softmax(loss) ? before_softmax(network, output) : output};
        found.labels_shape = network.shape(found.predictions[0]);
    }
}

} // namespace

bool keeps_statistics(const Node &layer) {
    return layer.operation.is<ops::BatchNormalization>() && layer.inputs.size() == 1;
}

TrainedLayers find_trained_layers(const Graph &network, const TrainingOptions &options,
                                  WantedGradients wanted) {
    network.require_complete();
    TrainedLayers found;
    find_predictions(network, options.loss, found);
    const std::vector<Node> &nodes = network.nodes();
    const bool of_inputs = wanted == WantedGradients::inputs_and_weights;
    const std::size_t count = nodes.size(), inputs = network.inputs().size();
    std::set<std::string> frozen(options.frozen.begin(), options.frozen.end());
    found.needed.assign(static_cast<std::size_t>(network.values()), false);
    for (const ValueId value : found.predictions) found.needed[static_cast<std::size_t>(value)] = true;
    for (std::size_t i = count; i-- > 0;)
        if (found.needed[inputs + i])
            for (const ValueId value : nodes[i].inputs) found.needed[static_cast<std::size_t>(value)] = true;
    found.trained.assign(count, false);
    found.is_fixed.assign(count, false);
    found.reads_variables.assign(count, false);
    // True for each value whose gradient is computed.
    std::vector<bool> depends(static_cast<std::size_t>(network.values()), false);
    std::fill_n(depends.begin(), inputs, of_inputs);
    bool any = of_inputs;
    for (std::size_t i = 0; i < count; ++i) {
        const bool is_frozen = frozen.erase(nodes[i].name) > 0;
        if (!found.needed[inputs + i]) continue;
        bool behind = false;
        for (const ValueId value : nodes[i].inputs)
            behind = behind || depends[static_cast<std::size_t>(value)];
        const bool has_own = trains_weights(nodes[i]);
        found.trained[i] = has_own && !is_frozen && nodes[i].learns.value_or(true);
        found.reads_variables[i] = found.trained[i] || (has_own && behind);
        found.is_fixed[i] = behind && !found.trained[i] && keeps_statistics(nodes[i]);
        depends[inputs + i] = behind || found.trained[i];
        any = any || found.trained[i];
    }
    for (const std::string &name : frozen)
        fail(ErrorKind::parameter,
             {"training: network ", quoted(network.name()), " has no layer ", quoted(name), " to freeze"});
    if (!any)
        fail(ErrorKind::parameter,
             {"training: network ", quoted(network.name()), " has no layer that can be trained"});
    return found;
}

} // namespace mpscnn::engine
