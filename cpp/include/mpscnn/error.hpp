/// Errors as exceptions, and helpers for all classes over the C interface. Part of mpscnn.hpp, which includes
/// this file.
#pragma once

#if __cplusplus < 202002L
#error "mpscnn.hpp needs C++20: -std=c++20, or CMake's target mpscnn::mpscnn, which asks for it"
#endif

#include <cstddef>
#include <cstdio>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>

#include "mpscnn.h"

namespace mpscnn {
// This inline namespace keeps names apart: the library's own classes are in namespace mpscnn, too, and a
// program may link the library statically.
inline namespace api {

/// The error of a failed call. MPSCNN_ERROR_MEMORY is thrown as OutOfMemory instead.
class Error : public std::runtime_error {
public:
    Error(mpscnn_status status, const std::string &message) : std::runtime_error(message), status_(status) {}
    mpscnn_status status() const noexcept { return status_; }

private:
    mpscnn_status status_;
};

/// The class of the errors with one status.
template <mpscnn_status Status> class StatusError : public Error {
public:
    explicit StatusError(const std::string &message) : Error(Status, message) {}
};

using ShapeError = StatusError<MPSCNN_ERROR_SHAPE>;
using ParameterError = StatusError<MPSCNN_ERROR_PARAMETER>;
using WeightsError = StatusError<MPSCNN_ERROR_WEIGHTS>;
using DeviceError = StatusError<MPSCNN_ERROR_DEVICE>;
using UnsupportedError = StatusError<MPSCNN_ERROR_UNSUPPORTED>;
using StateError = StatusError<MPSCNN_ERROR_STATE>;
using CancelledError = StatusError<MPSCNN_ERROR_CANCELLED>;

/// The error for a lack of memory. Its message is stored in the object, because there may be no memory for a
/// string.
class OutOfMemory : public std::bad_alloc {
public:
    explicit OutOfMemory(const char *message) noexcept {
        std::snprintf(message_, sizeof message_, "%s", message);
    }
    const char *what() const noexcept override { return message_; }

private:
    char message_[128];
};

namespace detail {

[[noreturn]] inline void throw_error(mpscnn_status status, const char *message) {
    switch (status) {
    case MPSCNN_ERROR_SHAPE:
        throw ShapeError(message);
    case MPSCNN_ERROR_PARAMETER:
        throw ParameterError(message);
    case MPSCNN_ERROR_WEIGHTS:
        throw WeightsError(message);
    case MPSCNN_ERROR_DEVICE:
        throw DeviceError(message);
    case MPSCNN_ERROR_UNSUPPORTED:
        throw UnsupportedError(message);
    case MPSCNN_ERROR_STATE:
        throw StateError(message);
    case MPSCNN_ERROR_CANCELLED:
        throw CancelledError(message);
    case MPSCNN_ERROR_MEMORY:
        throw OutOfMemory(message);
    default:
        throw Error(status, message);
    }
}

/// Throw the error of a failed call. Programs may have a macro with the shorter name `check`.
inline void ensure(mpscnn_status status) {
    if (status != MPSCNN_OK) throw_error(status, mpscnn_last_error());
}

template <auto release> struct Releaser {
    template <class T> void operator()(T *handle) const noexcept { release(handle); }
};
template <class T, auto release> using Handle = std::unique_ptr<T, Releaser<release>>;

using Text = Handle<mpscnn_text, mpscnn_text_release>;

inline std::string string_of(const Text &text) {
    return std::string(mpscnn_text_data(text.get()), mpscnn_text_size(text.get()));
}

/// Return the text that `function(arguments..., mpscnn_text **)` writes.
template <class Function, class... Arguments> std::string text_of(Function function, Arguments... arguments) {
    mpscnn_text *raw = nullptr;
    ensure(function(arguments..., &raw));
    return string_of(Text(raw));
}

inline int count(std::size_t size) {
    if (size > 1'000'000)
        throw ParameterError(std::to_string(size) + " entries are more than any network has");
    return static_cast<int>(size);
}

/// Return the text as a C string. Throws for a text with a NUL, which would end it early.
inline const char *c_string(const std::string &text) {
    if (const std::size_t position = text.find('\0'); position != text.npos)
        throw ParameterError("the text '" + text.substr(0, position) + "...' has a NUL at position " +
                             std::to_string(position) + "; names, paths and settings have none");
    return text.c_str();
}

inline const char *or_null(const std::string &text) { return text.empty() ? nullptr : c_string(text); }

} // namespace detail

} // namespace api
} // namespace mpscnn
