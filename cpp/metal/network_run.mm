#include "metal/network_run.h"

#include <algorithm>

namespace mpscnn::metal {

using engine::TensorView;

namespace {

void require_shapes(const char *role, const std::vector<Shape> &expected, std::span<const TensorView> given) {
    if (given.size() != expected.size())
        fail(ErrorKind::shape, "the plan has " + std::to_string(expected.size()) + " " + role + "s, got " +
                                   std::to_string(given.size()));
    for (std::size_t i = 0; i < given.size(); ++i)
        if (!(given[i].shape == expected[i]))
            fail(ErrorKind::shape, std::string(role) + " " + std::to_string(i) + ": the plan is for shape " +
                                       expected[i].text() + ", got " + given[i].shape.text());
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

void encode(id<MTLCommandBuffer> command_buffer, const MetalPlan &plan, const Slot &slot) {
    const std::lock_guard lock(plan.network().encoding);
    MPSHintTemporaryMemoryHighWaterMark(command_buffer, plan.arena_bytes());
    for (std::int64_t first_image : plan.passes()) {
        Encoding encoding(command_buffer, plan.values(), first_image);
        const auto give = [&](std::size_t i, const Port &port, const std::string &name) {
            port.transfer.encode(command_buffer, name, encoding.create(port.value),
                                 slot.inputs[i].array(first_image));
        };
        const auto take = [&](std::size_t i, const Port &port, const std::string &name) {
            port.transfer.encode(command_buffer, name, encoding.image(port.value),
                                 slot.outputs[i].array(first_image));
            encoding.was_read_by_shader(port.value);
        };
        encode_pass(encoding, plan, give, take);
    }
}

} // namespace mpscnn::metal
