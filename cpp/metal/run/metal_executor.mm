#include "metal/run/metal_executor.h"

#include <future>

namespace mpscnn::metal {

using engine::TensorView;

namespace {

/// End a request. The slot is freed before `done` is called, because the caller may then start the next
/// request.
void finish(std::shared_ptr<Slot> slot, const engine::Completion &done, Failure failure) {
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
    const auto result = std::make_shared<std::promise<Failure>>();
    std::future<Failure> done = result->get_future();
    submit(plan, inputs, outputs, [result](Failure failure) { result->set_value(std::move(failure)); });
    done.get().raise();
}

void MetalExecutor::submit(const engine::Plan &given, std::span<const TensorView> inputs,
                           std::span<const TensorView> outputs, engine::Completion done) {
    const MetalPlan &plan = own_plan(given);
    plan.require_shapes(inputs, outputs);
    device_->require_usable();
    const autorelease_scope pool;
    std::shared_ptr<Slot> slot = slots_.take();
    PageBuffers buffers;
    plan.prepare(*slot, inputs, outputs, buffers);
    id<MTLCommandBuffer> command_buffer = make_command_buffer(*device_, plan.name());
    plan.encode(command_buffer, *slot);
    commit(command_buffer, device_, handlers_,
           [slot = std::move(slot), done = std::move(done)](Failure failure) mutable {
               finish(std::move(slot), done, std::move(failure));
           });
}

engine::ExecutionProfile MetalExecutor::profile(const engine::Plan &given, std::span<const TensorView> inputs,
                                                std::span<const TensorView> outputs, int runs) {
    run(given, inputs, outputs);
    const MetalPlan &plan = own_plan(given);
    engine::ExecutionProfile profile;
    profile.steps = plan.describe_steps();
    for (int i = 0; i < runs; ++i) {
        const autorelease_scope pool;
        const std::shared_ptr<Slot> slot = slots_.take();
        PageBuffers buffers;
        plan.prepare(*slot, inputs, outputs, buffers);
        id<MTLCommandBuffer> whole = make_command_buffer(*device_, plan.name());
        plan.encode(whole, *slot);
        commit_and_wait(whole, device_, handlers_);
        engine::RunTimes times = plan.run_steps_apart(handlers_, *slot);
        const GpuTime time = gpu_time(whole);
        times.duration = nanoseconds(time.end - time.begin);
        for (const PortMemory &output : slot->outputs) output.finish();
        profile.add(std::move(times));
    }
    return engine::in_order(profile);
}

} // namespace mpscnn::metal
