#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace mpscnn::vision {

/// Replace logits by the probabilities of classes that exclude each other.
void softmax(std::span<float> logits);

/// Replace logits by the probabilities of classes that are independent.
void sigmoid(std::span<float> logits);

/// Return the indices of the `count` largest scores, which is at most their number. Among equal scores the
/// lower index comes first.
std::vector<int> top_k(std::span<const float> scores, std::size_t count);

} // namespace mpscnn::vision
