// Gradients of activation functions: the gradient of the result times the derivative. The derivative is
// computed from the function's input, or from its result for functions where that is exact. The kind of
// activation is compiled in.

#include <metal_stdlib>

#include "activation.h"
#include "array_access.h"
#include "array_neuron_params.h"

using namespace metal;

/// Return e^(-x^2 / 2).
inline float4 bell(float4 x) {
    const float4 z = min(float4(15.0f), fabs(x)); // e^(-x^2 / 2) is zero beyond 15
    const float4 half_z = -0.5f * z, square = z * half_z, lost = fma(z, half_z, -square);
    return exp(square) * (float4(1.0f) + lost);
}

/// Return the derivative of GELU: the normal distribution function at x, plus x times its density.
inline float4 gelu_derivative(float4 x) {
    const float4 limited = clamp(x, float4(-15.0f), float4(15.0f)), power = bell(limited);
    const float4 tail = normal_tail(fabs(limited)) * power;
    const float4 below = select(float4(1.0f) - tail, tail, x < float4(0.0f));
    return fma(limited * 0.398942280f, power, below); // the constant is 1 / sqrt(2 pi)
}

/// Return the derivative of x * sigmoid(t), where dt is t's derivative: s + x * dt * s * (1 - s).
inline float4 times_sigmoid_derivative(float4 x, float4 t, float4 dt) {
    const float4 s = sigmoid(t);
    return fma(x * dt * sigmoid(-t), s, s);
}

/// Return the derivative of mish: t + x * (1 - t^2) * sigmoid(x) with t = tanh(ln(1 + e^x)). It is computed
/// with z = e^-|x|, like mish() in exponentials.h.
inline float4 mish_derivative(float4 x) {
    const float4 one = float4(1.0f), z = exp(-fabs(x));
    const float4 zero = float4(0.0f);
    const float4 sum = select(2.0f * z + one, z * (z + 2.0f), x < zero);
    const float4 divisor = select(2.0f * z * (z + one) + one, z * (z + 2.0f) + 2.0f, x < zero);
    const float4 factor = 4.0f * (z + one) * select(z * z, z, x < zero);
    // Limit x, because infinity times an exponential that is zero would be NaN.
    const float4 limited = clamp(x, float4(-1e30f), float4(1e30f));
    return fma(limited, factor / divisor, sum) / divisor;
}

/// Return `inside` where x is between two limits, otherwise 0.
inline float4 inside_limits(float4 x, float low, float high, float inside) {
    return select(float4(0.0f), float4(inside), x > float4(low) && x < float4(high));
}

/// Return the derivative of a function with `slope` at and below zero, slope 1 above it, and slope 0 from the
/// result `high` on.
inline float4 leaky_derivative(float4 x, float slope, float high, bool from_result) {
    const float4 zero = float4(0.0f), factor = select(float4(slope), float4(1.0f), x > zero);
    const float4 result = from_result ? x : factor * x;
    return select(zero, factor, result < float4(high));
}

/// The values that a thread's four elements need.
struct NeuronPoint {
    float4 x, slopes;
};

/// Return the derivative, computed from the function's result.
inline float4 derivative_of_result(float4 y, constant ActivationParams &activation) {
    const float a = activation.a, b = activation.b, c = activation.c;
    const float4 one = float4(1.0f);
    switch (static_cast<NeuronKind>(activation_kind)) {
    case NeuronKind::sigmoid:
        return y * (one - y);
    case NeuronKind::hard_sigmoid:
        return inside_limits(y, 0.0f, 1.0f, a);
    case NeuronKind::tanh:
        return (a - y) * (a + y) * (b / a);
    case NeuronKind::softplus: // the derivative is a b (1 - e^(-y / a))
        return -a * b * expm1(min(y * (-1.0f / a), float4(0.0f)));
    case NeuronKind::softsign:
        return (one - fabs(y)) * (one - fabs(y));
    case NeuronKind::elu:
        return select(y + a, one, y > float4(0.0f));
    default: // exponential
        return y * (a * (c == -1.0f ? 1.0f : log(c)));
    }
}

/// Return the derivative, computed from the function's input.
inline float4 derivative_of_input(float4 x, constant ActivationParams &activation) {
    const float a = activation.a, b = activation.b, c = activation.c;
    const float4 zero = float4(0.0f), one = float4(1.0f);
    switch (static_cast<NeuronKind>(activation_kind)) {
    case NeuronKind::sigmoid:
        return sigmoid(x) * sigmoid(-x);
    case NeuronKind::hard_sigmoid:
        return inside_limits(a * x + b, 0.0f, 1.0f, a);
    case NeuronKind::tanh: // 1 - tanh^2 is 4 s (1 - s), where s is the sigmoid of twice the argument
        return 4.0f * a * b * (sigmoid(2.0f * b * x) * sigmoid(-2.0f * b * x));
    case NeuronKind::absolute:
        return select(select(zero, one, x > zero), -one, x < zero);
    case NeuronKind::softplus:
        return a * b * sigmoid(b * x);
    case NeuronKind::softsign:
        return one / ((one + fabs(x)) * (one + fabs(x)));
    case NeuronKind::elu:
        return select(a * exp(min(x, zero)), one, x > zero);
    case NeuronKind::power:
        return c == 0.0f ? zero : a * c * signed_power(a * x + b, c - 1.0f);
    case NeuronKind::exponential:
        return c == -1.0f ? a * exp(a * x + b) : a * log(c) * pow(float4(c), a * x + b);
    case NeuronKind::logarithm:
        return (c == -1.0f ? a : a / log(c)) / (a * x + b);
    case NeuronKind::gelu:
        return gelu_derivative(x);
    case NeuronKind::hard_swish:
        return select(select(zero, fma(x, float4(1.0f / 3.0f), float4(0.5f)), x > float4(-3.0f)), one,
                      x >= float4(3.0f));
    case NeuronKind::swish:
        return times_sigmoid_derivative(x, b * x, float4(b));
    case NeuronKind::mish:
        return mish_derivative(x);
    case NeuronKind::gelu_tanh: { // t = 2 sqrt(2 / pi) (x + 0.044715 x^3), as in activation.h
        // Beyond the limit the sigmoid of t is 0 or 1, and powers of x might be infinite.
        const float4 limit = float4(100.0f);
        const float4 limited = select(x, clamp(x, -limit, limit), fabs(x) > limit);
        const float4 square = limited * limited;
        return times_sigmoid_derivative(limited, limited * (1.59576912f + 0.0713548163f * square),
                                        1.59576912f + 0.2140644489f * square);
    }
    case NeuronKind::erf: // 2 / sqrt(pi) times e^(-x^2)
        return 1.12837917f * bell(1.41421356f * x);
    case NeuronKind::sign: // the derivative is 0 except at the jumps
    case NeuronKind::floor:
    case NeuronKind::ceil:
    case NeuronKind::round:
        return zero;
    default: // derivative_of_neuron computes all other kinds
        return float4(NAN);
    }
}

inline float4 derivative_of_neuron(NeuronPoint at, constant ArrayNeuronParams &params) {
    const bool from_result = params.from_result != 0;
    switch (static_cast<NeuronKind>(activation_kind)) {
    case NeuronKind::none:
        return float4(1.0f);
    case NeuronKind::linear:
        return float4(params.activation.a);
    case NeuronKind::relu:
        return leaky_derivative(at.x, params.activation.a, INFINITY, from_result);
    case NeuronKind::relun:
        return leaky_derivative(at.x, params.activation.a, params.activation.b, from_result);
    case NeuronKind::prelu:
        return select(at.slopes, float4(1.0f), at.x > float4(0.0f));
    case NeuronKind::clamp:
        return inside_limits(at.x, params.activation.a, params.activation.b, 1.0f);
    default:
        return from_result ? derivative_of_result(at.x, params.activation)
                           : derivative_of_input(at.x, params.activation);
    }
}

kernel void array_neuron_gradient(constant ArrayNeuronParams &params [[buffer(0)]],
                                  const device float *gradient [[buffer(1)]],
                                  const device float *known [[buffer(2)]],
                                  const device float *slopes [[buffer(3)]],
                                  device float *result [[buffer(4)]], uint i [[thread_position_in_grid]]) {
    if (i >= params.run.threads) return;
    const uint first = 4u * i, count = min(4u, params.elements - first);
    NeuronPoint at;
    float4 given = float4(0.0f);
    at.x = at.slopes = float4(0.0f);
    const bool has_slopes = static_cast<NeuronKind>(activation_kind) == NeuronKind::prelu;
    for (uint lane = 0; lane < count; ++lane) {
        given[lane] = load(gradient, first + lane, params.run, 1);
        at.x[lane] = load(known, first + lane, params.run, 2);
        if (has_slopes) at.slopes[lane] = load(slopes, (first + lane) % params.channels, params.run, 3);
    }
    const float4 derivative = derivative_of_neuron(at, params);
    // A derivative of 0 gives 0 even for an infinite gradient.
    const float4 passed =
        select(given * derivative, float4(0.0f), derivative == float4(0.0f) && given == given);
    for (uint lane = 0; lane < count; ++lane) store(result, passed[lane], first + lane, params.run, 4);
}
