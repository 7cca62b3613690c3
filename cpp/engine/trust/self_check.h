#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/graph/graph.h"
#include "engine/run/backend.h"

namespace mpscnn::engine {

/// Runs a network of one layer on both backends, in each of self_check_precisions(). Returns what differed
/// first, or nothing.
std::optional<std::string> find_wrong_answer(const Backend &subject, const Backend &reference,
                                             const Graph &network);

/// Do the same in one precision.
std::optional<std::string> find_wrong_answer(const Backend &subject, const Backend &reference,
                                             const Graph &network, Precision precision);

/// The precisions in which a network is compared: those in which `subject` supports its layer.
std::vector<Precision> self_check_precisions(const Backend &subject, const Graph &network);

/// Whether a network of the check is an operation of training.
bool is_of_training(const Graph &network);

/// Numbers in [-1, 1], the same everywhere (Numerical Recipes' generator, the high bits).
std::vector<float> self_check_noise(std::int64_t count, std::uint32_t seed);

/// The prefix of the name of a network that runs with LowerOptions::metal_kernels own.
inline constexpr const char *self_check_own = "self-check of own kernels: ";

/// The prefix of an input's name that asks for inputs without negative numbers: the absolute noise.
inline constexpr const char *self_check_positive = "positive ";

/// Return the batch sizes with which a network is checked. If a value has at most four channels, size 1 is
/// among them: a device may store a single such image as a texture without slices.
std::vector<std::int64_t> self_check_images(const Graph &network);

/// The networks of the self-check, one layer each, with weights. They cover every operation in each way in
/// which a device may compute it. Images have odd extents with a partly filled last slice, or one slice, or
/// are large. The networks are those cases of ops/cases.cpp tagged self_check, their convolutions once more
/// for own kernels, and self_check_training().
std::vector<Graph> self_check_networks();

/// Return networks for training's operations: networks of several operations, one for each loss and each
/// neuron, and layers whose weights are tensors of the graph.
std::vector<Graph> self_check_training();

} // namespace mpscnn::engine
