#pragma once

#include "engine/run/native_run.h"
#include "metal/encoding/caller_image.h"
#include "metal/run/image_plan.h"

namespace mpscnn::metal {

/// A run in a command buffer of the caller's, on MPSImages and MTLTextures of the caller's. Where one of them
/// is what the network would have made, steps read or write it, else a shader copies.
class CallerRun : public engine::NativeRun {
public:
    CallerRun(NSArray *inputs, std::span<const engine::Port> ports);
    ~CallerRun() override;

    const std::vector<Shape> &input_shapes() const override { return input_shapes_; }
    std::vector<engine::NativeImage> output_images(const engine::Plan &plan) const override;
    /// `commands` is an id<MTLCommandBuffer>, `outputs` an NSArray of MPSImages and id<MTLTexture>s.
    void encode(std::shared_ptr<const engine::Plan> plan, void *commands, void *outputs,
                std::span<const engine::Port> ports) override;

private:
    void require_fitting(const ImagePlan &plan, id<MTLCommandBuffer> command_buffer,
                         std::span<const CallerImage> outputs) const;

    std::vector<CallerImage> inputs_;
    std::vector<Shape> input_shapes_;
};

} // namespace mpscnn::metal
