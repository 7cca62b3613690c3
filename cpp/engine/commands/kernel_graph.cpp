#include "engine/commands/kernel_graph.h"

#include <map>
#include <utility>

#include "core/text.h"
#include "engine/graph/differentiation.h"
#include "engine/train/training_layers.h"

namespace mpscnn::engine {

namespace {

class KernelGraphMaker {
public:
    KernelGraphMaker(const Kernel &kernel, const kernels::Encoding &encoding)
        : kernel_(kernel), encoding_(encoding), name_(kernel.definition().name()), result_{Graph(name_), {}} {
    }

    KernelGraph run() {
        add_sources();
        ValueId result = add_nodes();
        if (encoding_.derivative) result = differentiated(result, *encoding_.derivative);
        result_.graph.mark_output(result);
        return std::move(result_);
    }

private:
    Graph &graph() { return result_.graph; }
    void add_sources();
    ValueId add_nodes();
    ValueId differentiated(ValueId result, const kernels::EncodedDerivative &derivative);
    ValueId value_of(int value) const { return values_[static_cast<std::size_t>(value)]; }

    const Kernel &kernel_;
    const kernels::Encoding &encoding_;
    std::string name_;
    KernelGraph result_;
    static constexpr ValueId unset = -1; ///< marks in values_ a weight that the kernel does not have
    std::vector<ValueId> values_;        ///< the graph's value for each value of the encoding
};

void KernelGraphMaker::add_sources() {
    for (std::size_t i = 0; i < encoding_.sources.size(); ++i) {
        const kernels::EncodedSource &source = encoding_.sources[i];
        if (source.image == kernels::EncodedSource::weight && !kernel_.weight(source.role)) {
            values_.push_back(unset);
            continue;
        }
        const std::string name = concat({"source ", i});
        values_.push_back(source.variable ? graph().add_variable(name, variable_shape(*source.variable))
                                          : graph().add_input(name, source.shape().with_batch(Shape::any)));
        result_.sources.push_back(i);
    }
}

ValueId KernelGraphMaker::add_nodes() {
    ValueId result = -1;
    for (std::size_t i = 0; i < encoding_.nodes.size(); ++i) {
        const kernels::EncodedNode &node = encoding_.nodes[i];
        const bool last = i + 1 == encoding_.nodes.size();
        std::vector<ValueId> inputs;
        for (const int value : node.inputs) inputs.push_back(value_of(value));
        std::map<std::string, ValueId> variables;
        for (const auto &[role, value] : node.variables)
            if (value_of(value) != unset) variables.emplace(role, value_of(value));
        const std::string name = last ? name_ : concat({name_, " step ", i});
        if (node.operation.is<ops::TransposedConvolution>() && !variables.empty()) {
            // A transposed convolution with variable weights has no gradient, so operations that have one
            // replace it.
            result = add_trained_layer(graph(), name, node.operation, std::move(inputs), variables);
        } else {
            result = graph().add_node(name, node.operation, std::move(inputs), node.activation);
            for (const auto &[role, variable] : variables) graph().use_variable(result, role, variable);
        }
        values_.push_back(result);
    }
    return result;
}

ValueId KernelGraphMaker::differentiated(ValueId result, const kernels::EncodedDerivative &derivative) {
    const ValueId wanted = value_of(derivative.wanted);
    if (wanted == unset)
        fail(ErrorKind::weights,
             {name_, ": ", encoding_.sources[static_cast<std::size_t>(derivative.wanted)].role,
              " is not set; its gradient is wanted"});
    const auto gradients = differentiate(graph(), result, value_of(derivative.gradient), {wanted});
    const auto found = gradients.find(wanted);
    if (found == gradients.end())
        fail(ErrorKind::unsupported,
             {name_, ": there is no gradient of ", kernel_.definition().properties.gradient_of});
    ValueId value = found->second;
    std::vector<ops::Operation> then = derivative.then;
    // An input cannot be an output, so this neuron copies it.
    if (then.empty() && graph().is_input(value)) then.emplace_back(ops::Neuron{});
    for (std::size_t i = 0; i < then.size(); ++i)
        value = graph().add_node(concat({name_, " result ", i}), then[i], {value});
    return value;
}

} // namespace

KernelGraph make_kernel_graph(const Kernel &kernel, const kernels::Encoding &encoding) {
    return KernelGraphMaker(kernel, encoding).run();
}

void set_weights(Graph &graph, const Kernel &kernel, const kernels::Encoding &encoding) {
    for (std::size_t i = 0; i < encoding.nodes.size(); ++i)
        for (const kernels::WeightUse &use : encoding.nodes[i].weights)
            if (const WeightTensor *weight = kernel.weight(use.kernel_role))
                graph.set_weight(graph.nodes()[i].name, use.role, weight->reshaped(use.shape));
}

} // namespace mpscnn::engine
