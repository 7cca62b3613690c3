#include "ops/op_list.h"

#include <type_traits>

namespace mpscnn::ops {

namespace {

template <class T>
concept Enumeration = std::is_enum_v<T>;

/// Writes fields as JSON members.
struct FieldWriter {
    Json object = Json::object();

    template <class T> void operator()(const char *name, T &value, const char *) {
        if constexpr (Enumeration<T>)
            object.set(name, name_of(value));
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

/// Reads fields from JSON members; those that are absent keep their defaults.
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
            given.refuse("must be one of " + allowed_names<T>() + ", got " + quoted(text));
        } else {
            value = given.template get<T>();
        }
    }
};

struct NameChecker {
    std::string_view wanted;
    bool found = false;
    std::string names{};

    template <class T> void operator()(const char *name, T &, const char *) {
        found = found || wanted == name;
        names += (names.empty() ? "" : ", ") + std::string(name);
    }
};

template <class Op> Op read_operation(const Json &attributes) {
    Op operation;
    FieldReader reader{JsonView(attributes, Op::info.name)};
    operation.fields(reader);
    if (reader.known == reader.attributes.size()) return operation;
    for (const auto &[key, value] : reader.attributes.object()) {
        NameChecker checker{key};
        operation.fields(checker);
        if (!checker.found)
            fail(ErrorKind::parameter, std::string(Op::info.name) + ": unknown parameter " + quoted(key) +
                                           "; known: " + (checker.names.empty() ? "none" : checker.names));
    }
    return operation;
}

template <class Op> Json write_attributes(const Op &operation) {
    FieldWriter writer;
    const_cast<Op &>(operation).fields(writer); // the visitor serves reading too; this one only looks
    return std::move(writer.object);
}

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
        } else if constexpr (std::is_same_v<T, bool>) {
            field.set("type", "boolean");
        } else if constexpr (std::is_integral_v<T>) {
            field.set("type", "integer");
        } else if constexpr (std::is_floating_point_v<T>) {
            field.set("type", "number");
        } else {
            field.set("type", "integers");
        }
        FieldWriter writer;
        writer(name, value, meaning);
        field.set("default", writer.object.at(name));
        list.push_back(std::move(field));
    }
};

template <class Op> Json describe() {
    Json entry = Json::object();
    entry.set("name", Op::info.name);
    entry.set("summary", Op::info.summary);
    entry.set("min_inputs", Op::info.min_inputs);
    entry.set("max_inputs", Op::info.max_inputs);
    entry.set("rounding_point", Op::info.rounds);
    entry.set("takes_activation", Op::info.takes_activation);
    entry.set("gradient", Op::info.has_gradient);
    FieldDescriber describer;
    Op defaults;
    defaults.fields(describer);
    entry.set("parameters", std::move(describer.list));
    return entry;
}

template <std::size_t... Index> Json describe_all(std::index_sequence<Index...>) {
    Json list = Json::array();
    (list.push_back(describe<std::variant_alternative_t<Index, Operation>>()), ...);
    return list;
}

template <std::size_t Index = 0> Operation make_from(std::string_view name, const Json &attributes) {
    if constexpr (Index == std::variant_size_v<Operation>) {
        fail(ErrorKind::parameter, "unknown operation " + quoted(name));
    } else {
        using Op = std::variant_alternative_t<Index, Operation>;
        if (name == Op::info.name) return read_operation<Op>(attributes);
        return make_from<Index + 1>(name, attributes);
    }
}

} // namespace

const OperationInfo &info_of(const Operation &operation) {
    return std::visit([](const auto &op) -> const OperationInfo & { return op.info; }, operation);
}

Json attributes_of(const Operation &operation) {
    return std::visit([](const auto &op) { return write_attributes(op); }, operation);
}

Json attributes_of(const Neuron &neuron) { return write_attributes(neuron); }

Operation make_operation(std::string_view name, const Json &attributes) {
    return make_from(name, attributes);
}

Neuron make_neuron(const Json &attributes) { return read_operation<Neuron>(attributes); }

void check(const Operation &operation, const InputShapes &inputs) {
    const OperationInfo &info = info_of(operation);
    const int given = static_cast<int>(inputs.size());
    if (given < info.min_inputs || given > info.max_inputs) {
        std::string expected = std::to_string(info.min_inputs);
        if (info.max_inputs != info.min_inputs) expected += " to " + std::to_string(info.max_inputs);
        fail(ErrorKind::parameter,
             std::string(info.name) + ": takes " + expected + " inputs, got " + std::to_string(given));
    }
    std::visit([&](const auto &op) { op.check(inputs); }, operation);
}

Shape output_shape(const Operation &operation, const InputShapes &inputs) {
    return std::visit([&](const auto &op) { return op.output_shape(inputs); }, operation);
}

WeightSpecs weight_specs(const Operation &operation, const InputShapes &inputs) {
    return std::visit([&](const auto &op) { return op.weights(inputs); }, operation);
}

Cost cost(const Operation &operation, const InputShapes &inputs, const Shape &output) {
    return std::visit([&](const auto &op) { return op.cost(inputs, output); }, operation);
}

Json describe_operations() {
    return describe_all(std::make_index_sequence<std::variant_size_v<Operation>>{});
}

} // namespace mpscnn::ops
