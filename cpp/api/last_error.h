#pragma once

namespace mpscnn::c_api {

/// The calling thread's last error; "" when it has had none. Valid until the thread's next one.
const char *last_error() noexcept;

/// Keeps a copy of the text, or says instead that there was no memory for it.
void set_last_error(const char *text) noexcept;

} // namespace mpscnn::c_api
