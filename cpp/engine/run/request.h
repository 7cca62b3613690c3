#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "core/failure.h"
#include "core/platform.h"

namespace mpscnn::engine {

/// A run that may still be under way. For any number of threads.
class Request {
public:
    /// Once; by whoever ran it.
    void finish(Failure failure);

    /// Whether it is done, after that time at most.
    bool wait_for(std::chrono::nanoseconds time) const;
    /// Blocks until it is done. Throws DeviceError in a forked child, which its end cannot reach.
    void wait() const;
    /// Return the error of a request that is done, or none.
    Failure failure() const;

private:
    void require_same_process() const;

    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
    bool done_ = false;
    Failure failure_;
    const unsigned process_ = platform::fork_generation();
};

} // namespace mpscnn::engine
