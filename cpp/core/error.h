#pragma once

#include <initializer_list>
#include <stdexcept>
#include <string>
#include <utility>

#include "core/text.h"

namespace mpscnn {

/// The kind of an error, by how callers react to it. The C interface uses these numbers (mpscnn_status), and
/// Python turns each into an exception class.
enum class ErrorKind {
    shape = 1,       ///< an array or tensor has the wrong shape, rank or data type
    parameter = 2,   ///< an argument or an operation's parameter is out of its range
    weights = 3,     ///< a model file or its weights are damaged, missing or do not fit
    device = 4,      ///< a device is absent, lost or failed
    unsupported = 5, ///< valid, but not implemented by this engine or on this machine
    state = 6,       ///< an object is used in a state that does not allow it (two threads, closed, ...)
};

/// The exception that the library throws. Its message says what was given, where, and what is allowed.
class Error : public std::runtime_error {
public:
    Error(ErrorKind kind, const std::string &message) : std::runtime_error(message), kind_(kind) {}
    ErrorKind kind() const noexcept { return kind_; }

private:
    ErrorKind kind_;
};

/// The error of a runner's frame that was cancelled before it began.
class Cancelled : public Error {
public:
    static constexpr const char *message = "the frame was cancelled before it began";

    Cancelled() : Error(ErrorKind::state, message) {}
};

/// Throw an Error whose message is this text, or these pieces joined.
[[noreturn]] void fail(ErrorKind kind, std::initializer_list<TextPart> message);
[[noreturn]] inline void fail(ErrorKind kind, const std::string &message) { throw Error(kind, message); }

} // namespace mpscnn
