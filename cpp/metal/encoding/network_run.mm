#include "metal/encoding/network_run.h"

#include <algorithm>

namespace mpscnn::metal {

using engine::TensorView;

namespace {

void require_shapes(const char *role, const std::vector<Shape> &expected, std::span<const TensorView> given) {
    if (given.size() != expected.size())
        fail(ErrorKind::shape, {"the plan has ", expected.size(), " ", role, "s, got ", given.size()});
    for (std::size_t i = 0; i < given.size(); ++i)
        if (!(given[i].shape == expected[i]))
            fail(ErrorKind::shape, {role, " ", i, ": the plan is for shape ", expected[i].text(), ", got ", given[i].shape.text()});
}

} // namespace

const MetalPlan &own_plan(const engine::Plan &plan) {
    const auto *own = dynamic_cast<const MetalPlan *>(&plan);
    if (!own) fail(ErrorKind::state, "the plan was made by another backend than \"metal\"");
    return *own;
}

void require_shapes(const MetalPlan &plan, std::span<const TensorView> inputs,
                    std::span<const TensorView> outputs) {
    require_shapes("input", plan.input_shapes(), inputs);
    require_shapes("output", plan.output_shapes(), outputs);
}

bool are_shared(const MetalPlan &plan, std::span<const TensorView> inputs,
                std::span<const TensorView> outputs) {
    const Device &device = *plan.network().device;
    const auto shared = [&](std::span<const TensorView> views, const std::vector<Port> &ports) {
        return std::equal(views.begin(), views.end(), ports.begin(), ports.end(),
                          [&](const TensorView &view, const Port &port) {
                              return PortMemory::is_shared(device, view, port.layout());
                          });
    };
    return shared(inputs, plan.inputs()) && shared(outputs, plan.outputs());
}

void prepare(Slot &slot, const MetalPlan &plan, std::span<const TensorView> inputs,
             std::span<const TensorView> outputs, PageBuffers &buffers) {
    const Device &device = *plan.network().device;
    slot.inputs.resize(inputs.size());
    slot.outputs.resize(outputs.size());
    for (std::size_t i = 0; i < inputs.size(); ++i)
        slot.inputs[i].read(device, inputs[i], plan.inputs()[i].layout(), buffers);
    for (std::size_t i = 0; i < outputs.size(); ++i)
        slot.outputs[i].write(device, outputs[i], plan.outputs()[i].layout(), buffers);
}

namespace {

/// A pass on the arrays of a slot.
template <class Around>
void encode_pass(Encoding &encoding, const MetalPlan &plan, const Slot &slot, Around around) {
    const auto give = [&](std::size_t i, const Port &port, const std::string &name) {
        port.transfer.encode(encoding.command_buffer(), name, encoding.create(port.value),
                             slot.inputs[i].array(encoding.first_image()));
    };
    const auto take = [&](std::size_t i, const Port &port, const std::string &name) {
        port.transfer.encode(encoding.command_buffer(), name, encoding.image(port.value),
                             slot.outputs[i].array(encoding.first_image()));
        encoding.was_read_by_shader(port.value);
    };
    metal::encode_pass(encoding, plan, give, take, around);
}

} // namespace

void encode(id<MTLCommandBuffer> command_buffer, const MetalPlan &plan, const Slot &slot) {
    const std::lock_guard lock(plan.network().encoding);
    MPSHintTemporaryMemoryHighWaterMark(command_buffer, plan.arena_bytes());
    for (std::int64_t first_image : plan.passes()) {
        Encoding encoding(command_buffer, plan.values(), first_image);
        encode_pass(encoding, plan, slot, [](std::size_t, const std::string &, auto encode) { encode(); });
    }
}

engine::RunTimes run_steps_apart(const std::shared_ptr<Device> &device, Handlers &handlers,
                                 const MetalPlan &plan, const Slot &slot) {
    engine::RunTimes times;
    times.steps.resize(plan.inputs().size() + plan.steps().size() + plan.outputs().size());
    double start = 0; // of the first command buffer, in seconds
    for (std::int64_t first_image : plan.passes()) {
        Encoding encoding(plan.values(), first_image);
        encode_pass(encoding, plan, slot, [&](std::size_t number, const std::string &name, auto encode) {
            const autorelease_scope pool;
            id<MTLCommandBuffer> command_buffer = make_command_buffer(device->queue(), name);
            {
                const std::lock_guard lock(plan.network().encoding);
                encoding.go_on_in(command_buffer);
                encode();
            }
            commit_and_wait(command_buffer, device, handlers);
            const GpuTime time = gpu_time(command_buffer);
            if (times.work.empty()) start = time.begin;
            const engine::TimeSpan span{nanoseconds(time.begin - start), nanoseconds(time.end - start)};
            times.steps[number] += static_cast<double>(span.duration());
            times.work.push_back({number, engine::WorkSpan::all_threads, span});
        });
    }
    return times;
}

} // namespace mpscnn::metal
