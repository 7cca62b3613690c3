#include "engine/graph/differentiation.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "core/text.h"
#include "ops/gradient.h"

namespace mpscnn::engine {

namespace {

/// Computes the gradients of all values, from the last to the first.
class BackwardPass {
public:
    BackwardPass(Graph &graph, const std::vector<ValueId> &wanted)
        : graph_(graph), wanted_(wanted), depends_(static_cast<std::size_t>(graph.values()), false),
          gradients_(static_cast<std::size_t>(graph.values())) {
        for (const ValueId value : wanted) depends_[index(value)] = true;
        for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
            const Node &node = graph.nodes()[i];
            bool depends = false;
            for (const ValueId input : node.inputs) depends = depends || depends_[index(input)];
            for (const auto &variable : node.variables) depends = depends || depends_[index(variable.second)];
            // A constant takes only the number of images from its input, so it has no gradient.
            if (node.operation.is<ops::Constant>()) depends = false;
            if (!is_wanted(graph.result_of(i))) depends_[index(graph.result_of(i))] = depends;
        }
    }

    void run(ValueId value, ValueId gradient);
    bool depends(ValueId value) const { return depends_[index(value)]; }
    /// Return the sum of all gradients that were given to a value.
    std::optional<ValueId> gradient_of(ValueId value);
    void give(ValueId value, ValueId gradient) { gradients_[index(value)].push_back(gradient); }
    Graph &graph() { return graph_; }
    /// Add an operation; it is named after the value to whose gradient it contributes.
    ValueId add(ValueId owner, ops::Operation operation, std::vector<ValueId> inputs);

private:
    static std::size_t index(ValueId value) { return static_cast<std::size_t>(value); }
    bool is_wanted(ValueId value) const {
        return std::find(wanted_.begin(), wanted_.end(), value) != wanted_.end();
    }

    Graph &graph_;
    const std::vector<ValueId> &wanted_;
    std::vector<bool> depends_; ///< true for each value that depends on a wanted value
    /// Lists for each value the gradients that its consumers have contributed.
    std::vector<std::vector<ValueId>> gradients_;
    int added_ = 0;
};

/// Gives a node's gradient rule (ops/gradient.h) access to the node and to the backward pass.
class NodeGradients final : public ops::GradientBuilder {
public:
    NodeGradients(BackwardPass &pass, Node node, ValueId result, ValueId gradient)
        : pass_(pass), node_(std::move(node)), result_(result), gradient_(gradient) {}

    ValueId gradient() const override { return gradient_; }
    ValueId input(std::size_t index) const override { return node_.inputs[index]; }
    std::size_t inputs() const override { return node_.inputs.size(); }
    ValueId result() const override { return result_; }
    ValueId weight(std::string_view role) const override {
        const auto found = node_.variables.find(std::string(role));
        if (found == node_.variables.end()) refuse(concat({role, " that is not a variable"}));
        return found->second;
    }
    const Shape &shape(ValueId value) const override { return pass_.graph().shape(value); }

    bool wants(std::size_t input) const override { return pass_.depends(node_.inputs[input]); }
    bool wants(std::string_view role) const override {
        const auto found = node_.variables.find(std::string(role));
        return found != node_.variables.end() && pass_.depends(found->second);
    }
    bool has_weight(std::string_view role) const override {
        const std::string name(role);
        return node_.variables.count(name) > 0 || node_.weights.count(name) > 0;
    }

    ValueId add(ops::Operation operation, std::vector<ValueId> inputs) override {
        return pass_.add(result_, std::move(operation), std::move(inputs));
    }
    void give(std::size_t input, ValueId gradient) override {
        if (wants(input)) pass_.give(node_.inputs[input], gradient);
    }
    void give(std::string_view role, ValueId gradient) override { pass_.give(weight(role), gradient); }
    [[noreturn]] void refuse(std::string_view what) const override {
        fail(ErrorKind::unsupported, {"layer ", quoted(node_.name), ": ", ops::info_of(node_.operation).name,
                                      " cannot be trained through: ", what, " has no gradient here"});
    }

    /// Pass the gradient through an attached activation, whose derivative is computed from its result.
    void pass_activation() {
        if (!node_.activation) return;
        if (!ops::NeuronGradient::follows_from_result(*node_.activation)) refuse("its activation");
        gradient_ = add(ops::NeuronGradient{*node_.activation, true}, {gradient_, result_});
    }

private:
    BackwardPass &pass_;
    Node node_;
    ValueId result_, gradient_;
};

ValueId BackwardPass::add(ValueId owner, ops::Operation operation, std::vector<ValueId> inputs) {
    std::string name = concat({graph_.value_name(owner), ".", ops::info_of(operation).name, ".", ++added_});
    const ValueId value = graph_.add_node(std::move(name), std::move(operation), std::move(inputs));
    depends_.resize(index(value) + 1, false);
    gradients_.resize(index(value) + 1);
    return value;
}

std::optional<ValueId> BackwardPass::gradient_of(ValueId value) {
    const std::vector<ValueId> given = gradients_[index(value)]; // a copy, because `add` resizes gradients_
    if (given.empty()) return std::nullopt;
    ValueId sum = given[0];
    for (std::size_t i = 1; i < given.size(); ++i) sum = add(value, ops::Addition{}, {sum, given[i]});
    gradients_[index(value)] = {sum};
    return sum;
}

void BackwardPass::run(ValueId value, ValueId gradient) {
    const std::size_t forward = graph_.nodes().size();
    give(value, gradient);
    for (std::size_t i = forward; i-- > 0;) {
        const ValueId result = graph_.result_of(i);
        if (!depends(result) || is_wanted(result)) continue;
        const std::optional<ValueId> own = gradient_of(result);
        if (!own) continue;
        // Copy the operation, because adding nodes may move the graph's nodes in memory.
        const ops::Operation operation = graph_.nodes()[i].operation;
        NodeGradients node(*this, graph_.nodes()[i], result, *own);
        node.pass_activation();
        ops::add_gradients(operation, node);
    }
}

} // namespace

std::map<ValueId, ValueId> differentiate(Graph &graph, ValueId value, ValueId gradient,
                                         const std::vector<ValueId> &wanted) {
    BackwardPass pass(graph, wanted);
    pass.run(value, gradient);
    std::map<ValueId, ValueId> result;
    for (const ValueId variable : wanted)
        if (const auto own = pass.gradient_of(variable)) result.emplace(variable, *own);
    return result;
}

} // namespace mpscnn::engine
