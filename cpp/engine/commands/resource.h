#pragma once

#include <atomic>

namespace mpscnn::engine {

/// Memory that command buffers use.
class Resource {
public:
    virtual ~Resource() = default;

    /// Command buffers that use it and are committed but not completed.
    std::atomic<int> in_flight{0};
};

} // namespace mpscnn::engine
