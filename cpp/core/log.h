#pragma once

#include <string>

namespace mpscnn {

/// The severity of a log message. The numbers are part of the C interface (mpscnn_log_callback).
enum class LogLevel { information = 0, warning = 1 };

using LogCallback = void (*)(int level, const char *message, void *context);

/// Set the function that receives log messages. nullptr turns logging off. This is the default, because the
/// library never prints.
void set_log_callback(LogCallback callback, void *context);

/// Log a message that is not a failure.
void log(LogLevel level, const std::string &message);

} // namespace mpscnn
