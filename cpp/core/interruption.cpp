#include "core/interruption.h"

#include <mutex>

namespace mpscnn {

namespace {

struct Interruption {
    std::mutex mutex;
    WaitCallback callback = nullptr;
    void *context = nullptr;
};

Interruption &interruption() {
    static Interruption &instance = *new Interruption; // other threads may wait while the process ends
    return instance;
}

} // namespace

void set_wait_callback(WaitCallback callback, void *context) {
    const std::lock_guard lock(interruption().mutex);
    interruption().callback = callback;
    interruption().context = context;
}

bool is_interrupted() {
    WaitCallback called = nullptr;
    void *with = nullptr;
    {
        const std::lock_guard lock(interruption().mutex);
        called = interruption().callback;
        with = interruption().context;
    }
    return called && called(with) != 0;
}

} // namespace mpscnn
