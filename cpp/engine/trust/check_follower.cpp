#include "engine/trust/check_follower.h"

#include <mutex>

namespace mpscnn::engine {

namespace {

struct Follower {
    std::mutex mutex;
    CheckCallback callback = nullptr;
    void *context = nullptr;
};

Follower &follower() {
    // This object is never destroyed, because destructors of static objects may still compile programs.
    static Follower &instance = *new Follower;
    return instance;
}

} // namespace

void set_check_callback(CheckCallback callback, void *context) {
    const std::lock_guard lock(follower().mutex);
    follower().callback = callback;
    follower().context = context;
}

bool follower_stops(const std::string &what, std::size_t done, std::size_t all) {
    CheckCallback called = nullptr;
    void *context = nullptr;
    {
        // The function is called without the lock, because it may set another one.
        const std::lock_guard lock(follower().mutex);
        called = follower().callback;
        context = follower().context;
    }
    return called && called(what.c_str(), static_cast<std::int64_t>(done), static_cast<std::int64_t>(all),
                            context) != 0;
}

} // namespace mpscnn::engine
