#include "cpu/cpu_plan.h"

#include <algorithm>

#include "engine/memory_plan.h"

namespace mpscnn::cpu {

namespace {

void require_admitted(const engine::Graph &graph, const std::vector<Shape> &shapes) {
    if (shapes.size() != graph.inputs().size())
        fail(ErrorKind::shape, "network " + quoted(graph.name()) + " takes " +
                                   std::to_string(graph.inputs().size()) + " inputs, got shapes for " +
                                   std::to_string(shapes.size()));
    for (std::size_t i = 0; i < shapes.size(); ++i)
        if (!graph.inputs()[i].shape.admits(shapes[i]))
            fail(ErrorKind::shape, "input " + quoted(graph.inputs()[i].name) + ": expected " +
                                       graph.inputs()[i].shape.text() + ", got " + shapes[i].text());
}

} // namespace

CpuPlan::CpuPlan(std::shared_ptr<const LoweredNetwork> network, const std::vector<Shape> &input_shapes)
    : network_(std::move(network)), input_shapes_(input_shapes) {
    const engine::Graph &graph = network_->graph;
    require_admitted(graph, input_shapes);
    const std::vector<Shape> shapes = graph.infer_shapes(input_shapes);
    for (engine::ValueId value : graph.outputs())
        output_shapes_.push_back(shapes[static_cast<std::size_t>(value)]);
    Placement placement = place_tensors(*network_, shapes);
    steps_ = make_steps(*network_, placement, shapes);
    storages_ = std::move(placement.storages);
    plan_arena();
}

/// Step 0 brings in the inputs and the one behind the last copies the outputs to the caller, where they need
/// it.
void CpuPlan::plan_arena() {
    const int behind = static_cast<int>(steps_.size()) + 1;
    std::vector<engine::BufferLifetime> lifetimes;
    for (const Storage &storage : storages_) {
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
            storages_[static_cast<std::size_t>(region.storage)].read = true;
        };
        read(steps_[i].source);
        for (const Region &other : steps_[i].others) read(other);
        touch(steps_[i].destination);
    }
    const engine::MemoryPlan plan = engine::plan_memory(lifetimes);
    for (std::size_t i = 0; i < storages_.size(); ++i) storages_[i].offset = plan.offsets[i];
    arena_bytes_ = plan.bytes;
}

} // namespace mpscnn::cpu
