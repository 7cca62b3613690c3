#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/aligned_buffer.h"
#include "engine/program.h"
#include "engine/training_graph.h"

namespace mpscnn::engine {

/// Trains a network: owns its weights and their moments. A step reads one set of them and writes another one,
/// which takes its place only when the step was good. One caller at a time.
class Trainer {
public:
    Trainer(const Graph &network, const TrainingOptions &options, const CompileOptions &device,
            const SessionOptions &session);

    /// One step: inputs of the network and labels in the prediction's shape, both of one batch. Writes the
    /// prediction of before the step where `prediction` has memory. Returns the loss. Throws StateError,
    /// with all as it was before, for a loss that is not finite.
    double step(std::span<const TensorView> inputs, const TensorView &labels, float learning_rate,
                const TensorView *prediction);

    /// How many have been made.
    std::int64_t steps() const { return steps_; }
    void set_steps(std::int64_t steps);
    const std::vector<TrainingVariable> &variables() const { return training_.variables; }
    std::span<float> values(std::string_view name);
    /// Of what the loss compares with the labels; the batch is free.
    const Shape &prediction_shape() const { return prediction_shape_; }
    /// The layer of the network that computes it.
    const std::string &prediction_layer() const {
        return training_.graph.value_name(training_.graph.outputs()[1]);
    }
    /// The network with its present weights.
    Graph network() const;

private:
    struct Values {
        AlignedBuffer<float> now, next;
    };

    void set_rates(float learning_rate);
    void require_finite_loss(double loss, std::span<const TensorView> views,
                             std::span<const TensorView> outputs);

    Graph network_;
    TrainingOptions options_;
    TrainingGraph training_;
    Shape prediction_shape_;
    std::vector<Values> values_; ///< of the variables
    AlignedBuffer<float> rates_{2}, step_{1}, prediction_;
    std::shared_ptr<Program> program_;
    SessionOptions session_options_;
    Session session_;
    std::int64_t steps_ = 0;
};

} // namespace mpscnn::engine
