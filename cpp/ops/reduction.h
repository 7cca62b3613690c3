#pragma once

#include "ops/kinds.h"
#include "ops/operation.h"

namespace mpscnn::ops {

/// The axis along which a reduction combines elements. It remains in the result with extent 1.
enum class ReductionAxis { height, width, channels };

template <> struct EnumNames<ReductionAxis> {
    static constexpr std::array<std::pair<const char *, ReductionAxis>, 3> values{
        {{"height", ReductionAxis::height},
         {"width", ReductionAxis::width},
         {"channels", ReductionAxis::channels}}};
};

/// One number for all elements along an axis, which remains with extent 1.
struct Reduction {
    static constexpr OperationInfo info{
        "reduction", "One number along one axis: maximum, sum, mean, norm, variance and others.",
        1,           1,
        true,        false,
        true};

    ReductionKind kind = ReductionKind::max;
    ReductionAxis axis = ReductionAxis::channels;
    float weight = 1.0f;

    template <class Visitor> void fields(Visitor &visit) {
        visit("kind", kind,
              "max, min, sum, mean, product; l2_norm, the square root of the sum of squares; sum_of_squares; "
              "variance, biased unless weight says otherwise; deviation, its square root; log_sum_exp, the "
              "logarithm of the sum of exponentials");
        visit("axis", axis, "channels, the last axis; width, the one before; height, the one before that");
        visit("weight", weight,
              "sum: factor of every element; variance and deviation: factor of the variance");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &inputs, const Shape &) const { return {0, inputs[0].elements()}; }
};

enum class ArgumentKind { max, min };

template <> struct EnumNames<ArgumentKind> {
    static constexpr std::array<std::pair<const char *, ArgumentKind>, 2> values{
        {{"max", ArgumentKind::max}, {"min", ArgumentKind::min}}};
};

/// The index of the channel with a pixel's maximum or minimum, as a number. It is the first one among equal
/// ones, and the first NaN if there is one.
struct Argument {
    static constexpr OperationInfo info{
        "argument", "The index of the channel with the maximum or minimum.", 1, 1, true, false, false};
    ArgumentKind kind = ArgumentKind::max;

    template <class Visitor> void fields(Visitor &visit) { visit("kind", kind, "max or min"); }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &inputs, const Shape &) const { return {0, inputs[0].elements()}; }
};

/// The indices of the channels with a pixel's largest or smallest elements, as numbers, the best first. If
/// elements are equal, the first one comes first. NaN is larger than all numbers.
struct TopK {
    static constexpr OperationInfo info{
        "top_k", "The indices of the channels with the largest or smallest elements.", 1, 1, true, false,
        false};
    ArgumentKind kind = ArgumentKind::max;
    std::int64_t count = 1;

    template <class Visitor> void fields(Visitor &visit) {
        visit("kind", kind, "max or min");
        visit("count", count, "number of channels that are found");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &inputs, const Shape &) const { return {0, inputs[0].elements()}; }
};

enum class WeightedReductionKind { sum, mean };

template <> struct EnumNames<WeightedReductionKind> {
    static constexpr std::array<std::pair<const char *, WeightedReductionKind>, 2> values{
        {{"sum", WeightedReductionKind::sum}, {"mean", WeightedReductionKind::mean}}};
};

/// Weighted sum or mean over channels. The sum is over the products of the first input and the second, the
/// weights. The mean divides by the number of weights that are not 0; if all are 0, the mean is 0.
struct WeightedReduction {
    static constexpr OperationInfo info{
        "weighted_reduction", "Weighted sum or mean over the feature channels.", 2, 2, true, false, true};

    WeightedReductionKind kind = WeightedReductionKind::sum;

    template <class Visitor> void fields(Visitor &visit) {
        visit("kind", kind, "sum, or mean: divided by the number of weights that are not zero");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &inputs, const Shape &) const {
        return {inputs[0].elements(), 2 * inputs[0].elements()};
    }
};

/// Sums of the first input's elements over the axes along which the second input has extent 1. Only the shape
/// of the second input is used, and the result has that shape. As images (n, height, width, channels), each
/// extent of the second input equals the extent of the first input or is 1. This is the gradient of a bias,
/// and of an operand that arithmetic has broadcast.
struct SumLike {
    static constexpr OperationInfo info =
        training_info("sum_like", "Sums over the axes that another tensor does not have.", 2);

    template <class Visitor> void fields(Visitor &) {}

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const { return inputs[1]; }
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &inputs, const Shape &) const { return {0, inputs[0].elements()}; }
};

} // namespace mpscnn::ops
