#pragma once

// Conversion of exceptions, which the library uses, to status codes, which callers get.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "core/failure.h"
#include "mpscnn/mpscnn.h"

namespace mpscnn::c_api {

mpscnn_status status_of(const Failure &failure) noexcept;

/// Return the status of the current exception. Its message becomes this thread's last error.
mpscnn_status record_current_exception() noexcept;

/// Run `body` and return its status; no exception crosses the C interface.
template <class Body> mpscnn_status guarded(Body &&body) noexcept {
    try {
        body();
        return MPSCNN_OK;
    } catch (...) {
        return record_current_exception();
    }
}

/// Throws a ParameterError that names the argument if it is NULL.
void require(const void *argument, const char *name);

/// Return the text of a required argument. Throws like `require`.
std::string_view text(const char *argument, const char *name);

/// Throws a ParameterError unless count >= 0, and `array` is not NULL if count is above 0.
void require_array(const void *array, std::int64_t count, const char *name);

/// Check an options struct of the caller. `size`, which it contains, must be a possible size. If it is a
/// newer, larger struct, then its additional fields must be zero, which means their defaults.
void check_options(const void *options, std::size_t size, std::size_t known_size, std::size_t alignment,
                   const char *type);

/// Return the caller's options, with zero for fields that an older caller does not know. For NULL all fields
/// are zero.
template <class Options> Options read_options(const Options *given, const char *type) {
    Options options{};
    if (given) {
        check_options(given, given->size, sizeof(Options), alignof(Options), type);
        std::memcpy(&options, given, given->size < sizeof(Options) ? given->size : sizeof(Options));
    }
    return options;
}

/// Give a text to the caller, who must release it.
void give(std::string value, mpscnn_text **text);

/// Return the calling thread's last error, or "" if it had none. It is valid until the thread's next error.
const char *last_error() noexcept;

/// Keep a copy of the text. If there is no memory for it, a fixed message takes its place.
void set_last_error(const char *text) noexcept;

} // namespace mpscnn::c_api
