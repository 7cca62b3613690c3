#pragma once

// Parameters as JSON. A struct names its parameters once, in `fields(visitor)`: these visitors read, write
// and describe them.

#include <concepts>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "core/json.h"
#include "core/text.h"
#include "ops/operation.h"

namespace mpscnn::ops {

template <class T>
concept Enumeration = std::is_enum_v<T>;

/// How a type of its own appears as JSON; specialised beside the type: `Json write(const T &)`,
/// `T read(const JsonView &)` and `type`, its name for documentation.
template <class T> struct FieldCodec;

template <class T>
concept Coded = requires(const T &value) { FieldCodec<T>::write(value); };

/// Writes fields as JSON members.
struct FieldWriter {
    Json object = Json::object();

    template <class T> void operator()(const char *name, T &value, const char *) {
        if constexpr (Enumeration<T>)
            object.set(name, name_of(value));
        else if constexpr (Coded<T>)
            object.set(name, FieldCodec<T>::write(value));
        else if constexpr (std::is_floating_point_v<T>)
            object.set(name, static_cast<double>(value));
        else
            object.set(name, value);
    }
};

template <Enumeration T> std::string allowed_names() {
    std::string names{};
    for (const auto &entry : EnumNames<T>::values)
        names += (names.empty() ? "" : ", ") + std::string(entry.first);
    return names;
}

/// Reads fields from JSON members; those that are absent keep their values.
struct FieldReader {
    JsonView attributes;
    std::size_t known = 0;

    template <class T> void operator()(const char *name, T &value, const char *) {
        if (!attributes.has(name)) return;
        ++known;
        const JsonView given = attributes.at(name);
        if constexpr (Enumeration<T>) {
            const auto text = given.template get<std::string>();
            for (const auto &[entry_name, entry] : EnumNames<T>::values) {
                if (text != entry_name) continue;
                value = entry;
                return;
            }
            given.refuse(concat({"must be one of ", allowed_names<T>(), ", got ", quoted(text)}));
        } else if constexpr (Coded<T>) {
            value = FieldCodec<T>::read(given);
        } else {
            value = given.template get<T>();
        }
    }
};

/// Whether there is a field of a name, and which there are.
struct NameChecker {
    std::string_view wanted;
    bool found = false;
    std::string names{};

    template <class T> void operator()(const char *name, T &, const char *) {
        found = found || wanted == name;
        names += (names.empty() ? "" : ", ") + std::string(name);
    }
};

/// Describes fields for documentation and for Python's help.
struct FieldDescriber {
    Json list = Json::array();

    template <class T> void operator()(const char *name, T &value, const char *meaning) {
        Json field = Json::object();
        field.set("name", name);
        field.set("meaning", meaning);
        if constexpr (Enumeration<T>) {
            field.set("type", "string");
            Json names = Json::array();
            for (const auto &entry : EnumNames<T>::values) names.push_back(entry.first);
            field.set("allowed", std::move(names));
        } else if constexpr (Coded<T>) {
            field.set("type", FieldCodec<T>::type);
        } else if constexpr (std::is_same_v<T, bool>) {
            field.set("type", "boolean");
        } else if constexpr (std::is_integral_v<T>) {
            field.set("type", "integer");
        } else if constexpr (std::is_floating_point_v<T>) {
            field.set("type", "number");
        } else if constexpr (std::is_same_v<T, std::string>) {
            field.set("type", "string");
        } else if constexpr (std::is_same_v<T, std::vector<double>>) {
            field.set("type", "numbers");
        } else {
            field.set("type", "integers");
        }
        FieldWriter writer;
        writer(name, value, meaning);
        field.set("default", writer.object.at(name));
        list.push_back(std::move(field));
    }
};

/// Sets the fields that `attributes` has. Throws ParameterError "<owner>: ..." for an unknown name and for a
/// value of the wrong type.
template <class Struct> void read_fields(Struct &target, const Json &attributes, const std::string &owner) {
    FieldReader reader{JsonView(attributes, owner)};
    target.fields(reader);
    if (reader.known == reader.attributes.size()) return;
    for (const auto &[key, value] : reader.attributes.object()) {
        NameChecker checker{key};
        target.fields(checker);
        if (!checker.found)
            fail(ErrorKind::parameter, {owner, ": unknown parameter ", quoted(key),
                                        "; known: ", (checker.names.empty() ? "none" : checker.names)});
    }
}

template <class Struct> Json write_fields(const Struct &source) {
    FieldWriter writer;
    const_cast<Struct &>(source).fields(writer); // the visitor serves reading too; this one only looks
    return std::move(writer.object);
}

} // namespace mpscnn::ops
