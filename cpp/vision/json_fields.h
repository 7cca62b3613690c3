#pragma once

// Reads and writes settings of model files as JSON. Each settings type lists its members once, in a function
// `fields(visitor, settings)`. The visitors in this file read or write each member.

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/json.h"
#include "core/text.h"

namespace mpscnn::vision {

/// Reads and writes an enumeration or boolean as one of `names`, which are in the order of its values.
template <class Value, std::size_t size> class Named {
public:
    Named(Value &value, const std::array<const char *, size> &names) : value_(value), names_(names) {}

    Json name() const { return names_[static_cast<std::size_t>(value_)]; }

    void read(const JsonView &json) const {
        const auto given = json.get<std::string>();
        std::string allowed;
        for (std::size_t i = 0; i < size; ++i) {
            if (given == names_[i]) {
                value_ = static_cast<Value>(i);
                return;
            }
            allowed += (i == 0 ? "" : ", ") + std::string(names_[i]);
        }
        json.refuse(concat({quoted(given), " is not one of ", allowed}));
    }

private:
    Value &value_;
    const std::array<const char *, size> &names_;
};

/// Reads and writes the first `count` numbers of an array only.
template <class Number, std::size_t size> struct First {
    First(std::array<Number, size> &all, std::size_t used) : numbers(all), count(used) {}

    std::array<Number, size> &numbers;
    std::size_t count;
};

/// Reads and writes the first `count` numbers of an array as one number if they are equal, otherwise as an
/// array.
template <class Number, std::size_t size> struct OneOrEach {
    OneOrEach(std::array<Number, size> &all, std::size_t used) : numbers(all), count(used) {}

    bool equal() const {
        return std::all_of(begin(), begin() + count, [&](Number n) { return n == *begin(); });
    }
    const Number *begin() const { return numbers.data(); }

    std::array<Number, size> &numbers;
    std::size_t count;
};

/// Reads one number for all, or the first `count` numbers of an array. Writes an array.
template <class Number, std::size_t size> struct EachOrOne {
    EachOrOne(std::array<Number, size> &all, std::size_t used) : numbers(all), count(used) {}

    std::array<Number, size> &numbers;
    std::size_t count;
};

class FieldWriter {
public:
    template <class T> void operator()(const char *key, const T &value) { object_.set(key, json(value)); }
    template <class T> void required(const char *key, const T &value) { (*this)(key, value); }

    /// Return the object with the written fields.
    Json take() { return std::move(object_); }

private:
    template <class T> static Json json(const T &value) { return value; }
    template <class Value, std::size_t size> static Json json(const Named<Value, size> &value) {
        return value.name();
    }
    template <class Number, std::size_t size> static Json json(const std::array<Number, size> &numbers) {
        return Json::Array(numbers.begin(), numbers.end());
    }
    template <class Number, std::size_t size> static Json json(const First<Number, size> &first) {
        const auto *begin = first.numbers.data();
        return Json::Array(begin, begin + first.count);
    }
    template <class Number, std::size_t size> static Json json(const OneOrEach<Number, size> &value) {
        return value.equal() ? Json(*value.begin()) : json(First{value.numbers, value.count});
    }
    template <class Number, std::size_t size> static Json json(const EachOrOne<Number, size> &value) {
        return json(First{value.numbers, value.count});
    }
    template <class T>
        requires(!std::is_arithmetic_v<T>)
    static Json json(const std::vector<T> &values) {
        Json::Array array;
        for (const T &value : values) array.push_back(json(value));
        return array;
    }

    Json object_ = Json::object();
};

/// Reads fields from a JSON object. Absent fields keep their values.
class FieldReader {
public:
    explicit FieldReader(const JsonView &object) : object_(object) {}

    template <class T> void operator()(const char *key, T &&value) {
        known_.emplace_back(key);
        if (object_.has(key)) read(object_.at(key), value);
    }
    template <class T> void required(const char *key, T &&value) {
        known_.emplace_back(key);
        read(object_.at(key), value);
    }

    /// Throw an error if the object has members that were not read.
    void finish() const { object_.allow_only(known_); }

private:
    template <class T> static void read(const JsonView &json, T &value) { value = json.get<T>(); }
    template <class Value, std::size_t size>
    static void read(const JsonView &json, Named<Value, size> &value) {
        value.read(json);
    }
    template <class Number, std::size_t size>
    static void read(const JsonView &json, std::array<Number, size> &numbers) {
        First all{numbers, size};
        read(json, all);
    }
    template <class Number, std::size_t size>
    static void read(const JsonView &json, First<Number, size> &first) {
        const std::size_t given = json.array().size();
        if (given != first.count) json.refuse(concat({"has ", given, " numbers, expected ", first.count}));
        for (std::size_t i = 0; i < first.count; ++i) first.numbers[i] = json.at(i).get<Number>();
    }
    template <class Number, std::size_t size>
    static void read(const JsonView &json, OneOrEach<Number, size> &value) {
        First each{value.numbers, value.count};
        if (json.value().get_if<Json::Array>() != nullptr) return read(json, each);
        value.numbers.fill(json.get<Number>());
    }
    template <class Number, std::size_t size>
    static void read(const JsonView &json, EachOrOne<Number, size> &value) {
        First each{value.numbers, value.count};
        if (json.value().get_if<Json::Array>() != nullptr) return read(json, each);
        std::fill_n(value.numbers.begin(), value.count, json.get<Number>());
    }
    template <class T>
        requires(!std::is_arithmetic_v<T>)
    static void read(const JsonView &json, std::vector<T> &values) {
        values.clear();
        for (std::size_t i = 0; i < json.array().size(); ++i) read(json.at(i), values.emplace_back());
    }

    const JsonView &object_;
    std::vector<std::string_view> known_;
};

/// Run `action`, which knows nothing of the JSON. In its error messages, the place in the JSON replaces
/// `subject` at the beginning.
template <class Action> auto located(const JsonView &json, std::string_view subject, Action action) {
    try {
        return action();
    } catch (const Error &error) {
        const std::string_view message = error.what();
        json.refuse(std::string(message.substr(message.starts_with(subject) ? subject.size() : 0)));
    }
}

} // namespace mpscnn::vision
