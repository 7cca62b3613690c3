#include "ops/fields.h"

#include <algorithm>

#include "core/text.h"

namespace mpscnn::ops {

namespace {

std::string joined(const std::vector<std::string_view> &names) {
    std::string text;
    for (const std::string_view name : names) text += (text.empty() ? "" : ", ") + std::string(name);
    return text;
}

} // namespace

std::size_t read_name(const JsonView &given, std::span<const char *const> names) {
    const auto text = given.get<std::string>();
    const auto found = std::find(names.begin(), names.end(), std::string_view(text));
    if (found == names.end())
        given.refuse(
            concat({"must be one of ", joined({names.begin(), names.end()}), ", got ", quoted(text)}));
    return static_cast<std::size_t>(found - names.begin());
}

void FieldList::add(const Field &field) { fields_.push_back(field); }

bool FieldList::has(std::string_view name) const {
    return std::any_of(fields_.begin(), fields_.end(),
                       [&](const Field &field) { return field.name == name; });
}

void FieldList::read(const Json &attributes, const std::string &owner) const {
    const JsonView view(attributes, owner);
    std::size_t known = 0;
    for (const Field &field : fields_) {
        if (!view.has(field.name)) continue;
        ++known;
        field.type->read(field.value, view.at(field.name));
    }
    if (known == view.size()) return;
    for (const auto &[key, value] : view.object()) {
        if (has(key)) continue;
        std::vector<std::string_view> names;
        for (const Field &field : fields_) names.emplace_back(field.name);
        fail(ErrorKind::parameter, {owner, ": unknown parameter ", quoted(key),
                                    "; known: ", (names.empty() ? "none" : joined(names))});
    }
}

Json FieldList::write() const {
    Json object = Json::object();
    for (const Field &field : fields_) object.set(field.name, field.type->write(field.value));
    return object;
}

Json FieldList::describe() const {
    Json list = Json::array();
    for (const Field &field : fields_) {
        Json entry = Json::object();
        entry.set("name", field.name);
        entry.set("meaning", field.meaning);
        entry.set("type", field.type->name);
        if (!field.type->names.empty()) {
            Json names = Json::array();
            for (const char *name : field.type->names) names.push_back(name);
            entry.set("allowed", std::move(names));
        }
        entry.set("default", field.type->write(field.value));
        list.push_back(std::move(entry));
    }
    return list;
}

} // namespace mpscnn::ops
