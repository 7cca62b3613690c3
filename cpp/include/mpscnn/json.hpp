/// Conversion of option structs to JSON texts for the library, and of its JSON texts to typed results; large
/// JSON texts of other programs. Part of mpscnn.hpp, which includes this file.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "error.hpp"
#include "json.h"

namespace mpscnn {
inline namespace api {
namespace detail {

inline std::string json_text(std::string_view text) {
    std::string quoted = "\"";
    for (const char character : text) {
        const auto code = static_cast<unsigned char>(character);
        if (code < 0x20) {
            char escape[8];
            std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(code));
            quoted += escape;
            continue;
        }
        if (character == '"' || character == '\\') quoted += '\\';
        quoted += character;
    }
    return quoted + '"';
}

/// Return the text of a finite number. snprintf writes the locale's decimal point, which is replaced.
inline std::string json_text(double value) {
    if (value - value != 0.0) throw ParameterError("numbers must be finite, got " + std::to_string(value));
    char digits[40];
    std::snprintf(digits, sizeof digits, "%.17g", value);
    std::string text = digits;
    if (const std::size_t point = text.find_first_not_of("0123456789+-e"); point != text.npos)
        text[point] = '.';
    return text;
}

template <class T>
concept HasFields = requires(const T &options) { options.visit_fields([](const char *, const auto &) {}); };

template <HasFields Options> std::string json_object(const Options &options);

template <class T> std::string json_of(const T &value) {
    if constexpr (HasFields<T>) {
        return json_object(value);
    } else if constexpr (std::is_enum_v<T>) {
        const auto names = names_of(value);
        const auto index = static_cast<std::size_t>(value);
        if (index >= names.size()) throw ParameterError("no such choice: " + std::to_string(index));
        return json_text(std::string_view(names[index]));
    } else if constexpr (std::is_same_v<T, bool>) {
        return value ? "true" : "false";
    } else if constexpr (std::is_integral_v<T>) {
        return std::to_string(value);
    } else if constexpr (std::is_floating_point_v<T>) {
        return json_text(static_cast<double>(value));
    } else if constexpr (std::is_convertible_v<T, std::string_view>) {
        return json_text(std::string_view(value));
    } else { // a list
        std::string list = "[";
        for (const auto &entry : value) list += (list.size() > 1 ? "," : "") + json_of(entry);
        return list + "]";
    }
}

/// Return the fields of an option struct as a JSON object; fields without a value are omitted.
template <HasFields Options> std::string json_object(const Options &options) {
    std::string object = "{";
    const auto add = [&](const char *name, const auto &value) {
        object += (object.size() > 1 ? ",\"" : "\"") + std::string(name) + "\":" + json_of(value);
    };
    options.visit_fields([&](const char *name, const auto &value) {
        if constexpr (requires { value.has_value(); }) {
            if (value) add(name, *value);
        } else {
            add(name, value);
        }
    });
    return object + "}";
}

/// A text as a template argument.
template <std::size_t size> struct ClassName {
    consteval ClassName(const char (&name)[size]) {
        for (std::size_t i = 0; i < size; ++i) text[i] = name[i];
    }
    char text[size]{};
};

/// A value of a JsonDocument, which must outlive it.
class JsonValue {
public:
    explicit JsonValue(const mpscnn_json_value *handle) : handle_(handle) {}

    JsonValue operator[](const char *name) const {
        const mpscnn_json_value *member = nullptr;
        ensure(mpscnn_json_member(handle_, name, &member));
        return JsonValue(member);
    }
    /// Return true if it is an object with this member.
    bool has(const char *name) const {
        bool found = false;
        for_each(
            [&](const char *key, JsonValue) { found = found || (key && std::string_view(key) == name); });
        return found;
    }
    bool is_null() const {
        mpscnn_json_kind kind{};
        ensure(mpscnn_json_kind_of(handle_, &kind));
        return kind == MPSCNN_JSON_NULL;
    }
    bool boolean() const { return read<int>(mpscnn_json_boolean) != 0; }
    std::int64_t integer() const { return read<std::int64_t>(mpscnn_json_integer); }
    std::string string() const {
        const char *data = nullptr;
        std::size_t size = 0;
        ensure(mpscnn_json_string(handle_, &data, &size));
        return std::string(data, size);
    }

    /// Call function(name, value) for each member or element; `name` is null for an array's elements.
    template <class Function> void for_each(Function function) const {
        std::size_t count = 0;
        ensure(mpscnn_json_count(handle_, &count));
        for (std::size_t i = 0; i < count; ++i) {
            const char *name = nullptr;
            const mpscnn_json_value *element = nullptr;
            ensure(mpscnn_json_element(handle_, i, &name, &element));
            function(name, JsonValue(element));
        }
    }
    std::vector<std::int64_t> integers() const {
        std::vector<std::int64_t> result;
        for_each([&](const char *, JsonValue value) { result.push_back(value.integer()); });
        return result;
    }
    std::vector<std::string> strings() const {
        std::vector<std::string> result;
        for_each([&](const char *, JsonValue value) { result.push_back(value.string()); });
        return result;
    }

private:
    template <class T, class Function> T read(Function function) const {
        T value{};
        ensure(function(handle_, &value));
        return value;
    }

    const mpscnn_json_value *handle_;
};

class JsonDocument {
public:
    explicit JsonDocument(std::string_view text) {
        mpscnn_json *handle = nullptr;
        ensure(mpscnn_json_parse(text.data(), text.size(), &handle));
        handle_.reset(handle);
    }
    JsonValue root() const {
        const mpscnn_json_value *value = nullptr;
        ensure(mpscnn_json_root(handle_.get(), &value));
        return JsonValue(value);
    }

private:
    Handle<mpscnn_json, mpscnn_json_release> handle_;
};

} // namespace detail

/// Find the next member or element of the object or array that is the whole text (mpscnn_json_next_part).
/// Return false after the last one.
inline bool next_json_part(std::string_view text, mpscnn_json_part &part) {
    int found = 0;
    detail::ensure(mpscnn_json_next_part(text.data(), text.size(), &part, &found));
    return found != 0;
}

/// Read the array of numbers that is the whole text (mpscnn_json_read_numbers).
inline void read_json_numbers(std::string_view text, std::span<const std::int64_t> shape, mpscnn_dtype dtype,
                              void *numbers) {
    detail::ensure(mpscnn_json_read_numbers(text.data(), text.size(), shape.data(),
                                            static_cast<int>(shape.size()), dtype, numbers));
}

} // namespace api
} // namespace mpscnn
