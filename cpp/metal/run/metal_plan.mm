#include "metal/run/metal_plan.h"

#include <cstdlib>

#include "core/json.h"
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

double most_multiplications() {
    constexpr const char *variable = "MPSCNN_METAL_GMACS";
    constexpr double usual = 20;
    const char *text = std::getenv(variable);
    char *end = nullptr;
    const double number = text && *text ? std::strtod(text, &end) : usual;
    if ((end && *end) || !(number > 0))
        fail(ErrorKind::parameter, {variable, " must be a positive number, got ", quoted(text)});
    return number * 1e9;
}

void MetalPlan::set_parts(const std::vector<double> &multiplications) {
    const double most = most_multiplications();
    double sum = 0;
    parts_ = {{0, 0}};
    for (std::size_t unit = 0; unit < multiplications.size(); ++unit) {
        if (sum > 0 && multiplications[unit] > 0 && sum + multiplications[unit] > most) {
            parts_.push_back({unit, unit});
            sum = 0;
        }
        sum += multiplications[unit];
        parts_.back().behind = unit + 1;
    }
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
