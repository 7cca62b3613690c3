#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/graph/graph.h"

namespace mpscnn::engine {

/// The largest allowed difference between engines, relative to the largest result. It allows one rounding to
/// half and sums in another order. Any mistake in a window, an index or a weight makes a far larger
/// difference.
inline constexpr float self_check_tolerance = 1.0f / 128;

/// Return a place in a tensor as a text such as "(0, 3, 2)".
std::string position_text(const Shape &shape, std::size_t index);

/// Run a network of the check on both backends, in each of self_check_precisions(). Return the first
/// difference of the results, or nothing.
std::optional<std::string> find_wrong_answer(const Backend &subject, const Backend &reference,
                                             const Graph &network);

/// Compare the results of both backends in one precision.
std::optional<std::string> find_wrong_answer(const Backend &subject, const Backend &reference,
                                             const Graph &network, Precision precision);

/// Return the precisions in which a network is compared: float32 and, unless it is of training, float16. A
/// precision in which `subject` does not support the network is left out.
std::vector<Precision> self_check_precisions(const Backend &subject, const Graph &network);

/// Return whether a network of the check is an operation of training.
bool is_of_training(const Graph &network);

/// Return noise in [-1, 1]. It is the same on every machine (the high bits of the generator of Numerical
/// Recipes).
std::vector<float> self_check_noise(std::int64_t count, std::uint32_t seed);

/// The prefix of the name of networks that are checked with LowerOptions::metal_kernels own.
inline constexpr const char *self_check_own = "self-check of own kernels: ";

/// The prefix of the name of inputs that must not be negative; they get the noise's absolute values.
inline constexpr const char *self_check_positive = "positive ";

/// Return whether a network has a layer of a well-known network, at the size that it has there.
bool is_real(const Graph &network);

/// Return the batch sizes with which a network is checked. A device stores a single image of at most four
/// channels as a texture without slices, and several images as an array of textures. Large images come in
/// small batches, and those of real networks alone, because their check would take long on slow GPUs.
std::vector<std::int64_t> self_check_images(const Graph &network);

/// Return the networks of the self-check, with weights. They cover every operation in each way in which a
/// device may compute it. Images have odd extents with a partly filled last slice (of four
/// channels), or one slice, or are large. Five kinds of networks
/// follow each other: the cases of ops/cases.h tagged self_check, one layer each; their convolutions once
/// more for this library's own Metal kernels; further networks of convolutions for these kernels; layers of
/// well-known networks at their real sizes; and self_check_training().
std::vector<Graph> self_check_networks();

/// Return the networks for operations of training: networks of several operations, one for each loss and each
/// neuron, and layers whose weights are tensors of the graph.
std::vector<Graph> self_check_training();

} // namespace mpscnn::engine
