#pragma once

#include <string>

#include "core/error.h"

namespace mpscnn {

/// What went wrong, or nothing, to be told on another thread or later: the text of an exception and what to
/// throw. Exceptions themselves are not kept: in a program with libc++ a library that was built with
/// libstdc++ finds libc++'s functions for that, which do not know its exceptions.
class Failure {
public:
    enum class Kind { none, error, cancelled, out_of_memory, other };

    Failure() = default;
    Failure(ErrorKind kind, std::string message)
        : kind_(Kind::error), error_kind_(kind), message_(std::move(message)) {}
    /// Of the exception that is being handled.
    static Failure current() noexcept;
    /// Of a frame that was cancelled; no memory is needed to say so.
    static Failure cancelled() noexcept;

    explicit operator bool() const noexcept { return kind_ != Kind::none; }
    Kind kind() const noexcept { return kind_; }
    ErrorKind error_kind() const noexcept { return error_kind_; } ///< of Kind::error
    const char *message() const noexcept { return message_.c_str(); }
    /// Throws it, if there is any: an Error, Cancelled, OutOfMemory, or else a std::runtime_error.
    void raise() const;

private:
    Failure(Kind kind, const char *message) noexcept;

    Kind kind_ = Kind::none;
    ErrorKind error_kind_ = ErrorKind::state;
    std::string message_;
};

/// What `work()` fails with.
template <class Work> Failure failure_of(Work work) noexcept {
    try {
        work();
        return {};
    } catch (...) {
        return Failure::current();
    }
}

} // namespace mpscnn
