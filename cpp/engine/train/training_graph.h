#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/graph/graph.h"
#include "engine/train/training_options.h"

namespace mpscnn::engine {

/// Role of the mean and variance of a batch normalization that is trained, which are one variable.
inline constexpr const char *statistics_role = "statistics";

/// A tensor that steps read and, but for frozen weights, write again.
struct TrainingVariable {
    std::string name; ///< "conv1.weight", "conv1.weight.first_moment"
    Shape shape;
    std::string layer, role;  ///< the weight that it is; of a moment no layer
    std::vector<float> first; ///< what it begins as; empty: the layer's weight, or zeros
    int output = -1;          ///< index of its new value among the graph's outputs; -1: it stays
    int update_output = -1;   ///< the same of the update's

    bool changes() const { return output >= 0 || update_output >= 0; }
};

/// One step of training as a graph. Inputs: those of the network, labels in the shape of the prediction and,
/// if batches have them, weights of the losses; the rates, (1, 2) each (ops/optimizer.h), the step's number
/// (1, 1), and the variables. Outputs: the loss, the prediction that it compares with the labels (of a
/// detector boxes and scores side by side), and new values of the variables.
///
/// Where gradients are added over several batches, the graph makes new sums of gradients, and `update` the
/// weights from these. Its inputs are the rates and all variables.
struct TrainingGraph {
    Graph graph{"training"};
    std::optional<Graph> update;
    std::size_t network_inputs = 0;
    /// For each of the rates: how many updates the moments that it corrects have not seen.
    std::vector<std::int64_t> missed_updates;
    std::vector<std::string> prediction_layers; ///< of the network, of which the prediction is made
    std::vector<TrainingVariable> variables;    ///< in the order of the inputs
};

/// Throws ParameterError for a network without exactly one output, or of a detector's loss without the two
/// that it names, for an unknown layer among the frozen and a network where nothing can be trained,
/// ShapeError for outputs that are no detector's, WeightsError where weights are missing, UnsupportedError
/// naming the layer that training does not reach.
TrainingGraph make_training_graph(const Graph &network, const TrainingOptions &options);

/// After the name of an input or weight: its gradient.
inline constexpr const char *gradient_suffix = ".gradient";

/// Gradients of a network's inputs and weights as a graph, whose inputs are those of a TrainingGraph without
/// what an optimiser keeps. Its outputs: the loss, the prediction, and what gradients there are, by name.
/// With `of_output` there is no loss, and the gradient of the prediction takes the place of the labels.
Graph make_gradient_graph(const Graph &network, const TrainingOptions &options, bool of_output);

} // namespace mpscnn::engine
