#include "metal/metal_plan.h"

#include <algorithm>

#include "engine/memory_plan.h"

namespace mpscnn::metal {

using engine::Graph;
using engine::ValueId;

namespace {

void require_admitted(const Graph &graph, const std::vector<Shape> &shapes) {
    if (shapes.size() != graph.inputs().size())
        fail(ErrorKind::shape, "network " + quoted(graph.name()) + " takes " +
                                   std::to_string(graph.inputs().size()) + " inputs, got shapes for " +
                                   std::to_string(shapes.size()));
    for (std::size_t i = 0; i < shapes.size(); ++i)
        if (!graph.inputs()[i].shape.admits(shapes[i]))
            fail(ErrorKind::shape, "input " + quoted(graph.inputs()[i].name) + ": expected " +
                                       graph.inputs()[i].shape.text() + ", got " + shapes[i].text());
}

/// First images of passes of `size` images that cover a batch.
std::vector<std::int64_t> passes_over(std::int64_t batch, std::int64_t size) {
    std::vector<std::int64_t> passes;
    for (std::int64_t first = 0; first < batch; first += size)
        passes.push_back(std::min(first, batch - size));
    return passes;
}

} // namespace

MetalPlan::MetalPlan(std::shared_ptr<const LoweredNetwork> network, const std::vector<Shape> &input_shapes)
    : network_(std::move(network)), input_shapes_(input_shapes) {
    const autorelease_scope pool;
    const Graph &graph = network_->graph;
    require_admitted(graph, input_shapes);
    const std::vector<Shape> shapes = graph.infer_shapes(input_shapes);
    for (ValueId value : graph.outputs()) output_shapes_.push_back(shapes[static_cast<std::size_t>(value)]);
    values_.resize(shapes.size());
    count_readers();
    lay_out_values(shapes);
    make_ports();
    bind_layers();
    arena_bytes_ = peak_bytes();
}

MetalPlan::~MetalPlan() {
    const autorelease_scope pool;
    steps_.clear();
}

void MetalPlan::count_readers() {
    const auto add_reader = [&](ValueId value) { ++values_[static_cast<std::size_t>(value)].readers; };
    for (const LoweredLayer &layer : network_->layers)
        for (ValueId value : layer.sources) add_reader(value);
    for (ValueId value : network_->graph.outputs()) add_reader(network_->graph.unreshaped(value));
}

void MetalPlan::lay_out_values(const std::vector<Shape> &shapes) {
    const std::int64_t batch = shapes.empty() ? 1 : shapes[0][0];
    std::int64_t images = batch;
    for (std::size_t i = 0; i < shapes.size(); ++i) {
        if (values_[i].readers == 0) continue;
        values_[i].layout = image_layout(shapes[i].with_batch(1));
        images = std::min(images, values_[i].layout.most_images());
    }
    for (StoredValue &value : values_) value.layout.images = images;
    passes_ = passes_over(batch, images);
}

void MetalPlan::make_ports() {
    const auto port = [&](ValueId value, const char *direction) {
        const ImageLayout &layout = values_[static_cast<std::size_t>(value)].layout;
        const std::string image = image_type_name(network_->precision, layout);
        ShaderLibrary &shaders = network_->device->shaders();
        return Port{value,
                    layout,
                    {shaders.pipeline(std::string(direction) + "_float_" + image),
                     shaders.pipeline(std::string(direction) + "_half_" + image)}};
    };
    const Graph &graph = network_->graph;
    for (std::size_t i = 0; i < graph.inputs().size(); ++i)
        inputs_.push_back(port(static_cast<ValueId>(i), "buffer_to_image"));
    for (ValueId value : graph.outputs())
        outputs_.push_back(port(graph.unreshaped(value), "image_to_buffer"));
}

void MetalPlan::bind_layers() {
    const auto operand = [&](ValueId value) {
        return Operand{value, values_[static_cast<std::size_t>(value)].layout};
    };
    for (const LoweredLayer &layer : network_->layers) {
        Operands operands;
        for (ValueId value : layer.sources) operands.sources.push_back(operand(value));
        operands.destination = operand(layer.result);
        steps_.push_back(layer.layer->bind(std::move(operands)));
    }
}

/// Inputs are there before step 1; outputs are read behind the last.
std::size_t MetalPlan::peak_bytes() const {
    const int behind = static_cast<int>(network_->layers.size()) + 1;
    std::vector<engine::BufferLifetime> lifetimes;
    for (const StoredValue &value : values_)
        lifetimes.push_back({value.readers > 0 ? value.layout.bytes(network_->precision) : 0, 0, 0});
    const auto lifetime = [&](ValueId value) -> engine::BufferLifetime & {
        return lifetimes[static_cast<std::size_t>(value)];
    };
    for (int step = 1; step < behind; ++step) {
        const LoweredLayer &layer = network_->layers[static_cast<std::size_t>(step) - 1];
        lifetime(layer.result).first = lifetime(layer.result).last = step;
        for (ValueId value : layer.sources) lifetime(value).last = step;
    }
    for (const Port &port : outputs_) lifetime(port.value).last = behind;
    return engine::peak_live_bytes(lifetimes);
}

} // namespace mpscnn::metal
