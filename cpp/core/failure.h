#pragma once

#include <string>

#include "core/error.h"

namespace mpscnn {

/// An error to report later or on another thread, or none. It keeps the kind and text of an exception instead
/// of a std::exception_ptr. A library built with libstdc++ that runs in a program with libc++ would call
/// libc++'s functions for std::exception_ptr, which do not know libstdc++'s exceptions.
/// The text of an exception is shortened in the middle if it has more than 2,000 bytes.
class Failure {
public:
    enum class Kind { none, error, cancelled, out_of_memory, other };

    Failure() = default;
    Failure(ErrorKind kind, std::string message)
        : kind_(Kind::error), error_kind_(kind), message_(std::move(message)) {}
    /// Return the failure for the exception that is being handled.
    static Failure current() noexcept;
    /// Return the failure of a cancelled frame. If there is no memory for its message, the message is only
    /// "cancelled".
    static Failure cancelled() noexcept;

    explicit operator bool() const noexcept { return kind_ != Kind::none; }
    Kind kind() const noexcept { return kind_; }
    ErrorKind error_kind() const noexcept { return error_kind_; } ///< for Kind::error
    const char *message() const noexcept { return message_.c_str(); }
    /// Throw the error, if there is one, as Error, Cancelled, OutOfMemory or std::runtime_error.
    void raise() const;

private:
    Failure(Kind kind, const char *message) noexcept;

    Kind kind_ = Kind::none;
    ErrorKind error_kind_ = ErrorKind::state;
    std::string message_;
};

/// Call `work()` and return its failure, or none.
template <class Work> Failure failure_of(Work work) noexcept {
    try {
        work();
        return {};
    } catch (...) {
        return Failure::current();
    }
}

} // namespace mpscnn
