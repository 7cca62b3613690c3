// Activation functions and their gradients. A new function needs a case in `neuron_apply` and one in
// `input_gradient`.
//
// Other kernels call the functions out of line. One call handles several vectors, so it costs little compared
// with the function itself, and the code of the kernels stays small. Two vectors are computed at a time, so
// that their chains of dependent operations overlap. Coefficients of polynomials come from memory. The speed
// is limited by arithmetic: a hard sigmoid takes 3 operations for each vector, tanh and exponential about 20,
// a power about 40.
//
// A gradient is the gradient of the result times the derivative, which is computed from the function's input,
// or from its result if this gives the same value. The loops are those of element_runs.h, with four vectors
// of results at a time for short functions and one for the others. The speed is limited by memory, 12 bytes
// for each element, or by arithmetic. Functions with exponentials take 15 to 60 operations for
// each vector, in one chain of dependent operations.

#include "cpu/isa/instance.h"
#include "cpu/isa/kernel_math.h"
#include "cpu/isa/kernels.h"
#include "cpu/isa/simd_math.h"
#include "cpu/isa/simd_twice.h"
#include "cpu/kernels/movement/element_runs.h"
#include "cpu/kernels/shared/pixel_epilogue.h"

namespace mpscnn::cpu {
namespace {

/// Replace each x by function(x) in `rows` rows of `count` floats, for pairs of vectors. If the number of all
/// vectors is odd, the last vector is paired with itself.
template <class V, class Function>
MPSCNN_INLINE void replace_each(float *row, std::ptrdiff_t stride, std::int64_t rows, std::int64_t count,
                                Function function) {
    float *next = row, *end = row + count;
    const auto take = [&] {
        float *const taken = next;
        next += V::width;
        if (next == end) {
            next = row += stride;
            end = row + count;
        }
        return taken;
    };
    for (std::int64_t left = rows * (count / V::width); left > 0; left -= 2) {
        float *const first = take(), *const second = left > 1 ? take() : first;
        const auto result = function(typename Twice<V>::reg{V::load(first), V::load(second)});
        V::store(first, result.first);
        V::store(second, result.second);
    }
}

/// Apply the function of an activation in place (see Activation::apply).
template <class Register>
void neuron_apply(const Activation &activation, float *first, std::ptrdiff_t stride, std::int64_t rows,
                  std::int64_t count) {
    using V = Twice<Register>;
    const auto a = V::set1(activation.a), b = V::set1(activation.b);
    const auto zero = V::zero(), one = V::set1(1.0f);
    const auto linear = [&](auto x) { return V::fma(a, x, b); };
    const auto replace = [&](auto function) { replace_each<Register>(first, stride, rows, count, function); };
    switch (activation.function) {
    case NeuronKind::sigmoid:
        return replace([&](auto x) { return sigmoid<V>(x); });
    case NeuronKind::hard_sigmoid:
        return replace([&](auto x) { return V::min(one, V::max(zero, linear(x))); });
    case NeuronKind::tanh:
        return replace([&](auto x) { return V::mul(a, hyperbolic_tangent<V>(V::mul(b, x))); });
    case NeuronKind::absolute:
        return replace([&](auto x) { return V::add(absolute<V>(x), zero); }); // -0 + 0 is 0
    case NeuronKind::softplus:
        return replace([&](auto x) { return V::mul(a, softplus<V>(V::mul(b, x))); });
    case NeuronKind::softsign:
        return replace([&](auto x) { return V::div(x, V::add(one, absolute<V>(x))); });
    case NeuronKind::elu:
        return replace([&](auto x) {
            const auto below = V::mul(a, expm1<V>(V::min(zero, x)));
            return V::select(V::less(x, zero), below, x);
        });
    case NeuronKind::power:
        return replace([&](auto x) { return power<V>(linear(x), activation.c); });
    case NeuronKind::exponential:
        if (activation.c == 1.0f && activation.c_low == 0.0f) // base e
            return replace([&](auto x) { return exponential<V>(linear(x)); });
        return replace(
            [&](auto x) { return scaled_exponential<V>(linear(x), activation.c, activation.c_low); });
    case NeuronKind::logarithm:
        return replace(
            [&](auto x) { return scaled_logarithm<V>(linear(x), activation.c, activation.c_low); });
    case NeuronKind::gelu:
        return replace([&](auto x) { return gelu<V>(x); });
    case NeuronKind::hard_swish:
        return replace([&](auto x) {
            const auto limited = V::min(V::set1(6.0f), V::max(zero, V::add(x, V::set1(3.0f))));
            return V::mul(x, V::mul(limited, V::set1(1.0f / 6.0f))); // x * limited might overflow
        });
    case NeuronKind::swish:
        if (activation.b == 1.0f) return replace([&](auto x) { return times_sigmoid<V>(x, x); });
        return replace([&](auto x) { return times_sigmoid<V>(x, V::mul(b, x)); });
    case NeuronKind::mish:
        return replace([&](auto x) { return mish<V>(x); });
    case NeuronKind::gelu_tanh:
        return replace([&](auto x) {
            // (1 + tanh y) / 2 is the sigmoid of 2 y. The constants are 2 sqrt(2 / pi) times 0.044715, and 2
            // sqrt(2 / pi).
            const auto factor = V::fma(V::set1(0.0713548163f), V::mul(x, x), V::set1(1.59576912f));
            return times_sigmoid<V>(x, V::mul(x, factor));
        });
    case NeuronKind::sign:
        return replace([&](auto x) {
            const auto at_min_zero = V::select(V::less(zero, x), one, x);
            return V::select(V::less(x, zero), negate<V>(one), at_min_zero);
        });
    case NeuronKind::floor:
        return replace([&](auto x) { return floor<V>(x); });
    case NeuronKind::ceil:
        return replace([&](auto x) { return negate<V>(floor<V>(negate<V>(x))); });
    case NeuronKind::round:
        return replace([&](auto x) { return nearest_whole<V>(x); });
    case NeuronKind::erf:
        return replace([&](auto x) { return erf<V>(x); });
    case NeuronKind::none: // kernels compute this kind and the next ones inline
    case NeuronKind::relu:
    case NeuronKind::linear:
    case NeuronKind::prelu:
    case NeuronKind::relun:
    case NeuronKind::clamp:
        return;
    }
}

// ---- Gradients ----

template <class V> MPSCNN_INLINE auto one_less(typename V::reg x) { return V::sub(V::set1(1.0f), x); }

/// Return e^(-x^2 / 2).
template <class V> MPSCNN_INLINE typename V::reg bell(typename V::reg x) {
    const auto z = V::min(V::set1(15.0f), absolute<V>(x)); // for larger |x| the result is zero
    const auto square = product<V>(z, V::mul(V::set1(-0.5f), z));
    return exponential_of_negative<V>(square.high, square.low);
}

/// Return the derivative of GELU: the normal distribution function at x, plus x times its density.
template <class V> MPSCNN_INLINE typename V::reg gelu_derivative(typename V::reg x) {
    const auto power = bell<V>(x), limited = V::max(V::set1(-15.0f), V::min(V::set1(15.0f), x));
    const auto tail = V::mul(normal_tail<V>(absolute<V>(limited)), power);
    const auto below = V::select(V::less(x, V::zero()), tail, one_less<V>(tail));
    constexpr float density = 0.398942280f; // 1 / sqrt(2 pi)
    return V::fma(V::mul(limited, V::set1(density)), power, below);
}

/// Return the derivative of x * s, where s = sigmoid(t) and dt is the derivative of t: s + x * dt * s * (1 -
/// s).
template <class V>
MPSCNN_INLINE typename V::reg times_sigmoid_derivative(typename V::reg x, typename V::reg t,
                                                       typename V::reg dt) {
    const auto s = sigmoid<V>(t);
    return V::fma(V::mul(V::mul(x, dt), sigmoid<V>(negate<V>(t))), s, s);
}

template <class V> MPSCNN_INLINE typename V::reg mish_derivative(typename V::reg x) {
    // The derivative is tanh(u) + x * (1 - tanh(u)^2) * sigmoid(x) with u = ln(1 + e^x). It is written in z =
    // e^-|x|, like `mish` in simd_math.h.
    const auto one = V::set1(1.0f), two = V::set1(2.0f), four = V::set1(4.0f);
    const auto negative = V::less(x, V::zero());
    const auto z = exponential_of_negative<V>(negate<V>(absolute<V>(x)));
    const auto sum =
        V::select(negative, V::mul(z, V::add(z, two)), V::fma(two, z, one)); // tanh(u) = sum / divisor
    const auto divisor =
        V::select(negative, V::fma(z, V::add(z, two), two), V::fma(V::add(z, z), V::add(z, one), one));
    const auto factor = V::mul(V::mul(four, V::add(z, one)), V::select(negative, z, V::mul(z, z)));
    // Limit x, because infinity times an exponential of zero would be NaN.
    const auto limited = V::max(V::set1(-0x1p100f), V::min(V::set1(0x1p100f), x));
    const auto inverse = V::div(one, divisor);
    return V::mul(V::fma(V::mul(limited, factor), inverse, sum), inverse);
}

/// Return 1 - tanh(t)^2 as 4 sigmoid(2 t) sigmoid(-2 t).
template <class V> MPSCNN_INLINE typename V::reg tangent_derivative(typename V::reg t) {
    const auto twice = V::add(t, t);
    return V::mul(V::mul(V::set1(4.0f), sigmoid<V>(twice)), sigmoid<V>(negate<V>(twice)));
}

/// Store gradient * derivative(x), `block` vectors at a time.
template <class V, int block, class Derivative>
__attribute__((noinline)) void times_derivative(const ElementRun<2> &run, Derivative derivative) {
    map_run<V, block>(run, [&](const auto &x) { return V::mul(x[0], derivative(x[1])); });
}

/// Compute the gradient of a function whose derivative is `inside` if the input, or the result, is between
/// two limits, and 0 elsewhere.
template <class V>
__attribute__((noinline)) void between(const ElementRun<2> &run, const Limits &limits, float inside) {
    const auto low = V::set1(limits.low), high = V::set1(limits.high), factor = V::set1(inside);
    map_run<V, 4>(run, [&](const auto &x) {
        const auto passed = V::select(V::less(x[1], high), V::mul(x[0], factor), V::zero());
        return V::select(V::less(low, x[1]), passed, V::zero());
    });
}

/// Compute the gradient of a leaky ReLU: its derivative is `slope` at and below zero, then 1 up to a limit of
/// the result, and then 0.
template <class V>
__attribute__((noinline)) void leaky(const ElementRun<2> &run, const Activation &activation,
                                     bool from_result) {
    const auto slope = V::set1(activation.slope), high = V::set1(activation.high), zero = V::zero();
    const auto below = from_result ? V::set1(1.0f) : slope; // the factor from x to a result
    map_run<V, 4>(run, [&](const auto &x) {
        const auto positive = V::less(zero, x[1]);
        const auto result = V::select(positive, x[1], V::mul(below, x[1]));
        const auto passed = V::select(positive, x[0], V::mul(slope, x[0]));
        return V::select(V::less(result, high), passed, zero);
    });
}

template <class V> void constant_factor(const ElementRun<2> &run, float factor) {
    times_derivative<V, 4>(run, [=](auto) { return V::set1(factor); });
}

/// Compute the gradient from the function's result.
template <class V> void result_gradient(const Activation &activation, const ElementRun<2> &run) {
    const auto a = V::set1(activation.a), b = V::set1(activation.b), one = V::set1(1.0f);
    switch (activation.function) {
    case NeuronKind::sigmoid:
        return times_derivative<V, 4>(run, [&](auto y) { return V::mul(y, one_less<V>(y)); });
    case NeuronKind::hard_sigmoid:
        return between<V>(run, {0.0f, 1.0f}, activation.a);
    case NeuronKind::tanh: {
        const auto factor = V::div(b, a);
        return times_derivative<V, 4>(
            run, [&](auto y) { return V::mul(V::mul(V::sub(a, y), V::add(a, y)), factor); });
    }
    case NeuronKind::softplus: {
        const auto inverse = V::div(V::set1(-1.0f), a), factor = negate<V>(V::mul(a, b));
        return times_derivative<V, 1>(run,
                                      [&](auto y) { return V::mul(factor, expm1<V>(V::mul(y, inverse))); });
    }
    case NeuronKind::softsign:
        return times_derivative<V, 4>(run, [&](auto y) {
            const auto rest = one_less<V>(absolute<V>(y));
            return V::mul(rest, rest);
        });
    case NeuronKind::elu:
        return times_derivative<V, 4>(
            run, [&](auto y) { return V::select(V::less(V::zero(), y), one, V::add(y, a)); });
    default: // exponential
        return times_derivative<V, 4>(run,
                                      [&](auto y) { return V::mul(y, V::mul(a, V::set1(activation.c))); });
    }
}

/// Compute the gradient from the function's input.
template <class V> void input_gradient(const Activation &activation, const ElementRun<2> &run) {
    const auto a = V::set1(activation.a), b = V::set1(activation.b), zero = V::zero(), one = V::set1(1.0f);
    const float c = activation.c;
    const auto linear = [&](auto x) { return V::fma(a, x, b); };
    const auto each = [&](auto derivative) { times_derivative<V, 1>(run, derivative); };
    switch (activation.function) {
    case NeuronKind::sigmoid:
        return each([&](auto x) { return V::mul(sigmoid<V>(x), sigmoid<V>(negate<V>(x))); });
    case NeuronKind::hard_sigmoid:
        return map_run<V, 4>(run, [&](const auto &x) {
            const auto value = linear(x[1]);
            const auto passed = V::select(V::less(value, one), V::mul(a, x[0]), zero);
            return V::select(V::less(zero, value), passed, zero);
        });
    case NeuronKind::tanh: {
        const auto factor = V::mul(a, b);
        return each([&](auto x) { return V::mul(factor, tangent_derivative<V>(V::mul(b, x))); });
    }
    case NeuronKind::absolute:
        return map_run<V, 4>(run, [&](const auto &x) {
            const auto at_min_zero = V::select(V::less(zero, x[1]), x[0], zero);
            return V::select(V::less(x[1], zero), negate<V>(x[0]), at_min_zero);
        });
    case NeuronKind::softplus: {
        const auto factor = V::mul(a, b);
        return each([&](auto x) { return V::mul(factor, sigmoid<V>(V::mul(b, x))); });
    }
    case NeuronKind::softsign:
        return times_derivative<V, 4>(run, [&](auto x) {
            const auto inverse = V::div(one, V::add(one, absolute<V>(x)));
            return V::mul(inverse, inverse);
        });
    case NeuronKind::elu:
        return each([&](auto x) {
            const auto below = V::mul(a, exponential_of_negative<V>(V::min(zero, x)));
            return V::select(V::less(zero, x), one, below);
        });
    case NeuronKind::power: {
        if (c == 0.0f) return constant_factor<V>(run, 0.0f);
        const auto factor = V::mul(a, V::set1(c));
        return each([&](auto x) { return V::mul(factor, power<V>(linear(x), c - 1.0f)); });
    }
    case NeuronKind::exponential: {
        const auto factor = V::mul(a, V::set1(c));
        return each(
            [&](auto x) { return V::mul(factor, scaled_exponential<V>(linear(x), c, activation.c_low)); });
    }
    case NeuronKind::logarithm: {
        const auto factor = V::mul(a, V::set1(c));
        return times_derivative<V, 4>(run, [&](auto x) { return V::div(factor, linear(x)); });
    }
    case NeuronKind::gelu:
        return each([&](auto x) { return gelu_derivative<V>(x); });
    case NeuronKind::hard_swish:
        return map_run<V, 4>(run, [&](const auto &x) {
            const auto slope = V::fma(V::set1(1.0f / 3.0f), x[1], V::set1(0.5f));
            const auto passed = V::select(V::less(x[1], V::set1(3.0f)), V::mul(slope, x[0]), x[0]);
            return V::select(V::less(V::set1(-3.0f), x[1]), passed, zero);
        });
    case NeuronKind::swish:
        return each([&](auto x) { return times_sigmoid_derivative<V>(x, V::mul(b, x), b); });
    case NeuronKind::mish:
        return each([&](auto x) { return mish_derivative<V>(x); });
    case NeuronKind::gelu_tanh:
        return each([&](auto x) {
            // The sigmoid of t is (1 + tanh(t / 2)) / 2, with t = 2 sqrt(2 / pi) (x + 0.044715 x^3). Beyond
            // the limit it is 0 or 1, and powers of x might be infinite.
            const auto limit = V::set1(100.0f);
            x = V::max(negate<V>(limit), V::min(limit, x));
            const auto square = V::mul(x, x), factor = V::set1(1.59576912f);
            const auto t = V::mul(x, V::fma(V::set1(0.0713548163f), square, factor));
            return times_sigmoid_derivative<V>(x, t, V::fma(V::set1(0.2140644489f), square, factor));
        });
    case NeuronKind::erf:
        return each([&](auto x) { // 2 / sqrt pi times e^(-x^2)
            return V::mul(V::set1(1.12837917f), bell<V>(V::mul(V::set1(1.41421356f), x)));
        });
    case NeuronKind::sign: // the derivative is 0 except at the jumps
    case NeuronKind::floor:
    case NeuronKind::ceil:
    case NeuronKind::round:
        return map_run<V, 4>(run, [&](const auto &) { return zero; });
    case NeuronKind::none: // see run_gradient
    case NeuronKind::relu:
    case NeuronKind::linear:
    case NeuronKind::prelu:
    case NeuronKind::relun:
    case NeuronKind::clamp:
        return;
    }
}

template <class V> void run_gradient(const NeuronGradientTask &task, const ElementRun<2> &run) {
    const Activation &activation = task.activation;
    switch (activation.kind) {
    case Activation::Kind::clamp:
        return between<V>(run, {activation.low, activation.high}, 1.0f);
    case Activation::Kind::leaky:
        return leaky<V>(run, activation, task.from_result);
    case Activation::Kind::function:
        return task.from_result ? result_gradient<V>(activation, run) : input_gradient<V>(activation, run);
    case Activation::Kind::linear:
        return constant_factor<V>(run, activation.slope);
    default:
        return constant_factor<V>(run, 1.0f);
    }
}

/// Compute the gradient of PReLU, which has a slope for each channel of a pixel.
template <class V> void prelu_gradient(const float *slopes, const ElementRun<2> &run) {
    const ElementRun<3> with_slopes{
        run.to, {run.from[0], run.from[1], slopes}, run.elements, run.length, run.writable};
    map_run<V, 1>(with_slopes, [](const auto &x) {
        return V::select(V::less(V::zero(), x[1]), x[0], V::mul(x[0], x[2]));
    });
}

template <class V>
Prepared neuron_gradient_prepare(const NeuronGradientTask &task, const Planning &planning) {
    const bool join = task.activation.kind != Activation::Kind::prelu;
    const auto runs =
        element_runs<V>(task.destination, {&task.source, &task.others[0]}, join, planning.threads);
    return planning.keep(runs, runs.split.items());
}

template <class V>
void neuron_gradient_run(const NeuronGradientTask &task, const Prepared &prepared, std::int64_t begin,
                         std::int64_t end, Worker &) {
    const auto &runs = prepared.plan_as<ElementRuns<2>>();
    const bool has_slopes = task.activation.kind == Activation::Kind::prelu;
    for_each_run<V>(runs, task.destination, {&task.source, &task.others[0]}, begin, end,
                    [&](const ElementRun<2> &run) {
                        has_slopes ? prelu_gradient<V>(task.others[1].data, run) : run_gradient<V>(task, run);
                    });
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(NeuronGradientTask, neuron_gradient)

void mpscnn::cpu::MPSCNN_SET::get(NeuronFunctions &functions) { functions = {neuron_apply<Simd>}; }
