#include "metal/run/metal_plan.h"

#include "metal/run/request.h"

namespace mpscnn::metal {

using engine::Graph;
using engine::TensorView;

namespace {

std::vector<Shape> shapes_of(const Graph &graph, const std::vector<Shape> &input_shapes) {
    graph.require_admitted(input_shapes);
    return graph.infer_shapes(input_shapes);
}

} // namespace

MetalPlan::MetalPlan(std::shared_ptr<Device> device, std::string name, const Graph &graph,
                     const std::vector<Shape> &input_shapes)
    : device_(std::move(device)), name_(std::move(name)), input_shapes_(input_shapes),
      shapes_(shapes_of(graph, input_shapes)) {
    for (engine::ValueId value : graph.outputs())
        output_shapes_.push_back(shapes_[static_cast<std::size_t>(value)]);
}

void MetalPlan::require_shapes(std::span<const TensorView> inputs,
                               std::span<const TensorView> outputs) const {
    engine::require_plan_shapes("input", input_shapes_, inputs);
    engine::require_plan_shapes("output", output_shapes_, outputs);
}

const MetalPlan &own_plan(const engine::Plan &plan) {
    const auto *own = dynamic_cast<const MetalPlan *>(&plan);
    if (!own) fail(ErrorKind::state, "the plan was made by another backend than \"metal\"");
    return *own;
}

id<MTLCommandBuffer> TimedRun::begin(const std::string &name) const {
    return make_command_buffer(*device_, name);
}

void TimedRun::finish(id<MTLCommandBuffer> command_buffer, std::size_t number) {
    commit_and_wait(command_buffer, device_, handlers_);
    const GpuTime time = gpu_time(command_buffer);
    if (times_.work.empty()) start_ = time.begin;
    const engine::TimeSpan span{nanoseconds(time.begin - start_), nanoseconds(time.end - start_)};
    times_.steps[number] += static_cast<double>(span.duration());
    times_.work.push_back({number, engine::WorkSpan::all_threads, span});
}

} // namespace mpscnn::metal
