#pragma once

// The border between exceptions inside and status codes outside.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "core/failure.h"
#include "mpscnn/mpscnn.h"

namespace mpscnn::c_api {

mpscnn_status status_of(const Failure &failure) noexcept;

/// The status of the exception being handled, whose message becomes this thread's last error.
mpscnn_status record_current_exception() noexcept;

/// Runs `body`; nothing is thrown across the C interface.
template <class Body> mpscnn_status guarded(Body &&body) noexcept {
    try {
        body();
        return MPSCNN_OK;
    } catch (...) {
        return record_current_exception();
    }
}

/// Throws a ParameterError naming the argument when it is NULL.
void require(const void *argument, const char *name);

/// Likewise; the text of a required argument.
std::string_view text(const char *argument, const char *name);

/// Throws a ParameterError unless 0 <= count, and `array` is not NULL when there is something to read.
void require_array(const void *array, std::int64_t count, const char *name);

/// Throws unless `size`, as an options struct states it, can be one of ours, and unless whatever a newer
/// caller's struct has beyond ours is zero, which means its default.
void check_options(const void *options, std::size_t size, std::size_t known_size, std::size_t alignment,
                   const char *type);

/// The caller's options, with zero for the fields that an older caller does not know. NULL: all zero.
template <class Options> Options read_options(const Options *given, const char *type) {
    Options options{};
    if (given) {
        check_options(given, given->size, sizeof(Options), alignof(Options), type);
        std::memcpy(&options, given, given->size < sizeof(Options) ? given->size : sizeof(Options));
    }
    return options;
}

/// Gives the caller a text.
void give(std::string value, mpscnn_text **text);

/// The calling thread's last error; "" when it has had none. Valid until the thread's next one.
const char *last_error() noexcept;

/// Keeps a copy of the text, or says instead that there was no memory for it.
void set_last_error(const char *text) noexcept;

} // namespace mpscnn::c_api
