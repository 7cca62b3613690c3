#include "engine/graph/graph.h"

#include <algorithm>
#include <functional>
#include <limits>

#include "core/text.h"

namespace mpscnn::engine {

namespace {

/// Limits far beyond any real network. The time for planning memory is quadratic in the number of values.
constexpr std::size_t max_nodes = 10'000, max_inputs = 1'000;
/// A graph for training has up to six variables for each weight of the network.
constexpr std::size_t max_variables = max_nodes;
/// Limits on all layers' inputs together and on a name's length. Each value may become a step of a plan, with
/// a copy of its layer's name.
constexpr std::size_t max_arguments = 100'000, longest_name = 1'000;
/// The largest number of elements in one image's tensor with fixed extents: 4 GiB of float32.
constexpr std::int64_t max_image_elements = std::int64_t{1} << 30;
/// The largest number of elements in a tensor. The bytes and the FLOPs of all elements then fit 64 bits.
constexpr std::int64_t max_elements = std::int64_t{1} << 56;

/// Run `body`; if it throws, put the layer's name before the message.
template <class Body> decltype(auto) in_layer(const std::string &name, Body &&body) {
    try {
        return body();
    } catch (const Error &error) {
        throw Error(error.kind(), concat({"layer ", quoted(name), ": ", error.what()}));
    }
}

/// Throws ShapeError if one image of `shape` has too many elements. This limits the memory that a small file
/// can request.
void require_affordable(const std::string &owner, const Shape &shape) {
    const Shape image = shape.with_batch(1);
    if (image.fixed() && image.elements() > max_image_elements)
        fail(ErrorKind::shape, {owner, ": the shape ", shape.text(), " has ", image.elements(),
                                " elements for each image, at most ", max_image_elements, " are allowed"});
}

void require_input_shape(const std::string &name, const Shape &shape) {
    constexpr std::int64_t largest_extent = 1 << 24;
    const auto valid = [](std::int64_t extent) {
        return extent == Shape::any || (extent >= 1 && extent <= largest_extent);
    };
    if (shape.rank() < 2 || shape[0] != Shape::any || !std::all_of(shape.begin(), shape.end(), valid) ||
        shape.back() == Shape::any)
        fail(ErrorKind::shape,
             {"input ", quoted(name),
              ": the shape must be (n, ..., channels), such as (n, height, width, channels) or ",
              "(n, features), with a free batch (-1), ", "a fixed number of channels and extents of 1 to ",
              largest_extent, ", got ", shape.text()});
    require_affordable("input " + quoted(name), shape);
}

/// Return the shape of the operation's result. Extents are limited so that no later operation's result
/// exceeds 64 bits.
Shape result_shape(const ops::Operation &operation, const ops::InputShapes &inputs) {
    constexpr std::int64_t largest_extent = std::numeric_limits<std::int32_t>::max();
    ops::check(operation, inputs);
    const Shape result = ops::output_shape(operation, inputs);
    if (std::any_of(result.begin() + 1, result.end(), [](auto extent) { return extent > largest_extent; }))
        fail(ErrorKind::shape, {ops::info_of(operation).name, ": the result would be ", result.text(),
                                ", an extent is at most ", largest_extent});
    return result;
}

void require_countable(const Shape &shape) {
    if (shape.elements() > max_elements)
        fail(ErrorKind::shape, {"shape ", shape.text(), " has too many elements"});
}

/// Reserve room for one more element, so that the next push_back cannot fail.
template <class T> void make_room(std::vector<T> &elements) {
    if (elements.size() == elements.capacity()) elements.reserve(2 * elements.size() + 1);
}

bool has_weight(const Node &node, const std::string &role) {
    return node.weights.count(role) != 0 || node.variables.count(role) != 0;
}

std::string similar_names(const std::map<std::string, ValueId, std::less<>> &names, std::string_view wanted) {
    std::string list;
    int count = 0;
    for (const auto &[name, value] : names) {
        const bool similar =
            name.find(wanted) != std::string::npos || wanted.find(name) != std::string_view::npos;
        if (!similar || ++count > 5) continue;
        list += (list.empty() ? "; similar: " : ", ") + quoted(name);
    }
    return list;
}

} // namespace

Shape variable_shape(const Shape &weight) { return weight.rank() == 1 ? Shape{1, weight[0]} : weight; }

void Graph::require_new_name(const std::string &name) const {
    if (name.empty()) fail(ErrorKind::parameter, "a layer's name must not be empty");
    if (name.size() > longest_name)
        fail(ErrorKind::parameter, {"layer ", quoted(name), ": the name has ", name.size(),
                                    " bytes, at most ", longest_name, " are allowed"});
    if (by_name_.count(name) != 0)
        fail(ErrorKind::parameter,
             {"layer ", quoted(name), ": the name is taken already in network ", quoted(name_)});
}

ValueId Graph::add_value(const std::string &name, const Shape &shape) {
    const ValueId value = values();
    make_room(shapes_);
    make_room(uses_);
    by_name_.emplace(name, value);
    shapes_.push_back(shape);
    uses_.emplace_back();
    return value;
}

ValueId Graph::add_input_value(Input input) {
    require_new_name(input.name);
    if (!nodes_.empty())
        fail(ErrorKind::state, {"input ", quoted(input.name), ": inputs come before the first layer"});
    const std::size_t inputs = input.is_variable ? variables_ : inputs_.size() - variables_;
    const std::size_t limit = input.is_variable ? max_variables : max_inputs;
    if (inputs >= limit)
        fail(ErrorKind::parameter,
             {"a network has at most ", limit, input.is_variable ? " variables" : " inputs"});
    make_room(inputs_);
    // Nothing after add_value can fail for lack of memory, because make_room has reserved it.
    const ValueId value = add_value(input.name, input.shape);
    if (input.is_variable) ++variables_;
    inputs_.push_back(std::move(input));
    return value;
}

ValueId Graph::add_input(std::string name, const Shape &shape) {
    require_input_shape(name, shape);
    return add_input_value({std::move(name), shape, false, std::nullopt, {}});
}

ValueId Graph::add_variable(std::string name, const Shape &shape) {
    if (shape.rank() < 2 || shape.rank() > 4 || !shape.fixed() || shape.elements() < 1 ||
        shape.elements() > max_image_elements)
        fail(ErrorKind::shape, {"variable ", quoted(name), ": two to four fixed extents with at most ",
                                max_image_elements, " elements, got ", shape.text()});
    return add_input_value({std::move(name), shape, true, std::nullopt, {}});
}

Node &Graph::require_node(ValueId value, const char *what) {
    if (value < 0 || value >= values()) fail(ErrorKind::parameter, {what, ": there is no value ", value});
    if (is_input(value))
        fail(ErrorKind::parameter, {what, ": ", quoted(value_name(value)), " is an input, not a layer"});
    return own_node(value);
}

void Graph::use_variable(ValueId value, const std::string &role, ValueId variable) {
    Node &node = require_node(value, "use_variable");
    if (variable < 0 || variable >= value)
        fail(ErrorKind::parameter,
             {"layer ", quoted(node.name), ": value ", variable, " is not before this layer"});
    const ops::WeightSpecs specs = weight_specs(producer_number(value));
    const auto spec = std::find_if(specs.begin(), specs.end(), [&](const auto &s) { return s.role == role; });
    const std::string where = concat({"layer ", quoted(node.name), ", ", role});
    if (spec == specs.end()) fail(ErrorKind::weights, {where, ": no such weight"});
    const Shape wanted = variable_shape(spec->shape);
    if (!(shape(variable) == wanted))
        fail(ErrorKind::weights, {where, ": a variable of the shape ", wanted.text(), " is needed, ",
                                  quoted(value_name(variable)), " has ", shape(variable).text()});
    if (!node.weights.empty())
        fail(ErrorKind::state, {where, ": the layer has weights of its own; it reads all or none of its "
                                       "weights from variables"});
    node.variables.insert_or_assign(role, variable);
    uses_[static_cast<std::size_t>(variable)].by_layer_of_images = true;
}

ValueId Graph::add_node(std::string name, ops::Operation operation, std::vector<ValueId> inputs,
                        std::optional<ops::Neuron> activation) {
    require_new_name(name);
    if (nodes_.size() >= max_nodes)
        fail(ErrorKind::parameter, {"a network has at most ", max_nodes, " layers"});
    for (ValueId value : inputs)
        if (value < 0 || value >= values())
            fail(ErrorKind::parameter, {"layer ", quoted(name), ": there is no value ", value});
    if (inputs.size() > max_arguments - arguments_)
        fail(ErrorKind::parameter, {"layer ", quoted(name), ": the layers of a network have at most ",
                                    max_arguments, " inputs together"});
    Node node{std::move(name), std::move(operation), std::move(inputs), activation, {}, {}, false};
    const std::vector<Shape> shapes = input_shapes_of(node.inputs);
    const Shape result = in_layer(node.name, [&] {
        const Shape output = result_shape(node.operation, shapes);
        if (node.activation && !ops::info_of(node.operation).takes_activation)
            fail(ErrorKind::parameter,
                 {ops::info_of(node.operation).name, ": takes no activation; add a neuron layer behind it"});
        if (node.activation) node.activation->check({&output, 1});
        require_affordable(ops::info_of(node.operation).name, output);
        return output;
    });
    make_room(nodes_);
    const ValueId value = add_value(node.name, result); // nothing after this call can fail
    const bool in_order =
        node.operation.is<ops::FullyConnected>() || ops::info_of(node.operation).for_training;
    for (ValueId input : node.inputs) uses_[static_cast<std::size_t>(input)].by_layer_of_images |= !in_order;
    arguments_ += node.inputs.size();
    nodes_.push_back(std::move(node));
    return value;
}

void Graph::mark_output(ValueId value) {
    if (value < 0 || value >= values()) fail(ErrorKind::parameter, {"output: there is no value ", value});
    if (is_output(value))
        fail(ErrorKind::parameter, {"output ", quoted(value_name(value)), " is an output already"});
    outputs_.push_back(value);
    uses_[static_cast<std::size_t>(value)].output = true;
}

void Graph::keep_float32(ValueId value, bool keep) {
    require_node(value, "keep_float32").keep_float32 = keep;
}

void Graph::set_learning(ValueId value, bool learns) { require_node(value, "learn").learns = learns; }

void Graph::forget_quantizations() {
    for (Input &input : inputs_) input.quantization.reset();
    for (Node &node : nodes_) node.quantization.reset();
}

void Graph::quantize(ValueId value, const Quantization &quantization) {
    if (value < 0 || value >= values()) fail(ErrorKind::parameter, {"quantize: there is no value ", value});
    quantization.require_valid(concat({is_input(value) ? "input " : "layer ", quoted(value_name(value))}));
    if (!is_input(value)) {
        own_node(value).quantization = quantization;
        return;
    }
    Input &input = inputs_[static_cast<std::size_t>(value)];
    if (input.is_variable)
        fail(ErrorKind::parameter,
             {"quantize: ", quoted(input.name), " is a variable, which has no integers"});
    input.quantization = quantization;
}

void Graph::allow_sizes(ValueId input, AllowedSizes sizes) {
    if (!is_input(input)) fail(ErrorKind::parameter, "allow_sizes: only an input has allowed sizes");
    Input &own = inputs_[static_cast<std::size_t>(input)];
    sizes.require_valid("input " + quoted(own.name), own.shape);
    own.sizes = std::move(sizes);
}

std::vector<Shape> Graph::input_shapes_of(const std::vector<ValueId> &inputs) const {
    std::vector<Shape> result;
    result.reserve(inputs.size());
    for (ValueId value : inputs) result.push_back(shape(value));
    return result;
}

ops::WeightSpecs Graph::specs_of(const Node &node, const std::vector<Shape> &inputs,
                                 const Shape &output) const {
    ops::WeightSpecs specs = ops::weight_specs(node.operation, inputs);
    if (node.activation)
        for (auto &spec : node.activation->weights({&output, 1})) specs.push_back(std::move(spec));
    return specs;
}

ops::WeightSpecs Graph::weight_specs(std::size_t node_index) const {
    const Node &node = nodes_[node_index];
    return specs_of(node, input_shapes_of(node.inputs), shape(result_of(node_index)));
}

const ops::WeightSpec &require_weight(const ops::WeightSpecs &specs, const std::string &owner,
                                      std::string_view role, const WeightTensor &tensor) {
    const auto spec = std::find_if(specs.begin(), specs.end(), [&](const auto &s) { return s.role == role; });
    const std::string where = concat({owner, ", ", role});
    if (spec == specs.end()) {
        std::string known;
        for (const auto &entry : specs) known += (known.empty() ? "" : ", ") + entry.role;
        fail(ErrorKind::weights, {where, ": no such weight; known are ", (known.empty() ? "none" : known)});
    }
    if (!(spec->shape == tensor.shape()))
        fail(ErrorKind::weights,
             {where, ": expected shape ", spec->shape.text(), ", got ", tensor.shape().text()});
    if (const auto bad = tensor.find_forbidden(spec->lowest))
        fail(ErrorKind::weights,
             {where, ": element ", bad->element, " is ", bad->value, "; ", spec->role,
              " must hold finite numbers", (spec->lowest == 0.0f ? " of at least 0" : "")});
    return *spec;
}

void Graph::set_weight(std::string_view node_name, std::string_view role, WeightTensor tensor) {
    const ValueId value = find(node_name);
    if (is_input(value)) fail(ErrorKind::weights, {"input ", quoted(node_name), " has no weights"});
    const std::size_t index = producer_number(value);
    if (!nodes_[index].variables.empty())
        fail(ErrorKind::state, {"layer ", quoted(node_name), ": it reads its weights from variables"});
    require_weight(weight_specs(index), "layer " + quoted(node_name), role, tensor);
    nodes_[index].weights.insert_or_assign(std::string(role), std::move(tensor));
}

const std::string &Graph::value_name(ValueId value) const {
    return is_input(value) ? inputs_[static_cast<std::size_t>(value)].name : producer(value).name;
}

ValueId Graph::find(std::string_view name) const {
    const auto found = by_name_.find(name);
    if (found == by_name_.end())
        fail(ErrorKind::parameter,
             {"network ", quoted(name_), " has no layer ", quoted(name), similar_names(by_name_, name)});
    return found->second;
}

void Graph::require_admitted(const std::vector<Shape> &input_shapes) const {
    if (input_shapes.size() != inputs_.size())
        fail(ErrorKind::shape, {"network ", quoted(name_), " takes ", inputs_.size(),
                                " inputs, got shapes for ", input_shapes.size()});
    for (std::size_t i = 0; i < input_shapes.size(); ++i) {
        if (!inputs_[i].shape.admits(input_shapes[i]))
            fail(ErrorKind::shape, {"input ", quoted(inputs_[i].name), ": expected ", inputs_[i].shape.text(),
                                    ", got ", input_shapes[i].text()});
        inputs_[i].sizes.require(inputs_[i].name, input_shapes[i]);
    }
}

std::vector<Shape> Graph::infer_shapes(const std::vector<Shape> &input_shapes) const {
    std::vector<Shape> result = input_shapes;
    result.reserve(static_cast<std::size_t>(values()));
    for (const Shape &shape : input_shapes) require_countable(shape);
    std::vector<Shape> arguments;
    for (const Node &node : nodes_) {
        arguments.clear();
        for (ValueId value : node.inputs) arguments.push_back(result[static_cast<std::size_t>(value)]);
        result.push_back(in_layer(node.name, [&] {
            const Shape output = result_shape(node.operation, arguments);
            require_countable(output);
            return output;
        }));
    }
    return result;
}

void Graph::require_complete() const {
    if (outputs_.empty())
        fail(ErrorKind::parameter,
             {"network ", quoted(name_), " has no output; Network.output(x) marks one"});
    for (std::size_t i = 0; i < nodes_.size(); ++i)
        for (const auto &spec : weight_specs(i))
            if (spec.required && !has_weight(nodes_[i], spec.role))
                fail(ErrorKind::weights,
                     {"layer ", quoted(nodes_[i].name), ": ", spec.role, " ", spec.shape.text(),
                      " is missing; load_weights or initialize_weights gives the network its weights"});
}

std::vector<LayerSummary> Graph::summary(const std::vector<Shape> &input_shapes) const {
    const std::vector<Shape> all = infer_shapes(input_shapes);
    std::vector<LayerSummary> result;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
        const Node &node = nodes_[i];
        std::vector<Shape> inputs;
        for (ValueId value : node.inputs) inputs.push_back(all[static_cast<std::size_t>(value)]);
        const Shape &output = all[static_cast<std::size_t>(result_of(i))];
        LayerSummary layer{node.name, ops::info_of(node.operation).name, output, 0,
                           ops::cost(node.operation, inputs, output)};
        if (node.activation) layer.cost.flops += node.activation->cost({&output, 1}, output).flops;
        for (const auto &spec : specs_of(node, inputs, output))
            if (spec.required || has_weight(node, spec.role)) layer.parameters += spec.shape.elements();
        result.push_back(std::move(layer));
    }
    return result;
}

Graph Graph::without_weights() const {
    Graph copy = *this; // the copy shares the weights' memory
    for (Node &node : copy.nodes_) node.weights.clear();
    return copy;
}

} // namespace mpscnn::engine
