#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace mpscnn::metal {

/// First images of passes of `size` images that cover a batch. All have one size; the last computes some
/// images again rather than being smaller, so that steps know their extents.
inline std::vector<std::int64_t> passes_over(std::int64_t batch, std::int64_t size) {
    std::vector<std::int64_t> passes;
    for (std::int64_t first = 0; first < batch; first += size)
        passes.push_back(std::min(first, batch - size));
    return passes;
}

} // namespace mpscnn::metal
