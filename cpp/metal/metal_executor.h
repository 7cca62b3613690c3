#pragma once

#include <vector>

#include "metal/metal_plan.h"
#include "metal/request.h"
#include "metal/staging.h"

namespace mpscnn::metal {

/// Runs plans on a GPU: one command buffer for each run.
class MetalExecutor : public engine::Executor {
public:
    explicit MetalExecutor(std::shared_ptr<const LoweredNetwork> network);
    ~MetalExecutor() override;

    void prepare(const engine::Plan &plan) override;
    void run(const engine::Plan &plan, std::span<const engine::TensorView> inputs,
             std::span<const engine::TensorView> outputs) override;

private:
    void encode(id<MTLCommandBuffer> command_buffer, const MetalPlan &plan,
                std::span<const engine::TensorView> inputs, std::span<const engine::TensorView> outputs);
    void encode_pass(Encoding &encoding, const MetalPlan &plan, std::span<const engine::TensorView> inputs,
                     std::span<const engine::TensorView> outputs);

    std::shared_ptr<const LoweredNetwork> network_; ///< whose device the buffers belong to
    std::vector<Staging> inputs_, outputs_;
    Handlers handlers_;
};

} // namespace mpscnn::metal
