#include "core/json.h"

#include <algorithm>
#include <cmath>

#include "core/text.h"

namespace mpscnn {

Json::Json() noexcept : value_(nullptr) {}
Json::Json(std::nullptr_t) noexcept : value_(nullptr) {}
Json::Json(double value) : value_(value) {
    if (!std::isfinite(value)) fail(ErrorKind::parameter, {"JSON: a number must be finite, got ", value});
}
Json::Json(std::string value) noexcept : value_(std::move(value)) {}
Json::Json(std::string_view value) : value_(std::string(value)) {}
Json::Json(const char *value) : value_(std::string(value)) {}
Json::Json(Array values) noexcept : value_(std::move(values)) {}
// This does not use the variant's copy constructor: if memory runs out, libstdc++ 12 destroys elements that
// do not exist yet.
Json::Json(const Json &other) : Json() {
    std::visit(
        [this]<class T>(const T &value) {
            T copy(value);
            value_ = std::move(copy);
        },
        other.value_);
}
Json::Json(Json &&) noexcept = default;
Json &Json::operator=(const Json &other) { return *this = Json(other); }
Json &Json::operator=(Json &&) noexcept = default;
Json::~Json() = default;

Json Json::object() {
    Json result;
    result.value_ = Object{};
    return result;
}

Json Json::object(Object members) {
    if (const std::string *repeated = repeated_key(members))
        fail(ErrorKind::parameter, {"JSON: the object has the key ", quoted(*repeated), " twice"});
    Json result;
    result.value_ = std::move(members);
    return result;
}

/// Return a key that the object has twice, or null. Keys are sorted, because comparing all pairs takes
/// quadratic time. A hash table would also take quadratic time if the keys are hostile.
const std::string *repeated_key(const Json::Object &members) {
    std::vector<const std::string *> keys;
    keys.reserve(members.size());
    for (const auto &[key, value] : members) keys.push_back(&key);
    std::sort(keys.begin(), keys.end(), [](const auto *a, const auto *b) { return *a < *b; });
    const auto repeated =
        std::adjacent_find(keys.begin(), keys.end(), [](const auto *a, const auto *b) { return *a == *b; });
    return repeated == keys.end() ? nullptr : *repeated;
}

const char *Json::type_name() const {
    static constexpr const char *names[] = {"null",     "a boolean", "an integer", "a number",
                                            "a string", "an array",  "an object"};
    return names[value_.index()];
}

void Json::push_back(Json value) {
    auto *array = std::get_if<Array>(&value_);
    if (!array) fail(ErrorKind::state, {"JSON: cannot append to ", type_name()});
    array->push_back(std::move(value));
}

void Json::set(std::string key, Json value) {
    auto *object = std::get_if<Object>(&value_);
    if (!object) fail(ErrorKind::state, {"JSON: cannot add a member to ", type_name()});
    if (find(key)) fail(ErrorKind::parameter, {"JSON: the object already has the key ", quoted(key)});
    object->emplace_back(std::move(key), std::move(value));
}

const Json *Json::find(std::string_view key) const {
    const auto *object = get_if<Object>();
    if (!object) return nullptr;
    const auto member =
        std::find_if(object->begin(), object->end(), [&](const Member &m) { return m.first == key; });
    return member == object->end() ? nullptr : &member->second;
}

const Json &Json::at(std::string_view key) const { return JsonView(*this).at(key).value(); }

bool operator==(const Json &a, const Json &b) { return a.value_ == b.value_; }

void JsonView::refuse(const std::string &message) const {
    fail(kind_, {(path_.empty() ? "JSON" : path_), ": ", message});
}

const Json::Array &JsonView::array() const {
    const auto *array = value_->get_if<Json::Array>();
    if (!array) refuse(std::string("expected an array, got ") + value_->type_name());
    return *array;
}

const Json::Object &JsonView::object() const {
    const auto *object = value_->get_if<Json::Object>();
    if (!object) refuse(std::string("expected an object, got ") + value_->type_name());
    return *object;
}

std::size_t JsonView::size() const {
    const auto *array = value_->get_if<Json::Array>();
    return array ? array->size() : object().size();
}

bool JsonView::has(std::string_view key) const {
    object();
    return value_->find(key) != nullptr;
}

namespace {

/// Return at most 20 names for a message, as "'a', 'b'", and ", ..." for the others.
template <class Names, class NameOf> std::string listed(const Names &names, NameOf name_of) {
    constexpr std::size_t maximum = 20;
    std::string result;
    std::size_t count = 0;
    for (const auto &name : names) {
        if (count++ == maximum) return result + ", ...";
        result += (result.empty() ? "" : ", ") + quoted(name_of(name));
    }
    return result.empty() ? "none" : result;
}

} // namespace

JsonView JsonView::at(std::string_view key) const {
    const Json::Object &members = object();
    const Json *found = value_->find(key);
    if (!found)
        refuse("the key " + quoted(key) + " is missing; keys given: " +
               listed(members, [](const Json::Member &member) { return member.first; }));
    return JsonView(*found, path_of(key), kind_);
}

JsonView JsonView::of(const Json::Member &member) const {
    return JsonView(member.second, path_of(member.first), kind_);
}

std::string JsonView::path_of(std::string_view key) const {
    return path_ + (path_.empty() ? "" : ".") + escaped(key);
}

JsonView JsonView::at(std::size_t index) const {
    const Json::Array &elements = array();
    if (index >= elements.size())
        refuse(concat({"expected at least ", index + 1, " elements, got ", elements.size()}));
    return JsonView(elements[index], concat({path_, "[", index, "]"}), kind_);
}

void JsonView::allow_only(std::span<const std::string_view> known) const {
    for (const auto &[key, value] : object())
        if (std::find(known.begin(), known.end(), key) == known.end())
            refuse("unknown key " + quoted(key) +
                   "; known keys: " + listed(known, [](std::string_view name) { return name; }));
}

bool JsonView::get_bool() const {
    const auto *value = value_->get_if<bool>();
    if (!value) refuse(std::string("expected true or false, got ") + value_->type_name());
    return *value;
}

std::int64_t JsonView::get_integer(std::int64_t lowest, std::int64_t highest) const {
    const auto *value = value_->get_if<std::int64_t>();
    if (!value) refuse(std::string("expected an integer, got ") + value_->type_name());
    if (*value < lowest || *value > highest)
        refuse(concat({"expected an integer from ", lowest, " to ", highest, ", got ", *value}));
    return *value;
}

double JsonView::get_number(double largest) const {
    if (const auto *integer = value_->get_if<std::int64_t>()) return static_cast<double>(*integer);
    const auto *value = value_->get_if<double>();
    if (!value) refuse(std::string("expected a number, got ") + value_->type_name());
    if (*value > largest || *value < -largest)
        refuse(concat(
            {"expected a number of at most ", to_text(largest), " in magnitude, got ", to_text(*value)}));
    return *value;
}

const std::string &JsonView::get_string() const {
    const auto *value = value_->get_if<std::string>();
    if (!value) refuse(std::string("expected a string, got ") + value_->type_name());
    return *value;
}

} // namespace mpscnn
