#include "core/text.h"

#include <array>
#include <cstdio>

namespace mpscnn {

void TextPart::append_to(std::string &text) const {
    switch (length_) {
    case signed_integer:
        text += std::to_string(value_.signed_integer);
        break;
    case unsigned_integer:
        text += std::to_string(value_.unsigned_integer);
        break;
    case real: {
        std::array<char, 32> digits;
        std::snprintf(digits.data(), digits.size(), "%g", value_.real);
        text += digits.data();
        break;
    }
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
