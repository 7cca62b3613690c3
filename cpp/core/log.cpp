#include "core/log.h"

#include <mutex>

namespace mpscnn {

namespace {

std::mutex mutex;
LogCallback current_callback = nullptr;
void *current_context = nullptr;

} // namespace

void set_log_callback(LogCallback callback, void *context) {
    const std::lock_guard lock(mutex);
    current_callback = callback;
    current_context = context;
}

void log(LogLevel level, const std::string &message) {
    LogCallback callback = nullptr;
    void *context = nullptr;
    {
        // The callback is called without the lock, because it may set another callback.
        const std::lock_guard lock(mutex);
        callback = current_callback;
        context = current_context;
    }
    if (callback) callback(static_cast<int>(level), message.c_str(), context);
}

} // namespace mpscnn
