// Activation functions that other kernels call out of line: a call for some vectors at a time costs little
// beside these functions, and every kernel's own code stays small.
//
// Registers: two vectors side by side, whose chains of dependent operations overlap; polynomials'
// coefficients come from memory. Bound by arithmetic: some ten operations (hard sigmoid 3, tanh and
// exponential about 20, a power about 40) for each vector.

#include "cpu/isa/instance.h"
#include "cpu/isa/kernel_math.h"
#include "cpu/isa/kernels.h"
#include "cpu/isa/simd_math.h"
#include "cpu/isa/simd_twice.h"

namespace mpscnn::cpu {
namespace {

/// values[i] = function(values[i]), by pairs of vectors; a last one without a partner is its own.
template <class V, class Function>
MPSCNN_INLINE void replace_each(float *values, std::int64_t count, Function function) {
    for (std::int64_t i = 0; i < count; i += 2 * V::width) {
        float *first = values + i, *second = values + min(i + V::width, count - V::width);
        const auto result = function(typename Twice<V>::reg{V::load(first), V::load(second)});
        V::store(first, result.first);
        V::store(second, result.second);
    }
}

/// values[i] = function(values[i]); `count` is a multiple of the register's width.
template <class Register> void neuron_apply(const Activation &activation, float *values, std::int64_t count) {
    using Function = Activation::Function;
    using V = Twice<Register>;
    const auto a = V::set1(activation.a), b = V::set1(activation.b);
    const auto zero = V::zero(), one = V::set1(1.0f);
    const auto linear = [&](auto x) { return V::fma(a, x, b); };
    const auto replace = [&](auto function) { replace_each<Register>(values, count, function); };
    switch (activation.function) {
    case Function::sigmoid:
        return replace([&](auto x) { return sigmoid<V>(x); });
    case Function::hard_sigmoid:
        return replace([&](auto x) { return V::min(one, V::max(zero, linear(x))); });
    case Function::tanh:
        return replace([&](auto x) { return V::mul(a, hyperbolic_tangent<V>(V::mul(b, x))); });
    case Function::absolute:
        return replace([&](auto x) { return V::add(absolute<V>(x), zero); }); // -0 + 0 is 0
    case Function::softplus:
        return replace([&](auto x) { return V::mul(a, softplus<V>(V::mul(b, x))); });
    case Function::softsign:
        return replace([&](auto x) { return V::div(x, V::add(one, absolute<V>(x))); });
    case Function::elu:
        return replace([&](auto x) {
            const auto below = V::mul(a, exponential_less_one<V>(V::min(zero, x)));
            return V::select(V::less(x, zero), below, x);
        });
    case Function::power:
        return replace([&](auto x) { return power<V>(linear(x), activation.c); });
    case Function::exponential:
        if (activation.c == 1.0f && activation.c_low == 0.0f) // base e
            return replace([&](auto x) { return exponential<V>(linear(x)); });
        return replace(
            [&](auto x) { return scaled_exponential<V>(linear(x), activation.c, activation.c_low); });
    case Function::logarithm:
        return replace(
            [&](auto x) { return scaled_logarithm<V>(linear(x), activation.c, activation.c_low); });
    case Function::gelu:
        return replace([&](auto x) { return gelu<V>(x); });
    }
}

} // namespace
} // namespace mpscnn::cpu

void mpscnn::cpu::MPSCNN_SET::get(NeuronFunctions &functions) { functions = {neuron_apply<Simd>}; }
