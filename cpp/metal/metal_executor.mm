#include "metal/metal_executor.h"

#include <future>

namespace mpscnn::metal {

using engine::TensorView;

namespace {

const MetalPlan &own_plan(const engine::Plan &plan) {
    const auto *own = dynamic_cast<const MetalPlan *>(&plan);
    if (!own) fail(ErrorKind::state, "the plan was made by another backend than \"metal\"");
    return *own;
}

void require_shapes(const char *role, const std::vector<Shape> &expected, std::span<const TensorView> given) {
    if (given.size() != expected.size())
        fail(ErrorKind::shape, "the plan has " + std::to_string(expected.size()) + " " + role + "s, got " +
                                   std::to_string(given.size()));
    for (std::size_t i = 0; i < given.size(); ++i)
        if (!(given[i].shape == expected[i]))
            fail(ErrorKind::shape, std::string(role) + " " + std::to_string(i) + ": the plan is for shape " +
                                       expected[i].text() + ", got " + given[i].shape.text());
}

std::size_t offset_of(const ImageLayout &layout, DType type, std::int64_t image) {
    const std::int64_t elements = image * layout.height * layout.width * layout.channels;
    return static_cast<std::size_t>(elements) * size_of(type);
}

/// Encodes the copy between an image and the array in `memory` whose elements have the given type.
void transfer(Encoding &encoding, const Port &port, const std::string &label, MPSImage *image,
              const PortMemory &memory, DType type) {
    const std::size_t offset = memory.offset() + offset_of(port.layout(), type, encoding.first_image());
    port.transfer.encode(encoding.command_buffer(), label, image,
                         {memory.buffer(), type, port.layout().channels, 0, offset});
}

/// The slot is free again before anyone hears of the end: who does may start the next request.
void finish(std::shared_ptr<Slot> slot, const engine::Completion &done, std::exception_ptr failure) {
    if (!failure)
        for (const PortMemory &output : slot->outputs) output.finish();
    slot.reset();
    done(std::move(failure));
}

} // namespace

MetalExecutor::MetalExecutor(std::shared_ptr<Device> device, const engine::SessionOptions &options)
    : device_(std::move(device)), slots_(options.inflight) {}

MetalExecutor::~MetalExecutor() {
    const autorelease_scope pool;
    handlers_.wait();
    slots_.clear();
}

void MetalExecutor::prepare(const engine::Plan &given) { own_plan(given); }

void MetalExecutor::run(const engine::Plan &plan, std::span<const TensorView> inputs,
                        std::span<const TensorView> outputs) {
    const auto result = std::make_shared<std::promise<void>>();
    std::future<void> done = result->get_future();
    submit(plan, inputs, outputs, [result](std::exception_ptr failure) {
        failure ? result->set_exception(std::move(failure)) : result->set_value();
    });
    done.get();
}

void MetalExecutor::submit(const engine::Plan &given, std::span<const TensorView> inputs,
                           std::span<const TensorView> outputs, engine::Completion done) {
    const MetalPlan &plan = own_plan(given);
    require_shapes("input", plan.input_shapes(), inputs);
    require_shapes("output", plan.output_shapes(), outputs);
    const Device &device = *device_;
    device.require_usable();
    const autorelease_scope pool;
    std::shared_ptr<Slot> slot = slots_.take();
    slot->inputs.resize(inputs.size());
    slot->outputs.resize(outputs.size());
    for (std::size_t i = 0; i < inputs.size(); ++i) slot->inputs[i].read(device, inputs[i]);
    for (std::size_t i = 0; i < outputs.size(); ++i) slot->outputs[i].write(device, outputs[i]);
    id<MTLCommandBuffer> command_buffer = make_command_buffer(device.queue(), plan.network().graph.name());
    encode(command_buffer, plan, *slot, {inputs, outputs});
    commit(command_buffer, device_, handlers_,
           [slot = std::move(slot), done = std::move(done)](std::exception_ptr failure) mutable {
               finish(std::move(slot), done, std::move(failure));
           });
}

void MetalExecutor::encode(id<MTLCommandBuffer> command_buffer, const MetalPlan &plan, const Slot &slot,
                           const Arrays &arrays) {
    const std::lock_guard lock(plan.network().encoding);
    MPSHintTemporaryMemoryHighWaterMark(command_buffer, plan.arena_bytes());
    for (std::int64_t first_image : plan.passes()) {
        Encoding encoding(command_buffer, plan.values(), first_image);
        encode_pass(encoding, plan, slot, arrays);
    }
}

void MetalExecutor::encode_pass(Encoding &encoding, const MetalPlan &plan, const Slot &slot,
                                const Arrays &arrays) {
    const engine::Graph &graph = plan.network().graph;
    for (std::size_t i = 0; i < slot.inputs.size(); ++i) {
        const Port &port = plan.inputs()[i];
        if (plan.values()[static_cast<std::size_t>(port.value)].readers == 0) continue;
        transfer(encoding, port, graph.inputs()[i].name, encoding.create(port.value), slot.inputs[i],
                 arrays.inputs[i].type);
    }
    for (const auto &step : plan.steps()) step->encode(encoding);
    for (std::size_t i = 0; i < slot.outputs.size(); ++i) {
        const Port &port = plan.outputs()[i];
        transfer(encoding, port, graph.value_name(graph.outputs()[i]), encoding.image(port.value),
                 slot.outputs[i], arrays.outputs[i].type);
        encoding.was_read_by_shader(port.value);
    }
}

} // namespace mpscnn::metal
