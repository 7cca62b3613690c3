/// Training for C++20: an owning class and exceptions over mpscnn/training.h. Part of mpscnn.hpp, which
/// includes this file.
///
///     const std::string options =
///         R"({"loss": {"kind": "softmax_cross_entropy", "number_of_classes": 10}})";
///     mpscnn::Trainer trainer(network, options);
///     double loss = trainer.step({&images, 1}, labels, 1e-3f);
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "network.hpp"
#include "training.h"

namespace mpscnn {
inline namespace api {

/// Owns copies of a network's weights and changes them step by step. Only one thread at a time may use it.
class Trainer {
public:
    /// Make a trainer. `options` is JSON; see mpscnn_trainer_create.
    explicit Trainer(const Graph &network, const std::string &options = {},
                     const std::string &device = "auto", int threads = 0) {
        mpscnn_trainer *handle = nullptr;
        detail::ensure(mpscnn_trainer_create(network.get(), detail::or_null(options),
                                             detail::c_string(device), threads, &handle));
        handle_.reset(handle);
    }

    /// Make a trainer with a loss of the caller; see mpscnn_trainer_create_with_loss.
    Trainer(const Graph &network, const Graph &loss, const std::string &options = {},
            const std::string &device = "auto", int threads = 0) {
        mpscnn_trainer *handle = nullptr;
        detail::ensure(mpscnn_trainer_create_with_loss(network.get(), loss.get(), detail::or_null(options),
                                                       detail::c_string(device), threads, &handle));
        handle_.reset(handle);
    }

    /// Make a step and return the loss before it. `prediction` may be null.
    double step(std::span<const mpscnn_tensor> inputs, const mpscnn_tensor &labels, float learning_rate,
                const mpscnn_tensor *prediction = nullptr) {
        double loss = 0;
        detail::ensure(mpscnn_trainer_step(get(), inputs.data(), detail::count(inputs.size()), &labels,
                                           learning_rate, prediction, &loss));
        return loss;
    }

    /// Return the times of the parts of a step; see mpscnn_trainer_profile. `runs` is the number of measured
    /// runs; 0: 20.
    Profile profile(std::span<const mpscnn_tensor> inputs, const mpscnn_tensor &labels, int runs = 0) {
        const mpscnn_profile_options options{sizeof options, runs};
        mpscnn_text *raw_json = nullptr, *raw_trace = nullptr;
        detail::ensure(mpscnn_trainer_profile(get(), inputs.data(), detail::count(inputs.size()), &labels,
                                              &options, &raw_json, &raw_trace));
        const detail::Text json(raw_json), trace(raw_trace);
        return {detail::string_of(json), detail::string_of(trace)};
    }

    /// Return a description as JSON; see mpscnn_trainer_describe.
    std::string describe() const { return detail::text_of(mpscnn_trainer_describe, get()); }
    void read(const std::string &name, std::span<float> values) const {
        detail::ensure(mpscnn_trainer_read(get(), detail::c_string(name), values.data(), values.size()));
    }
    void write(const std::string &name, std::span<const float> values) {
        detail::ensure(mpscnn_trainer_write(get(), detail::c_string(name), values.data(), values.size()));
    }
    void set_steps(std::int64_t steps) { detail::ensure(mpscnn_trainer_set_steps(get(), steps)); }

    /// Return the network with its current weights.
    Graph network() const {
        mpscnn_graph *graph = nullptr;
        detail::ensure(mpscnn_trainer_network(get(), &graph));
        return Graph(graph);
    }

    /// Return the network with the weights' moving averages.
    Graph averages() const {
        mpscnn_graph *graph = nullptr;
        detail::ensure(mpscnn_trainer_averages(get(), &graph));
        return Graph(graph);
    }

    mpscnn_trainer *get() const noexcept { return handle_.get(); }

private:
    detail::Handle<mpscnn_trainer, mpscnn_trainer_release> handle_;
};

/// Return the gradients of a network as a graph; see mpscnn_gradient_graph.
inline Graph gradient_graph(const Graph &network, const std::string &options = {}, bool of_output = false) {
    mpscnn_graph *graph = nullptr;
    detail::ensure(mpscnn_gradient_graph(network.get(), detail::or_null(options), of_output ? 1 : 0, &graph));
    return Graph(graph);
}

} // namespace api
} // namespace mpscnn
