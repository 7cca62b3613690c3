#include "core/json_reader.h"

#include <algorithm>

#include "core/json.h"
#include "core/text.h"

namespace mpscnn {

std::size_t utf8_length(std::string_view text, std::size_t at) {
    const auto byte = [&](std::size_t i) {
        return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0u;
    };
    const auto within = [&](std::size_t i, unsigned low, unsigned high) {
        return byte(i) >= low && byte(i) <= high;
    };
    const auto follows = [&](std::size_t i) { return within(i, 0x80, 0xBF); };
    const unsigned first = byte(0);
    if (first < 0x80) return 1;
    if (first < 0xC2) return 0;
    if (first < 0xE0) return follows(1) ? 2 : 0;
    if (first < 0xF0) {
        const bool second = within(1, first == 0xE0 ? 0xA0 : 0x80, first == 0xED ? 0x9F : 0xBF);
        return second && follows(2) ? 3 : 0;
    }
    if (first < 0xF5) {
        const bool second = within(1, first == 0xF0 ? 0x90 : 0x80, first == 0xF4 ? 0x8F : 0xBF);
        return second && follows(2) && follows(3) ? 4 : 0;
    }
    return 0;
}

namespace {

locale_t plain_locale() {
    static const locale_t locale = newlocale(LC_ALL_MASK, "C", static_cast<locale_t>(nullptr));
    return locale; // always exists
}

} // namespace

PlainNumbers::PlainNumbers() : previous_(uselocale(plain_locale())) {}
PlainNumbers::~PlainNumbers() { uselocale(previous_); }

void JsonReader::refuse(std::size_t offset, const std::string &message) const {
    fail(kind_, {"JSON, byte ", offset, ": ", message});
}

void JsonReader::unexpected(const char *expected) const {
    const std::size_t length =
        position_ < text_.size() ? std::max<std::size_t>(1, utf8_length(text_, position_)) : 0;
    refuse(position_, concat({"expected ", expected, ", got ",
                              (length ? quoted(text_.substr(position_, length)) : "the end of the text")}));
}

void JsonReader::require_end() {
    skip_space();
    if (position_ < text_.size()) unexpected("the end of the text");
}

void JsonReader::skip_literal(std::string_view word) {
    if (text_.substr(position_, word.size()) != word) unexpected("a value");
    position_ += word.size();
}

void JsonReader::skip_digits(const char *expected) {
    const auto is_digit = [&] { return peek() >= '0' && peek() <= '9'; };
    if (!is_digit()) unexpected(expected);
    while (is_digit()) ++position_;
}

bool JsonReader::skip_number() {
    const bool negative = take('-');
    if (!take('0')) skip_digits(negative ? "a digit after '-'" : "a value");
    const std::size_t whole_end = position_;
    if (take('.')) skip_digits("a digit after the decimal point");
    if (take('e') || take('E')) {
        if (!take('+')) take('-');
        skip_digits("a digit in the exponent");
    }
    return position_ == whole_end;
}

} // namespace mpscnn
