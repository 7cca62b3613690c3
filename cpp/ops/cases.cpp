#include "ops/cases.h"

#include <algorithm>
#include <map>
#include <span>
#include <string_view>
#include <utility>

#include "core/text.h"
#include "ops/case_rows.h"

namespace mpscnn::ops {

namespace {

/// Parameters with which neurons of these kinds are defined for random inputs and differ from the identity.
/// Kinds that are not listed have no parameters here.
constexpr const char *parameters_of_neurons[] = {
    R"({"kind":"relu","a":0.25})",
    R"({"kind":"linear","a":-0.5,"b":2.0})",
    R"({"kind":"hard_sigmoid","a":0.2,"b":0.5})",
    R"({"kind":"tanh","a":1.5,"b":0.5})",
    R"({"kind":"softplus","a":1.0,"b":1.0})",
    R"({"kind":"elu","a":1.0})",
    R"({"kind":"relun","a":0.5,"b":1.5})",
    R"({"kind":"power","a":0.0625,"b":8.0,"c":1.5})",
    R"({"kind":"exponential","a":0.5,"b":0.0,"c":-1.0})",
    R"({"kind":"logarithm","a":0.0625,"b":8.0,"c":-1.0})",
    R"({"kind":"swish","b":1.5})",
    R"({"kind":"clamp","a":-0.25,"b":0.5})",
};

/// True for functions with jumps, near which devices may differ as much as the jump is high.
constexpr bool jumps(NeuronKind kind) {
    return kind == NeuronKind::sign || kind == NeuronKind::floor || kind == NeuronKind::ceil ||
           kind == NeuronKind::round;
}

/// Return the alternatives of an attribute's value.
std::vector<Json> alternatives(const Json &value) {
    const std::string *text = value.get_if<std::string>();
    if (!text || text->find('|') == std::string::npos) return {value};
    std::vector<Json> found;
    for (std::size_t begin = 0; begin <= text->size();) {
        const std::size_t end = std::min(text->find('|', begin), text->size());
        found.emplace_back(std::string_view(*text).substr(begin, end - begin));
        begin = end + 1;
    }
    return found;
}

/// The end of a case's name, such as ", relu", and the attributes of the case. A row of the table has a case
/// for each alternative, and only this end distinguishes their names.
using Named = std::pair<std::string, Json>;

std::vector<Named> choices_of_neurons(bool with_jumps) {
    std::map<std::string, Json> with_parameters;
    for (const char *text : parameters_of_neurons) {
        Json attributes = parse_json(text);
        with_parameters.emplace(attributes.at("kind").get<std::string>(), attributes);
    }
    std::vector<Named> found;
    for (const auto &[name, kind] : EnumNames<NeuronKind>::values) {
        if (kind == NeuronKind::none || (jumps(kind) && !with_jumps)) continue;
        Json attributes = Json::object();
        attributes.set("kind", name);
        const auto own = with_parameters.find(name);
        found.emplace_back(concat({", ", name}), own == with_parameters.end() ? attributes : own->second);
    }
    return found;
}

std::vector<Named> choices(const char *text) {
    std::vector<Named> found;
    if (std::string_view(text) == "*") return choices_of_neurons(true);
    if (std::string_view(text) == "~") return choices_of_neurons(false);
    found.emplace_back("", Json::object());
    const Json attributes = parse_json(text);
    for (const auto &[name, value] : *attributes.get_if<Json::Object>()) {
        const std::vector<Json> values = alternatives(value);
        std::vector<Named> longer;
        for (const Named &before : found)
            for (const Json &one : values) {
                Named &after = longer.emplace_back(before);
                if (values.size() > 1) after.first += ", " + one.get<std::string>();
                after.second.set(name, one);
            }
        found = std::move(longer);
    }
    return found;
}

std::vector<Shape> shapes_of(const char *text) {
    std::vector<Shape> shapes;
    const Json listed = parse_json(text);
    for (const Json &extents : *listed.get_if<Json::Array>()) {
        const auto shape = extents.get<std::vector<std::int64_t>>();
        shapes.emplace_back(std::span<const std::int64_t>(shape));
    }
    return shapes;
}

/// Return a text that two cases share only if their networks are the same.
std::string key_of(const Case &one) {
    std::string key = one.operation + to_text(attributes_of(make_operation(one.operation, one.attributes)));
    if (one.activation) key += to_text(attributes_of(make_neuron(*one.activation)));
    for (const Shape &shape : one.inputs) key += shape.text();
    return key;
}

/// Return all cases of a row.
std::vector<Case> cases_of(const CaseRow &row) {
    std::vector<std::pair<std::string, std::optional<Json>>> activations;
    if (!row.activation)
        activations.emplace_back("", std::nullopt);
    else
        for (auto &[name, attributes] : choices(row.activation)) activations.emplace_back(name, attributes);
    std::vector<Case> found;
    for (const auto &[name, attributes] : choices(row.attributes))
        for (const auto &[neuron, activation] : activations)
            found.push_back({row.tags, concat({row.name, name, neuron}), row.operation, attributes,
                             activation, shapes_of(row.inputs), row.positive_inputs});
    return found;
}

} // namespace

std::vector<Case> cases() {
    std::vector<Case> table;
    std::map<std::string, std::size_t> places;
    for (const std::span<const CaseRow> rows : {layer_case_rows(), training_case_rows()})
        for (const CaseRow &row : rows)
            for (Case &one : cases_of(row)) {
                const auto [place, added] = places.try_emplace(key_of(one), table.size());
                if (added)
                    table.push_back(std::move(one));
                else
                    table[place->second].tags |= one.tags;
            }
    return table;
}

Json describe_cases() {
    constexpr std::pair<unsigned, const char *> tags[] = {{Case::self_check, "self_check"},
                                                          {Case::conformance, "conformance"},
                                                          {Case::training, "training"},
                                                          {Case::no_onnx, "no_onnx"}};
    Json described = Json::array();
    for (const Case &one : cases()) {
        Json entry = Json::object(), inputs = Json::array(), names = Json::array();
        for (const Shape &shape : one.inputs)
            inputs.push_back(Json(std::vector<std::int64_t>(shape.begin(), shape.end())));
        for (const auto &[tag, name] : tags)
            if (one.tags & tag) names.push_back(name);
        entry.set("name", one.name);
        entry.set("operation", one.operation);
        entry.set("attributes", one.attributes);
        if (one.activation) entry.set("activation", *one.activation);
        entry.set("inputs", std::move(inputs));
        entry.set("tags", std::move(names));
        described.push_back(std::move(entry));
    }
    return described;
}

} // namespace mpscnn::ops
