#include "metal/run/array_plan.h"

#include <algorithm>
#include <concepts>
#include <limits>

#include "core/json.h"
#include "engine/backend/memory_plan.h"
#include "metal/device/buffer_copies.h"
#include "metal/gradients/gradient_step.h"
#include "metal/run/slots.h"
#include "ops/unsupported.h"

namespace mpscnn::metal {

using engine::Graph;
using engine::TensorView;
using engine::ValueId;

namespace {

std::size_t index_of(ValueId value) { return static_cast<std::size_t>(value); }

/// True if each element of the result depends only on the inputs' elements at the same position.
bool is_elementwise(const ops::Operation &operation) {
    if (const auto *neuron = operation.get_if<ops::Neuron>()) return neuron->kind != NeuronKind::prelu;
    const auto *arithmetic = operation.visit([]<class Op>(const Op &op) -> const ops::Arithmetic * {
        if constexpr (std::derived_from<Op, ops::Arithmetic>)
            return &op;
        else
            return nullptr;
    });
    return arithmetic && arithmetic->primary_stride_y == 1 && arithmetic->primary_stride_x == 1 &&
           arithmetic->primary_stride_channels == 1 && arithmetic->secondary_stride_y == 1 &&
           arithmetic->secondary_stride_x == 1 && arithmetic->secondary_stride_channels == 1;
}

/// Return the largest divisor of a number that is at most `maximum`.
std::int64_t divisor_below(std::int64_t number, std::int64_t maximum) {
    std::int64_t divisor = std::min(number, maximum);
    while (number % divisor != 0) --divisor;
    return divisor;
}

/// Return the shape of a single image with the same elements in the same order, or the given shape if there
/// is none.
Shape as_one_image(const Shape &shape) {
    const std::int64_t elements = shape.elements();
    const std::int64_t channels = divisor_below(elements, 1024);
    const std::int64_t width = divisor_below(elements / channels, ops::metal_limits::extent);
    const std::int64_t height = elements / channels / width;
    return height <= ops::metal_limits::extent ? Shape{1, height, width, channels} : shape;
}

} // namespace

ArrayPlan::ArrayPlan(std::shared_ptr<const ArrayNetwork> network, const std::vector<Shape> &input_shapes)
    : MetalPlan(network->device, network->graph.name(), network->graph, input_shapes),
      network_(std::move(network)), places_(shapes().size()) {
    const autorelease_scope pool;
    require_countable();
    place_ports();
    bind_nodes();
    place_arrays();
    divide();
}

/// Divide a run into parts. Its units are the steps, and the copies of outputs after them.
void ArrayPlan::divide() {
    const std::vector<engine::LayerSummary> layers = network_->graph.summary(input_shapes());
    std::vector<double> multiplications;
    for (const NodeStep &step : steps_) {
        double sum = static_cast<double>(layers[step.node].cost.macs);
        // The kernel of a node computes the convolutions that are merged into it, too.
        if (step.own && step.own->convolution != step.node)
            sum += static_cast<double>(layers[step.own->convolution].cost.macs);
        if (step.own && step.own->depthwise)
            sum += static_cast<double>(layers[*step.own->depthwise].cost.macs);
        multiplications.push_back(sum);
    }
    multiplications.resize(steps_.size() + copies_.size());
    set_parts(multiplications);
}

ArrayPlan::~ArrayPlan() {
    const autorelease_scope pool;
    steps_.clear();
}

/// Throws if an array has too many elements for the kernels' 32-bit indices.
void ArrayPlan::require_countable() const {
    for (std::size_t i = 0; i < shapes().size(); ++i)
        if (shapes()[i].elements() > std::numeric_limits<std::uint32_t>::max())
            fail(ErrorKind::shape,
                 {quoted(network_->graph.value_name(static_cast<ValueId>(i))),
                  ": arrays of the Metal engine have at most 4294967295 elements, got ", shapes()[i].text()});
}

ArrayOperand ArrayPlan::operand_of(ValueId value) const {
    return {shapes()[index_of(value)], network_->halves[index_of(value)]};
}

void ArrayPlan::place_ports() {
    const Graph &graph = network_->graph;
    if (!device()->has_unified_memory()) {
        for (std::size_t i = 0; i < graph.inputs().size(); ++i)
            uploads_.push_back({static_cast<ValueId>(i), i});
        for (std::size_t i = 0; i < graph.outputs().size(); ++i)
            downloads_.push_back({array_of(graph, graph.outputs()[i]), i});
        return;
    }
    for (std::size_t i = 0; i < graph.inputs().size(); ++i)
        places_[i] = {Place::Kind::input, i, DType::float32};
    for (std::size_t i = 0; i < graph.outputs().size(); ++i) {
        const ValueId array = array_of(graph, graph.outputs()[i]);
        if (places_[index_of(array)].kind == Place::Kind::none)
            places_[index_of(array)] = {Place::Kind::output, i, DType::float32};
        else
            copies_.push_back({array, i});
    }
}

void ArrayPlan::bind_nodes() {
    const Graph &graph = network_->graph;
    for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
        const ValueId result = graph.result_of(i);
        if (array_of(graph, result) != result || network_->merged[i]) continue;
        NodeStep step;
        step.node = i;
        if (const auto &own = network_->own[i])
            bind_own(step, *own);
        else if (const auto &layer = network_->layers[i])
            bind_layer(step, *layer);
        else if (!bind_gradient(step, graph.nodes()[i]))
            bind_program(step, graph.nodes()[i]);
        steps_.push_back(std::move(step));
    }
}

Choice ArrayPlan::choice_for(const engine::Node &node, Choice::Scope scope) const {
    return Choice(network_->implementations, node, scope);
}

void ArrayPlan::bind_program(NodeStep &step, const engine::Node &node) const {
    const Graph &graph = network_->graph;
    const ValueId result = graph.result_of(step.node);
    ArrayOperands operands;
    const auto add = [&](ValueId value) {
        operands.sources.push_back(operand_of(value));
        step.values.push_back(array_of(graph, value));
    };
    for (ValueId value : node.inputs) add(value);
    for (const auto &[role, value] : node.variables) {
        operands.weights[role] = operands.sources.size();
        add(value);
    }
    operands.result = operand_of(result);
    operands.activation = node.activation.value_or(ops::Neuron{});
    step.values.push_back(result);
    add_kernels(step, node.operation, operands, choice_for(node));
}

void ArrayPlan::bind_own(NodeStep &step, const OwnLayer &own) const {
    const Graph &graph = network_->graph;
    const engine::Node &node = graph.nodes()[own.convolution], &last = graph.nodes()[step.node];
    const ValueId result = graph.result_of(step.node);
    step.own = &own;
    ArrayOperands operands;
    const auto add = [&](ValueId value) {
        operands.sources.push_back(operand_of(value));
        step.values.push_back(array_of(graph, value));
    };
    const engine::Node &first = own.depthwise ? graph.nodes()[*own.depthwise] : node;
    if (own.depthwise) {
        operands.depthwise = &first.operation.as<ops::Convolution>();
        operands.depthwise_activation = first.activation.value_or(ops::Neuron{});
    }
    add(first.inputs[0]);
    if (own.addend >= 0) {
        operands.addend = operands.sources.size();
        add(own.addend);
    }
    operands.constant_weights = true;
    for (const ConstantArray &weight : own.weights) {
        operands.weights[weight.role] = operands.sources.size();
        operands.sources.push_back(weight.operand);
    }
    operands.result = operand_of(result);
    operands.activation = last.activation.value_or(ops::Neuron{});
    step.values.push_back(result);
    add_kernels(step, node.operation, operands, choice_for(node, Choice::Scope::own));
}

void ArrayPlan::add_kernels(NodeStep &step, const ops::Operation &operation, const ArrayOperands &operands,
                            const Choice &choice) const {
    const ArrayProgram program = array_program(operation, operands, *device(), choice);
    step.scratch_bytes = program.scratch();
    for (const ArrayStage &stage : program.stages()) {
        choice.take(stage.shader, stage.activation);
        Kernel kernel{stage, device()->shaders().pipeline(stage.shader, stage.activation), {}};
        if (!stage.table.empty()) kernel.table = device()->make_constants(stage.table);
        step.kernels.push_back(std::move(kernel));
    }
}

void ArrayPlan::bind_layer(NodeStep &step, const LoweredLayer &layer) const {
    // Elementwise operations on weights and moments, which are not a batch, treat them as one image. Then
    // they need only one pass.
    const bool is_flat = is_elementwise(network_->graph.producer(layer.result).operation) &&
                         !counts_images(network_->graph, layer.result) &&
                         std::all_of(layer.inputs.begin(), layer.inputs.end(), [&](ValueId input) {
                             return shapes()[index_of(input)] == shapes()[index_of(layer.result)];
                         });
    const bool rounds = network_->halves[index_of(layer.result)];
    const auto port = [&](ValueId value, ValueId image) {
        const bool half = network_->halves[index_of(image)];
        step.values.push_back(array_of(network_->graph, image));
        // If a layer rounds its result, its images hold halves, even the images of the network's inputs.
        // Images of statistics are floats.
        const bool half_image = half || (rounds && counts_images(network_->graph, value));
        const auto shape_of = [&](ValueId of) {
            return is_flat ? as_one_image(shapes()[index_of(of)]) : shapes()[index_of(of)];
        };
        return ImageStep::Port{shape_of(value), shape_of(image), half ? DType::float16 : DType::float32,
                               half_image ? engine::Precision::float16 : engine::Precision::float32};
    };
    std::vector<ImageStep::Port> sources;
    for (std::size_t i = 0; i < layer.sources.size(); ++i)
        sources.push_back(port(layer.inputs[i], layer.sources[i]));
    step.array_step =
        std::make_unique<ImageStep>(layer, sources, port(layer.result, layer.result), device()->shaders());
}

/// True if all these values are stored as floats, which MPS's gradient kernels require. Gradients and weights
/// always are, but values between layers may be halves.
bool ArrayPlan::are_floats(const engine::Node &node, std::initializer_list<std::size_t> inputs,
                           ValueId result) const {
    return !network_->halves[index_of(result)] &&
           std::none_of(inputs.begin(), inputs.end(),
                        [&](std::size_t input) { return operand_of(node.inputs[input]).half; });
}

std::unique_ptr<const ArrayStep> ArrayPlan::convolution_gradient(const engine::Node &node,
                                                                 ValueId result) const {
    using Step = ConvolutionGradientStep;
    const auto *data = node.operation.get_if<ops::ConvolutionDataGradient>();
    const auto *weight = node.operation.get_if<ops::ConvolutionWeightGradient>();
    if (!data && !weight) return nullptr;
    const ops::Convolution &convolution = data ? data->convolution : weight->convolution;
    const ArrayOperand input = operand_of(node.inputs[data ? 2 : 0]);
    const Shape &output = shapes()[index_of(node.inputs[data ? 0 : 1])];
    const Step::Shapes shapes{input.shape, output, input.half};
    const bool floats = data ? are_floats(node, {0, 1}, result) : are_floats(node, {1}, result);
    // The kernels of MPS need an image for each array, and a dispatch for each image of a batch. So matrices
    // in simdgroups compute these gradients where the GPU has them.
    const bool own = convolution.groups == 1 && multiplies_matrices(device()->get()) &&
                     choice_for(node).may_take(data ? "array_data_gradient_product_in_simdgroups"
                                                    : "array_weight_gradient_product_in_simdgroups");
    if (own || !floats || !Step::can_compute(convolution, shapes, choice_for(node))) return nullptr;
    return std::make_unique<Step>(node.name, convolution, data ? Step::Wanted::input : Step::Wanted::weight,
                                  shapes, network_->convolution_gradients, *device());
}

std::unique_ptr<const ArrayStep> ArrayPlan::other_gradient(const engine::Node &node, ValueId result) const {
    if (node.inputs.size() < 2 || !are_floats(node, {0}, result)) return nullptr;
    const Shape &gradient = shapes()[index_of(node.inputs[0])];
    const ArrayOperand source = operand_of(node.inputs[1]);
    auto kernels =
        gradient_kernels(node.operation, gradient, source.shape, node.name, choice_for(node), *device());
    if (!kernels) return nullptr;
    const GradientStep::Shapes shapes{gradient, source.shape, source.half};
    return std::make_unique<GradientStep>(node.name, std::move(*kernels), shapes, *device());
}

bool ArrayPlan::bind_gradient(NodeStep &step, const engine::Node &node) const {
    if (!device()->trains_by_mps()) return false;
    const ValueId result = network_->graph.result_of(step.node);
    step.array_step = convolution_gradient(node, result);
    if (!step.array_step) step.array_step = other_gradient(node, result);
    if (!step.array_step) return false;
    for (ValueId value : node.inputs) step.values.push_back(array_of(network_->graph, value));
    step.values.push_back(result);
    return true;
}

/// Choose the memory of each array. Inputs and outputs use the caller's memory, unless they are copied.
void ArrayPlan::place_arrays() {
    std::vector<engine::BufferLifetime> lifetimes(places_.size());
    for (std::size_t i = 0; i < steps_.size(); ++i) {
        const int now = static_cast<int>(i);
        const NodeStep &step = steps_[i];
        for (ValueId value : step.values) lifetimes[index_of(value)].last = now;
        const ValueId result = step.values.back();
        lifetimes[index_of(result)].first = now;
        if (place_of(result).kind == Place::Kind::none)
            lifetimes[index_of(result)].bytes =
                std::max<std::size_t>(operand_of(result).bytes(), sizeof(float));
        for (std::size_t bytes : step.scratch_bytes) lifetimes.push_back({bytes, now, now});
        if (step.array_step) image_bytes_ = std::max(image_bytes_, step.array_step->bytes());
    }
    for (const PortCopy &copy : uploads_)
        lifetimes[index_of(copy.array)].bytes = operand_of(copy.array).bytes();
    for (const PortCopy &copy : downloads_)
        lifetimes[index_of(copy.array)].last = static_cast<int>(steps_.size());
    const engine::MemoryPlan plan = engine::plan_memory(lifetimes);
    for (std::size_t i = 0; i < places_.size(); ++i)
        if (lifetimes[i].bytes > 0)
            places_[i] = {Place::Kind::arena, plan.offsets[i],
                          network_->halves[i] ? DType::float16 : DType::float32};
    std::size_t next = places_.size();
    for (NodeStep &step : steps_)
        for (std::size_t i = 0; i < step.scratch_bytes.size(); ++i)
            step.scratch.push_back({Place::Kind::arena, plan.offsets[next++], DType::float32});
    arena_bytes_ = plan.bytes;
}

std::vector<engine::StepDescription> ArrayPlan::describe_steps() const {
    std::vector<engine::StepDescription> descriptions;
    const Graph &graph = network_->graph;
    const auto add_copies = [&](const std::vector<PortCopy> &copies) {
        if (!copies.empty())
            descriptions.push_back(
                {{}, "copy", "MTLBlitCommandEncoder", static_cast<std::int64_t>(2 * bytes_of(copies))});
    };
    add_copies(uploads_);
    for (const NodeStep &step : steps_) {
        const engine::Node &node = graph.nodes()[step.node];
        std::string kernels = step.array_step ? step.array_step->kernel() : "";
        for (const Kernel &kernel : step.kernels)
            kernels += (kernels.empty() ? "" : " + ") + kernel.stage.shader;
        std::size_t bytes = 0;
        for (ValueId value : step.values) bytes += operand_of(value).bytes();
        descriptions.push_back(
            {{node.name}, ops::info_of(node.operation).name, kernels, static_cast<std::int64_t>(bytes)});
    }
    for (const PortCopy &copy : copies_)
        descriptions.push_back(
            {{}, "copy", "array_copy", static_cast<std::int64_t>(2 * operand_of(copy.array).bytes())});
    add_copies(downloads_);
    return descriptions;
}

std::size_t ArrayPlan::bytes_of(const std::vector<PortCopy> &copies) const {
    std::size_t bytes = 0;
    for (const PortCopy &copy : copies) bytes += operand_of(copy.array).bytes();
    return bytes;
}

bool ArrayPlan::are_shared(std::span<const TensorView> inputs, std::span<const TensorView> outputs) const {
    const auto shared = [&](const TensorView &view) {
        return PortMemory::are_floats_shared(*device(), view);
    };
    return std::all_of(inputs.begin(), inputs.end(), shared) &&
           std::all_of(outputs.begin(), outputs.end(), shared);
}

void ArrayPlan::prepare(Slot &slot, std::span<const TensorView> inputs, std::span<const TensorView> outputs,
                        PageBuffers &buffers) const {
    slot.inputs.resize(inputs.size());
    slot.outputs.resize(outputs.size());
    for (std::size_t i = 0; i < inputs.size(); ++i) slot.inputs[i].read_floats(*device(), inputs[i], buffers);
    for (std::size_t i = 0; i < outputs.size(); ++i)
        slot.outputs[i].write_floats(*device(), outputs[i], buffers);
    slot.arena.reserve(*device(), arena_bytes_);
}

ArrayView ArrayPlan::view_of(const Place &place, const Slot &slot) const {
    if (place.kind == Place::Kind::input) return slot.inputs[place.index].floats();
    if (place.kind == Place::Kind::output) return slot.outputs[place.index].floats();
    return {slot.arena.buffer(), place.type, {}, place.index};
}

void ArrayPlan::encode_step(id<MTLCommandBuffer> command_buffer, const NodeStep &step,
                            const Slot &slot) const {
    std::vector<ArrayView> arrays;
    for (ValueId value : step.values) arrays.push_back(view_of(place_of(value), slot));
    if (step.own)
        for (const ConstantArray &weight : step.own->weights)
            arrays.insert(arrays.end() - 1, {weight.buffer.get(), DType::float32, {}, 0});
    if (step.array_step) return step.array_step->encode(command_buffer, arrays);
    for (const Place &place : step.scratch) arrays.push_back(view_of(place, slot));
    Dispatch dispatch(command_buffer, name_of(step), step.kernels.front().pipeline);
    for (const Kernel &kernel : step.kernels) {
        dispatch.set(kernel.pipeline);
        dispatch.bytes(kernel.stage.params, 0);
        NSUInteger buffer = 1;
        for (std::size_t number : kernel.stage.arrays)
            dispatch.buffer(arrays[number].buffer, arrays[number].offset, buffer++);
        if (kernel.table) dispatch.buffer(kernel.table.get(), 0, buffer);
        const ArrayStage &stage = kernel.stage;
        if (stage.threadgroup_bytes > 0) dispatch.threadgroup_memory(stage.threadgroup_bytes, 0);
        const MTLSize threads = MTLSizeMake(static_cast<NSUInteger>(stage.threads), 1, 1);
        if (stage.group > 0)
            dispatch.run(threads, MTLSizeMake(static_cast<NSUInteger>(stage.group), 1, 1));
        else
            dispatch.run(threads);
    }
}

void ArrayPlan::encode_copy(id<MTLCommandBuffer> command_buffer, const PortCopy &copy,
                            const Slot &slot) const {
    const ArrayView from = view_of(place_of(copy.array), slot), to = slot.outputs[copy.port].floats();
    const std::int64_t elements = shapes()[index_of(copy.array)].elements();
    const ArrayRun run{static_cast<unsigned int>(elements), from.type == DType::float16 ? 2u : 0u};
    Dispatch dispatch(command_buffer, name_of(copy), device()->shaders().pipeline("array_copy"));
    dispatch.bytes(std::as_bytes(std::span(&run, 1)), 0);
    dispatch.buffer(from.buffer, from.offset, 1);
    dispatch.buffer(to.buffer, to.offset, 2);
    dispatch.run(MTLSizeMake(static_cast<NSUInteger>(elements), 1, 1));
}

namespace {

BufferPlace place_in_buffer(const ArrayView &array) { return {array.buffer, array.offset}; }

} // namespace

void ArrayPlan::encode_uploads(id<MTLCommandBuffer> command_buffer, const Slot &slot) const {
    if (uploads_.empty()) return;
    BufferCopies copies(command_buffer, "copy inputs to the GPU's memory");
    for (const PortCopy &copy : uploads_)
        copies.copy(place_in_buffer(slot.inputs[copy.port].floats()),
                    place_in_buffer(view_of(place_of(copy.array), slot)), operand_of(copy.array).bytes());
}

void ArrayPlan::encode_downloads(id<MTLCommandBuffer> command_buffer, const Slot &slot) const {
    if (downloads_.empty()) return;
    BufferCopies copies(command_buffer, "copy outputs from the GPU's memory");
    for (const PortCopy &copy : downloads_)
        copies.copy(place_in_buffer(view_of(place_of(copy.array), slot)),
                    place_in_buffer(slot.outputs[copy.port].floats()), operand_of(copy.array).bytes());
}

void ArrayPlan::encode(id<MTLCommandBuffer> command_buffer, const Slot &slot, Part part) const {
    const std::lock_guard lock(network_->encoding);
    MPSHintTemporaryMemoryHighWaterMark(command_buffer, image_bytes_);
    if (part.first == parts().front().first) encode_uploads(command_buffer, slot);
    {
        const auto shared = share_encoder(command_buffer);
        for (std::size_t unit = part.first; unit < part.behind; ++unit)
            if (unit < steps_.size())
                encode_step(command_buffer, steps_[unit], slot);
            else
                encode_copy(command_buffer, copies_[unit - steps_.size()], slot);
    }
    if (part.behind == parts().back().behind) encode_downloads(command_buffer, slot);
}

engine::RunTimes ArrayPlan::run_steps_apart(Handlers &handlers, const Slot &slot) const {
    TimedRun run(device(), handlers, describe_steps().size());
    std::size_t number = 0;
    const auto step = [&](const std::string &name, auto encode_one) {
        run.step(number++, name, [&](id<MTLCommandBuffer> command_buffer) {
            const std::lock_guard lock(network_->encoding);
            encode_one(command_buffer);
        });
    };
    const auto copies = [&](const std::vector<PortCopy> &all, auto encode_all) {
        if (!all.empty()) step("copy", encode_all);
    };
    copies(uploads_, [&](id<MTLCommandBuffer> commands) { encode_uploads(commands, slot); });
    for (const NodeStep &one : steps_)
        step(name_of(one), [&](id<MTLCommandBuffer> commands) { encode_step(commands, one, slot); });
    for (const PortCopy &copy : copies_)
        step(name_of(copy), [&](id<MTLCommandBuffer> commands) { encode_copy(commands, copy, slot); });
    copies(downloads_, [&](id<MTLCommandBuffer> commands) { encode_downloads(commands, slot); });
    return run.take();
}

} // namespace mpscnn::metal
