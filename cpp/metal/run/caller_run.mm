#include "metal/run/caller_run.h"

#include "core/text.h"
#include "metal/device/device_list.h"
#include "metal/device/exceptions.h"
#include "metal/encoding/transfer.h"
#include "metal/run/request.h"

namespace mpscnn::metal {

namespace {

void require_open(id<MTLCommandBuffer> command_buffer, const Device &device) {
    require_command_buffer(command_buffer);
    if ([command_buffer device] != device.get())
        fail(ErrorKind::parameter,
             {"the command buffer belongs to Metal device ", full_name_of([command_buffer device]),
              ", the network to ", full_name_of(device.get())});
}

/// Keep the plan and the device, which the steps use, alive until the GPU has finished.
void keep(id<MTLCommandBuffer> command_buffer, const std::shared_ptr<const engine::Plan> &plan,
          const std::shared_ptr<Device> &device) {
    const std::shared_ptr<const engine::Plan> kept = plan;
    const std::shared_ptr<Device> used = device;
    [command_buffer addCompletedHandler:^(id<MTLCommandBuffer> finished) {
      (void)kept; // `kept` is captured so that its destructor runs with the block's
      const autorelease_scope pool;
      note_removal(finished, *used);
    }];
}

/// Return the plan. Throws ParameterError for a network whose tensors are not images.
const ImagePlan &own_image_plan(const engine::Plan &plan) {
    const MetalPlan &own = own_plan(plan);
    const auto *on_images = dynamic_cast<const ImagePlan *>(&own);
    if (!on_images)
        fail(ErrorKind::parameter, {"network ", quoted(own.name()),
                                    " reads weights that are variables, or was compiled for own kernels; it "
                                    "runs on arrays, not on images of the caller's"});
    return *on_images;
}

/// True if the step that computes an output can write it directly to the caller's image, because no other
/// step or output uses the value.
bool is_written_once(const ImagePlan &plan, const Port &port) {
    return !plan.network().graph.is_input(port.value) &&
           plan.values()[static_cast<std::size_t>(port.value)].readers == 1;
}

void encode_one_pass(Encoding &encoding, const ImagePlan &plan, std::span<const CallerImage> inputs,
                     std::span<const CallerImage> outputs) {
    Device &device = *plan.network().device;
    const bool is_whole_batch = plan.passes().size() == 1;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
        const Port &port = plan.outputs()[i];
        if (is_whole_batch && is_written_once(plan, port) && outputs[i].is_like(port.layout()))
            encoding.lend(port.value, outputs[i].get());
    }
    const auto give = [&](std::size_t i, const Port &port, const std::string &name) {
        if (is_whole_batch && inputs[i].is_like(port.layout()))
            encoding.lend(port.value, inputs[i].get());
        else
            encode_copy(encoding.command_buffer(), device, name, port.layout(),
                        {inputs[i].get(), encoding.first_image()}, {encoding.create(port.value), 0});
    };
    const auto take = [&](std::size_t i, const Port &port, const std::string &name) {
        if (encoding.image(port.value) == outputs[i].get()) return;
        encode_copy(encoding.command_buffer(), device, name, port.layout(), {encoding.image(port.value), 0},
                    {outputs[i].get(), encoding.first_image()});
        encoding.was_read_by_shader(port.value);
    };
    encode_pass(encoding, plan, give, take);
}

} // namespace

CallerRun::CallerRun(NSArray *inputs, std::span<const engine::Port> ports) {
    const autorelease_scope pool;
    inputs_ = caller_images(inputs, "input", ports);
    for (std::size_t i = 0; i < inputs_.size(); ++i)
        input_shapes_.push_back(inputs_[i].tensor_shape(ports[i].shape));
}

CallerRun::~CallerRun() {
    const autorelease_scope pool;
    inputs_.clear();
}

std::vector<engine::NativeImage> CallerRun::output_images(const engine::Plan &given) const {
    const ImagePlan &plan = own_image_plan(given);
    std::vector<engine::NativeImage> images;
    for (std::size_t i = 0; i < plan.outputs().size(); ++i) {
        const ImageLayout &layout = plan.outputs()[i].layout();
        const bool is_half = layout.precision == engine::Precision::float16;
        images.push_back({is_half ? DType::float16 : DType::float32,
                          {plan.output_shapes()[i][0], layout.height, layout.width, layout.channels}});
    }
    return images;
}

void CallerRun::require_fitting(const ImagePlan &plan, id<MTLCommandBuffer> command_buffer,
                                std::span<const CallerImage> outputs) const {
    const Device &device = *plan.network().device;
    require_open(command_buffer, device);
    for (const CallerImage &input : inputs_) input.require_readable(device);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
        outputs[i].require_room_for(plan.output_shapes()[i]);
        outputs[i].require_writable(device);
        for (const CallerImage &input : inputs_) outputs[i].require_apart_from(input);
        for (std::size_t j = 0; j < i; ++j) outputs[i].require_apart_from(outputs[j]);
    }
}

void CallerRun::encode(std::shared_ptr<const engine::Plan> given, void *commands, void *outputs,
                       std::span<const engine::Port> ports) {
    const ImagePlan &plan = own_image_plan(*given);
    plan.network().device->require_usable();
    with_framework_errors([&] {
        const autorelease_scope pool;
        auto command_buffer = static_cast<id<MTLCommandBuffer>>(commands);
        const std::vector<CallerImage> results =
            caller_images(static_cast<NSArray *>(outputs), "output", ports);
        require_fitting(plan, command_buffer, results);
        const TemporaryReads reads(inputs_);
        keep(command_buffer, given, plan.network().device);
        const std::lock_guard lock(plan.network().encoding);
        // Tell MPS how much temporary memory the run needs. MPS uses the largest hint for a command buffer,
        // so this one does not affect larger hints.
        MPSHintTemporaryMemoryHighWaterMark(command_buffer, plan.arena_bytes());
        const auto shared = plan.share_encoder(command_buffer);
        for (std::int64_t first_image : plan.passes()) {
            Encoding encoding(command_buffer, plan.values(), first_image);
            encode_one_pass(encoding, plan, inputs_, results);
        }
    });
}

} // namespace mpscnn::metal
