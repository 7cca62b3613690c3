#pragma once

#include <cstdint>
#include <vector>

#include "engine/graph.h"

namespace mpscnn::engine {

/// Numbers in [-1, 1], the same everywhere (Numerical Recipes' generator, the high bits).
std::vector<float> self_check_noise(std::int64_t count, std::uint32_t seed);

/// What the self-check runs, one layer each, with weights: every operation, in each way in which a device may
/// compute it, on images of odd extents whose channels do not fill their last slice, and on large ones.
std::vector<Graph> self_check_networks();

} // namespace mpscnn::engine
