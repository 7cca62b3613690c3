#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/graph.h"
#include "ops/loss.h"
#include "ops/optimizer.h"

namespace mpscnn::engine {

enum class OptimizerKind { sgd, rmsprop, adam };

} // namespace mpscnn::engine

template <> struct mpscnn::ops::EnumNames<mpscnn::engine::OptimizerKind> {
    using Kind = mpscnn::engine::OptimizerKind;
    static constexpr std::array<std::pair<const char *, Kind>, 3> values{
        {{"sgd", Kind::sgd}, {"rmsprop", Kind::rmsprop}, {"adam", Kind::adam}}};
};

namespace mpscnn::engine {

/// How gradients become new weights: MPSNNOptimizers. The learning rate comes with each step.
struct OptimizerOptions {
    OptimizerKind kind = OptimizerKind::adam;
    float momentum = 0.0f;
    bool nesterov = false;
    float decay = 0.9f;
    float beta1 = 0.9f, beta2 = 0.999f;
    bool amsgrad = false;
    float epsilon = 1e-8f;
    float weight_decay = 0.0f;
    ops::OptimizerGradient gradient;

    template <class Visitor> void fields(Visitor &visit) {
        visit("kind", kind, "sgd, rmsprop or adam");
        visit("momentum", momentum, "sgd: share of the moment that is kept");
        visit("nesterov", nesterov, "sgd: Nesterov's momentum");
        visit("decay", decay, "rmsprop: share of the average of squares that is kept");
        visit("beta1", beta1, "adam: share of the gradients' average that is kept");
        visit("beta2", beta2, "adam: share of the squares' average that is kept");
        visit("amsgrad", amsgrad, "adam: divides by the largest average of squares so far");
        visit("epsilon", epsilon, "rmsprop and adam: added to the root");
        visit("weight_decay", weight_decay, "share of the weights that a learning rate of 1 would take");
        gradient.fields(visit);
    }
};

/// What training is told.
struct TrainingOptions {
    ops::LossFields loss;
    OptimizerOptions optimizer;
    std::vector<std::string> frozen; ///< layers whose weights stay
    std::int64_t seed = 0;           ///< of dropout
    float statistics_rate = 0.9f;    ///< share of running statistics that each batch leaves

    /// {"loss": {...}, "optimizer": {...}, "frozen": [...], "seed": n, "statistics_rate": x}; what is left
    /// out keeps its default.
    static TrainingOptions from_json(const Json &json);
};

/// A tensor that steps read and, but for frozen weights, write anew.
struct TrainingVariable {
    std::string name; ///< "conv1.weight", "conv1.weight.first_moment"
    Shape shape;
    std::string layer, role;  ///< the weight that it is; of a moment no layer
    std::vector<float> first; ///< what it begins as
    int output = -1;          ///< index of its new value among the graph's outputs; -1: it stays
};

/// One step of training as a graph. Inputs: those of the network, labels in the shape of the prediction,
/// rates (1, 2) (ops/optimizer.h), the step's number (1, 1), and the variables. Outputs: the loss, the
/// prediction that it compares with the labels, and new values of the variables.
struct TrainingGraph {
    Graph graph{"training"};
    std::size_t network_inputs = 0;
    std::vector<TrainingVariable> variables; ///< in the order of the inputs
};

/// Throws ParameterError for a network without exactly one output, an unknown layer among the frozen and one
/// where nothing can be trained, WeightsError where weights are missing, UnsupportedError naming the layer
/// that training does not reach.
TrainingGraph make_training_graph(const Graph &network, const TrainingOptions &options);

} // namespace mpscnn::engine
