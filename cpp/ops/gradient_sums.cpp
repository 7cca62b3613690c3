#include "ops/gradient_rules.h"

namespace mpscnn::ops {

namespace {

/// Return the number of an axis, counted from the last one.
int axis_of(ReductionAxis axis) {
    return axis == ReductionAxis::channels ? 1 : axis == ReductionAxis::width ? 2 : 3;
}

/// Return the gradient of a sum's input: each element gets the gradient of its sum, times a factor.
Value spread(const Reduction &reduction, GradientBuilder &builder, float factor, std::int64_t extent) {
    const int from_end = axis_of(reduction.axis);
    Tile copies;
    (from_end == 1 ? copies.channels : from_end == 2 ? copies.columns : copies.rows) = extent;
    return builder.add(copies, {scaled(builder, builder.gradient(), factor)});
}

/// Return the gradient of a maximum's or minimum's input. Elements that are equal to the result share its
/// gradient evenly, as in PyTorch's amax.
Value to_chosen(const Reduction &reduction, GradientBuilder &builder) {
    const int from_end = axis_of(reduction.axis);
    const Value chosen = builder.add(broadcasting<Equal>(from_end), {builder.input(0), builder.result()});
    const Value count = builder.add(Reduction{.kind = ReductionKind::sum, .axis = reduction.axis}, {chosen});
    const Value share = builder.add(Division{}, {builder.gradient(), count});
    return builder.add(broadcasting<Multiplication>(from_end), {chosen, share});
}

/// Return the product of numbers of the input's shape and a gradient of the result's shape, which is
/// broadcast.
Value times_gradient(const Reduction &reduction, GradientBuilder &builder, Value numbers, Value gradient) {
    return builder.add(broadcasting<Multiplication>(axis_of(reduction.axis)), {numbers, gradient});
}

/// Return gradient / result, and 0 where the result is 0.
Value over_result(GradientBuilder &builder) {
    const Value quotient = builder.add(Division{}, {builder.gradient(), builder.result()});
    return builder.add(Mask{}, {builder.result(), quotient});
}

/// Return the input minus `number`, a tensor of the result's shape, which is broadcast.
Value less(const Reduction &reduction, GradientBuilder &builder, Value number) {
    return builder.add(broadcasting<Subtraction>(axis_of(reduction.axis)), {builder.input(0), number});
}

/// Return the gradient of a variance's input: factor * (x - mean) times the gradient of the result, with
/// factor = 2 * weight / extent. The gradient of a deviation is half of that, divided by the result.
Value of_spread(const Reduction &reduction, GradientBuilder &builder, std::int64_t extent) {
    const Reduction average{.kind = ReductionKind::mean, .axis = reduction.axis};
    const Value mean = builder.add(average, {builder.input(0)});
    const bool has_root = reduction.kind == ReductionKind::deviation;
    const float factor = (has_root ? 1.0f : 2.0f) * reduction.weight / static_cast<float>(extent);
    const Value gradient = has_root ? over_result(builder) : builder.gradient();
    return times_gradient(reduction, builder, less(reduction, builder, mean),
                          scaled(builder, gradient, factor));
}

/// Return the gradient of a log-sum-exp's input: the input's softmax times the gradient.
Value of_log_sum(const Reduction &reduction, GradientBuilder &builder) {
    const Neuron exponential{.kind = NeuronKind::exponential, .a = 1.0f, .b = 0.0f, .c = -1.0f};
    const Value shares = builder.add(exponential, {less(reduction, builder, builder.result())});
    return times_gradient(reduction, builder, shares, builder.gradient());
}

} // namespace

void add_own(const Reduction &reduction, GradientBuilder &builder) {
    const Shape &input = builder.shape(builder.input(0));
    const std::int64_t extent = input[input.rank() - axis_of(reduction.axis)];
    switch (reduction.kind) {
    case ReductionKind::max:
    case ReductionKind::min:
        return builder.give(0, to_chosen(reduction, builder));
    case ReductionKind::l2_norm:
        return builder.give(0, times_gradient(reduction, builder, builder.input(0), over_result(builder)));
    case ReductionKind::sum_of_squares:
        return builder.give(0, times_gradient(reduction, builder, builder.input(0),
                                              scaled(builder, builder.gradient(), 2.0f)));
    case ReductionKind::log_sum_exp:
        return builder.give(0, of_log_sum(reduction, builder));
    case ReductionKind::product:
        builder.refuse("a product");
    case ReductionKind::variance:
    case ReductionKind::deviation:
    case ReductionKind::sum:
    case ReductionKind::mean:
        break;
    }
    if (extent == Shape::any) builder.refuse("a free extent");
    if (reduction.kind == ReductionKind::variance || reduction.kind == ReductionKind::deviation)
        return builder.give(0, of_spread(reduction, builder, extent));
    const bool is_mean = reduction.kind == ReductionKind::mean;
    builder.give(0, spread(reduction, builder, is_mean ? 1.0f / static_cast<float>(extent) : reduction.weight,
                           extent));
}

/// Add the gradients of x and its weights w: gradient * w and gradient * x. For a mean they are divided by
/// the number of weights that are not 0, which counts as a constant. Weights of one row or column belong to
/// all rows or columns.
void add_own(const WeightedReduction &reduction, GradientBuilder &builder) {
    const Value x = builder.input(0), weights = builder.input(1);
    const Shape shape = builder.shape(weights);
    const std::int64_t rows = shape.rank() > 3 && shape[1] == 1 ? 0 : 1;
    const std::int64_t columns = shape.rank() > 2 && shape[shape.rank() - 2] == 1 ? 0 : 1;
    Value gradient = builder.gradient();
    if (reduction.kind == WeightedReductionKind::mean) {
        NotEqual counted;
        counted.secondary_scale = 0.0f; // NotEqual compares with 0 * second operand
        const Value ones = builder.add(counted, {weights, weights});
        const Value count = builder.add(Reduction{.kind = ReductionKind::sum}, {ones});
        Division division;
        division.secondary_stride_y = rows, division.secondary_stride_x = columns;
        const Value quotient = builder.add(division, {gradient, count});
        Mask mask;
        mask.primary_stride_y = rows, mask.primary_stride_x = columns;
        gradient = builder.add(mask, {count, quotient});
    }
    auto product = broadcasting<Multiplication>(1);
    if (builder.wants(1)) {
        const Value of_each = builder.add(product, {x, gradient});
        const bool whole = builder.shape(of_each) == shape;
        builder.give(1, whole ? of_each : builder.add(SumLike{}, {of_each, weights}));
    }
    product.primary_stride_y = rows, product.primary_stride_x = columns;
    if (builder.wants(0)) builder.give(0, builder.add(product, {weights, gradient}));
}

} // namespace mpscnn::ops
