#pragma once

#include "engine/backend/native_run.h"
#include "metal/encoding/caller_image.h"
#include "metal/run/image_plan.h"

namespace mpscnn::metal {

/// A run in the caller's command buffer, on the caller's MPSImages and MTLTextures. Steps use these images
/// directly if they have the layout that the network would have chosen, and one pass computes the batch.
/// Otherwise a shader copies them.
class CallerRun : public engine::NativeRun {
public:
    CallerRun(NSArray *inputs, std::span<const engine::Port> ports);
    ~CallerRun() override;

    const std::vector<Shape> &input_shapes() const override { return input_shapes_; }
    std::vector<engine::NativeImage> output_images(const engine::Plan &plan) const override;
    /// Append the run. `commands` is an id<MTLCommandBuffer>. `outputs` is an NSArray of MPSImages and
    /// id<MTLTexture>s.
    void encode(std::shared_ptr<const engine::Plan> plan, void *commands, void *outputs,
                std::span<const engine::Port> ports) override;

private:
    void require_fitting(const ImagePlan &plan, id<MTLCommandBuffer> command_buffer,
                         std::span<const CallerImage> outputs) const;

    std::vector<CallerImage> inputs_;
    std::vector<Shape> input_shapes_;
};

} // namespace mpscnn::metal
