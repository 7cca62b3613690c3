#include "engine/run/staged_graph.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/half.h"
#include "core/text.h"
#include "engine/run/tensor_copy.h"

namespace mpscnn::engine {

namespace {

/// A group of layers that runs before the next group begins. It is either a subgraph of the backend, or a
/// list of custom functions and of nodes that another backend computes.
struct Stage {
    std::vector<std::size_t> nodes;
    /// The inputs and outputs of a subgraph, as values of the whole graph.
    std::vector<ValueId> inputs, outputs;
    std::unique_ptr<LoweredGraph> lowered; ///< the lowered form of a subgraph; otherwise nullptr
    /// Maps each node of another backend to its index in StagedNetwork::parts.
    std::map<std::size_t, std::size_t> others = {};
};

bool computed_by_program(const Node &node) { return node.operation.is<ops::Custom>(); }

/// Cuts a graph into stages. Stages with even numbers are subgraphs of the backend. Stages with odd numbers
/// have the functions and the nodes of another backend.
class Cutter {
public:
    Cutter(const Graph &graph, const std::vector<std::size_t> &others)
        : graph_(graph), others_(others), stage_of_(static_cast<std::size_t>(graph.values()), 0),
          leaves_(static_cast<std::size_t>(graph.values()), false) {
        for (std::size_t i = 0; i < graph.nodes().size(); ++i) place(i);
        for (const ValueId value : graph.outputs()) leaves_[index(value)] = true;
        for (const Node &node : graph.nodes()) look_at_inputs(node);
    }

    std::vector<Stage> stages() const {
        std::vector<Stage> stages(count_);
        for (std::size_t i = 0; i < graph_.nodes().size(); ++i) {
            const ValueId value = graph_.result_of(i);
            Stage &stage = stages[stage_of_[index(value)]];
            stage.nodes.push_back(i);
            if (leaves_[index(value)]) stage.outputs.push_back(value);
        }
        return stages;
    }

private:
    static std::size_t index(ValueId value) { return static_cast<std::size_t>(value); }

    void place(std::size_t node_index) {
        const Node &node = graph_.nodes()[node_index];
        const bool other = std::find(others_.begin(), others_.end(), node_index) != others_.end();
        const std::size_t parity = computed_by_program(node) || other ? 1 : 0;
        std::size_t stage = parity;
        for (const ValueId input : node.inputs) {
            const std::size_t before = stage_of_[index(input)];
            stage = std::max(stage, before % 2 == parity ? before : before + 1);
        }
        stage_of_[index(graph_.result_of(node_index))] = stage;
        count_ = std::max(count_, stage + 1);
    }

    void look_at_inputs(const Node &node) {
        const std::size_t own = stage_of_[index(graph_.find(node.name))];
        for (const ValueId input : node.inputs)
            if (own % 2 == 1 || stage_of_[index(input)] != own) leaves_[index(input)] = true;
    }

    const Graph &graph_;
    const std::vector<std::size_t> &others_;
    std::vector<std::size_t> stage_of_; ///< the stage that computes each value
    /// True for each value that its stage must return. The value is an output of the graph, or another stage,
    /// a custom function or another backend reads it.
    std::vector<bool> leaves_;
    std::size_t count_ = 0;
};

/// Return the subgraph of a stage, and record its inputs.
Graph subgraph_of(const Graph &graph, Stage &stage) {
    Graph part(graph.name());
    std::vector<ValueId> value_of(static_cast<std::size_t>(graph.values()), -1);
    std::vector<bool> own(static_cast<std::size_t>(graph.values()), false);
    for (const std::size_t node : stage.nodes) own[static_cast<std::size_t>(graph.result_of(node))] = true;
    const auto take = [&](ValueId value) {
        ValueId &known = value_of[static_cast<std::size_t>(value)];
        if (known >= 0 || own[static_cast<std::size_t>(value)]) return;
        // Inputs have a free number of images. Other values of a training, such as statistics, are variables.
        const bool is_variable = graph.shape(value)[0] != Shape::any;
        known = is_variable ? part.add_variable(graph.value_name(value), graph.shape(value))
                            : part.add_input(graph.value_name(value), graph.shape(value));
        stage.inputs.push_back(value);
    };
    for (const std::size_t i : stage.nodes) {
        for (const ValueId input : graph.nodes()[i].inputs) take(input);
        for (const auto &[role, variable] : graph.nodes()[i].variables) take(variable);
    }
    for (const std::size_t i : stage.nodes) {
        const Node &node = graph.nodes()[i];
        std::vector<ValueId> inputs;
        for (const ValueId input : node.inputs) inputs.push_back(value_of[static_cast<std::size_t>(input)]);
        const ValueId value = part.add_node(node.name, node.operation, std::move(inputs), node.activation);
        part.adopt_weights(value, node.weights);
        for (const auto &[role, variable] : node.variables)
            part.use_variable(value, role, value_of[static_cast<std::size_t>(variable)]);
        part.keep_float32(value, node.keep_float32);
        value_of[static_cast<std::size_t>(graph.result_of(i))] = value;
    }
    for (const ValueId output : stage.outputs) part.mark_output(value_of[static_cast<std::size_t>(output)]);
    return part;
}

/// The data of a network that its plans and executors share.
struct StagedNetwork {
    Graph graph; ///< without weights
    std::vector<Stage> stages;
    std::vector<Stage> parts = {}; ///< nodes of another backend, each a subgraph

    /// Return the stages and parts that a backend has lowered.
    std::vector<const Stage *> subgraphs() const {
        std::vector<const Stage *> all;
        for (const std::vector<Stage> *list : {&stages, &parts})
            for (const Stage &stage : *list)
                if (stage.lowered) all.push_back(&stage);
        return all;
    }
};

/// Copy a tensor to another one of the same shape. Types and strides may differ.
void copy_tensor(const TensorView &from, const TensorView &to) {
    if (from.type == to.type) return copy_elements(from, to);
    const auto count = static_cast<std::size_t>(from.shape.elements());
    std::vector<float> floats(count);
    std::vector<std::uint16_t> halves(count);
    const TensorView dense_floats = TensorView::dense(floats.data(), DType::float32, from.shape),
                     dense_halves = TensorView::dense(halves.data(), DType::float16, from.shape);
    const bool to_halves = to.type == DType::float16;
    copy_elements(from, to_halves ? dense_floats : dense_halves);
    if (to_halves)
        halves_from_floats(floats, halves);
    else
        floats_from_halves(halves, floats);
    copy_elements(to_halves ? dense_halves : dense_floats, to);
}

class StagedPlan : public Plan {
public:
    StagedPlan(const StagedNetwork &network, const std::vector<Shape> &input_shapes)
        : shapes(network.graph.infer_shapes(input_shapes)), places(shapes.size()) {
        for (const Stage *stage : network.subgraphs()) {
            std::vector<Shape> inputs;
            for (const ValueId value : stage->inputs)
                inputs.push_back(shapes[static_cast<std::size_t>(value)]);
            const auto &part = parts[stage] = stage->lowered->plan(inputs);
            arena_ = std::max(arena_, part->arena_bytes());
        }
        for (const Stage &stage : network.stages)
            for (const ValueId value : stage.outputs) reserve(value);
        // Functions read dense float32 tensors. The caller's tensors may have another form, so inputs need a
        // place for a copy.
        for (const Stage &stage : network.stages)
            for (const std::size_t node : stage.nodes)
                for (const ValueId value : network.graph.nodes()[node].inputs)
                    if (!stage.lowered && network.graph.is_input(value)) reserve(value);
    }

    std::size_t arena_bytes() const override { return arena_ + bytes; }

    std::vector<Shape> shapes; ///< the shape of each value
    /// Has for each value its offset in the executor's memory. Values that are not stored there have none.
    std::vector<std::optional<std::size_t>> places;
    std::map<const Stage *, std::unique_ptr<Plan>> parts;
    std::size_t bytes = 0;

private:
    void reserve(ValueId value) {
        constexpr std::size_t line = 64;
        const auto index = static_cast<std::size_t>(value);
        if (places[index]) return;
        const auto size = static_cast<std::size_t>(shapes[index].elements()) * sizeof(float);
        places[index] = bytes;
        bytes += (size + line - 1) / line * line;
    }

    std::size_t arena_ = 0;
};

class StagedExecutor : public Executor {
public:
    StagedExecutor(std::shared_ptr<const StagedNetwork> network, const SessionOptions &options)
        : network_(std::move(network)), check_finite_(options.check_finite) {
        for (const Stage *stage : network_->subgraphs())
            executors_[stage] = stage->lowered->executor(options);
    }

    void prepare(const Plan &given) override {
        const auto &plan = static_cast<const StagedPlan &>(given);
        for (const auto &[stage, executor] : executors_) executor->prepare(*plan.parts.at(stage));
        if (memory_.size() < plan.bytes) memory_ = AlignedBuffer<std::byte>(plan.bytes);
    }

    void run(const Plan &given, std::span<const TensorView> inputs,
             std::span<const TensorView> outputs) override {
        const auto &plan = static_cast<const StagedPlan &>(given);
        if (memory_.size() < plan.bytes) prepare(given);
        views_.assign(plan.shapes.size(), {});
        for (std::size_t i = 0; i < views_.size(); ++i)
            if (const auto &place = plan.places[i])
                views_[i] = TensorView::dense(memory_.data() + *place, DType::float32, plan.shapes[i]);
        std::copy(inputs.begin(), inputs.end(), views_.begin());
        for (const Stage &stage : network_->stages)
            stage.lowered ? run_subgraph(plan, stage) : run_nodes(plan, stage);
        const std::vector<ValueId> &results = network_->graph.outputs();
        for (std::size_t i = 0; i < outputs.size(); ++i)
            copy_tensor(views_[static_cast<std::size_t>(results[i])], outputs[i]);
    }

    void share(std::int64_t items, std::int64_t chunk, const RangeWork &work) override {
        for (const auto &[stage, executor] : executors_) return executor->share(items, chunk, work);
        run_on_calling_thread(items, chunk, work);
    }

private:
    const TensorView &view(ValueId value) const { return views_[static_cast<std::size_t>(value)]; }

    void run_subgraph(const StagedPlan &plan, const Stage &stage) {
        stage_inputs_.clear();
        stage_outputs_.clear();
        for (const ValueId value : stage.inputs) stage_inputs_.push_back(view(value));
        for (const ValueId value : stage.outputs) stage_outputs_.push_back(view(value));
        executors_.at(&stage)->run(*plan.parts.at(&stage), stage_inputs_, stage_outputs_);
    }

    void run_nodes(const StagedPlan &plan, const Stage &stage) {
        for (const std::size_t i : stage.nodes) {
            if (const auto other = stage.others.find(i); other != stage.others.end()) {
                run_subgraph(plan, network_->parts[other->second]);
                continue;
            }
            const Node &node = network_->graph.nodes()[i];
            const TensorView &result = view(network_->graph.result_of(i));
            tensors_.clear();
            for (const ValueId input : node.inputs) tensors_.push_back(dense_floats(plan, input));
            const ops::CustomTensor output{static_cast<float *>(result.data), result.shape};
            try {
                node.operation.as<ops::Custom>().function->run(tensors_, output);
            } catch (const Error &error) {
                throw Error(error.kind(), concat({"layer ", quoted(node.name), ": ", error.what()}));
            }
            if (check_finite_) require_finite(node.name, output);
        }
    }

    /// Return a value as a dense float32 tensor for a custom function. It is copied only if its memory has
    /// another form.
    ops::CustomTensor dense_floats(const StagedPlan &plan, ValueId value) {
        const auto index = static_cast<std::size_t>(value);
        TensorView &given = views_[index];
        const auto &place = plan.places[index]; // StagedPlan gave a place to every value that functions read
        if (place && (given.type != DType::float32 || !given.is_dense())) {
            const TensorView own =
                TensorView::dense(memory_.data() + *place, DType::float32, plan.shapes[index]);
            copy_tensor(given, own);
            given = own;
        }
        return {static_cast<float *>(given.data), given.shape};
    }

    static void require_finite(const std::string &layer, const ops::CustomTensor &output) {
        for (std::int64_t i = 0; i < output.shape.elements(); ++i)
            if (!std::isfinite(output.data[i]))
                fail(ErrorKind::parameter,
                     {"layer ", quoted(layer), std::isnan(output.data[i]) ? ": NaN" : ": infinity",
                      " at element ", i, " of its result"});
    }

    std::shared_ptr<const StagedNetwork> network_;
    bool check_finite_;
    std::map<const Stage *, std::unique_ptr<Executor>> executors_;
    AlignedBuffer<std::byte> memory_;
    std::vector<TensorView> views_, stage_inputs_, stage_outputs_; ///< the tensors of the current run
    std::vector<ops::CustomTensor> tensors_;
};

class StagedLoweredGraph : public LoweredGraph {
public:
    explicit StagedLoweredGraph(std::shared_ptr<const StagedNetwork> network)
        : network_(std::move(network)) {}

    std::unique_ptr<Plan> plan(const std::vector<Shape> &input_shapes) const override {
        return std::make_unique<StagedPlan>(*network_, input_shapes);
    }
    std::unique_ptr<Executor> executor(const SessionOptions &options) const override {
        return std::make_unique<StagedExecutor>(network_, options);
    }
    std::size_t weight_bytes() const override {
        std::size_t bytes = 0;
        for (const Stage *stage : network_->subgraphs()) bytes += stage->lowered->weight_bytes();
        return bytes;
    }

private:
    std::shared_ptr<const StagedNetwork> network_;
};

} // namespace

bool has_custom_layers(const Graph &graph) {
    return std::any_of(graph.nodes().begin(), graph.nodes().end(), computed_by_program);
}

Graph subgraph_of_node(const Graph &graph, std::size_t node) {
    Stage stage{{node}, {}, {graph.result_of(node)}, nullptr};
    return subgraph_of(graph, stage);
}

std::unique_ptr<LoweredGraph> lower_in_stages(const Graph &graph, const Backend &backend,
                                              const LowerOptions &options, const OtherNodes &others) {
    auto network = std::make_shared<StagedNetwork>(
        StagedNetwork{graph.without_weights(), Cutter(graph, others.nodes).stages()});
    for (std::size_t i = 0; i < network->stages.size(); ++i) {
        Stage &stage = network->stages[i];
        if (i % 2 == 0) {
            if (!stage.nodes.empty()) stage.lowered = backend.lower(subgraph_of(graph, stage), options);
            continue;
        }
        for (const std::size_t node : stage.nodes) {
            if (computed_by_program(graph.nodes()[node])) continue;
            stage.others[node] = network->parts.size();
            Stage part{{node}, {}, {graph.result_of(node)}, nullptr};
            part.lowered = others.backend->lower(subgraph_of(graph, part), options);
            network->parts.push_back(std::move(part));
        }
    }
    return std::make_unique<StagedLoweredGraph>(std::move(network));
}

} // namespace mpscnn::engine
