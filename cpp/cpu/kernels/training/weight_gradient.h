#pragma once

// Weight gradients: sums of gradient * input over the pixels, for all outputs and taps. The pixels may be
// divided into parts. This header has the plan, which divides the work.

#include <cstddef>
#include <cstdint>

#include "cpu/isa/kernel_math.h"
#include "cpu/isa/kernels.h"

namespace mpscnn::cpu {
namespace {

/// The number of pixels whose products are summed in float32 before they are added to the result. With more,
/// the rounding errors would be larger.
inline constexpr std::int64_t gradient_block = 128;

/// Return the rows of the gradient (of all images, one after another) whose sum is part number `part`.
MPSCNN_INLINE Range rows_of_part(const WeightGradientTask &task, std::int64_t part) {
    return part_of(task.gradient.batch * task.gradient.height, task.parts, part);
}

struct WeightGradientPlan {
    std::int64_t taps;          ///< taps of an output: height * width * inputs of a group
    std::int64_t outputs;       ///< outputs of a group
    std::int64_t tap_blocks;    ///< number of blocks of taps, or with Winograd's algorithm of inputs
    std::int64_t block_taps;    ///< taps of a block
    std::int64_t output_blocks; ///< number of blocks of outputs, which are of nearly equal size
    std::int64_t items;         ///< work items in each part
    bool one_pixel;             ///< true: windows are single pixels, at equal distances in the source
    bool reads_source;          ///< true: the inputs of single pixels are read in place
    bool packs_inputs;          ///< true: the inputs of a block of single pixels are copied to panels
    bool packs_gradients;       ///< true: the gradients of a block of pixels are copied to panels
    std::int64_t input_floats;  ///< floats of scratch memory for the inputs of a block of pixels
};

/// Call run<4>(p) or run<1>(p) for pixels from p on, until all `count` pixels are done.
template <class Run> MPSCNN_INLINE void for_some_pixels(std::int64_t count, Run run) {
    std::int64_t p = 0;
    for (; p + 4 <= count; p += 4) run.template operator()<4>(p);
    for (; p < count; ++p) run.template operator()<1>(p);
}

/// The sums of one part: those of output o begin at data + o * output_stride.
struct PartResult {
    float *data;
    std::ptrdiff_t output_stride;

    MPSCNN_INLINE PartResult(const WeightGradientTask &task, const WeightGradientPlan &plan,
                             std::int64_t part)
        : data(task.destination.data + part * task.destination.image_stride),
          output_stride(task.parts == 1 ? task.destination.image_stride : plan.taps) {}
};

/// Computes one work item of one part.
using GradientItem = void (*)(const WeightGradientTask &, const WeightGradientPlan &, std::int64_t part,
                              std::int64_t item, float *scratch);

inline void run_gradient_items(const WeightGradientTask &task, const Prepared &prepared, std::int64_t begin,
                               std::int64_t end, Worker &worker, GradientItem compute) {
    const auto &plan = prepared.plan_as<WeightGradientPlan>();
    float *const scratch = reinterpret_cast<float *>(worker.scratch);
    for (std::int64_t index = begin; index < end; ++index)
        compute(task, plan, index / plan.items, index % plan.items, scratch);
}

} // namespace
} // namespace mpscnn::cpu
