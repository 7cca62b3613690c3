#pragma once

#include "ops/operation.h"

namespace mpscnn::ops {

/// Dropout (Srivastava et al. 2014). Each element is kept with probability keep_probability and multiplied
/// by the reciprocal of this number; the other elements become 0. Outside of training the result is the
/// input.
///
/// The mask is a tensor with the extents of the input, except that axes with a mask stride of 0 have extent
/// 1. Its element i, in row-major NHWC order over the whole batch, has the random word i % 4 of philox(i / 4,
/// seed) (core/philox.h), and is kept if this word is at most last_kept(). Every engine makes the same mask.
struct Dropout {
    static constexpr OperationInfo info{
        "dropout", "Sets random elements to zero; outside of training the identity.", 1, 1, true, false, true,
        true};

    float keep_probability = 0.5f;
    std::int64_t seed = 0;
    std::int64_t mask_stride_y = 1, mask_stride_x = 1, mask_stride_channels = 1;
    bool training = false;

    template <class Visitor> void fields(Visitor &visit) {
        visit("keep_probability", keep_probability,
              "share of the elements that are kept, above 0, at most 1");
        visit("seed", seed, "key of the random numbers: the same seed, the same mask");
        visit("mask_stride_y", mask_stride_y, "1: every row has its own mask, 0: all rows share one");
        visit("mask_stride_x", mask_stride_x, "1: every pixel of a row has its own mask, 0: all share one");
        visit("mask_stride_channels", mask_stride_channels,
              "1: every channel has its own mask, 0: all share one");
        visit("training", training, "true: drop elements; false: return the input");
    }

    /// Return the largest random word for which an element is kept.
    std::uint32_t last_kept() const;

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const { return inputs[0]; }
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &, const Shape &output) const {
        return {0, training ? output.elements() : 0};
    }
};

/// Dropout with a different mask in each step of training. The second input is the number of the step, one
/// whole number from 0 on. The mask is the same as in a dropout whose seed is `seed` plus this number. The
/// gradient is computed by the same operation, applied to the gradient of the result.
struct StepDropout {
    static constexpr OperationInfo info{.name = "step_dropout",
                                        .summary = "Dropout with another mask in each step of training.",
                                        .min_inputs = 2,
                                        .max_inputs = 2,
                                        .rounds = false,
                                        .takes_activation = false,
                                        .has_gradient = true,
                                        .joins_images = true,
                                        .for_training = true};

    Dropout dropout;

    template <class Visitor> void fields(Visitor &visit) { dropout.fields(visit); }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const { return inputs[0]; }
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &, const Shape &output) const { return {0, output.elements()}; }
};

} // namespace mpscnn::ops
