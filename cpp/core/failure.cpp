#include "core/failure.h"

#include <exception>
#include <string_view>

#include "core/memory.h"

namespace mpscnn {

void fail(ErrorKind kind, std::initializer_list<TextPart> message) { throw Error(kind, concat(message)); }

namespace {

// These messages are so short that a std::string needs no memory for them.
constexpr const char *out_of_memory = "out of memory";
constexpr const char *cancelled_in_short = "cancelled";

// The maximum number of bytes of a message, and those that stay at its ends. The same is in mpscnn/errors.py.
constexpr std::size_t longest_message = 2000, kept_begin = 1200, kept_end = 700;

/// Return a message without its middle if it is too long: a name in a file may have megabytes.
std::string shortened(std::string_view message) {
    if (message.size() <= longest_message) return std::string(message);
    const auto is_within_character = [&](std::size_t i) {
        return (static_cast<unsigned char>(message[i]) & 0xC0) == 0x80; // a later byte of UTF-8
    };
    std::size_t begin = kept_begin, end = message.size() - kept_end;
    while (begin > 0 && is_within_character(begin)) --begin;
    while (end < message.size() && is_within_character(end)) ++end;
    return concat({message.substr(0, begin), " ... (", end - begin, " bytes) ... ", message.substr(end)});
}

} // namespace

Failure::Failure(Kind kind, const char *message) noexcept : kind_(kind) {
    try {
        message_ = shortened(message);
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
