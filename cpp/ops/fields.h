#pragma once

// Parameters of operations as JSON. A struct names its parameters once, in the function `fields(visitor)`.
// FieldList is the only visitor that JSON needs: it lists the fields. Functions that read, write and describe
// this list are compiled once, not once for each field of each operation.

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/json.h"
#include "ops/operation.h"

namespace mpscnn::ops {

template <class T>
concept Enumeration = std::is_enum_v<T>;

/// The JSON form of a type that is not a number or text. A header that defines such a type specialises this
/// template with `Json write(const T &)`, `T read(const JsonView &)`, and `type`, the type's name for
/// documentation.
template <class T> struct FieldCodec;

template <class T>
concept Coded = requires(const T &value) { FieldCodec<T>::write(value); };

/// Functions that write, read and describe fields of one type.
struct FieldType {
    Json (*write)(const void *value);
    void (*read)(void *value, const JsonView &given);
    const char *name;                        ///< the type's name for documentation
    std::span<const char *const> names = {}; ///< the names of an enumeration's values
};

/// Return the index in `names` of the name that `given` holds. Throws if `names` does not contain it.
std::size_t read_name(const JsonView &given, std::span<const char *const> names);

template <Enumeration T>
inline constexpr auto enumeration_names = [] {
    std::array<const char *, EnumNames<T>::values.size()> names{};
    for (std::size_t i = 0; i < names.size(); ++i) names[i] = EnumNames<T>::values[i].first;
    return names;
}();

template <class T> Json write_value(const void *pointer) {
    const T &value = *static_cast<const T *>(pointer);
    if constexpr (Enumeration<T>)
        return Json(name_of(value));
    else if constexpr (Coded<T>)
        return FieldCodec<T>::write(value);
    else if constexpr (std::is_floating_point_v<T>)
        return Json(static_cast<double>(value));
    else
        return Json(value);
}

template <class T> void read_value(void *pointer, const JsonView &given) {
    T &value = *static_cast<T *>(pointer);
    if constexpr (Enumeration<T>)
        value = EnumNames<T>::values[read_name(given, enumeration_names<T>)].second;
    else if constexpr (Coded<T>)
        value = FieldCodec<T>::read(given);
    else
        value = given.template get<T>();
}

template <class T> constexpr const char *field_type_name() {
    if constexpr (Coded<T>)
        return FieldCodec<T>::type;
    else if constexpr (Enumeration<T> || std::is_same_v<T, std::string>)
        return "string";
    else if constexpr (std::is_same_v<T, bool>)
        return "boolean";
    else if constexpr (std::is_integral_v<T>)
        return "integer";
    else if constexpr (std::is_floating_point_v<T>)
        return "number";
    else
        return std::is_same_v<T, std::vector<double>> ? "numbers" : "integers";
}

template <class T> inline constexpr FieldType field_type{write_value<T>, read_value<T>, field_type_name<T>()};
template <Enumeration T>
inline constexpr FieldType field_type<T>{write_value<T>, read_value<T>, "string", enumeration_names<T>};

struct Field {
    const char *name, *meaning;
    void *value;
    const FieldType *type;
};

/// A list of a struct's fields, in the order in which `fields` visits them.
class FieldList {
public:
    template <class T> void operator()(const char *name, T &value, const char *meaning) {
        add({name, meaning, &value, &field_type<T>});
    }
    template <class Struct> static FieldList of(Struct &source) {
        FieldList list;
        source.fields(list);
        return list;
    }

    bool has(std::string_view name) const;
    /// Set the fields that `attributes` has; the others keep their values. Throws ParameterError "<owner>:
    /// ..." for an unknown name and for a value of the wrong type.
    void read(const Json &attributes, const std::string &owner) const;
    Json write() const;
    /// Return a description of the fields for documentation and Python's help; the values are the defaults.
    Json describe() const;

private:
    void add(const Field &field);

    std::vector<Field> fields_;
};

template <class Struct> void read_fields(Struct &target, const Json &attributes, const std::string &owner) {
    FieldList::of(target).read(attributes, owner);
}

template <class Struct> Json write_fields(const Struct &source) {
    // FieldList has pointers that can be written, because it also reads. Writing JSON does not change
    // `source`.
    return FieldList::of(const_cast<Struct &>(source)).write();
}

} // namespace mpscnn::ops
