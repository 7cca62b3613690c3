#pragma once

// Definitions of the opaque handles of mpscnn/kernels.h.

#include <memory>
#include <vector>

#include "api/handle.h"
#include "engine/commands/command_buffer.h"
#include "mpscnn/kernels.h"

struct mpscnn_queue {
    mpscnn::c_api::Mark<mpscnn_queue> mark = {};
    std::shared_ptr<mpscnn::engine::CommandQueue> queue;
};

struct mpscnn_command_buffer {
    mpscnn::c_api::Mark<mpscnn_command_buffer> mark = {};
    /// This member is declared first, so that it is destroyed after the buffer.
    std::shared_ptr<mpscnn::engine::CommandQueue> queue;
    std::shared_ptr<mpscnn::engine::CommandBuffer> commands;
};

struct mpscnn_feature_image {
    mpscnn::c_api::Mark<mpscnn_feature_image> mark = {};
    mpscnn::engine::ImagePointer image;
};

struct mpscnn_batch_normalization_state {
    mpscnn::c_api::Mark<mpscnn_batch_normalization_state> mark = {};
    mpscnn::engine::BatchNormalizationStatePointer state;
};

struct mpscnn_kernel {
    mpscnn::c_api::Mark<mpscnn_kernel> mark = {};
    mpscnn::engine::Kernel kernel;
};

struct mpscnn_custom_kernel {
    mpscnn::c_api::Mark<mpscnn_custom_kernel> mark = {};
    std::shared_ptr<const mpscnn::engine::CustomKernel> kernel;
};

namespace mpscnn::c_api {

std::vector<engine::ImagePointer> images_of(const mpscnn_feature_image *const *images, int count,
                                            const char *name);

engine::ImageDescriptor descriptor_of(const mpscnn_image_descriptor *given);
/// Fill in the fields that the caller's struct has; its size must be set.
void give_descriptor(const engine::ImageDescriptor &descriptor, mpscnn_image_descriptor *to);

} // namespace mpscnn::c_api
