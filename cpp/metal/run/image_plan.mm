#include "metal/run/image_plan.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/json.h"
#include "engine/backend/memory_plan.h"
#include "metal/device/image.h"

namespace mpscnn::metal {

using engine::Graph;
using engine::TensorView;
using engine::ValueId;

namespace {

double multiplications_of(const Graph &graph, const std::vector<Shape> &input_shapes) {
    double sum = 0;
    for (const engine::LayerSummary &layer : graph.summary(input_shapes))
        sum += static_cast<double>(layer.cost.macs);
    return sum;
}

std::int64_t batch_of(const std::vector<Shape> &shapes) {
    std::int64_t batch = 1;
    for (const Shape &shape : shapes) batch = std::max(batch, shape[0]);
    return batch;
}

/// Return the number of images of a pass if a batch is divided into equal passes of at most `most` images. A
/// pass has at least one image.
std::int64_t images_of_equal_passes(std::int64_t batch, double most) {
    const std::int64_t limit = most < static_cast<double>(batch)
                                   ? std::max<std::int64_t>(static_cast<std::int64_t>(most), 1)
                                   : batch;
    const std::int64_t passes = (batch + limit - 1) / limit;
    return (batch + passes - 1) / passes;
}

} // namespace

ImagePlan::ImagePlan(std::shared_ptr<const LoweredNetwork> network, const std::vector<Shape> &input_shapes)
    : MetalPlan(network->device, network->graph.name(), network->graph, input_shapes),
      network_(std::move(network)) {
    const autorelease_scope pool;
    values_.resize(shapes().size());
    count_readers();
    lay_out_values();
    make_ports();
    bind_layers();
    divide();
    arena_bytes_ = peak_bytes();
}

ImagePlan::~ImagePlan() {
    const autorelease_scope pool;
    steps_.clear();
}

void ImagePlan::count_readers() {
    const auto add_reader = [&](ValueId value) { ++values_[static_cast<std::size_t>(value)].readers; };
    for (const LoweredLayer &layer : network_->layers)
        for (ValueId value : layer.sources) add_reader(value);
    for (ValueId value : network_->graph.outputs()) add_reader(image_of(network_->graph, value));
}

void ImagePlan::lay_out_values() {
    const std::int64_t batch = batch_of(shapes());
    std::int64_t images = batch;
    for (std::size_t i = 0; i < shapes().size(); ++i) {
        values_[i].shape = shapes()[i];
        if (values_[i].readers == 0) continue;
        values_[i].layout = image_layout(shapes()[i], network_->precisions[i]);
        images = std::min(images, values_[i].layout.max_images());
    }
    for (const LoweredLayer &layer : network_->layers)
        images = std::min(images, layer.layer->max_images(operands_of(layer)));
    // True for a value whose batch is not the network's, such as statistics over the batch. Such a value
    // depends on all images, so all images must be in one pass.
    const auto is_shared = [&](const StoredValue &value) {
        return value.readers > 0 && value.shape[0] != batch;
    };
    if (images < batch && std::any_of(values_.begin(), values_.end(), is_shared))
        fail(ErrorKind::shape, {"network ", quoted(network_->graph.name()),
                                ": its images depend on each other, and the Metal engine holds ", images,
                                " of them at once, got ", batch});
    const double multiplications = multiplications_of(network_->graph, input_shapes());
    if (std::none_of(values_.begin(), values_.end(), is_shared) && multiplications > 0) {
        const double most = most_multiplications() * static_cast<double>(batch) / multiplications;
        images = std::min(images, images_of_equal_passes(batch, most));
    }
    for (StoredValue &value : values_)
        if (!is_shared(value)) value.layout.images = images;
    passes_ = passes_over(batch, images);
}

void ImagePlan::make_ports() {
    const auto port = [&](ValueId value, Transfer::Direction direction) {
        const ImageLayout &layout = values_[static_cast<std::size_t>(value)].layout;
        return Port{value, Transfer(direction, layout, network_->device->shaders())};
    };
    const Graph &graph = network_->graph;
    for (std::size_t i = 0; i < graph.inputs().size(); ++i)
        inputs_.push_back(port(static_cast<ValueId>(i), Transfer::Direction::to_image));
    for (ValueId value : graph.outputs())
        outputs_.push_back(port(image_of(graph, value), Transfer::Direction::to_array));
}

Operands ImagePlan::operands_of(const LoweredLayer &layer) const {
    const auto operand = [&](ValueId value, ValueId image) {
        return Operand{image, values_[static_cast<std::size_t>(image)].layout,
                       values_[static_cast<std::size_t>(value)].shape};
    };
    Operands operands;
    for (std::size_t i = 0; i < layer.sources.size(); ++i)
        operands.sources.push_back(operand(layer.inputs[i], layer.sources[i]));
    operands.destination = operand(layer.result, layer.result);
    return operands;
}

std::vector<engine::StepDescription> ImagePlan::describe_steps() const {
    const std::size_t passes = passes_.size();
    const auto bytes = [&](std::size_t of_pass) { return static_cast<std::int64_t>(of_pass * passes); };
    std::vector<engine::StepDescription> steps;
    const auto add_copies = [&](const std::vector<Port> &ports, const char *kernel) {
        for (const Port &port : ports) // without gaps, the array has the size of the image
            steps.push_back({{}, "copy", kernel, bytes(2 * port.layout().bytes())});
    };
    add_copies(inputs_, "copy of an input");
    for (std::size_t i = 0; i < steps_.size(); ++i) {
        const LoweredLayer &layer = network_->layers[i];
        const Operands operands = operands_of(layer);
        std::size_t of_pass = layer.weight_bytes + operands.destination.layout.bytes();
        for (const Operand &source : operands.sources) of_pass += source.layout.bytes();
        const ops::Operation &operation = network_->graph.producer(layer.result).operation;
        steps.push_back({{layer.name}, ops::info_of(operation).name, steps_[i]->kernel(), bytes(of_pass)});
    }
    add_copies(outputs_, "copy of an output");
    return steps;
}

void ImagePlan::bind_layers() {
    for (const LoweredLayer &layer : network_->layers)
        steps_.push_back(layer.layer->bind(operands_of(layer)));
}

/// Return the number of multiplications of each unit of a pass: its inputs, its steps and its outputs.
std::vector<double> ImagePlan::multiplications_of_units() const {
    const std::vector<engine::LayerSummary> layers = network_->graph.summary(input_shapes());
    const std::int64_t batch = batch_of(shapes());
    std::vector<double> units(inputs_.size(), 0.0);
    for (const LoweredLayer &layer : network_->layers) {
        const std::size_t node = network_->graph.producer_number(layer.result);
        const auto images =
            static_cast<double>(values_[static_cast<std::size_t>(layer.result)].layout.images);
        units.push_back(static_cast<double>(layers[node].cost.macs) * images / static_cast<double>(batch));
    }
    units.resize(units_of_pass());
    return units;
}

void ImagePlan::divide() {
    const std::vector<double> of_pass = multiplications_of_units();
    const double sum = std::accumulate(of_pass.begin(), of_pass.end(), 0.0);
    if (sum <= most_multiplications()) return set_parts(std::vector<double>(passes_.size(), sum));
    std::vector<double> of_units;
    for (std::size_t pass = 0; pass < passes_.size(); ++pass)
        of_units.insert(of_units.end(), of_pass.begin(), of_pass.end());
    set_parts(of_units);
    is_read_later_ = values_read_later();
}

/// Return true for each value that is read in a later part than the one that writes it, in any pass.
std::vector<bool> ImagePlan::values_read_later() const {
    std::vector<std::size_t> part_of;
    for (std::size_t part = 0; part < parts().size(); ++part) part_of.resize(parts()[part].behind, part);
    std::vector<bool> is_read_later(values_.size(), false);
    std::vector<std::size_t> writer(values_.size(), 0);
    const auto read = [&](ValueId value, std::size_t unit) {
        const auto index = static_cast<std::size_t>(value);
        if (writer[index] != part_of[unit]) is_read_later[index] = true;
    };
    std::size_t unit = 0;
    for (std::size_t pass = 0; pass < passes_.size(); ++pass) {
        for (const Port &port : inputs_) writer[static_cast<std::size_t>(port.value)] = part_of[unit++];
        for (const LoweredLayer &layer : network_->layers) {
            for (ValueId value : layer.sources) read(value, unit);
            writer[static_cast<std::size_t>(layer.result)] = part_of[unit++];
        }
        for (const Port &port : outputs_) read(port.value, unit++);
    }
    return is_read_later;
}

/// Return the peak size of the images. Inputs exist before step 1; outputs are read after the last step.
std::size_t ImagePlan::peak_bytes() const {
    const int behind = static_cast<int>(network_->layers.size()) + 1;
    std::vector<engine::BufferLifetime> lifetimes;
    for (const StoredValue &value : values_)
        lifetimes.push_back({value.readers > 0 ? value.layout.bytes() : 0, 0, 0});
    const auto lifetime = [&](ValueId value) -> engine::BufferLifetime & {
        return lifetimes[static_cast<std::size_t>(value)];
    };
    for (int step = 1; step < behind; ++step) {
        const LoweredLayer &layer = network_->layers[static_cast<std::size_t>(step) - 1];
        lifetime(layer.result).first = lifetime(layer.result).last = step;
        for (ValueId value : layer.sources) lifetime(value).last = step;
    }
    for (int step = 1; step < behind; ++step)
        lifetimes.push_back({steps_[static_cast<std::size_t>(step) - 1]->scratch_bytes(), step, step});
    for (const Port &port : outputs_) lifetime(port.value).last = behind;
    return engine::peak_live_bytes(lifetimes);
}

bool ImagePlan::are_shared(std::span<const TensorView> inputs, std::span<const TensorView> outputs) const {
    const auto shared = [&](std::span<const TensorView> views, const std::vector<Port> &ports) {
        return std::equal(views.begin(), views.end(), ports.begin(), ports.end(),
                          [&](const TensorView &view, const Port &port) {
                              return PortMemory::is_shared(*device(), view, port.layout());
                          });
    };
    return shared(inputs, inputs_) && shared(outputs, outputs_);
}

void ImagePlan::prepare(Slot &slot, std::span<const TensorView> inputs, std::span<const TensorView> outputs,
                        PageBuffers &buffers) const {
    slot.pass.reset();
    slot.inputs.resize(inputs.size());
    slot.outputs.resize(outputs.size());
    for (std::size_t i = 0; i < inputs.size(); ++i)
        slot.inputs[i].read(*device(), inputs[i], inputs_[i].layout(), buffers);
    for (std::size_t i = 0; i < outputs.size(); ++i)
        slot.outputs[i].write(*device(), outputs[i], outputs_[i].layout(), buffers);
}

namespace {

/// Encode a pass that reads and writes the arrays of a slot.
template <class Around>
void encode_pass(Encoding &encoding, const ImagePlan &plan, const Slot &slot, Around around) {
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

void ImagePlan::encode(id<MTLCommandBuffer> command_buffer, const Slot &slot, Part part) const {
    const std::lock_guard lock(network_->encoding);
    MPSHintTemporaryMemoryHighWaterMark(command_buffer, arena_bytes());
    const auto shared = share_encoder(command_buffer);
    if (!is_read_later_.empty()) return encode_units(command_buffer, slot, part);
    for (std::size_t pass = part.first; pass < part.behind; ++pass) {
        Encoding encoding(command_buffer, values_, passes_[pass]);
        encode_pass(encoding, *this, slot, [](std::size_t, const std::string &, auto encode) { encode(); });
    }
}

/// Encode those units of passes that belong to a part. The slot keeps a pass until its last unit is encoded.
void ImagePlan::encode_units(id<MTLCommandBuffer> command_buffer, const Slot &slot, Part part) const {
    const std::size_t units = units_of_pass();
    try {
        for (std::size_t begin = part.first / units * units; begin < part.behind; begin += units) {
            if (begin >= part.first)
                slot.pass = std::make_shared<Encoding>(values_, passes_[begin / units], is_read_later_);
            slot.pass->go_on_in(command_buffer);
            encode_pass(*slot.pass, *this, slot, [&](std::size_t number, const std::string &, auto encode) {
                if (begin + number >= part.first && begin + number < part.behind) encode();
            });
            if (begin + units <= part.behind) slot.pass.reset();
        }
    } catch (...) {
        slot.pass.reset();
        throw;
    }
}

engine::RunTimes ImagePlan::run_steps_apart(Handlers &handlers, const Slot &slot) const {
    TimedRun run(device(), handlers, inputs_.size() + steps_.size() + outputs_.size());
    for (std::int64_t first_image : passes_) {
        Encoding encoding(values_, first_image, std::vector<bool>(values_.size(), true));
        encode_pass(encoding, *this, slot, [&](std::size_t number, const std::string &name, auto encode) {
            run.step(number, name, [&](id<MTLCommandBuffer> command_buffer) {
                const std::lock_guard lock(network_->encoding);
                encoding.go_on_in(command_buffer);
                encode();
            });
        });
    }
    return run.take();
}

} // namespace mpscnn::metal
