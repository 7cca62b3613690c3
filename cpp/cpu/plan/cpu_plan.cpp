#include "cpu/plan/cpu_plan.h"

#include <algorithm>
#include <atomic>

#include "cpu/plan/caches.h"
#include "engine/backend/memory_plan.h"

namespace mpscnn::cpu {

namespace {

std::atomic<std::uint64_t> plans_made{0};

void require_types(const char *role, std::span<const engine::TensorView> given) {
    for (std::size_t i = 0; i < given.size(); ++i)
        if (given[i].type != DType::float32 && given[i].type != DType::float16)
            fail(ErrorKind::shape,
                 {role, " ", i, ": expected float32 or float16 elements, got ", name_of(given[i].type)});
}

} // namespace

const CpuPlan &own_plan(const engine::Plan &plan) {
    const auto *own = dynamic_cast<const CpuPlan *>(&plan);
    if (!own) fail(ErrorKind::state, "the plan was made by another backend than \"cpu\"");
    return *own;
}

CpuPlan::CpuPlan(std::shared_ptr<const LoweredNetwork> network, const std::vector<Shape> &input_shapes,
                 const ChainOptions &options, std::uint64_t max_memory)
    : number_(++plans_made), network_(std::move(network)), input_shapes_(input_shapes), options_(options),
      max_memory_(max_memory) {
    const engine::Graph &graph = network_->graph;
    graph.require_admitted(input_shapes);
    const std::vector<Shape> shapes = graph.infer_shapes(input_shapes);
    for (engine::ValueId value : graph.outputs())
        output_shapes_.push_back(shapes[static_cast<std::size_t>(value)]);
    const std::vector<Chain> chains = find_chains(*network_, shapes, options);
    placement_ = place_tensors(*network_, shapes, chains);
    steps_ = make_steps(*network_, placement_, shapes, chains);
    plan_arena();
    prepared_ = PlanMemory(memory_for_tables());
    try {
        prepare_steps(steps_, *network_->kernels, placement_.storages,
                      {.threads = options.threads, .caches = machine_caches(), .memory = &prepared_});
    } catch (const Error &error) {
        throw Error(error.kind(), concat({"network ", quoted(graph.name()), ": ", error.what()}));
    }
    look_at_operations(shapes);
}

/// Return the bytes that the kernels' tables may take. The user's memory limit covers packed weights, the
/// arena and these tables. Tables usually take a few kilobytes, so they may always take 64 MiB.
std::uint64_t CpuPlan::memory_for_tables() const {
    constexpr std::uint64_t always = 64 << 20;
    const std::uint64_t counted = network_->weight_bytes + arena_bytes_;
    return max_memory_ > counted + always ? max_memory_ - counted : always;
}

void CpuPlan::look_at_operations(const std::vector<Shape> &shapes) {
    const engine::Graph &graph = network_->graph;
    for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
        const engine::Node &node = graph.nodes()[i];
        std::vector<Shape> inputs;
        for (engine::ValueId value : node.inputs) inputs.push_back(shapes[static_cast<std::size_t>(value)]);
        const Shape &output = shapes[static_cast<std::size_t>(graph.result_of(i))];
        operations_ += ops::cost(node.operation, inputs, output).flops;
        images_are_independent_ &= !ops::info_of(node.operation).joins_images && node.variables.empty();
    }
}

void CpuPlan::require_shapes(std::span<const engine::TensorView> inputs,
                             std::span<const engine::TensorView> outputs) const {
    engine::require_plan_shapes("input", input_shapes_, inputs);
    require_types("input", inputs);
    engine::require_plan_shapes("output", output_shapes_, outputs);
    require_types("output", outputs);
}

const CpuPlan &CpuPlan::for_images(std::int64_t images) const {
    const std::lock_guard lock(parts_mutex_);
    std::unique_ptr<const CpuPlan> &part = parts_[images];
    if (!part) {
        std::vector<Shape> shapes;
        for (const Shape &shape : input_shapes_) shapes.push_back(shape.with_batch(images));
        part = std::make_unique<const CpuPlan>(network_, shapes, options_, max_memory_);
    }
    return *part;
}

const CpuPlan &CpuPlan::variant(const ChainOptions &options) const {
    if (options == options_) return *this;
    const std::lock_guard lock(variants_mutex_);
    for (const auto &made : variants_)
        if (made->options_ == options) return *made;
    return *variants_.emplace_back(
        std::make_unique<const CpuPlan>(network_, input_shapes_, options, max_memory_));
}

/// Choose the offset of every tensor in the arena. Tensors whose lifetimes do not overlap may share memory.
/// Lifetimes are in step numbers: inputs are copied into the arena at number 0, and outputs to the caller at
/// the number after the last step.
void CpuPlan::plan_arena() {
    const int behind = static_cast<int>(steps_.size()) + 1;
    std::vector<engine::BufferLifetime> lifetimes;
    for (const Storage &storage : placement_.storages) {
        engine::BufferLifetime lifetime{storage.bytes(), behind, 0};
        if (storage.home == Storage::Home::input) lifetime.first = 0;
        if (storage.home == Storage::Home::output) lifetime.last = behind;
        lifetimes.push_back(lifetime);
    }
    for (std::size_t i = 0; i < steps_.size(); ++i) {
        const auto touch = [&](const Region &region) {
            engine::BufferLifetime &lifetime = lifetimes[static_cast<std::size_t>(region.storage)];
            lifetime.first = std::min(lifetime.first, static_cast<int>(i) + 1);
            lifetime.last = std::max(lifetime.last, static_cast<int>(i) + 1);
        };
        const auto read = [&](const Region &region) {
            touch(region);
            placement_.storages[static_cast<std::size_t>(region.storage)].read = true;
        };
        read(steps_[i].source);
        for (const Region &other : steps_[i].others) read(other);
        touch(steps_[i].destination);
    }
    const engine::MemoryPlan plan = engine::plan_memory(lifetimes);
    for (std::size_t i = 0; i < placement_.storages.size(); ++i)
        placement_.storages[i].offset = plan.offsets[i];
    arena_bytes_ = plan.bytes;
}

} // namespace mpscnn::cpu
