#include "metal/metal_executor.h"

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

/// Encodes the copy between an image and the array in `staging` whose elements have the given type.
void transfer(Encoding &encoding, const Port &port, const std::string &label, MPSImage *image,
              const Staging &staging, DType type) {
    const std::size_t offset = offset_of(port.layout(), type, encoding.first_image());
    port.transfer.encode(encoding.command_buffer(), label, image,
                         {staging.buffer(), type, port.layout().channels, 0, offset});
}

} // namespace

MetalExecutor::MetalExecutor(std::shared_ptr<const LoweredNetwork> network) : network_(std::move(network)) {}

MetalExecutor::~MetalExecutor() {
    const autorelease_scope pool;
    handlers_.wait();
    inputs_.clear();
    outputs_.clear();
}

void MetalExecutor::prepare(const engine::Plan &given) {
    const MetalPlan &plan = own_plan(given);
    const autorelease_scope pool;
    const auto reserve = [&](std::vector<Staging> &staging, const std::vector<Shape> &shapes) {
        staging.resize(shapes.size());
        for (std::size_t i = 0; i < shapes.size(); ++i)
            staging[i].reserve(*network_->device,
                               static_cast<std::size_t>(shapes[i].elements()) * size_of(DType::float32));
    };
    reserve(inputs_, plan.input_shapes());
    reserve(outputs_, plan.output_shapes());
}

void MetalExecutor::run(const engine::Plan &given, std::span<const TensorView> inputs,
                        std::span<const TensorView> outputs) {
    const MetalPlan &plan = own_plan(given);
    require_shapes("input", plan.input_shapes(), inputs);
    require_shapes("output", plan.output_shapes(), outputs);
    const autorelease_scope pool;
    prepare(plan);
    for (std::size_t i = 0; i < inputs.size(); ++i) inputs_[i].copy_from(inputs[i]);
    id<MTLCommandBuffer> command_buffer =
        make_command_buffer(network_->device->queue(), network_->graph.name());
    encode(command_buffer, plan, inputs, outputs);
    run_to_completion(command_buffer, handlers_);
    for (std::size_t i = 0; i < outputs.size(); ++i) outputs_[i].copy_to(outputs[i]);
}

void MetalExecutor::encode(id<MTLCommandBuffer> command_buffer, const MetalPlan &plan,
                           std::span<const TensorView> inputs, std::span<const TensorView> outputs) {
    const std::lock_guard lock(network_->encoding);
    for (std::int64_t first_image : plan.passes()) {
        Encoding encoding(command_buffer, plan.values(), first_image);
        encode_pass(encoding, plan, inputs, outputs);
    }
}

void MetalExecutor::encode_pass(Encoding &encoding, const MetalPlan &plan, std::span<const TensorView> inputs,
                                std::span<const TensorView> outputs) {
    const engine::Graph &graph = network_->graph;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
        const Port &port = plan.inputs()[i];
        if (plan.values()[static_cast<std::size_t>(port.value)].readers == 0) continue;
        transfer(encoding, port, graph.inputs()[i].name, encoding.create(port.value), inputs_[i],
                 inputs[i].type);
    }
    for (const auto &step : plan.steps()) step->encode(encoding);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
        const Port &port = plan.outputs()[i];
        transfer(encoding, port, graph.value_name(graph.outputs()[i]), encoding.image(port.value),
                 outputs_[i], outputs[i].type);
        encoding.was_read_by_shader(port.value);
    }
}

} // namespace mpscnn::metal
