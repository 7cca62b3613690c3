#pragma once

#include <atomic>

namespace mpscnn::engine {

/// Base of memory that command buffers use.
class Resource {
public:
    virtual ~Resource() = default;

    /// The number of command buffers that use this memory and are committed but not completed.
    std::atomic<int> in_flight{0};
};

} // namespace mpscnn::engine
