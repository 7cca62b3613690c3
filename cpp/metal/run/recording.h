#pragma once

#include "metal/run/custom_run.h"
#include "metal/run/metal_plan.h"
#include "metal/run/request.h"
#include "metal/run/slots.h"

namespace mpscnn::metal {

/// Records runs of networks and custom kernels in one command buffer.
class MetalRecording : public engine::Recording {
public:
    explicit MetalRecording(std::shared_ptr<Device> device) : device_(std::move(device)) {}
    ~MetalRecording() override;

    bool takes(const engine::Plan &plan) const override;
    void run(const engine::Plan &plan, std::span<const engine::TensorView> inputs,
             std::span<const engine::TensorView> outputs) override;
    void run(const engine::CustomRun &run) override;
    void finish() override;
    void discard() override;

private:
    id<MTLCommandBuffer> command_buffer();

    std::shared_ptr<Device> device_;
    objc_ptr<id<MTLCommandBuffer>> command_buffer_;
    PageBuffers buffers_;
    StagedArrays arrays_;
    std::vector<std::unique_ptr<Slot>> slots_;
    Handlers handlers_;
};

} // namespace mpscnn::metal
