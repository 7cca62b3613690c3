#include "engine/run/program.h"

#include "core/platform.h"
#include "core/text.h"
#include "engine/backend/support.h"
#include "engine/run/byte_weights.h"
#include "engine/run/exact_positions.h"
#include "engine/run/neural_engine.h"
#include "engine/run/preflight.h"
#include "engine/run/replaced_layers.h"
#include "engine/run/staged_graph.h"
#include "engine/trust/device_trust.h"

namespace mpscnn::engine {

namespace {

/// The largest number of plans that a program keeps. It bounds memory if the caller uses new shapes all the
/// time.
constexpr std::size_t max_plans = 64;

std::vector<ValueId> wanted_values(const Graph &graph, const std::vector<std::string> &outputs) {
    if (outputs.empty()) return graph.outputs();
    std::vector<ValueId> result;
    for (const std::string &name : outputs) result.push_back(graph.find(name));
    return result;
}

std::vector<Shape> free_shapes(const Graph &graph) {
    std::vector<Shape> shapes;
    for (ValueId value = 0; value < graph.values(); ++value) shapes.push_back(graph.shape(value));
    return shapes;
}

/// Describe how a wrong shape differs: "3 feature channels, not 4", "rank 4, not 3".
std::string difference(const Shape &expected, const Shape &given) {
    if (expected.rank() != given.rank()) return concat({expected.rank(), " axes, not ", given.rank()});
    if (given[0] < 1) return concat({"a batch of at least 1, not ", given[0]});
    static constexpr const char *names[] = {"batch", "rows", "columns", "feature channels"};
    for (int axis = expected.rank() - 1; axis > 0; --axis) {
        if (expected[axis] == given[axis] || (expected[axis] == Shape::any && given[axis] > 0)) continue;
        const std::string what = expected.rank() == 4 ? names[axis] : "features";
        const std::string wanted =
            expected[axis] == Shape::any ? "at least 1" : std::to_string(expected[axis]);
        return concat({wanted, " ", what, ", not ", given[axis]});
    }
    return "another shape";
}

/// Return the number type of sums that CompileOptions::accumulate_dtype names.
Sums sums_of(const std::string &dtype, Precision precision) {
    if (dtype == "auto" || dtype == "float32") return Sums::float32;
    if (dtype != "float16")
        fail(ErrorKind::parameter,
             {"accumulate_dtype must be auto, float32 or float16, got ", quoted(dtype)});
    if (precision != Precision::float16)
        fail(ErrorKind::parameter,
             {"accumulate_dtype ", quoted(dtype), " is for precision float16, got ", name_of(precision)});
    return Sums::float16;
}

MetalKernels kernels_of(const std::string &name) {
    for (const MetalKernels kernels : {MetalKernels::mps, MetalKernels::own})
        if (name == name_of(kernels)) return kernels;
    fail(ErrorKind::parameter, {"metal_kernels must be mps or own, got ", quoted(name)});
}

/// Throws UnsupportedError if a layer reads its weights from variables. Such weights are packed at run time
/// as floats, which sums in halves do not support.
void require_constant_weights(const Graph &graph) {
    for (const Node &node : graph.nodes())
        if (!node.variables.empty())
            fail(ErrorKind::unsupported,
                 {"layer ", quoted(node.name), ": sums in halves are for constant weights"});
}

/// Return the default memory limit. It is computed once, because each kernel that is used without a network
/// compiles its own program.
std::uint64_t default_max_memory() {
    static const std::uint64_t bytes = platform::usable_memory();
    return bytes;
}

Graph complete_graph(const Graph &graph, const CompileOptions &options) {
    Graph wanted = extract(graph, wanted_values(graph, options.outputs));
    wanted.require_complete();
    return wanted;
}

/// Return the choice of a device after the check of the network on it.
BackendChoice checked_choice(BackendChoice choice, const Graph &graph, const CompileOptions &options) {
    const Graph wanted = complete_graph(graph, options);
    if (!choice.automatic) return with_recorded_warning(std::move(choice), wanted, options);
    const CheckProgram program = installed_check_program(choice.backend->name());
    return after_preflight(std::move(choice), wanted, options, program);
}

} // namespace

Canonical canonical_for(Graph network, Precision precision) {
    keep_exact_numbers(network, precision);
    const Merging merging = precision == Precision::int8      ? Merging::of_integers
                            : precision == Precision::float16 ? Merging::of_halves
                                                              : Merging::of_numbers;
    return canonicalise(network, merging);
}

std::shared_ptr<Program> Program::compile(const Graph &graph, const CompileOptions &options) {
    BackendChoice choice = choose_backend(options.device, options.precision, Use::network);
    if (!uses_processor(*choice.backend)) choice = checked_choice(std::move(choice), graph, options);
    if (options.neural_engine)
        choice = or_neural_engine(std::move(choice), complete_graph(graph, options), options);
    if (options.device != "auto" || uses_processor(*choice.backend))
        return compile(graph, std::move(choice), options);
    try {
        return compile(graph, std::move(choice), options);
    } catch (const Error &error) {
        // With device "auto", the CPU engine runs a network that the GPU's engine does not support.
        if (error.kind() != ErrorKind::unsupported && error.kind() != ErrorKind::device) throw;
        BackendChoice cpu = choose_backend("cpu", options.precision);
        cpu.reason = error.what();
        return compile(graph, std::move(cpu), options);
    }
}

std::shared_ptr<Program> Program::compile(const Graph &graph, BackendChoice choice,
                                          const CompileOptions &options) {
    const Graph wanted = complete_graph(graph, options);
    const Canonical canonical = canonical_for(wanted, choice.precision);
    std::shared_ptr<Program> program(new Program(canonical, std::move(choice), options));
    // Ports have the names of the original graph's values. In the canonical graph, an output that was merged
    // has the name of the layer that it was merged into.
    for (const Input &input : wanted.inputs()) program->inputs_.push_back({input.name, input.shape});
    for (ValueId value : wanted.outputs())
        program->outputs_.push_back({wanted.value_name(value), wanted.shape(value)});
    return program;
}

Program::Program(const Canonical &canonical, BackendChoice choice, const CompileOptions &options)
    : graph_(canonical.graph.without_weights()), scores_(scores_of(graph_)), merged_(canonical.merged),
      choice_(std::move(choice)),
      weights_in_bytes_(keeps_weights_in_bytes(options.weights, choice_.precision)),
      sums_(sums_of(options.accumulate_dtype, choice_.precision)), winograd_(options.winograd),
      metal_kernels_(kernels_of(options.metal_kernels)),
      max_memory_(options.max_memory > 0 ? options.max_memory : default_max_memory()) {
    require_supported(*choice_.backend, {choice_.precision, winograd_, weights_in_bytes_, sums_}, name());
    require_supported(graph_, free_shapes(graph_), choice_.backend->name(), choice_.precision);
    if (sums_ == Sums::float16) require_constant_weights(graph_);
    const LowerOptions lowering{choice_.precision, max_memory_, sums_, winograd_, metal_kernels_};
    const Graph graph = weights_in_bytes_ ? with_weights_in_bytes(canonical.graph) : canonical.graph;
    lowered_ = lower(graph, lowering);
    if (lowered_->weight_bytes() > max_memory_)
        fail(ErrorKind::shape, {"network ", quoted(name()), ": its packed weights take ",
                                lowered_->weight_bytes(), " bytes, max_memory allows ", max_memory_});
}

std::unique_ptr<LoweredGraph> Program::lower(const Graph &graph, const LowerOptions &options) {
    const ReplacedLayers replaced = find_replaced_layers(graph, *choice_.backend, options);
    OtherNodes others;
    if (replaced.any()) {
        choice_.reason += "; " + replaced.reason;
        choice_.warning = replaced.reason;
        others = {replaced.nodes, choose_backend("cpu", name_of(precision())).backend};
    }
    if (replaced.whole) {
        choice_.backend = others.backend;
        others = {};
    }
    in_stages_ = has_custom_layers(graph) || !others.nodes.empty();
    return in_stages_ ? lower_in_stages(graph, *choice_.backend, options, others)
                      : choice_.backend->lower(graph, options);
}

std::vector<std::string> Program::layers_of(const std::string &node) const {
    std::vector<std::string> layers{node};
    if (const auto found = merged_.find(node); found != merged_.end())
        layers.insert(layers.end(), found->second.begin(), found->second.end());
    return layers;
}

void Program::check_inputs(const std::vector<Shape> &shapes) const {
    if (shapes.size() != inputs_.size())
        fail(ErrorKind::shape,
             {"network ", quoted(name()), " takes ", inputs_.size(), " inputs, got ", shapes.size()});
    const Shape *batch = nullptr; // the first input that has a batch
    for (std::size_t i = 0; i < shapes.size(); ++i) {
        if (!inputs_[i].shape.admits(shapes[i]))
            fail(ErrorKind::shape,
                 {"input ", quoted(inputs_[i].name), ": expected ", inputs_[i].shape.text(), ", got ",
                  shapes[i].text(), ": ", difference(inputs_[i].shape, shapes[i]), "."});
        graph_.inputs()[i].sizes.require(inputs_[i].name, shapes[i]);
        if (graph_.inputs()[i].is_variable) continue;
        if (!batch) batch = &shapes[i];
        if (shapes[i][0] != (*batch)[0])
            fail(ErrorKind::shape,
                 {"inputs must have one batch size, got ", batch->text(), " and ", shapes[i].text()});
    }
}

std::shared_ptr<const Program::Planned> Program::plan_for(const std::vector<Shape> &input_shapes) {
    const std::lock_guard lock(mutex_);
    if (const auto found = plans_.find(input_shapes); found != plans_.end()) return found->second;
    check_inputs(input_shapes);
    auto planned = std::make_shared<Planned>();
    planned->input_shapes = input_shapes;
    const std::vector<Shape> all = graph_.infer_shapes(input_shapes);
    require_supported(graph_, all, choice_.backend->name(), choice_.precision);
    for (ValueId value : graph_.outputs())
        planned->output_shapes.push_back(all[static_cast<std::size_t>(value)]);
    planned->plan = lowered_->plan(input_shapes);
    require_memory(*planned, max_memory_);
    if (plans_.size() >= max_plans) plans_.clear(); // sessions keep the plans that they use
    plans_.emplace(input_shapes, planned);
    return planned;
}

void Program::require_memory(const Planned &planned, std::uint64_t max_memory) const {
    const std::uint64_t weights = lowered_->weight_bytes(), arena = planned.plan->arena_bytes();
    if (weights <= max_memory && arena <= max_memory - weights) return;
    std::string shapes;
    for (const Shape &shape : planned.input_shapes) {
        if (shapes.size() > 100) {
            shapes += ", ...";
            break;
        }
        shapes += (shapes.empty() ? "" : ", ") + shape.text();
    }
    fail(ErrorKind::shape, {"network ", quoted(name()), ": a session for inputs of ", shapes, " takes ",
                            arena, " bytes of intermediate results beside ", weights,
                            " of packed weights, max_memory allows ", max_memory});
}

void Program::require_one_stage() const {
    if (in_stages_)
        fail(ErrorKind::unsupported, {"network ", quoted(name()),
                                      ": the processor computes some of its layers, so that commands of the "
                                      "caller's cannot hold it; run it instead. It is compiled for: ",
                                      reason()});
}

std::vector<NativeImage> Program::output_images(void *inputs) {
    require_one_stage();
    const auto run = backend().native_run(inputs, inputs_);
    return run->output_images(*plan_for(run->input_shapes())->plan);
}

} // namespace mpscnn::engine
