#include "engine/run/request.h"

#include "core/error.h"

namespace mpscnn::engine {

void Request::finish(Failure failure) {
    const std::lock_guard lock(mutex_);
    failure_ = std::move(failure);
    done_ = true;
    // Notify while the lock is held, because the waiting thread may destroy this object right after it wakes.
    changed_.notify_all();
}

bool Request::wait_for(std::chrono::nanoseconds time) const {
    require_same_process(); // check before locking, because a thread of the parent process may hold the mutex
                            // forever
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, time, [&] { return done_; });
}

void Request::wait() const {
    require_same_process();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return done_; });
}

Failure Request::failure() const {
    const std::lock_guard lock(mutex_);
    return failure_;
}

void Request::require_same_process() const {
    if (platform::fork_generation() != process_)
        fail(ErrorKind::device,
             "this process was forked while the request was under way; its end is seen in the "
             "process that submitted it only");
}

} // namespace mpscnn::engine
