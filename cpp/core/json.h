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
    /// From exactly a bool: pointers must not turn into `true`.
    template <std::same_as<bool> T> Json(T value) : value_(value) {}
    /// From any integer; throws a ParameterError when it does not fit int64.
    template <std::integral T>
        requires(!std::same_as<T, bool>)
    Json(T value) : value_(checked_integer(value)) {}
    /// From a finite number: JSON has no infinity or NaN, so they are a ParameterError.
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

    /// The stored alternative (bool, std::int64_t, double, std::string, Array, Object), or null.
    template <class T> const T *get_if() const { return std::get_if<T>(&value_); }
    bool is_null() const { return std::holds_alternative<std::nullptr_t>(value_); }
    /// "null", "a boolean", "an integer", "a number", "a string", "an array", "an object": for messages.
    const char *type_name() const;

    /// Appends to an array.
    void push_back(Json value);
    /// Adds a member to an object; a key that is already there is an error. Takes time linear in the size.
    void set(std::string key, Json value);
    /// The member's value, or nullptr: also when this is not an object. Takes time linear in the size.
    const Json *find(std::string_view key) const;

    /// Shorthands for JsonView(*this): see there.
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

/// A value together with where it was found ("graph.nodes[3].stride"), so that every complaint names the
/// place. It refers to the Json, which must outlive it; errors have the given kind.
class JsonView {
public:
    explicit JsonView(const Json &value, std::string path = {}, ErrorKind kind = ErrorKind::parameter)
        : value_(&value), path_(std::move(path)), kind_(kind) {}

    const Json &value() const { return *value_; }
    const std::string &path() const { return path_; }

    /// The member of an object; its absence is an error that lists the keys there are.
    JsonView at(std::string_view key) const;
    bool has(std::string_view key) const;
    /// One of this object's members: for all of them in turn, where finding each by its key would take
    /// quadratic time.
    JsonView of(const Json::Member &member) const;
    /// An array's element.
    JsonView at(std::size_t index) const;
    /// Number of elements of an array or members of an object.
    std::size_t size() const;
    const Json::Array &array() const;
    const Json::Object &object() const;
    /// Refuses an object with a key that is not among `known`.
    void allow_only(std::span<const std::string_view> known) const;
    void allow_only(std::initializer_list<std::string_view> known) const {
        allow_only(std::span(known.begin(), known.size()));
    }

    /// The value as bool, an integer type (range checked), double or float (integers are accepted; too large
    /// for a float is an error), std::string, or std::vector of these.
    template <class T> T get() const;

    /// Throws "<path>: <message>".
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
    int max_depth = 64; ///< arrays and objects inside each other; at most 256: threads can have small stacks
    std::size_t max_bytes = std::size_t{64} << 20;
    std::size_t max_values = 2'000'000; ///< bounds the memory taken: up to 150 bytes a value
};

/// Reads one JSON text (RFC 8259, nothing more: no comments, trailing commas, NaN, repeated keys or byte
/// order mark). Errors have the given kind and name the byte offset and what was expected there.
Json parse_json(std::string_view text, const JsonLimits &limits = {}, ErrorKind kind = ErrorKind::parameter);

/// A key that the object has twice, or nothing; in time n log n.
const std::string *repeated_key(const Json::Object &members);

/// Writes without spaces, the same text for the same value. A double has as many digits as bring it back, and
/// always a point or an exponent, so that it comes back as a double. Refuses what parse_json would refuse:
/// strings that are not UTF-8 and more than JsonLimits' 64 levels.
std::string to_text(const Json &value);

/// The text as it can stand in a message: bytes of control characters, of changes of direction and of what is
/// not UTF-8 as \xHH, and cut when longer than 100 characters.
std::string escaped(std::string_view text);
/// The same in quotes. An object, not a function: so lookup by argument type cannot prefer std::quoted.
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
