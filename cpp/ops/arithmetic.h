#pragma once

#include "ops/operation.h"
#include "shaders/arithmetic_kind.h"

namespace mpscnn::ops {

using ::ArithmeticKind;

/// Parameters of the elementwise operations on two tensors, as in MPSCNNArithmetic: with x = primary_scale *
/// (first input) and y = secondary_scale * (second input) the result is min(max(x op y + bias, minimum),
/// maximum).
///
/// A stride s of an input along an axis means that element i of the result reads element i * s of that input.
/// With stride 0 the input is broadcast. Strides y count rows, strides x count pixels, and the others
/// count channels.
struct Arithmetic {
    float primary_scale = 1.0f, secondary_scale = 1.0f;
    float bias = 0.0f;
    float minimum = std::numeric_limits<float>::lowest(), maximum = std::numeric_limits<float>::max();
    std::int64_t primary_stride_y = 1, primary_stride_x = 1, primary_stride_channels = 1;
    std::int64_t secondary_stride_y = 1, secondary_stride_x = 1, secondary_stride_channels = 1;

    template <class Visitor> void fields(Visitor &visit) {
        visit("primary_scale", primary_scale, "factor of the first input");
        visit("secondary_scale", secondary_scale, "factor of the second input");
        visit("bias", bias, "added to the result");
        visit("minimum", minimum, "lower limit of the result; the default is none: -infinity stays");
        visit("maximum", maximum, "upper limit of the result; the default is none: infinity stays");
        visit("primary_stride_y", primary_stride_y, "step in rows through the first input; 0: broadcast");
        visit("primary_stride_x", primary_stride_x, "step in pixels through the first input; 0: broadcast");
        visit("primary_stride_channels", primary_stride_channels,
              "1, or 0 to read the first input's first channel for all channels");
        visit("secondary_stride_y", secondary_stride_y,
              "step in rows through the second input; 0: broadcast");
        visit("secondary_stride_x", secondary_stride_x,
              "step in pixels through the second input; 0: broadcast");
        visit("secondary_stride_channels", secondary_stride_channels,
              "1, or 0 to read the second input's first channel for all channels");
    }

    bool has_minimum() const { return minimum != std::numeric_limits<float>::lowest(); }
    bool has_maximum() const { return maximum != std::numeric_limits<float>::max(); }
    /// Return whether the result is x op y of the unscaled inputs, element by element.
    bool is_plain() const;

    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &, const Shape &output) const { return {0, output.elements()}; }

protected:
    void check(const OperationInfo &info, const InputShapes &inputs) const;
};

constexpr OperationInfo arithmetic_info(ArithmeticKind kind) {
    switch (kind) {
#define MPSCNN_ARITHMETIC(NAME, TYPE, SUMMARY)                                                               \
    case ArithmeticKind::NAME:                                                                               \
        return {#NAME, SUMMARY, 2, 2, true, true, true};
        FOR_EACH_ARITHMETIC(MPSCNN_ARITHMETIC)
#undef MPSCNN_ARITHMETIC
    }
    return {};
}

/// The operation struct of one entry of the table of arithmetic kinds.
template <ArithmeticKind entry> struct ArithmeticOperation : Arithmetic {
    static constexpr ArithmeticKind kind = entry;
    static constexpr OperationInfo info = arithmetic_info(entry);

    void check(const InputShapes &inputs) const { Arithmetic::check(info, inputs); }
};

// NOLINTNEXTLINE(bugprone-macro-parentheses): a type is not an expression
#define MPSCNN_ARITHMETIC(NAME, TYPE, SUMMARY) using TYPE = ArithmeticOperation<ArithmeticKind::NAME>;
FOR_EACH_ARITHMETIC(MPSCNN_ARITHMETIC)
#undef MPSCNN_ARITHMETIC

} // namespace mpscnn::ops
