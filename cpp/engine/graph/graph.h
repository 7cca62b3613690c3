#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "engine/graph/allowed_sizes.h"
#include "engine/graph/quantization.h"
#include "engine/graph/weights.h"
#include "ops/op_list.h"

namespace mpscnn::engine {

/// Index of a tensor within its graph: the inputs first, then one for each node, in order.
using ValueId = int;

struct Input {
    std::string name;
    /// The batch is always free (Shape::any). Other extents are free if the network accepts any size.
    Shape shape;
    /// True for a tensor that belongs to the network, such as a trained weight. Its extents are fixed, and
    /// its first axis is not a batch.
    bool is_variable = false;
    std::optional<Quantization> quantization =
        std::nullopt; ///< meaning of the input's integers in int8 networks
    AllowedSizes sizes = {};
};

/// A layer: one operation on earlier values. Its result has the layer's name.
struct Node {
    std::string name;
    ops::Operation operation;
    std::vector<ValueId> inputs;
    std::optional<ops::Neuron> activation; ///< applied to the result before it is rounded
    /// The weights by role. An activation's slopes have the role "slope".
    std::map<std::string, WeightTensor> weights;
    /// Weights that are tensors of the graph, by role, as in a network that is being trained. A node has
    /// either variables or `weights`.
    std::map<std::string, ValueId> variables;
    bool keep_float32 = false; ///< in float16 and int8 networks: this layer is computed in float32
    /// True if training changes the weights. Without a value it changes all weights except constants.
    std::optional<bool> learns = std::nullopt;
    std::optional<Quantization> quantization =
        std::nullopt; ///< meaning of the result's integers in int8 networks

    /// Return the weight's values, or `count` times `otherwise` if the weight is not set.
    std::vector<float> weight_or(const std::string &role, std::size_t count, float otherwise) const {
        const auto found = weights.find(role);
        return found == weights.end() ? std::vector<float>(count, otherwise) : found->second.values();
    }
};

/// Return the shape that a variable needs to serve as a weight of the shape `weight`.
Shape variable_shape(const Shape &weight);

/// A summary of one layer at given input shapes, for tables and cost models.
struct LayerSummary {
    std::string name, operation;
    Shape output;
    std::int64_t parameters = 0;
    ops::Cost cost;
};

/// Return the spec of role `role`, which `tensor` must fulfil. Throws WeightsError "<where>, <role>: ..." for
/// an unknown role, for a wrong shape, and for values that are not finite or below the spec's minimum.
const ops::WeightSpec &require_weight(const ops::WeightSpecs &specs, const std::string &where,
                                      std::string_view role, const WeightTensor &tensor);

/// A network: inputs, and nodes in an order in which they can be computed. Backends run graphs, files store
/// them and converters produce them. Every addition is checked immediately, so a graph is always well formed.
/// docs/model_format.md states its limits. Weights may be set later; `require_complete` throws an error that
/// names missing ones.
class Graph {
public:
    explicit Graph(std::string name = "network") : name_(std::move(name)) {}

    const std::string &name() const { return name_; }
    const std::vector<Input> &inputs() const { return inputs_; }
    const std::vector<Node> &nodes() const { return nodes_; }
    const std::vector<ValueId> &outputs() const { return outputs_; }
    int values() const { return static_cast<int>(inputs_.size() + nodes_.size()); }

    /// Add an input. `shape` includes the batch, whose extent must be Shape::any. All inputs are added before
    /// the first node.
    ValueId add_input(std::string name, const Shape &shape);
    ValueId add_node(std::string name, ops::Operation operation, std::vector<ValueId> inputs,
                     std::optional<ops::Neuron> activation = std::nullopt);
    /// Add a tensor that belongs to the network and not to a batch. It has at least two axes: a bias has the
    /// shape (1, channels).
    ValueId add_variable(std::string name, const Shape &shape);
    /// Let a node read the weight `role` from a variable. Throws WeightsError for a role or shape that does
    /// not fit.
    void use_variable(ValueId node, const std::string &role, ValueId variable);
    void mark_output(ValueId value);
    /// Set Node::keep_float32 of a value's layer. Throws ParameterError for an input, which has no layer.
    void keep_float32(ValueId value, bool keep);
    /// Set Node::learns of a value's layer. Throws ParameterError for an input, which has no weights.
    void set_learning(ValueId value, bool learns);
    /// Set the quantization of a value in int8 networks; other precisions ignore it. Throws ParameterError
    /// for an invalid quantization and for a variable.
    void quantize(ValueId value, const Quantization &quantization);
    /// Set the sizes that an input may have. Throws ParameterError for ranges that do not fit its shape.
    void allow_sizes(ValueId input, AllowedSizes sizes);
    /// Remove the quantizations of all values.
    void forget_quantizations();
    const std::optional<Quantization> &quantization(ValueId value) const {
        return is_input(value) ? inputs_[static_cast<std::size_t>(value)].quantization
                               : producer(value).quantization;
    }
    /// Set a weight. Throws WeightsError for a wrong role or shape, and for values that are not finite.
    void set_weight(std::string_view node, std::string_view role, WeightTensor tensor);
    /// Set weights without a check: another graph's set_weight has checked them for the same node.
    void adopt_weights(ValueId node, std::map<std::string, WeightTensor> weights) {
        own_node(node).weights = std::move(weights);
    }

    bool is_input(ValueId value) const { return value < static_cast<int>(inputs_.size()); }
    /// Return the number of the node that computes `value`, which must not be an input.
    std::size_t producer_number(ValueId value) const {
        return static_cast<std::size_t>(value) - inputs_.size();
    }
    const Node &producer(ValueId value) const { return nodes_[producer_number(value)]; }
    ValueId result_of(std::size_t node_index) const {
        return static_cast<ValueId>(inputs_.size() + node_index);
    }
    const std::string &value_name(ValueId value) const;
    bool is_output(ValueId value) const { return uses_[static_cast<std::size_t>(value)].output; }
    /// True if only fully_connected layers and operations for training read a value. They take the elements
    /// of any shape in row-major order.
    bool only_dense_layers_read(ValueId value) const {
        return !is_output(value) && !uses_[static_cast<std::size_t>(value)].by_layer_of_images;
    }
    /// Return the value with this name. Throws ParameterError, with similar names, if there is none.
    ValueId find(std::string_view name) const;
    /// Return a value's shape, in which extents may be free (Shape::any).
    const Shape &shape(ValueId value) const { return shapes_[static_cast<std::size_t>(value)]; }

    /// Throws ShapeError unless the inputs may have these shapes.
    void require_admitted(const std::vector<Shape> &input_shapes) const;
    /// Return the shapes of all values for fixed input shapes. Throws ShapeError with the layer's name.
    std::vector<Shape> infer_shapes(const std::vector<Shape> &input_shapes) const;
    /// Return the roles and shapes of a node's weights, including the weights of its activation.
    ops::WeightSpecs weight_specs(std::size_t node_index) const;
    /// Throws an error unless every required weight is set and the graph has an output.
    void require_complete() const;
    std::vector<LayerSummary> summary(const std::vector<Shape> &input_shapes) const;

    /// Return the same graph without its weights; shapes are kept.
    Graph without_weights() const;

    /// Return {"name", "inputs", "nodes", "outputs"}, the structure without weights (docs/model_format.md).
    Json to_json() const;
    static Graph from_json(const Json &json, ErrorKind kind = ErrorKind::parameter);

private:
    /// Says whether a value is an output, and whether a layer that needs its spatial axes reads it.
    struct Uses {
        bool output = false, by_layer_of_images = false;
    };

    ValueId add_value(const std::string &name, const Shape &shape);
    ValueId add_input_value(Input input);
    Node &own_node(ValueId value) { return nodes_[producer_number(value)]; }
    Node &require_node(ValueId value, const char *what);
    std::vector<Shape> input_shapes_of(const std::vector<ValueId> &inputs) const;
    void require_new_name(const std::string &name) const;
    ops::WeightSpecs specs_of(const Node &node, const std::vector<Shape> &inputs, const Shape &output) const;

    std::string name_;
    std::vector<Input> inputs_;
    std::size_t variables_ = 0; ///< how many of the inputs are variables
    std::vector<Node> nodes_;
    std::vector<ValueId> outputs_;
    std::vector<Shape> shapes_;
    std::vector<Uses> uses_;
    std::size_t arguments_ = 0; ///< inputs of all nodes together
    std::map<std::string, ValueId, std::less<>> by_name_;
};

} // namespace mpscnn::engine
