#include <array>
#include <cstddef>
#include <cstdint>

#include "ops/gradient_rules.h"

namespace mpscnn::ops {

namespace {

/// Refuse operands whose strides leave elements unread: a stride of more than 1, or a stride of 0 along an
/// axis with several elements, of which only the first one is read.
void refuse_parts(const Arithmetic &arithmetic, const GradientBuilder &builder) {
    const std::array strides{std::array{arithmetic.primary_stride_channels, arithmetic.primary_stride_x,
                                        arithmetic.primary_stride_y},
                             std::array{arithmetic.secondary_stride_channels, arithmetic.secondary_stride_x,
                                        arithmetic.secondary_stride_y}};
    for (std::size_t operand = 0; operand < strides.size(); ++operand) {
        const Shape &shape = builder.shape(builder.input(operand));
        for (int axis = 0; axis < 3; ++axis) {
            const std::int64_t stride = strides[operand][static_cast<std::size_t>(axis)];
            if (stride > 1) builder.refuse("strides of more than 1");
            if (stride == 0 && axis + 1 < shape.rank() && shape[shape.rank() - 1 - axis] != 1)
                builder.refuse("a stride of 0 along several elements");
        }
    }
}

/// Return the gradient before the clamp to arithmetic's limits. It is 0 where the result equals a limit.
Value limited_gradient(const Arithmetic &arithmetic, GradientBuilder &builder) {
    refuse_parts(arithmetic, builder);
    if (!arithmetic.has_minimum() && !arithmetic.has_maximum()) return builder.gradient();
    const Neuron limits{.kind = NeuronKind::clamp, .a = arithmetic.minimum, .b = arithmetic.maximum};
    return builder.add(NeuronGradient{limits, true}, {builder.gradient(), builder.result()});
}

/// Give an input its gradient: the sum of `gradient`, which has the result's shape, over the axes along which
/// the input was broadcast.
void give_summed(GradientBuilder &builder, std::size_t input, Value gradient) {
    const Value source = builder.input(input);
    const bool whole = builder.shape(source) == builder.shape(gradient);
    builder.give(input, whole ? gradient : builder.add(SumLike{}, {gradient, source}));
}

/// Return an operation whose second operand (the first with `as_first`) has the strides with which
/// `arithmetic` reads its input `index`.
template <class Op> Op reading(const Arithmetic &arithmetic, std::size_t index, bool as_first = false) {
    Op operation;
    const bool first = index == 0;
    (as_first ? operation.primary_stride_y : operation.secondary_stride_y) =
        first ? arithmetic.primary_stride_y : arithmetic.secondary_stride_y;
    (as_first ? operation.primary_stride_x : operation.secondary_stride_x) =
        first ? arithmetic.primary_stride_x : arithmetic.secondary_stride_x;
    (as_first ? operation.primary_stride_channels : operation.secondary_stride_channels) =
        first ? arithmetic.primary_stride_channels : arithmetic.secondary_stride_channels;
    return operation;
}

/// Return an operation of type Op that reads its operands with the strides and scales of `arithmetic`.
template <class Op> Op of_operands(const Arithmetic &arithmetic) {
    Op operation;
    static_cast<Arithmetic &>(operation) = arithmetic;
    operation.bias = 0.0f;
    operation.minimum = Op{}.minimum, operation.maximum = Op{}.maximum;
    return operation;
}

/// Give the gradients of a maximum (`larger`) or minimum. Each element's gradient goes to the operand that
/// was chosen. If both are equal, each gets half, as in PyTorch.
void give_chosen(const Arithmetic &arithmetic, GradientBuilder &builder, bool larger) {
    const Value gradient = limited_gradient(arithmetic, builder);
    const Value first = builder.input(0), second = builder.input(1);
    const Value greater = builder.add(of_operands<Greater>(arithmetic), {first, second});
    const Value equal = builder.add(of_operands<Equal>(arithmetic), {first, second});
    Addition sum;
    sum.secondary_scale = 0.5f;
    // The first input's share of the gradient if the larger operand is chosen: 1, 1/2 or 0.
    const Value share = builder.add(sum, {greater, equal});
    const Value to_larger = multiplied(builder, gradient, share);
    const Value to_smaller = builder.add(Subtraction{}, {gradient, to_larger});
    const auto give = [&](std::size_t input, bool has_larger, float scale) {
        if (builder.wants(input))
            give_summed(builder, input, scaled(builder, has_larger ? to_larger : to_smaller, scale));
    };
    give(0, larger, arithmetic.primary_scale);
    give(1, !larger, arithmetic.secondary_scale);
}

/// Give the gradient of a mask's second operand: the gradient of the result, where the mask lets elements
/// through.
template <class Op> void give_masked(const Op &mask, GradientBuilder &builder) {
    const Value gradient = limited_gradient(mask, builder);
    if (!builder.wants(1)) return;
    const Value kept = builder.add(reading<Op>(mask, 0, true), {builder.input(0), gradient});
    give_summed(builder, 1, scaled(builder, kept, mask.secondary_scale));
}

} // namespace

void add_own(const Addition &addition, GradientBuilder &builder) {
    const Value gradient = limited_gradient(addition, builder);
    if (builder.wants(0)) give_summed(builder, 0, scaled(builder, gradient, addition.primary_scale));
    if (builder.wants(1)) give_summed(builder, 1, scaled(builder, gradient, addition.secondary_scale));
}

void add_own(const Subtraction &difference, GradientBuilder &builder) {
    const Value gradient = limited_gradient(difference, builder);
    if (builder.wants(0)) give_summed(builder, 0, scaled(builder, gradient, difference.primary_scale));
    if (builder.wants(1)) give_summed(builder, 1, scaled(builder, gradient, -difference.secondary_scale));
}

void add_own(const Multiplication &product, GradientBuilder &builder) {
    const Value gradient = limited_gradient(product, builder);
    for (const std::size_t index : {0, 1}) {
        if (!builder.wants(index)) continue;
        auto factor = reading<Multiplication>(product, 1 - index);
        factor.primary_scale = product.primary_scale * product.secondary_scale;
        give_summed(builder, index, builder.add(factor, {gradient, builder.input(1 - index)}));
    }
}

void add_own(const Division &quotient, GradientBuilder &builder) {
    const Value gradient = limited_gradient(quotient, builder);
    auto by_divisor = reading<Division>(quotient, 1);
    by_divisor.primary_scale = quotient.primary_scale / quotient.secondary_scale;
    if (builder.wants(0)) give_summed(builder, 0, builder.add(by_divisor, {gradient, builder.input(1)}));
    if (builder.wants(1)) {
        const auto numerator = reading<Multiplication>(quotient, 0);
        const Value product = builder.add(numerator, {gradient, builder.input(0)});
        by_divisor.primary_scale = -by_divisor.primary_scale;
        const Value once = builder.add(by_divisor, {product, builder.input(1)});
        give_summed(builder, 1, builder.add(reading<Division>(quotient, 1), {once, builder.input(1)}));
    }
}

void add_own(const Maximum &maximum, GradientBuilder &builder) { give_chosen(maximum, builder, true); }
void add_own(const Minimum &minimum, GradientBuilder &builder) { give_chosen(minimum, builder, false); }

/// Add the gradients of x^y: y * x^(y - 1) for x, which is 0 where y is 0, and x^y * ln x for y, which is 0
/// where x is 0.
void add_own(const Power &power, GradientBuilder &builder) {
    const Value gradient = limited_gradient(power, builder);
    if (power.primary_scale != 1.0f || power.secondary_scale != 1.0f || power.bias != 0.0f)
        builder.refuse("scales other than 1, or a bias,");
    const Value base = builder.input(0), exponent = builder.input(1);
    if (builder.wants(0)) {
        // Where y is 0, the exponent stays 0: 0^-1 would be infinite.
        const Value less = builder.add(Mask{}, {exponent, linear(builder, exponent, 1.0f, -1.0f)});
        const Value root = builder.add(of_operands<Power>(power), {base, less});
        const Value slope = builder.add(reading<Multiplication>(power, 1), {root, exponent});
        give_summed(builder, 0, multiplied(builder, gradient, slope));
    }
    if (builder.wants(1)) {
        const Value logarithm =
            builder.add(Neuron{.kind = NeuronKind::logarithm, .a = 1.0f, .b = 0.0f, .c = -1.0f}, {base});
        const Value finite = builder.add(Mask{}, {base, logarithm});
        const Value slope = builder.add(reading<Multiplication>(power, 0), {builder.result(), finite});
        give_summed(builder, 1, multiplied(builder, gradient, slope));
    }
}

void add_own(const Mask &mask, GradientBuilder &builder) { give_masked(mask, builder); }
void add_own(const MaskOut &mask, GradientBuilder &builder) { give_masked(mask, builder); }

} // namespace mpscnn::ops
