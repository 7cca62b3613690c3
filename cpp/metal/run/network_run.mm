#include "metal/run/network_run.h"

#include <algorithm>

namespace mpscnn::metal {

using engine::TensorView;

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
    slot.inputs.resize(inputs.size());
    slot.outputs.resize(outputs.size());
    for (std::size_t i = 0; i < inputs.size(); ++i)
        slot.inputs[i].read(*device(), inputs[i], inputs_[i].layout(), buffers);
    for (std::size_t i = 0; i < outputs.size(); ++i)
        slot.outputs[i].write(*device(), outputs[i], outputs_[i].layout(), buffers);
}

namespace {

/// Encode a pass on the arrays of a slot.
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

void ImagePlan::encode(id<MTLCommandBuffer> command_buffer, const Slot &slot) const {
    const std::lock_guard lock(network_->encoding);
    MPSHintTemporaryMemoryHighWaterMark(command_buffer, arena_bytes());
    for (std::int64_t first_image : passes_) {
        Encoding encoding(command_buffer, values_, first_image);
        encode_pass(encoding, *this, slot, [](std::size_t, const std::string &, auto encode) { encode(); });
    }
}

engine::RunTimes ImagePlan::run_steps_apart(Handlers &handlers, const Slot &slot) const {
    TimedRun run(device(), handlers, inputs_.size() + steps_.size() + outputs_.size());
    for (std::int64_t first_image : passes_) {
        Encoding encoding(values_, first_image);
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
