#pragma once

// What the readers of settings in model files share.

#include <cstddef>
#include <string>
#include <string_view>

#include "core/json.h"

namespace mpscnn::vision {

/// The enumerator's name; `names` are in the order of the enumerators.
template <class Names, class Enum> Json name_of(const Names &names, Enum value) {
    return names[static_cast<std::size_t>(value)];
}

template <class Names, class Enum> void read_name(const JsonView &value, const Names &names, Enum &result) {
    const auto given = value.get<std::string>();
    std::string allowed;
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (given == names[i]) {
            result = static_cast<Enum>(i);
            return;
        }
        allowed += (i == 0 ? "" : ", ") + std::string(names[i]);
    }
    value.refuse(quoted(given) + " is not one of " + allowed);
}

/// Reads a member where it is present.
template <class T> void read_optional(const JsonView &object, const char *key, T &result) {
    if (object.has(key)) result = object.at(key).get<T>();
}

/// Runs `action`, which knows nothing of the JSON, and lets its errors name the place there instead of their
/// `subject`, which they begin with.
template <class Action> auto located(const JsonView &json, std::string_view subject, Action action) {
    try {
        return action();
    } catch (const Error &error) {
        const std::string_view message = error.what();
        json.refuse(std::string(message.substr(message.starts_with(subject) ? subject.size() : 0)));
    }
}

} // namespace mpscnn::vision
