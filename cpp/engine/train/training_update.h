#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "engine/graph/graph.h"
#include "engine/train/training_options.h"

namespace mpscnn::engine {

/// Return the suffixes of the names of the variables that an optimiser keeps for each weight. These variables
/// begin with zeros.
std::vector<std::string> moments_of(const OptimizerOptions &optimizer);
/// The suffixes of two more variables of a weight: its moving average, and the sum of its gradients.
inline constexpr const char *average_suffix = ".average", *sum_suffix = ".gradient_sum";

/// Gradients by the names of their weights, in the order of the layers.
using NamedGradients = std::vector<std::pair<std::string, ValueId>>;

/// Values that the computation of new weights reads: the rates of each weight (ops/optimizer.h), and
/// variables by name.
struct UpdateValues {
    std::map<std::string, ValueId> rates;
    std::map<std::string, ValueId> variables;
};

/// Add the computation of new weights from gradients to a graph. Return the new values of variables, by name.
std::map<std::string, ValueId> add_updates(Graph &graph, const TrainingOptions &options,
                                           const UpdateValues &values, const NamedGradients &gradients);

} // namespace mpscnn::engine
