#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "core/failure.h"
#include "core/platform.h"

namespace mpscnn::engine {

/// A submitted run that may still be in flight. Any number of threads may use it.
class Request {
public:
    /// Record the end of the run. The thread that ran it calls this once.
    void finish(Failure failure);

    /// Wait for the end of the run, at most for `time`. Return true if it has ended.
    bool wait_for(std::chrono::nanoseconds time) const;
    /// Block until the run has ended. Throws DeviceError in a forked child, which is never notified.
    void wait() const;
    /// Return the error of a run that has ended, or none.
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
