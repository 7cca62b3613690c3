#pragma once

// Weight gradients: of a part of the pixels, outputs x taps sums of products of a gradient and an input. How
// the work is cut.

#include "cpu/kernels/convolution/pixel_epilogue.h"

namespace mpscnn::cpu {
namespace {

/// Pixels whose products are added in float32 before they join a sum: errors grow with these.
inline constexpr std::int64_t gradient_block = 128;

/// Rows of all images of the gradient that one part of the sums is over.
MPSCNN_INLINE Range rows_of_part(const WeightGradientTask &task, std::int64_t part) {
    return part_of(task.gradient.batch * task.gradient.height, task.destination.batch, part);
}

struct WeightGradientPlan {
    bool depthwise;
    std::int64_t taps;          ///< of an output: height * width * inputs of a group
    std::int64_t outputs;       ///< of a group
    std::int64_t tap_blocks;    ///< each a whole number of tiles, but for the last
    std::int64_t block_taps;    ///< of such a block
    std::int64_t output_blocks; ///< each a whole number of tiles, but for the last
    std::int64_t items;         ///< of a part
    bool reads_source;          ///< a window is one pixel, whose channels are whole vectors
};

} // namespace
} // namespace mpscnn::cpu
