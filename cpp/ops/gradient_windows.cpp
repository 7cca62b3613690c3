#include "ops/gradient_rules.h"

// Gradient rules of normalizations over windows of pixels. They rebuild the normalization from a padded
// input: averages of x and x * x over the windows, and the windows' centres.

namespace mpscnn::ops {

namespace {

/// Values that both normalizations over windows compute from their input.
class WindowParts {
public:
    WindowParts(const CentredWindow &window, GradientBuilder &builder)
        : builder_(builder), input_(builder.input(0)) {
        const Shape input = builder.shape(input_), result = builder.shape(builder.gradient());
        if (!input.with_batch(1).fixed()) builder.refuse("free extents");
        padding_.top = window.kernel_height / 2 - window.offset_y;
        padding_.left = window.kernel_width / 2 - window.offset_x;
        padding_.bottom = result[1] - input[1] + window.kernel_height - 1 - padding_.top;
        padding_.right = result[2] - input[2] + window.kernel_width - 1 - padding_.left;
        if (window.edge == EdgeRule::clamp) padding_.mode = PaddingMode::clamp;
        averages_.kind = PoolingKind::average;
        averages_.window.kernel_height = window.kernel_height;
        averages_.window.kernel_width = window.kernel_width;
        centres_.top = window.kernel_height / 2, centres_.left = window.kernel_width / 2;
        centres_.height = result[1], centres_.width = result[2];
        padded_ = builder.add(padding_, {input_});
        squares_ = multiplied(builder, padded_, padded_);
    }

    Value centre() { return builder_.add(centres_, {padded_}); }
    Value mean() { return builder_.add(averages_, {padded_}); }
    Value mean_square() { return builder_.add(averages_, {squares_}); }
    /// Return (a * x + b)^exponent.
    Value power(Value x, float a, float b, float exponent) {
        return builder_.add(Neuron{.kind = NeuronKind::power, .a = a, .b = b, .c = exponent}, {x});
    }
    Value sum(Value a, Value b) { return builder_.add(Addition{}, {a, b}); }
    Value product(Value a, Value b) { return multiplied(builder_, a, b); }

    /// Give the input its gradient, from the gradients of the windows' centres, of the mean of squares and,
    /// if there is one, of the mean.
    void give(Value of_centre, Value of_square, Value of_mean = -1) {
        const Shape padded = builder_.shape(padded_), part = builder_.shape(of_centre);
        Padding around;
        around.top = centres_.top, around.bottom = padded[1] - part[1] - centres_.top;
        around.left = centres_.left, around.right = padded[2] - part[2] - centres_.left;
        Value total = builder_.add(around, {of_centre});
        Multiplication twice;
        twice.primary_scale = 2.0f;
        total = sum(total, builder_.add(twice, {padded_, averages_gradient(of_square)}));
        if (of_mean >= 0) total = sum(total, averages_gradient(of_mean));
        builder_.give(0, padding_gradient(padding_, builder_, total, input_));
    }

private:
    Value averages_gradient(Value gradient) {
        return builder_.add(PoolingGradient{averages_}, {gradient, padded_, gradient});
    }

    GradientBuilder &builder_;
    Value input_, padded_ = -1, squares_ = -1;
    Padding padding_;
    Pooling averages_;
    Slice centres_;
};

} // namespace

/// Add the gradient of x * L^-beta with L = delta + alpha * (mean of squares).
void add_own(const SpatialNormalization &normalization, GradientBuilder &builder) {
    WindowParts parts(normalization.window, builder);
    const float alpha = normalization.alpha, beta = normalization.beta, delta = normalization.delta;
    const Value square = parts.mean_square();
    const Value of_centre = parts.product(builder.gradient(), parts.power(square, alpha, delta, -beta));
    const Value steep = parts.product(parts.product(builder.gradient(), parts.centre()),
                                      parts.power(square, alpha, delta, -beta - 1.0f));
    parts.give(of_centre, scaled(builder, steep, -alpha * beta));
}

/// Add the gradient of pm + ps * d * L^-beta with d = x - p0 * mean and L = delta + alpha * (mean of squares
/// - mean^2).
void add_own(const LocalContrastNormalization &normalization, GradientBuilder &builder) {
    WindowParts parts(normalization.window, builder);
    const float alpha = normalization.alpha, beta = normalization.beta, delta = normalization.delta;
    const Value mean = parts.mean();
    const Value variance = builder.add(Subtraction{}, {parts.mean_square(), parts.product(mean, mean)});
    Subtraction difference;
    difference.secondary_scale = normalization.p0;
    const Value deviation = builder.add(difference, {parts.centre(), mean});
    const Value gradient = scaled(builder, builder.gradient(), normalization.ps);
    const Value of_centre = parts.product(gradient, parts.power(variance, alpha, delta, -beta));
    const Value steep =
        parts.product(parts.product(gradient, deviation), parts.power(variance, alpha, delta, -beta - 1.0f));
    const Value of_square = scaled(builder, steep, -alpha * beta);
    Multiplication twice;
    twice.primary_scale = -2.0f;
    const Value of_mean =
        parts.sum(scaled(builder, of_centre, -normalization.p0), builder.add(twice, {mean, of_square}));
    parts.give(of_centre, of_square, of_mean);
}

} // namespace mpscnn::ops
