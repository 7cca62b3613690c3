#include "metal/run/metal_executor.h"

#include <atomic>
#include <future>
#include <mutex>
#include <utility>
#include <vector>

#include "metal/device/exceptions.h"

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

/// A request whose command buffers are committed one after the other. It ends when all of them have.
class RunInParts {
public:
    RunInParts(std::shared_ptr<Slot> slot, engine::Completion done)
        : slot_(std::move(slot)), done_(std::move(done)) {}

    const Slot &slot() const { return *slot_; }
    void begin() { ++open_; }
    void add(const std::shared_ptr<Committed> &committed) {
        const std::lock_guard lock(mutex_);
        committed_.push_back(committed);
    }
    /// End the request now, and do not wait for its command buffers when the session is destroyed. They keep
    /// the slot's staging memory, so the next request gets other memory. Results that are not in the caller's
    /// memory then are not copied there, because the caller may free it.
    void abandon(const Failure &failure) {
        const autorelease_scope pool;
        engine::Completion done;
        std::shared_ptr<Slot> slot;
        std::vector<std::weak_ptr<Committed>> committed;
        {
            const std::lock_guard lock(mutex_);
            done = std::exchange(done_, nullptr);
            slot = std::move(slot_);
            committed.swap(committed_);
        }
        if (slot) slot->leave();
        slot.reset();
        if (done) done(failure);
        for (const auto &one : committed)
            if (const auto left = one.lock()) left->end(failure);
    }
    /// Take the end of a command buffer, or of the encoding. The first failure is the request's.
    void end(Failure failure) {
        {
            const std::lock_guard lock(mutex_);
            if (failure && !failure_) failure_ = std::move(failure);
        }
        if (--open_ > 0) return;
        engine::Completion done;
        std::shared_ptr<Slot> slot;
        {
            const std::lock_guard lock(mutex_);
            done = std::exchange(done_, nullptr);
            slot = std::move(slot_);
        }
        if (done) finish(std::move(slot), done, std::move(failure_));
    }

private:
    std::shared_ptr<Slot> slot_;
    engine::Completion done_;
    std::atomic<int> open_{1}; ///< the encoding, and command buffers that have not ended
    std::mutex mutex_;
    Failure failure_;
    std::vector<std::weak_ptr<Committed>> committed_; ///< weak, because they own this object
};

namespace {

/// Encode and commit the parts of a plan. Throws only if nothing is committed; `done` is not called then.
void commit_parts(const MetalPlan &plan, const std::shared_ptr<Device> &device, Handlers &handlers,
                  const std::shared_ptr<RunInParts> &run) {
    bool committed = false, begun = false;
    Failure failure;
    try {
        for (const MetalPlan::Part &part : plan.parts()) {
            const autorelease_scope pool;
            id<MTLCommandBuffer> command_buffer = make_command_buffer(*device, plan.name());
            plan.encode(command_buffer, run->slot(), part);
            run->begin();
            begun = true;
            run->add(commit(command_buffer, device, handlers,
                            [run](Failure of_part) { run->end(std::move(of_part)); }));
            committed = true;
            begun = false;
        }
    } catch (...) {
        if (!committed) throw;
        failure = Failure::current();
        if (begun) run->end(failure);
    }
    run->end(std::move(failure));
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
    const auto run =
        begin(plan, inputs, outputs, [result](Failure failure) { result->set_value(std::move(failure)); });
    wait_for(done, [&](const Failure &failure) { run->abandon(failure); }).raise();
}

void MetalExecutor::submit(const engine::Plan &plan, std::span<const TensorView> inputs,
                           std::span<const TensorView> outputs, engine::Completion done) {
    begin(plan, inputs, outputs, std::move(done));
}

std::shared_ptr<RunInParts> MetalExecutor::begin(const engine::Plan &given,
                                                 std::span<const TensorView> inputs,
                                                 std::span<const TensorView> outputs,
                                                 engine::Completion done) {
    const MetalPlan &plan = own_plan(given);
    plan.require_shapes(inputs, outputs);
    return with_framework_errors([&] {
        const autorelease_scope pool;
        std::shared_ptr<Slot> slot = slots_.take();
        device_->require_usable(); // it may have hung while this waited
        PageBuffers buffers;
        plan.prepare(*slot, inputs, outputs, buffers);
        auto run = std::make_shared<RunInParts>(std::move(slot), std::move(done));
        commit_parts(plan, device_, handlers_, run);
        return run;
    });
}

/// Run all parts of a plan, and return the time that the GPU took for them.
std::int64_t MetalExecutor::time_of(const MetalPlan &plan, const Slot &slot) {
    double seconds = 0;
    for (const MetalPlan::Part &part : plan.parts()) {
        id<MTLCommandBuffer> command_buffer = make_command_buffer(*device_, plan.name());
        plan.encode(command_buffer, slot, part);
        commit_and_wait(command_buffer, device_, handlers_);
        const GpuTime time = gpu_time(command_buffer);
        seconds += time.end - time.begin;
    }
    return nanoseconds(seconds);
}

engine::ExecutionProfile MetalExecutor::profile(const engine::Plan &given, std::span<const TensorView> inputs,
                                                std::span<const TensorView> outputs, int runs) {
    run(given, inputs, outputs);
    const MetalPlan &plan = own_plan(given);
    engine::ExecutionProfile profile;
    profile.steps = plan.describe_steps();
    for (int i = 0; i < runs; ++i)
        profile.add(with_framework_errors([&] {
            const autorelease_scope pool;
            const std::shared_ptr<Slot> slot = slots_.take();
            PageBuffers buffers;
            plan.prepare(*slot, inputs, outputs, buffers);
            const std::int64_t duration = time_of(plan, *slot);
            engine::RunTimes times = plan.run_steps_apart(handlers_, *slot);
            times.duration = duration;
            for (const PortMemory &output : slot->outputs) output.finish();
            return times;
        }));
    return engine::in_order(profile);
}

} // namespace mpscnn::metal
