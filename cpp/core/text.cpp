#include "core/text.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace mpscnn {

namespace {

/// Return a whole number with all digits, other numbers with as many digits as a float needs.
std::string number_text(double number) {
    std::array<char, 32> digits;
    if (number == std::trunc(number) && std::abs(number) < 1e15) {
        std::snprintf(digits.data(), digits.size(), "%.0f", number);
        return digits.data();
    }
    for (int count = 6; count <= 9; ++count) {
        std::snprintf(digits.data(), digits.size(), "%.*g", count, number);
        if (static_cast<float>(std::strtod(digits.data(), nullptr)) == static_cast<float>(number)) break;
    }
    return digits.data();
}

} // namespace

void TextPart::append_to(std::string &text) const {
    switch (length_) {
    case signed_integer:
        text += std::to_string(value_.signed_integer);
        break;
    case unsigned_integer:
        text += std::to_string(value_.unsigned_integer);
        break;
    case real:
        text += number_text(value_.real);
        break;
    default:
        text.append(value_.characters, length_);
    }
}

std::string concat(std::initializer_list<TextPart> parts) {
    std::string result;
    for (const TextPart &part : parts) part.append_to(result);
    return result;
}

} // namespace mpscnn
