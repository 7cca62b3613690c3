#include "ops/op_list.h"

#include <utility>

#include "core/text.h"
#include "ops/fields.h"

namespace mpscnn::ops {

namespace {

FieldList fields_of(Operation &operation) {
    return operation.visit([](auto &op) { return FieldList::of(op); });
}

FieldList fields_of(const Operation &operation) { return fields_of(const_cast<Operation &>(operation)); }

/// A function that makes an operation with default parameters.
using Make = Operation (*)();
constexpr auto makers =
    OperationList::map([]<class Op>() -> Make { return []() -> Operation { return Op{}; }; });

Json describe(const Operation &operation) {
    const OperationInfo &info = info_of(operation);
    Json entry = Json::object();
    entry.set("name", info.name);
    entry.set("summary", info.summary);
    entry.set("min_inputs", info.min_inputs);
    entry.set("max_inputs", info.max_inputs);
    entry.set("rounding_point", info.rounds);
    entry.set("takes_activation", info.takes_activation);
    entry.set("gradient", info.has_gradient);
    entry.set("training", info.for_training);
    entry.set("parameters", fields_of(operation).describe());
    return entry;
}

} // namespace

Operation::Operation() = default;
Operation::Operation(const Operation &) = default;
Operation::Operation(Operation &&) noexcept = default;
Operation &Operation::operator=(const Operation &) = default;
Operation &Operation::operator=(Operation &&) noexcept = default;
Operation::~Operation() = default;

const OperationInfo &info_of(const Operation &operation) {
    return operation.visit([](const auto &op) -> const OperationInfo & { return op.info; });
}

Json attributes_of(const Operation &operation) { return fields_of(operation).write(); }

Json attributes_of(const Neuron &neuron) { return write_fields(neuron); }

Operation make_operation(std::string_view name, const Json &attributes) {
    for (const Make make : makers) {
        Operation operation = make();
        const char *known = info_of(operation).name;
        if (name != known) continue;
        fields_of(operation).read(attributes, known);
        return operation;
    }
    fail(ErrorKind::parameter, {"unknown operation ", quoted(name)});
}

Neuron make_neuron(const Json &attributes) {
    Neuron neuron;
    read_fields(neuron, attributes, Neuron::info.name);
    return neuron;
}

void check(const Operation &operation, const InputShapes &inputs) {
    const OperationInfo &info = info_of(operation);
    const int given = static_cast<int>(inputs.size());
    if (given < info.min_inputs || given > info.max_inputs) {
        std::string expected = std::to_string(info.min_inputs);
        if (info.max_inputs != info.min_inputs) expected += concat({" to ", info.max_inputs});
        fail(ErrorKind::parameter, {info.name, ": takes ", expected, " inputs, got ", given});
    }
    operation.visit([&](const auto &op) { op.check(inputs); });
}

Shape output_shape(const Operation &operation, const InputShapes &inputs) {
    return operation.visit([&](const auto &op) { return op.output_shape(inputs); });
}

WeightSpecs weight_specs(const Operation &operation, const InputShapes &inputs) {
    return operation.visit([&](const auto &op) { return op.weights(inputs); });
}

Cost cost(const Operation &operation, const InputShapes &inputs, const Shape &output) {
    return operation.visit([&](const auto &op) { return op.cost(inputs, output); });
}

Json describe_operations() {
    Json list = Json::array();
    for (const Make make : makers) {
        const Operation operation = make();
        if (!operation.is<Custom>()) list.push_back(describe(operation));
    }
    return list;
}

} // namespace mpscnn::ops
