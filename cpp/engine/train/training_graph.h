#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/graph/graph.h"
#include "engine/train/training_options.h"

namespace mpscnn::engine {

/// The role of a variable that holds the mean and the variance of a trained batch normalization together.
inline constexpr const char *statistics_role = "statistics";

/// A tensor that training steps read and, except for frozen weights, write.
struct TrainingVariable {
    std::string name; ///< "conv1.weight", "conv1.weight.first_moment"
    Shape shape;
    std::string layer, role;  ///< layer and role of the weight; a moment has no layer
    std::vector<float> first; ///< initial values; empty: the layer's weight, or zeros for a moment
    int output = -1;          ///< index of its new value among the graph's outputs; -1: it does not change
    int update_output = -1; ///< index of its new value among the outputs of `update`; -1: it does not change

    bool changes() const { return output >= 0 || update_output >= 0; }
};

/// One step of training as a graph. Its inputs are the inputs of the network, labels in the shape of the
/// prediction, optionally weights of the losses, the rates, (1, 2) each (ops/optimizer.h), the step's number
/// (1, 1), and the variables. Its outputs are the loss, the prediction that the loss compares with the labels
/// (for a detector boxes and scores, concatenated), and new values of the variables.
///
/// If gradients are added over several batches, the graph computes new sums of gradients, and `update`
/// computes the weights from these. The inputs of `update` are the rates and all variables.
struct TrainingGraph {
    Graph graph{"training"};
    std::optional<Graph> update;
    std::size_t network_inputs = 0;
    /// For each input with rates: the number of updates that the moments with these rates have missed.
    std::vector<std::int64_t> missed_updates;
    std::vector<std::string> prediction_layers; ///< layers of the network that compute the prediction
    std::vector<TrainingVariable> variables;    ///< in the order of the graph's inputs
};

/// Make the training graph of a network. Throws ParameterError for a network without exactly one output, or
/// for a detector's loss without the two outputs that it names, for an unknown frozen layer, and for a
/// network without trainable weights. Throws ShapeError for outputs that do not fit a detector, WeightsError
/// for missing weights, and UnsupportedError with the layer's name for an operation without a gradient.
TrainingGraph make_training_graph(const Graph &network, const TrainingOptions &options);

/// The suffix of a gradient's name, after the name of its input or weight.
inline constexpr const char *gradient_suffix = ".gradient";

/// Where the gradient of the prediction comes from: the loss, or an input of the graph in place of the
/// labels.
enum class GradientSource : std::uint8_t { loss, input };

/// Return a graph that computes the gradients of a network's inputs and weights. It has the inputs of a
/// TrainingGraph without the optimiser's variables. Its outputs are the loss if there is one, the prediction,
/// and the gradients, by name.
Graph make_gradient_graph(const Graph &network, const TrainingOptions &options, GradientSource source);

} // namespace mpscnn::engine
