// Activation functions that other kernels call out of line. One call handles several vectors, so it costs
// little compared with the function itself, and the code of the kernels stays small.
//
// Two vectors are computed at a time, so that their chains of dependent operations overlap. Coefficients of
// polynomials come from memory. The speed is limited by arithmetic: some ten operations for each vector (hard
// sigmoid 3, tanh and exponential about 20, a power about 40).

#include "cpu/isa/instance.h"
#include "cpu/isa/kernel_math.h"
#include "cpu/isa/kernels.h"
#include "cpu/isa/simd_math.h"
#include "cpu/isa/simd_twice.h"

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

} // namespace
} // namespace mpscnn::cpu

void mpscnn::cpu::MPSCNN_SET::get(NeuronFunctions &functions) { functions = {neuron_apply<Simd>}; }
