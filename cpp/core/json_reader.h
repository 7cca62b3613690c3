#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#ifdef __APPLE__
#include <xlocale.h>
#else
#include <clocale>
#endif

#include "core/error.h"

namespace mpscnn {

/// Return the length of the UTF-8 sequence at `text[at]`, or 0 if it is not well-formed (Unicode standard,
/// table 3-7).
std::size_t utf8_length(std::string_view text, std::size_t at);

/// Sets the calling thread's locale to "C" while this object exists, so that numbers have a decimal point in
/// any program. Streams are not used, because libc++'s streams drop digits and exponents after 40 characters
/// (see also core/text_file.h).
class PlainNumbers {
public:
    PlainNumbers();
    ~PlainNumbers();
    PlainNumbers(const PlainNumbers &) = delete;
    PlainNumbers &operator=(const PlainNumbers &) = delete;

private:
    locale_t previous_;
};

/// A position in a JSON text, and the steps that all readers of JSON share. Errors have the kind `kind`. They
/// name what is wrong, and the byte offset where it is.
class JsonReader {
protected:
    JsonReader(std::string_view text, ErrorKind kind) : text_(text), kind_(kind) {}

    [[noreturn]] void refuse(std::size_t offset, const std::string &message) const;
    [[noreturn]] void unexpected(const char *expected) const;

    /// Return the next byte, or 0 at the end. A valid text has no byte 0 outside of strings.
    char peek() const { return position_ < text_.size() ? text_[position_] : '\0'; }

    bool take(char wanted) {
        const bool found = peek() == wanted && position_ < text_.size();
        position_ += found ? 1 : 0;
        return found;
    }

    void skip_space() {
        while (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r') ++position_;
    }

    /// Throw an error unless only white space follows.
    void require_end();

    /// Skip the word, which must be next.
    void skip_literal(std::string_view word);

    /// Skip a number. Return true if it has neither a decimal point nor an exponent.
    bool skip_number();

    std::string_view text_;
    std::size_t position_ = 0;
    ErrorKind kind_;

private:
    void skip_digits(const char *expected);
};

} // namespace mpscnn
