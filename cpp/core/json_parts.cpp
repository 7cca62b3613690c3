#include "core/json_parts.h"

#include <array>

#include "core/json_reader.h"
#include "core/text.h"

namespace mpscnn {

namespace {

/// Skips values without decoding them.
class JsonScanner : private JsonReader {
public:
    JsonScanner(std::string_view text, std::size_t begin, ErrorKind kind) : JsonReader(text, kind) {
        position_ = begin;
    }

    bool next(JsonPart &part) {
        const bool first = part.closing == 0;
        if (first) part.closing = open();
        skip_space();
        if (take(part.closing)) {
            require_end();
            return false;
        }
        if (!first && !take(',')) unexpected(part.closing == '}' ? "',' or '}'" : "',' or ']'");
        part.name = part.closing == '}' ? skip_name() : TextRange{};
        skip_space();
        part.value.begin = position_;
        skip_value();
        part.value.end = position_;
        return true;
    }

private:
    /// The deepest nesting, as in common readers of JSON.
    static constexpr std::size_t deepest = 1'000;

    char open() {
        skip_space();
        if (take('{')) return '}';
        if (take('[')) return ']';
        unexpected("'{' or '['");
    }

    TextRange skip_name() {
        skip_space();
        if (peek() != '"') unexpected("a key in double quotes");
        const std::size_t begin = position_;
        skip_string();
        const TextRange name{begin, position_};
        skip_space();
        if (!take(':')) unexpected("':' after a key");
        return name;
    }

    /// Skip a value. A stack of its open brackets takes the place of recursion.
    void skip_value() {
        std::array<char, deepest> closing;
        std::size_t depth = 0;
        do {
            skip_space();
            const char first = peek();
            if (first == '{' || first == '[') {
                if (depth == deepest)
                    refuse(position_,
                           concat({"more than ", deepest, " arrays and objects inside each other"}));
                ++position_;
                closing[depth] = first == '{' ? '}' : ']';
                skip_space();
                if (!take(closing[depth])) {
                    if (closing[depth++] == '}') skip_name();
                    continue;
                }
            } else {
                skip_scalar(first);
            }
            // A value has ended, and all brackets that follow it.
            while (depth > 0) {
                skip_space();
                if (take(closing[depth - 1])) {
                    --depth;
                    continue;
                }
                if (!take(',')) unexpected(closing[depth - 1] == '}' ? "',' or '}'" : "',' or ']'");
                if (closing[depth - 1] == '}') skip_name();
                break;
            }
        } while (depth > 0);
    }

    void skip_scalar(char first) {
        switch (first) {
        case '"':
            return skip_string();
        case 't':
            return skip_literal("true");
        case 'f':
            return skip_literal("false");
        case 'n':
            return skip_literal("null");
        default:
            skip_number();
        }
    }

    void skip_string() {
        ++position_;
        while (true) {
            const auto is_plain = [](char c) {
                return static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\';
            };
            while (position_ < text_.size() && is_plain(text_[position_])) ++position_;
            if (take('"')) return;
            if (position_ == text_.size()) unexpected("'\"' at the end of a string");
            if (!take('\\')) refuse(position_, "control characters must be escaped in a string");
            position_ += position_ < text_.size() ? 1 : 0;
        }
    }
};

} // namespace

bool next_json_part(std::string_view text, JsonPart &part, ErrorKind kind) {
    return JsonScanner(text, part.value.end, kind).next(part);
}

} // namespace mpscnn
