#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "core/error.h"

namespace mpscnn {

/// A JSON value. Integers that fit 64 bits stay exact; every other number is a double. Objects keep the
/// order of their members and have each key once. Strings are UTF-8.
class Json {
public:
    using Array = std::vector<Json>;
    using Member = std::pair<std::string, Json>;
    using Object = std::vector<Member>;

    Json() noexcept;
    Json(std::nullptr_t) noexcept;
    /// Make a boolean. Only a bool is accepted, so that pointers do not become `true`.
    template <std::same_as<bool> T> Json(T value) : value_(value) {}
    /// Make an integer. Throws a ParameterError if it does not fit int64.
    template <std::integral T>
        requires(!std::same_as<T, bool>)
    Json(T value) : value_(checked_integer(value)) {}
    /// Make a number. Throws a ParameterError for infinity and NaN, which JSON lacks.
    Json(double value);
    Json(std::string value) noexcept;
    Json(std::string_view value);
    Json(const char *value);
    template <class T> Json(const std::vector<T> &values) : value_(Array(values.begin(), values.end())) {}
    Json(Array values) noexcept;
    static Json array() { return Json(Array{}); }
    static Json object();
    /// Make an object with these members, in time n log n. A duplicate key is an error.
    static Json object(Object members);

    Json(const Json &);
    Json(Json &&) noexcept;
    Json &operator=(const Json &);
    Json &operator=(Json &&) noexcept;
    ~Json();

    /// Return the value if it has the type T (bool, std::int64_t, double, std::string, Array or Object),
    /// otherwise null.
    template <class T> const T *get_if() const { return std::get_if<T>(&value_); }
    bool is_null() const { return std::holds_alternative<std::nullptr_t>(value_); }
    /// Return "null", "a boolean", "an integer", "a number", "a string", "an array" or "an object", for
    /// messages.
    const char *type_name() const;

    /// Append to an array.
    void push_back(Json value);
    /// Add a member to an object; an existing key is an error. The time is linear in the object's size.
    void set(std::string key, Json value);
    /// Return the value of a member, or nullptr if there is none or this is not an object. The time is linear
    /// in the object's size.
    const Json *find(std::string_view key) const;

    /// Shorthands for these functions of JsonView(*this).
    const Json &at(std::string_view key) const;
    template <class T> T get() const;

    friend bool operator==(const Json &a, const Json &b);

private:
    template <std::integral T> static std::int64_t checked_integer(T value) {
        if (!std::in_range<std::int64_t>(value))
            fail(ErrorKind::parameter, {"JSON: ", value, " does not fit a 64-bit integer"});
        return static_cast<std::int64_t>(value);
    }

    friend class JsonParser;
    std::variant<std::nullptr_t, bool, std::int64_t, double, std::string, Array, Object> value_;
};

/// A JSON value together with its path in the text ("graph.nodes[3].stride"), which every error message
/// names. The view points to the Json, which must outlive the view. Errors have the constructor's `kind`.
class JsonView {
public:
    explicit JsonView(const Json &value, std::string path = {}, ErrorKind kind = ErrorKind::parameter)
        : value_(&value), path_(std::move(path)), kind_(kind) {}

    const Json &value() const { return *value_; }
    const std::string &path() const { return path_; }

    /// Return a member of the object. If it is missing, the error lists the existing keys.
    JsonView at(std::string_view key) const;
    bool has(std::string_view key) const;
    /// Return the view of one of this object's members. Loops over all members use it, because finding each
    /// member by its key would take quadratic time.
    JsonView of(const Json::Member &member) const;
    /// Return an array's element.
    JsonView at(std::size_t index) const;
    /// Return the number of elements of an array or members of an object.
    std::size_t size() const;
    const Json::Array &array() const;
    const Json::Object &object() const;
    /// Throw an error if the object has a key that is not in `known`.
    void allow_only(std::span<const std::string_view> known) const;
    void allow_only(std::initializer_list<std::string_view> known) const {
        allow_only(std::span(known.begin(), known.size()));
    }

    /// Return the value as T: bool, an integer type (with a range check), double, float, std::string, or
    /// std::vector of these. Integers convert to double and float; a number too large for a float is an
    /// error.
    template <class T> T get() const;

    /// Throw an error with the message "<path>: <message>".
    [[noreturn]] void refuse(const std::string &message) const;

private:
    template <class T> struct VectorElement {};
    template <class T> struct VectorElement<std::vector<T>> {
        using type = T;
    };

    std::string path_of(std::string_view key) const;
    bool get_bool() const;
    std::int64_t get_integer(std::int64_t lowest, std::int64_t highest) const;
    double get_number(double largest) const;
    const std::string &get_string() const;

    const Json *value_;
    std::string path_;
    ErrorKind kind_;
};

struct JsonLimits {
    int max_depth = 64; ///< nesting of arrays and objects, at most 256, since threads may have small stacks
    std::size_t max_bytes = std::size_t{64} << 20;
    std::size_t max_values = 2'000'000; ///< limits memory: a value takes up to 150 bytes
};

/// Parse a JSON text (RFC 8259 exactly: no comments, trailing commas, NaN, repeated keys or byte order mark).
/// Errors have the kind `kind`. They name what is wrong, and the byte offset where it is.
Json parse_json(std::string_view text, const JsonLimits &limits = {}, ErrorKind kind = ErrorKind::parameter);

/// Return a key that the object has twice, or null, in time n log n.
const std::string *repeated_key(const Json::Object &members);

/// Return the JSON text of a value, without spaces. Equal values have equal texts, except for 0.0 and -0.0. A
/// double has enough digits to be read back exactly, and always a point or an exponent, so that it is read as
/// a double. Throws an error for strings that are not UTF-8 and for more nesting than JsonLimits allows.
std::string to_text(const Json &value);

/// Return the text in a form that is safe in messages. Control characters, characters that separate lines or
/// change the writing direction, and bytes that are not UTF-8 become \xHH. After 100 characters the text is
/// cut.
std::string escaped(std::string_view text);
/// Return escaped(text) in single quotes. This is an object instead of a function, so that argument-dependent
/// lookup cannot prefer std::quoted.
inline constexpr struct Quoted {
    std::string operator()(std::string_view text) const { return concat({"'", escaped(text), "'"}); }
} quoted;

template <class T> T JsonView::get() const {
    if constexpr (std::same_as<T, bool>) {
        return get_bool();
    } else if constexpr (std::integral<T>) {
        using Limits = std::numeric_limits<T>;
        constexpr auto int64_max = std::numeric_limits<std::int64_t>::max();
        constexpr auto highest =
            std::in_range<std::int64_t>(Limits::max()) ? static_cast<std::int64_t>(Limits::max()) : int64_max;
        return static_cast<T>(get_integer(static_cast<std::int64_t>(Limits::min()), highest));
    } else if constexpr (std::floating_point<T>) {
        return static_cast<T>(get_number(static_cast<double>(std::numeric_limits<T>::max())));
    } else if constexpr (std::same_as<T, std::string>) {
        return get_string();
    } else {
        using Element = typename VectorElement<T>::type;
        T result;
        result.reserve(array().size());
        for (std::size_t i = 0; i < array().size(); ++i) result.push_back(at(i).template get<Element>());
        return result;
    }
}

template <class T> T Json::get() const { return JsonView(*this).get<T>(); }

} // namespace mpscnn
