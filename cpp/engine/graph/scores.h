#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "engine/graph/graph.h"

namespace mpscnn::engine {

/// The kinds of scores that a classifier has for its classes.
enum class Scores {
    softmax, ///< probabilities of classes that exclude each other
    sigmoid, ///< an independent probability of each class
    as_is,   ///< numbers with another meaning
};

/// Return the name in model files and interfaces: "softmax", "sigmoid" or "as is".
const char *name_of(Scores scores);
/// Return the scores with this name. Throws ParameterError for any other text.
Scores scores_named(std::string_view name);

/// Return the number of scores that a classifier with this output, which has a fixed shape, computes for an
/// image: the last extent of (n, classes), or of an image of one pixel (n, 1, 1, classes), as convolutions
/// compute it. There is no result for other shapes.
std::optional<std::int64_t> score_count(const Shape &output);

/// Return the function whose results the values of the graph's only output are. The values of other functions
/// are scores "as is" if they are between 0 and 1 for all inputs, as those of logits are not. There is no
/// result for other values, or if there are several outputs.
std::optional<Scores> scores_of(const Graph &graph);

} // namespace mpscnn::engine
