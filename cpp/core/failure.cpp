#include "core/failure.h"

#include <exception>

#include "core/memory.h"

namespace mpscnn {

void fail(ErrorKind kind, std::initializer_list<TextPart> message) { throw Error(kind, concat(message)); }

namespace {

// These messages are so short that a std::string needs no memory for them.
constexpr const char *out_of_memory = "out of memory";
constexpr const char *cancelled_in_short = "cancelled";

} // namespace

Failure::Failure(Kind kind, const char *message) noexcept : kind_(kind) {
    try {
        message_ = message;
    } catch (const std::bad_alloc &) {
        if (kind != Kind::cancelled) kind_ = Kind::out_of_memory;
        message_ = kind == Kind::cancelled ? cancelled_in_short : out_of_memory;
    }
}

Failure Failure::cancelled() noexcept { return {Kind::cancelled, Cancelled::message}; }

Failure Failure::current() noexcept {
    try {
        throw;
    } catch (const Cancelled &error) {
        return {Kind::cancelled, error.what()};
    } catch (const Error &error) {
        Failure failure(Kind::error, error.what());
        failure.error_kind_ = error.kind();
        return failure;
    } catch (const OutOfMemory &error) {
        return {Kind::out_of_memory, error.what()};
    } catch (const std::bad_alloc &) {
        return {Kind::out_of_memory, out_of_memory};
    } catch (const std::exception &error) {
        return {Kind::other, error.what()};
    } catch (...) {
        return {Kind::other, "unknown exception"};
    }
}

void Failure::raise() const {
    switch (kind_) {
    case Kind::none:
        return;
    case Kind::error:
        throw Error(error_kind_, message_);
    case Kind::cancelled:
        throw Cancelled();
    case Kind::out_of_memory:
        throw OutOfMemory(message_.c_str());
    case Kind::other:
        throw std::runtime_error(message_);
    }
}

} // namespace mpscnn
