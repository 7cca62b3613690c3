#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <system_error>

#include "core/json.h"
#include "core/json_reader.h"
#include "core/text.h"

namespace mpscnn {
namespace {

void append_utf8(std::string &text, std::uint32_t code) {
    const auto add = [&](std::uint32_t byte) { text += static_cast<char>(byte); };
    const auto follow = [&](int shift) { add(0x80 | ((code >> shift) & 0x3F)); };
    if (code < 0x80) return add(code);
    if (code < 0x800) {
        add(0xC0 | (code >> 6));
    } else if (code < 0x10000) {
        add(0xE0 | (code >> 12));
        follow(6);
    } else {
        add(0xF0 | (code >> 18));
        follow(12);
        follow(6);
    }
    follow(0);
}

std::string hex(unsigned char byte) {
    constexpr char digits[] = "0123456789abcdef";
    return {digits[byte >> 4], digits[byte & 15]};
}

double to_double(const std::string &digits) {
    const PlainNumbers plain;
    return std::strtod(digits.c_str(), nullptr);
}

std::string to_digits(double value) {
    const PlainNumbers plain;
    char digits[32];
    std::snprintf(digits, sizeof digits, "%.9g", value); // enough for every number that was stored as a float
    if (std::strtod(digits, nullptr) != value) std::snprintf(digits, sizeof digits, "%.17g", value);
    return digits;
}

} // namespace

class JsonParser : private JsonReader {
public:
    JsonParser(std::string_view text, const JsonLimits &limits, ErrorKind kind)
        : JsonReader(text, kind), limits_(limits) {}

    Json document() {
        Json result = value(0);
        require_end();
        return result;
    }

private:
    Json value(int depth) {
        skip_space();
        if (++values_ > limits_.max_values)
            refuse(position_, concat({"more than ", limits_.max_values, " values"}));
        switch (peek()) {
        case '{':
            return object(depth + 1);
        case '[':
            return array(depth + 1);
        case '"':
            return string();
        case 't':
            return literal("true", true);
        case 'f':
            return literal("false", false);
        case 'n':
            return literal("null", nullptr);
        default:
            return number();
        }
    }

    Json literal(std::string_view word, Json meaning) {
        skip_literal(word);
        return meaning;
    }

    void check_depth(int depth) const {
        if (depth > limits_.max_depth)
            refuse(position_,
                   concat({"more than ", limits_.max_depth, " arrays and objects inside each other"}));
    }

    Json array(int depth) {
        check_depth(depth);
        Json::Array elements;
        ++position_;
        skip_space();
        if (take(']')) return elements;
        do {
            elements.push_back(value(depth));
            skip_space();
        } while (take(','));
        if (!take(']')) unexpected("',' or ']' after an element");
        return elements;
    }

    Json object(int depth) {
        check_depth(depth);
        const std::size_t start = position_;
        Json result = Json::object();
        auto &members = std::get<Json::Object>(result.value_);
        ++position_;
        skip_space();
        if (take('}')) return result;
        do {
            members.push_back(member(depth));
            skip_space();
        } while (take(','));
        if (!take('}')) unexpected("',' or '}' after a member");
        if (const std::string *repeated = repeated_key(members))
            refuse(start, concat({"the object that begins here has the key ", quoted(*repeated), " twice"}));
        return result;
    }

    Json::Member member(int depth) {
        skip_space();
        if (peek() != '"') unexpected("a key in double quotes");
        std::string key = string();
        skip_space();
        if (!take(':')) unexpected("':' after a key");
        return {std::move(key), value(depth)};
    }

    std::string string() {
        std::string result;
        ++position_;
        while (true) {
            append_plain(result);
            if (take('"')) return result;
            if (position_ == text_.size()) unexpected("'\"' at the end of a string");
            const auto byte = static_cast<unsigned char>(text_[position_]);
            if (byte < 0x20)
                refuse(position_,
                       concat({"the control character 0x", hex(byte), " must be escaped in a string"}));
            if (take('\\')) {
                append_escape(result);
                continue;
            }
            const std::size_t length = utf8_length(text_, position_);
            if (length == 0) refuse(position_, concat({"the byte 0x", hex(byte), " is not valid UTF-8"}));
            result.append(text_, position_, length);
            position_ += length;
        }
    }

    /// Append a run of characters that need no escape and take one byte. Nearly all characters are of this
    /// kind, so copying runs is fast.
    void append_plain(std::string &result) {
        const std::size_t start = position_;
        const auto is_plain = [](char c) { return c >= 0x20 && c < 0x7F && c != '"' && c != '\\'; };
        while (position_ < text_.size() && is_plain(text_[position_])) ++position_;
        result.append(text_, start, position_ - start);
    }

    void append_escape(std::string &result) {
        constexpr std::string_view letters = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
        if (take('u')) return append_utf8(result, escaped_code());
        const std::size_t index = position_ < text_.size() ? letters.find(text_[position_]) : letters.npos;
        if (index == letters.npos) unexpected("one of \"\\/bfnrtu after a backslash");
        result += meanings[index];
        ++position_;
    }

    std::uint32_t escaped_code() {
        const std::size_t start = position_ - 2;
        const std::uint32_t code = four_digits();
        if (code < 0xD800 || code > 0xDFFF) return code;
        if (code < 0xDC00 && take('\\') && take('u')) {
            const std::uint32_t low = four_digits();
            if (low >= 0xDC00 && low <= 0xDFFF) return 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        }
        refuse(start, "half of a surrogate pair: expected \\uD800-\\uDBFF followed by \\uDC00-\\uDFFF");
    }

    std::uint32_t four_digits() {
        std::uint32_t code = 0;
        for (int i = 0; i < 4; ++i, ++position_) {
            const char c = peek();
            const int digit = c >= '0' && c <= '9'   ? c - '0'
                              : c >= 'a' && c <= 'f' ? c - 'a' + 10
                              : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                     : -1;
            if (digit < 0) unexpected("four hexadecimal digits after \\u");
            code = code * 16 + static_cast<std::uint32_t>(digit);
        }
        return code;
    }

    Json number() {
        const std::size_t start = position_;
        const bool is_integer = skip_number();
        const std::string digits(text_.substr(start, position_ - start));
        std::int64_t integer = 0;
        if (is_integer &&
            std::from_chars(digits.data(), digits.data() + digits.size(), integer).ec == std::errc())
            return integer;
        const double number = to_double(digits);
        if (!std::isfinite(number)) refuse(start, concat({"the number ", quoted(digits), " is too large"}));
        return number;
    }

    const JsonLimits &limits_;
    std::size_t values_ = 0;
};

Json parse_json(std::string_view text, const JsonLimits &limits, ErrorKind kind) {
    constexpr int deepest = 256;
    if (limits.max_depth < 0 || limits.max_depth > deepest)
        fail(ErrorKind::parameter, {"JSON: max_depth must be 0 to ", deepest, ", got ", limits.max_depth});
    if (text.size() > limits.max_bytes)
        fail(kind,
             {"JSON: the text has ", text.size(), " bytes, more than the ", limits.max_bytes, " allowed"});
    return JsonParser(text, limits, kind).document();
}

namespace {

class JsonWriter {
public:
    std::string text;

    void value(const Json &json, int depth = 0) {
        if (json.is_null()) text += "null";
        if (const auto *boolean = json.get_if<bool>()) text += *boolean ? "true" : "false";
        if (const auto *integer = json.get_if<std::int64_t>()) text += std::to_string(*integer);
        if (const auto *number = json.get_if<double>()) add(*number);
        if (const auto *string = json.get_if<std::string>()) add(*string);
        if (const auto *elements = json.get_if<Json::Array>()) add(*elements, depth + 1);
        if (const auto *members = json.get_if<Json::Object>()) add(*members, depth + 1);
    }

private:
    void add(double number) {
        const std::string digits = to_digits(number);
        text += digits;
        if (digits.find_first_of(".e") == std::string::npos) text += ".0";
    }

    void add(const std::string &string) {
        constexpr std::string_view special = "\"\\\b\f\n\r\t", letters = "\"\\bfnrt";
        text += '"';
        for (std::size_t at = 0, length = 0; at < string.size(); at += length) {
            length = plain_length(string, at);
            text.append(string, at, length);
            if (length > 0) continue;
            length = utf8_length(string, at);
            if (length == 0)
                fail(ErrorKind::parameter, {"JSON: the string ", quoted(string), " is not UTF-8"});
            const std::size_t index = special.find(string[at]);
            const auto byte = static_cast<unsigned char>(string[at]);
            if (index != special.npos)
                (text += '\\') += letters[index];
            else if (byte < 0x20)
                text += "\\u00" + hex(byte);
            else
                text.append(string, at, length);
        }
        text += '"';
    }

    /// Return the number of bytes from `begin` on that are written as they are. They are appended at once.
    static std::size_t plain_length(const std::string &string, std::size_t begin) {
        const auto is_plain = [](char c) { return c >= ' ' && c < 0x7F && c != '"' && c != '\\'; };
        const auto first = string.begin() + static_cast<std::ptrdiff_t>(begin);
        return static_cast<std::size_t>(std::find_if_not(first, string.end(), is_plain) - first);
    }

    void add(const Json::Array &elements, int depth) {
        check_depth(depth);
        text += '[';
        for (const Json &element : elements) {
            if (&element != elements.data()) text += ',';
            value(element, depth);
        }
        text += ']';
    }

    void add(const Json::Object &members, int depth) {
        check_depth(depth);
        text += '{';
        for (const Json::Member &member : members) {
            if (&member != members.data()) text += ',';
            add(member.first);
            text += ':';
            value(member.second, depth);
        }
        text += '}';
    }

    static void check_depth(int depth) {
        if (depth > JsonLimits{}.max_depth)
            fail(ErrorKind::parameter, {"JSON: cannot write more than ", JsonLimits{}.max_depth,
                                        " arrays and objects inside each other"});
    }
};

} // namespace

std::string to_text(const Json &value) {
    JsonWriter writer;
    writer.value(value);
    return std::move(writer.text);
}

namespace {

/// True for characters that could change how a terminal shows a message: control characters (below U+0020,
/// and U+007F to U+009F), and characters that separate lines or change the writing direction.
bool controls(std::string_view character) {
    const auto at = [&](std::size_t i) { return static_cast<unsigned char>(character[i]); };
    const auto within = [](unsigned char byte, int low, int high) { return byte >= low && byte <= high; };
    if (character.size() == 1) return at(0) < 0x20 || at(0) == 0x7F;
    if (character.size() == 2) return (at(0) == 0xC2 && at(1) < 0xA0) || (at(0) == 0xD8 && at(1) == 0x9C);
    if (character.size() != 3 || at(0) != 0xE2) return false;
    return (at(1) == 0x80 && (within(at(2), 0x8E, 0x8F) || within(at(2), 0xA8, 0xAE))) ||
           (at(1) == 0x81 && within(at(2), 0xA6, 0xA9));
}

} // namespace

std::string escaped(std::string_view text) {
    constexpr std::size_t maximum = 100;
    std::string result;
    std::size_t characters = 0;
    for (std::size_t at = 0, length = 0; at < text.size(); at += length) {
        if (++characters > maximum) return result + "...";
        const std::size_t valid = utf8_length(text, at);
        length = std::max<std::size_t>(valid, 1);
        const std::string_view character = text.substr(at, length);
        if (valid > 0 && !controls(character)) {
            result += character;
            continue;
        }
        for (const char byte : character) result += "\\x" + hex(static_cast<unsigned char>(byte));
    }
    return result;
}

} // namespace mpscnn
