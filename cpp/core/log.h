#pragma once

#include <string>

namespace mpscnn {

/// The numbers are part of the C interface (mpscnn_log_callback).
enum class LogLevel { information = 0, warning = 1 };

using LogCallback = void (*)(int level, const char *message, void *context);

/// nullptr turns logging off, which is how it begins: the library never prints.
void set_log_callback(LogCallback callback, void *context);

/// Notes that are not failures.
void log(LogLevel level, const std::string &message);

} // namespace mpscnn
