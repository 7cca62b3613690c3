#pragma once

// Definitions of the opaque handles of mpscnn/kernels.h.

#include <memory>
#include <vector>

#include "engine/commands/command_buffer.h"
#include "mpscnn/kernels.h"

struct mpscnn_queue {
    std::shared_ptr<mpscnn::engine::CommandQueue> queue;
};

struct mpscnn_command_buffer {
    /// This member is declared first, so that it is destroyed after the buffer.
    std::shared_ptr<mpscnn::engine::CommandQueue> queue;
    std::shared_ptr<mpscnn::engine::CommandBuffer> commands;
};

struct mpscnn_feature_image {
    mpscnn::engine::ImagePointer image;
};

struct mpscnn_batch_normalization_state {
    mpscnn::engine::BatchNormalizationStatePointer state;
};

struct mpscnn_kernel {
    mpscnn::engine::Kernel kernel;
};

struct mpscnn_custom_kernel {
    std::shared_ptr<const mpscnn::engine::CustomKernel> kernel;
};

namespace mpscnn::c_api {

std::vector<engine::ImagePointer> images_of(const mpscnn_feature_image *const *images, int count,
                                            const char *name);

engine::ImageDescriptor descriptor_of(const mpscnn_image_descriptor *given);
/// Fill in the fields that the caller's struct has; its size must be set.
void give_descriptor(const engine::ImageDescriptor &descriptor, mpscnn_image_descriptor *to);

} // namespace mpscnn::c_api
