#pragma once

// The register block of the matrix product for pairs of bfloat16 numbers with FMAs. It adds in the order of
// AMX's TDPBF16PS, so that processors with and without AMX give the same bits. The even and the odd numbers
// of 16 pairs of inputs form two chains of FMAs, which start at zero. The sum of both chains is then added to
// the accumulator.
//
// Registers hold MR x Vectors sums, twice as many chains, and both numbers of the weights and of an input. A
// sum is used once for 16 pairs, so it may be in L1. The speed is limited by FMAs and by the shifts that
// convert to float: six operations for four FMAs of two vectors. Subnormal numbers count as zeros
// (FlushSubnormals), as with AMX.

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "cpu/isa/simd.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace mpscnn::cpu {
namespace {

/// The number of pairs of consecutive bfloat16 inputs in a block: the number that a row of an AMX tile holds.
inline constexpr std::int64_t block_pairs = 16;

/// While an object of this class exists, its thread treats subnormal operands and results as zeros.
class FlushSubnormals {
public:
#if defined(__x86_64__)
    FlushSubnormals() : previous_(_mm_getcsr()) { _mm_setcsr(previous_ | 0x8040u); }
    ~FlushSubnormals() { _mm_setcsr(previous_); }

private:
    unsigned previous_;
#elif defined(__aarch64__)
    FlushSubnormals() {
        __asm__ volatile("mrs %0, fpcr" : "=r"(previous_));
        __asm__ volatile("msr fpcr, %0" : : "r"(previous_ | std::uint64_t{1} << 24));
    }
    ~FlushSubnormals() { __asm__ volatile("msr fpcr, %0" : : "r"(previous_)); }

private:
    std::uint64_t previous_;
#endif

public:
    FlushSubnormals(const FlushSubnormals &) = delete;
    FlushSubnormals &operator=(const FlushSubnormals &) = delete;
};

/// The guard object that is active during an instruction set's products and their epilogue. It flushes or
/// keeps subnormal numbers.
struct KeepSubnormals {};
template <class V>
using BlockArithmetic = std::conditional_t<sums_in_blocks<V>, FlushSubnormals, KeepSubnormals>;

/// sums += a * weights for `length` pairs of inputs, where `a` has MR pixels that are `stride` apart.
/// Advances `weights` and `ahead`.
template <class V, int MR, int Vectors>
MPSCNN_INLINE void multiply_blocks(typename V::reg (&sums)[MR][Vectors], const float *a,
                                   std::ptrdiff_t stride, const float *&weights, std::int64_t length,
                                   const char *&ahead, std::ptrdiff_t ahead_step) {
    for (std::int64_t first = 0; first < length; first += block_pairs) {
        const std::int64_t end = first + block_pairs < length ? first + block_pairs : length;
        typename V::reg even[MR][Vectors], odd[MR][Vectors];
#pragma GCC unroll 16
        for (int r = 0; r < MR; ++r)
#pragma GCC unroll 8
            for (int v = 0; v < Vectors; ++v) even[r][v] = odd[r][v] = V::zero();
#pragma GCC unroll 1
        for (std::int64_t k = first; k < end; ++k) {
            typename V::reg b_even[Vectors], b_odd[Vectors];
#pragma GCC unroll 8
            for (int v = 0; v < Vectors; ++v) {
                const auto pairs = V::load(weights + v * V::width);
                b_even[v] = V::even(pairs);
                b_odd[v] = V::odd(pairs);
            }
#pragma GCC unroll 16
            for (int r = 0; r < MR; ++r) {
                const auto pair = V::broadcast(a + k + r * stride);
                const auto x_even = V::even(pair), x_odd = V::odd(pair);
#pragma GCC unroll 8
                for (int v = 0; v < Vectors; ++v) {
                    even[r][v] = V::fma(x_even, b_even[v], even[r][v]);
                    odd[r][v] = V::fma(x_odd, b_odd[v], odd[r][v]);
                }
            }
            weights += Vectors * V::width;
            __builtin_prefetch(ahead, 0, 2);
            ahead += ahead_step;
        }
#pragma GCC unroll 16
        for (int r = 0; r < MR; ++r)
#pragma GCC unroll 8
            for (int v = 0; v < Vectors; ++v) sums[r][v] = V::add(sums[r][v], V::add(even[r][v], odd[r][v]));
    }
}

} // namespace
} // namespace mpscnn::cpu
