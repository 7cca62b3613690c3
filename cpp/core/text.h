#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace mpscnn {

/// A piece of a text: characters that must outlive it, or a number; reals have the digits that a float needs.
/// It is a trivial type, so a message of many pieces costs few instructions and no destructors in the
/// function that may throw it.
class TextPart {
public:
    TextPart(const char *characters) : TextPart(std::string_view(characters)) {}
    TextPart(const std::string &characters) : TextPart(std::string_view(characters)) {}
    TextPart(std::string_view characters) : length_(characters.size()) {
        value_.characters = characters.data();
    }
    TextPart(double number) : length_(real) { value_.real = number; }
    template <std::signed_integral Number> TextPart(Number number) : length_(signed_integer) {
        value_.signed_integer = number;
    }
    template <std::unsigned_integral Number> TextPart(Number number) : length_(unsigned_integer) {
        value_.unsigned_integer = number;
    }
    TextPart(bool) = delete;
    TextPart(char) = delete;

    void append_to(std::string &text) const;

private:
    /// Lengths that no text has; they mark the kinds of numbers.
    static constexpr std::size_t signed_integer = ~std::size_t{0}, unsigned_integer = signed_integer - 1,
                                 real = signed_integer - 2;

    union {
        const char *characters;
        std::int64_t signed_integer;
        std::uint64_t unsigned_integer;
        double real;
    } value_;
    std::size_t length_;
};

/// Join the pieces.
std::string concat(std::initializer_list<TextPart> parts);

} // namespace mpscnn
