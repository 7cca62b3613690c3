#pragma once

#include <optional>
#include <string>

#include "engine/backend.h"

namespace mpscnn::engine {

/// Runs a network of one layer on both backends, in each precision. Returns what differed first, or nothing.
/// What `subject` refuses is left out.
std::optional<std::string> find_wrong_answer(const Backend &subject, const Backend &reference,
                                             const Graph &network);

/// The same for all networks of self_check_networks.h.
std::optional<std::string> find_wrong_answer(const Backend &subject, const Backend &reference);

} // namespace mpscnn::engine
