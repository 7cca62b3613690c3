#pragma once

// Weight gradients: sums over a part of the pixels of gradient * input, for all outputs and taps. This header
// splits the work.

#include "cpu/kernels/convolution/pixel_epilogue.h"

namespace mpscnn::cpu {
namespace {

/// The number of pixels whose products are summed in float32 before they are added to a sum. Rounding errors
/// grow with it.
inline constexpr std::int64_t gradient_block = 128;

/// Return the rows of the gradient, over all images, that one part sums up.
MPSCNN_INLINE Range rows_of_part(const WeightGradientTask &task, std::int64_t part) {
    return part_of(task.gradient.batch * task.gradient.height, task.destination.batch, part);
}

struct WeightGradientPlan {
    bool depthwise;
    std::int64_t taps;          ///< per output: height * width * inputs of a group
    std::int64_t outputs;       ///< per group
    std::int64_t tap_blocks;    ///< each is a whole number of tiles, except the last
    std::int64_t block_taps;    ///< taps in such a block
    std::int64_t output_blocks; ///< each is a whole number of tiles, except the last
    std::int64_t items;         ///< in each part
    bool reads_source;          ///< a window is one pixel, whose channels are whole vectors
};

} // namespace
} // namespace mpscnn::cpu
