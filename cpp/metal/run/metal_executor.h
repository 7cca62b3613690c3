#pragma once

#include <vector>

#include "metal/run/metal_plan.h"
#include "metal/run/request.h"
#include "metal/run/slots.h"

namespace mpscnn::metal {

/// Runs plans of any network of a device: one command buffer for each request.
class MetalExecutor : public engine::Executor {
public:
    MetalExecutor(std::shared_ptr<Device> device, const engine::SessionOptions &options);
    /// Waits for what is under way.
    ~MetalExecutor() override;

    /// Memory is made by the first run: which arrays need staging is not known earlier.
    void prepare(const engine::Plan &plan) override;
    void run(const engine::Plan &plan, std::span<const engine::TensorView> inputs,
             std::span<const engine::TensorView> outputs) override;
    void submit(const engine::Plan &plan, std::span<const engine::TensorView> inputs,
                std::span<const engine::TensorView> outputs, engine::Completion done) override;
    /// Times are the GPU's: of a run in one command buffer, and of its steps in command buffers of their own.
    engine::ExecutionProfile profile(const engine::Plan &plan, std::span<const engine::TensorView> inputs,
                                     std::span<const engine::TensorView> outputs, int runs) override;

private:
    std::shared_ptr<Device> device_;
    Slots slots_;
    Handlers handlers_;
};

} // namespace mpscnn::metal
