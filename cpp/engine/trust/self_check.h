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

/// The same in one precision.
std::optional<std::string> find_wrong_answer(const Backend &subject, const Backend &reference,
                                             const Graph &network, Precision precision);

/// The precisions in which a network is compared: those in which `subject` supports its layer.
std::vector<Precision> self_check_precisions(const Backend &subject, const Graph &network);

/// Whether a network of the check is an operation of training.
bool is_of_training(const Graph &network);

/// Numbers in [-1, 1], the same everywhere (Numerical Recipes' generator, the high bits).
std::vector<float> self_check_noise(std::int64_t count, std::uint32_t seed);

/// How names of inputs begin whose numbers are the noise without its sign.
inline constexpr const char *self_check_positive = "positive ";

/// The sizes of batches with which a network runs. A device may hold one image of at most four channels as a
/// texture without slices, so that networks with such values run with one image, too.
std::vector<std::int64_t> self_check_images(const Graph &network);

/// The networks of the self-check, one layer each, with weights. They cover every operation in each way in
/// which a device may compute it, on three kinds of images: odd extents with a partly filled last slice, one
/// slice only, and large ones. They are the cases of ops/cases.cpp with that tag, and self_check_training().
std::vector<Graph> self_check_networks();

/// Networks of training with more than one operation, one for each loss and neuron, and layers whose weights
/// are tensors of the graph.
std::vector<Graph> self_check_training();

} // namespace mpscnn::engine
