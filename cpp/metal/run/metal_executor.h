#pragma once

#include <vector>

#include "metal/run/metal_plan.h"
#include "metal/run/request.h"
#include "metal/run/slots.h"

namespace mpscnn::metal {

class RunInParts;

/// Runs plans of any network on a device. Each request has one command buffer, or several if it is large.
class MetalExecutor : public engine::Executor {
public:
    MetalExecutor(std::shared_ptr<Device> device, const engine::SessionOptions &options);
    /// Wait for the requests in flight.
    ~MetalExecutor() override;

    /// Do nothing: the first run makes the memory, because it depends on which arrays need staging.
    void prepare(const engine::Plan &plan) override;
    void run(const engine::Plan &plan, std::span<const engine::TensorView> inputs,
             std::span<const engine::TensorView> outputs) override;
    void submit(const engine::Plan &plan, std::span<const engine::TensorView> inputs,
                std::span<const engine::TensorView> outputs, engine::Completion done) override;
    /// Measure runs with the GPU's times. Each run has the command
    /// buffers of a request. The times of steps come from runs
    /// in which each step has a separate command buffer.
    engine::ExecutionProfile profile(const engine::Plan &plan, std::span<const engine::TensorView> inputs,
                                     std::span<const engine::TensorView> outputs, int runs) override;

private:
    /// Start a run, and return it.
    std::shared_ptr<RunInParts> begin(const engine::Plan &plan, std::span<const engine::TensorView> inputs,
                                      std::span<const engine::TensorView> outputs, engine::Completion done);
    std::int64_t time_of(const MetalPlan &plan, const Slot &slot);

    std::shared_ptr<Device> device_;
    Slots slots_;
    Handlers handlers_;
};

} // namespace mpscnn::metal
