#pragma once

// What kernels know of an instruction set.
//
// Kernels are templates over one class, `template <class V>`, whose static members are the operations below.
// simd_<set>.h defines that class as mpscnn::cpu::<set>::Simd, and cpu/kernels/<family>.cpp, compiled once
// for each set with its flags, instantiates the family's kernels with it. So that no function built for one
// instruction set can be taken by the linker for another's:
//   - kernel headers are included by these files only and keep all they define in an anonymous namespace;
//   - they use no function of the C++ library that the compiler might not inline (no std::min, no
//   containers);
//   - tests/cpp/check_isa_symbols.py examines the objects.
//
// Members of V (n counts lanes, 0 <= n <= width):
//   width                    floats in a register
//   has_fma                  whether fma rounds once; false: a product and a sum
//   registers                how many there are
//   gemm_rows, gemm_vectors  the register block of the matrix product
//   gemm_single_rows         the rows of a block of one vector
//   gemm_rows_of_pointer     how many rows of the block one pointer serves: what an instruction's address can
//                            add
//   gemm_last_vectors        the most vectors of a layer's last panel (pack.h): gemm_vectors, or one more
//   element                  of the tensors that kernels read and write where they may be of two types:
//                            float, or Bfloat16 (below) in sets that multiply such numbers
//   reg, mask                a register of floats; the result of a comparison
//   zero(), set1(x), broadcast(const float *)
//   load_broadcast(const float *), fma_broadcast(factor, b, c) = factor * b + c
//                            one float for all lanes, in the form that costs least. Where element is
//                            Bfloat16, factor and each lane of b are two such numbers, and both products
//                            are added
//   load(p), store(p, a)     any alignment
//   has_non_temporal_stores   whether there are the next two
//   store_non_temporal(p, a)  to memory, p a multiple of a register's size. Other threads see it after
//   fence_non_temporal_stores() by this one.
//   load_partial(p, n), store_partial(p, a, n)   touch p[0 .. n) only; lanes from n on load as zero
//   load_half(const uint16_t *), store_half(uint16_t *, a)
//                            `width` IEEE halves; store_half rounds to nearest even
//   add, sub, mul, div (a, b); sqrt(a); fma(a, b, c) = a * b + c
//   max(limit, x) = limit > x ? limit : x
//   min(limit, x) = limit < x ? limit : x
//                            in every lane: a NaN in x, the data, is kept; one in `limit` is not. With equal
//                            zeros x is the result.
//   equal(a, b), less(a, b)  a == b and a < b, false for NaN
//   select(m, a, b)          m ? a : b
//   round_to_half(a)         to half and back: nearest even, overflow to infinity, subnormals kept, NaN made
//                            quiet
//   power_of_two(n)          2^n for whole numbers n in [-126, 127]
//   has_scale                whether there is scale(a, n): a * 2^n for whole numbers n, rounded once
//   exponent(a), significand(a)
//                            a = significand * 2^exponent with 1 <= significand < 2, for positive normal a
//   sum(a), maximum(a)       over the lanes: lane i with lane i + width / 2, and so on by halves; maximum is
//                            NaN when any lane is
//   bits                     a register of `width` 32-bit words
//   zero_bits(), set1_bits(x), load_bits(p), xor_bits(a, b), and_bits(a, b)
//   count_bytes(a)           in each byte the number of its bits; add_bytes(a, b) adds bytes
//   add_sums_of_bytes(s, a)  adds to each word of s the four bytes of a's word
//   from_bits(a)             words below 2^31 as floats, rounded
// and where element is Bfloat16
//   load, store, load_partial, store_partial (Bfloat16 *)   expand to floats, and round as core/bfloat16.h
//   does store_two(p, a, b)       the elements of a, then those of b round_to_bfloat16(a)     and back
// and there, for products of pairs that are summed in blocks (gemm_block_tile.h), either
//   even(a), odd(a)          the first or the second bfloat16 number of each lane, as a float
//   Tiles                    or a class of tile registers (amx_tiles.h)

#include <cstdint>

#define MPSCNN_INLINE inline __attribute__((always_inline))

namespace mpscnn::cpu {
namespace {

/// A bfloat16 number in memory.
struct Bfloat16 {
    std::uint16_t bits;
};

/// Whether kernels are for tensors of bfloat16 numbers.
template <class V> inline constexpr bool has_bfloat16 = sizeof(typename V::element) == sizeof(Bfloat16);

/// Whether products of pairs are by tiles.
template <class V> inline constexpr bool has_tiles = requires { typename V::Tiles; };

/// Whether sums of products of pairs are in blocks of inputs: the same bits for all such sets.
template <class V>
inline constexpr bool sums_in_blocks = has_tiles<V> || requires(typename V::reg a) { V::even(a); };

/// Compilers would rather read x from memory with each use, which takes longer where there are several.
template <class Register> MPSCNN_INLINE void keep_in_register(Register &x) {
#if defined(__x86_64__)
    asm("" : "+v"(x));
#elif defined(__aarch64__)
    asm("" : "+w"(x));
#endif
}

/// What is computed in x counts as used.
template <class Register> MPSCNN_INLINE void use_register(const Register &x) {
#if defined(__x86_64__)
    asm volatile("" : : "v"(x));
#elif defined(__aarch64__)
    asm volatile("" : : "w"(x));
#endif
}

/// Compilers would rather compute it again from what they know of its value.
template <class T> MPSCNN_INLINE void keep_pointer(T *&x) { asm("" : "+r"(x)); }

/// x * factor to the nearest whole number, below 2^22: adding 1.5 * 2^23 leaves no bits after the point.
template <class V> MPSCNN_INLINE typename V::reg product_to_whole(typename V::reg x, float factor) {
    const auto shifter = V::set1(12582912.0f);
    return V::sub(V::fma(x, V::set1(factor), shifter), shifter);
}

/// n and r with x = n ln 2 + r, |r| <= ln 2 / 2 or little more.
template <class V> struct ReducedExponent {
    typename V::reg n, r;

    explicit MPSCNN_INLINE ReducedExponent(typename V::reg x) : n(product_to_whole<V>(x, 1.44269504f)) {
        // ln 2 in two parts, the first so short that n * part is exact even without FMA.
        r = V::fma(n, V::set1(-0.693359375f), x);
        r = V::fma(n, V::set1(2.12194440e-4f), r);
    }
};

/// e^r - 1 = r + r^2 q(r), q of degree 4 with the least maximal relative error of e^r over |r| <= ln 2 / 2.
template <class V> MPSCNN_INLINE typename V::reg expm1_reduced(typename V::reg r) {
    auto q = V::set1(1.381459879e-3f);
    q = V::fma(q, r, V::set1(8.368716575e-3f));
    q = V::fma(q, r, V::set1(4.166838899e-2f));
    q = V::fma(q, r, V::set1(1.666652113e-1f));
    q = V::fma(q, r, V::set1(4.999999404e-1f));
    return V::fma(V::mul(r, r), q, r);
}

/// e^x, or e^(x + low) for a `low` that is small, in every lane to about 1 unit in the last place,
/// subnormal results included; NaN is kept.
template <class V, class... Low> MPSCNN_INLINE typename V::reg exponential(typename V::reg x, Low... low) {
    // Beyond these limits the result is zero or infinity anyway.
    x = V::max(V::set1(-104.0f), V::min(V::set1(89.0f), x));
    ReducedExponent<V> reduced(x);
    if constexpr (sizeof...(low) > 0) reduced.r = V::add(reduced.r, low...);
    const auto p = V::add(expm1_reduced<V>(reduced.r), V::set1(1.0f));
    if constexpr (V::has_scale) return V::scale(p, reduced.n);
    // 2^n in two factors, since n itself may lie outside the exponents of a float.
    const auto half = product_to_whole<V>(reduced.n, 0.5f);
    return V::mul(V::mul(p, V::power_of_two(half)), V::power_of_two(V::sub(reduced.n, half)));
}

} // namespace
} // namespace mpscnn::cpu
