#include "metal/run/recording.h"

#include "metal/device/exceptions.h"

namespace mpscnn::metal {

using engine::TensorView;

MetalRecording::~MetalRecording() { discard(); }

bool MetalRecording::takes(const engine::Plan &plan) const {
    const auto *own = dynamic_cast<const MetalPlan *>(&plan);
    return own && own->device() == device_;
}

void MetalRecording::run(const engine::Plan &given, std::span<const TensorView> inputs,
                         std::span<const TensorView> outputs) {
    const MetalPlan &plan = own_plan(given);
    plan.require_shapes(inputs, outputs);
    with_framework_errors([&] {
        const bool reachable = plan.are_shared(inputs, outputs);
        if (!reachable) finish();
        const autorelease_scope pool;
        slots_.push_back(std::make_unique<Slot>());
        plan.prepare(*slots_.back(), inputs, outputs, buffers_);
        plan.encode(command_buffer(), *slots_.back());
        if (!reachable) finish();
    });
}

void MetalRecording::run(const engine::CustomRun &run) {
    with_framework_errors([&] {
        const bool reachable = can_reach(*device_, run);
        if (!reachable) finish();
        const autorelease_scope pool;
        if (arrays_.overlap_otherwise(run)) finish();
        slots_.push_back(std::make_unique<Slot>());
        const auto arrays = prepare(*slots_.back(), *device_, run, buffers_, arrays_);
        encode(command_buffer(), *device_, run, *slots_.back(), arrays);
        if (!reachable) finish();
    });
}

void MetalRecording::finish() {
    if (!command_buffer_) return;
    const autorelease_scope pool;
    try {
        with_framework_errors([&] { commit_and_wait(command_buffer_.get(), device_, handlers_); });
    } catch (...) {
        discard();
        throw;
    }
    for (const auto &slot : slots_)
        for (const PortMemory &output : slot->outputs) output.finish();
    arrays_.finish();
    discard();
}

void MetalRecording::discard() {
    const autorelease_scope pool;
    command_buffer_.reset();
    slots_.clear();
    arrays_.clear();
    buffers_.clear();
}

id<MTLCommandBuffer> MetalRecording::command_buffer() {
    if (!command_buffer_) {
        device_->require_usable();
        command_buffer_ = share(make_command_buffer(*device_, "mpscnn.CommandBuffer"));
    }
    return command_buffer_.get();
}

} // namespace mpscnn::metal
