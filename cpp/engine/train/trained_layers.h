#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/graph/graph.h"
#include "engine/train/training_options.h"

namespace mpscnn::engine {

/// The gradients that a graph computes: those of the trained weights, or of the network's inputs as well.
enum class WantedGradients : std::uint8_t { weights, inputs_and_weights };

/// The part of each value and layer of a network in a training graph.
struct TrainedLayers {
    std::vector<ValueId> predictions;  ///< the values that the loss compares with the labels
    Shape labels_shape;                ///< the shape of all predictions concatenated
    std::vector<bool> needed;          ///< for each value: whether a prediction depends on it
    std::vector<bool> trained;         ///< for each layer: whether its weights change
    std::vector<bool> reads_variables; ///< for each layer: whether its weights are variables of the graph
    /// For each layer: whether it is an untrained batch normalization after layers that are trained, or after
    /// inputs whose gradients are wanted.
    std::vector<bool> is_fixed;
};

/// True if a layer is a batch normalization that stores its mean and variance as weights.
bool keeps_statistics(const Node &layer);

/// Find the layers that are needed, trained, or only passed by gradients. Throws the errors of
/// make_training_graph about outputs, frozen layers and missing weights.
TrainedLayers find_trained_layers(const Graph &network, const TrainingOptions &options,
                                  WantedGradients wanted);

} // namespace mpscnn::engine
