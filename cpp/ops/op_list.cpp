#include "ops/op_list.h"

#include <type_traits>
#include <utility>
#include <variant>

#include "core/text.h"
#include "ops/fields.h"

namespace mpscnn::ops {

namespace {

template <class Op> Op read_operation(const Json &attributes) {
    Op operation;
    read_fields(operation, attributes, Op::info.name);
    return operation;
}

template <class Op> Json describe() {
    Json entry = Json::object();
    entry.set("name", Op::info.name);
    entry.set("summary", Op::info.summary);
    entry.set("min_inputs", Op::info.min_inputs);
    entry.set("max_inputs", Op::info.max_inputs);
    entry.set("rounding_point", Op::info.rounds);
    entry.set("takes_activation", Op::info.takes_activation);
    entry.set("gradient", Op::info.has_gradient);
    entry.set("training", Op::info.for_training);
    FieldDescriber describer;
    Op defaults;
    defaults.fields(describer);
    entry.set("parameters", std::move(describer.list));
    return entry;
}

template <std::size_t... Index> Json describe_all(std::index_sequence<Index...>) {
    Json list = Json::array();
    const auto add = [&]<class Op>(const Op *) {
        if constexpr (!std::is_same_v<Op, Custom>) list.push_back(describe<Op>());
    };
    (add(static_cast<const std::variant_alternative_t<Index, Operation> *>(nullptr)), ...);
    return list;
}

template <std::size_t Index = 0> Operation make_from(std::string_view name, const Json &attributes) {
    if constexpr (Index == std::variant_size_v<Operation>) {
        fail(ErrorKind::parameter, {"unknown operation ", quoted(name)});
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
    return std::visit([](const auto &op) { return write_fields(op); }, operation);
}

Json attributes_of(const Neuron &neuron) { return write_fields(neuron); }

Operation make_operation(std::string_view name, const Json &attributes) {
    return make_from(name, attributes);
}

Neuron make_neuron(const Json &attributes) { return read_operation<Neuron>(attributes); }

void check(const Operation &operation, const InputShapes &inputs) {
    const OperationInfo &info = info_of(operation);
    const int given = static_cast<int>(inputs.size());
    if (given < info.min_inputs || given > info.max_inputs) {
        std::string expected = std::to_string(info.min_inputs);
        if (info.max_inputs != info.min_inputs) expected += concat({" to ", info.max_inputs});
        fail(ErrorKind::parameter, {info.name, ": takes ", expected, " inputs, got ", given});
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
