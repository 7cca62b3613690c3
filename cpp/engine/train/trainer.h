#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/page_memory.h"
#include "engine/run/profile.h"
#include "engine/run/program.h"
#include "engine/train/training_graph.h"

namespace mpscnn::engine {

/// Trains a network. It owns the weights and their moments, in two copies: a step reads the current copy and
/// writes the other one, which becomes current only if the step succeeds. One caller at a time may use it.
class Trainer {
public:
    Trainer(const Graph &network, const TrainingOptions &options, const CompileOptions &device,
            const SessionOptions &session);

    /// Make one step and return its loss. `inputs` has the inputs of the network, followed by the weights of
    /// the losses if batches are weighted. Labels and weights have the prediction's shape. If `prediction`
    /// has memory, the prediction before the step is written there. For a loss that is not finite it throws
    /// StateError and changes nothing.
    double step(std::span<const TensorView> inputs, const TensorView &labels, float learning_rate,
                const TensorView *prediction);

    /// Make a step `runs` times without keeping its results, and return the times of its parts.
    Profile profile(std::span<const TensorView> inputs, const TensorView &labels, int runs);

    /// Return the program of a step, which names the device and the reason for it. The first step of a
    /// trainer on "auto" may replace it.
    const Program &program() const { return *program_; }

    /// Return the number of steps. If gradients are added over several batches, each batch is a step.
    std::int64_t steps() const { return steps_; }
    /// Return the number of updates of the weights.
    std::int64_t updates() const { return steps_ / options_.accumulate; }
    void set_steps(std::int64_t steps);
    const std::vector<TrainingVariable> &variables() const { return training_.variables; }
    std::span<float> values(std::string_view name);
    /// Return the shape of the prediction that the loss compares with the labels. Its batch is free
    /// (Shape::any).
    const Shape &prediction_shape() const { return prediction_shape_; }
    /// Return the layers of the network that compute the prediction. A detector has one for boxes and one for
    /// scores.
    const std::vector<std::string> &prediction_layers() const { return training_.prediction_layers; }
    /// Return the network with its current weights, or with their moving averages. Throws ParameterError if
    /// there are no averages.
    Graph network(bool averaged) const;

private:
    /// The current and next values of a variable, in pages that a GPU reads and writes without a copy.
    class Values {
    public:
        explicit Values(const TrainingVariable &variable);

        std::span<float> now() const { return floats(now_); }
        std::span<float> next() const { return floats(next_); }
        /// Return the current values as a weight that shares their memory, so its elements change with every
        /// step.
        WeightTensor weight(const Shape &shape) const;
        /// Make the newly written values the current ones.
        void swap() { std::swap(now_, next_); }

    private:
        std::span<float> floats(const std::shared_ptr<PageMemory> &pages) const {
            return {reinterpret_cast<float *>(pages->data()), count_};
        }

        std::size_t count_;
        std::shared_ptr<PageMemory> now_, next_; ///< next_ is only set for variables that steps change
    };

    /// The inputs and outputs of a step. Some are in the caller's memory, the others in the trainer's.
    struct StepTensors {
        std::vector<TensorView> given, made;
    };

    StepTensors step_tensors(std::span<const TensorView> inputs, const TensorView &labels,
                             const TensorView *prediction, float &loss);
    void require_step(std::span<const TensorView> inputs, const TensorView &labels) const;
    const WeightTensor &weight_of(const TrainingVariable &variable) const;
    void set_rates(float learning_rate);
    void give_rates(std::vector<TensorView> &inputs);
    void run_step(std::span<const TensorView> given, std::span<const TensorView> made);
    /// If "auto" has chosen a device, run this step there and on the CPU engine, and go on with the faster
    /// one.
    void choose_engine(std::span<const TensorView> given, std::span<const TensorView> made);
    void require_finite_loss(double loss, std::span<const TensorView> views,
                             std::span<const TensorView> outputs);
    [[noreturn]] void fail_step(const std::string &what) const;
    void update_weights(Session &update);
    void swap_values(int TrainingVariable::*output);
    std::span<const float> present(std::string_view name) const;

    Graph network_;
    TrainingOptions options_;
    CompileOptions device_;
    TrainingGraph training_;
    Shape prediction_shape_;
    std::vector<Values> values_; ///< one for each variable
    AlignedBuffer<float> rates_, step_{1}, prediction_;
    std::shared_ptr<Program> program_;
    SessionOptions session_options_;
    std::unique_ptr<Session> session_; ///< always set; choose_engine replaces it
    std::unique_ptr<Session> update_;  ///< only set if gradients are added over several batches
    std::int64_t steps_ = 0;
    bool has_chosen_ = false; ///< true: choose_engine has been called
};

} // namespace mpscnn::engine
