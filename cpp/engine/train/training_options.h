#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/json.h"
#include "engine/train/loss_options.h"
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

/// The optimiser: the rule that computes new weights from gradients, as in MPSNNOptimizers. The learning rate
/// is an argument of each step.
struct OptimizerOptions {
    OptimizerKind kind = OptimizerKind::adam;
    float momentum = 0.0f;
    bool nesterov = false;
    double decay = 0.9;
    double beta1 = 0.9, beta2 = 0.999;
    bool amsgrad = false;
    float epsilon = 1e-8f;
    float weight_decay = 0.0f;
    float global_norm = 0.0f;
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
        visit("weight_decay", weight_decay,
              "share of the weights that is subtracted, times the learning rate");
        visit("global_norm", global_norm,
              "largest norm of all gradients together, to which longer ones are scaled; 0: none");
        gradient.fields(visit);
    }
};

/// The options of training.
struct TrainingOptions {
    LossOptions loss;
    OptimizerOptions optimizer;
    std::vector<std::string> frozen; ///< layers whose weights do not change
    /// The number of updates that a layer's moments have missed because the layer was frozen for a while.
    /// Adam's correction does not count these.
    std::map<std::string, std::int64_t> missed_updates;
    std::int64_t seed = 0;        ///< the seed of dropout's random masks
    double statistics_rate = 0.9; ///< share of running statistics that remains after each batch
    std::int64_t accumulate = 1;  ///< number of batches whose mean gradient updates the weights
    /// Share of the weights' moving average that remains after an update; 0: no average.
    double average_rate = 0.0;
    bool weighted = false;     ///< true: each batch has weights of its losses
    bool check_finite = false; ///< true: each step checks all its results
    /// "float32"; "float16", on a GPU, for the values between layers; or "bfloat16", on the CPU, for the
    /// factors of products. Weights and gradients are always float32.
    std::string precision = "float32";

    bool accumulates() const { return accumulate > 1; }
    bool averages() const { return average_rate > 0.0; }

    /// Read the options from {"loss": {...}, "optimizer": {...}, "frozen": [...], "missed_updates": {layer:
    /// n}, "seed": n, "statistics_rate": x, "accumulate": n, "average_rate": x, "weighted": b,
    /// "check_finite": b, "precision": s}. Omitted members keep their defaults.
    static TrainingOptions from_json(const Json &json);
};

} // namespace mpscnn::engine
