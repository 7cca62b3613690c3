#pragma once

// The interface between kernels and an instruction set, a class of vector operations.
//
// Kernels are templates over one class, `template <class V>`, whose static members are the operations below.
// simd_<set>.h defines that class as mpscnn::cpu::<set>::Simd. cpu/kernels/*/<family>.cpp is compiled once
// for each set with the flags of that set and instantiates the family's kernels. Three rules keep the linker
// from using a function of one instruction set for another:
//   - only these files include kernel headers, which define everything in an anonymous namespace;
//   - they use no function of the C++ library that the compiler might not inline (no std::min, no
//   containers);
//   - tests/cpp/check_isa_symbols.py examines the objects.
//
// Members of V (n counts lanes, 0 <= n <= width):
//   width                    floats in a register
//   has_fma                  true: fma rounds once; false: it multiplies, rounds, adds, rounds
//   registers                the number of vector registers
//   gemm_rows, gemm_vectors  the register block of the matrix product
//   gemm_single_rows         the rows of a register block that is one vector wide
//   gemm_rows_of_pointer     the number of rows of the block that share one pointer; the address modes of
//                            instructions limit it
//   gemm_last_vectors        the maximum width of a layer's last panel in vectors (pack.h): gemm_vectors, or
//                            one more
//   element                  the type of tensor elements: float, or Bfloat16 (below) in sets that multiply
//                            bfloat16 numbers
//   reg, mask                a register of floats; the result of a comparison
//   zero(), set1(x), broadcast(const float *)
//   load_broadcast(const float *), fma_broadcast(factor, b, c) = factor * b + c
//                            one float for all lanes, in the cheapest form. If element is Bfloat16, then
//                            factor and each lane of b hold two numbers, and both products are added
//   load(p), store(p, a)     any alignment
//   has_non_temporal_stores   true if the next two exist
//   store_non_temporal(p, a)  store past the caches; p is a multiple of a register's size. Other threads see
//                            the values after this thread calls fence_non_temporal_stores()
//   load_partial(p, n), store_partial(p, a, n)   touch p[0 .. n) only; lanes from n on load as zero
//   load_half(const uint16_t *), store_half(uint16_t *, a)
//                            `width` IEEE halves; store_half rounds to nearest even
//   add, sub, mul, div (a, b); sqrt(a); fma(a, b, c) = a * b + c
//   max(limit, x) = limit > x ? limit : x
//   min(limit, x) = limit < x ? limit : x
//                            in every lane. A NaN in x, the data, is kept; a NaN in `limit` is ignored.
//                            Zeros count as equal, and then x is the result.
//   equal(a, b), less(a, b)  a == b and a < b, false for NaN
//   select(m, a, b)          m ? a : b
//   round_to_half(a)         to half and back: nearest even, overflow to infinity, subnormals kept, NaN made
//                            quiet
//   power_of_two(n)          2^n for whole numbers n in [-126, 127]
//   has_scale                true if scale(a, n) exists: a * 2^n for whole numbers n, rounded once
//   exponent(a), significand(a)
//                            a = significand * 2^exponent with 1 <= significand < 2, for positive normal a
//   sum(a), maximum(a)       reduce the lanes: lane i with lane i + width / 2, and so on by halves; the
//                            maximum is NaN if any lane is NaN
//   Narrow                   if it exists: a class for registers of the first Narrow::width lanes. It has
//                            reg, load, broadcast and fma as above. of(a) is the first lanes of a, and
//                            widened(a) is the lanes of a and then zeros
//   bits                     a register of `width` 32-bit words
//   zero_bits(), set1_bits(x), load_bits(p), xor_bits(a, b), and_bits(a, b)
//   count_bytes(a)           the number of set bits of each byte; add_bytes(a, b) adds bytes
//   add_sums_of_bytes(s, a)  adds to each word of s the four bytes of a's word
//   from_bits(a)             words below 2^31 as floats, rounded
// If element is Bfloat16, V also has these members:
//   load, store, load_partial, store_partial (Bfloat16 *)
//                            expand to floats, and round as core/bfloat16.h does
//   store_two(p, a, b)       store the elements of a, then those of b
//   round_to_bfloat16(a)     round to bfloat16 and expand to float again
//   pair(a, b)               round to bfloat16: each lane holds the number of a, then that of b
// and one of these two, if products of pairs are summed in blocks (gemm_block_tile.h):
//   even(a), odd(a)          the first or the second bfloat16 number of each lane, as a float
//   Tiles                    a class of tile registers (amx_tiles.h)

#include <cstdint>

#define MPSCNN_INLINE inline __attribute__((always_inline))

namespace mpscnn::cpu {
namespace {

/// A bfloat16 number in memory.
struct Bfloat16 {
    std::uint16_t bits;
};

/// True if the kernels' tensors hold bfloat16 numbers.
template <class V> inline constexpr bool has_bfloat16 = sizeof(typename V::element) == sizeof(Bfloat16);

/// True if tile registers (AMX) multiply pairs of bfloat16 numbers.
template <class V> inline constexpr bool has_tiles = requires { typename V::Tiles; };

/// True if products of pairs are summed in blocks of inputs (gemm_block_tile.h). All sets that sum in
/// blocks give the same bits.
template <class V>
inline constexpr bool sums_in_blocks = has_tiles<V> || requires(typename V::reg a) { V::even(a); };

/// Keep x in a register. Otherwise compilers would read it from memory for each use, which is slower for
/// several uses.
template <class Register> MPSCNN_INLINE void keep_in_register(Register &x) {
#if defined(__x86_64__)
    asm("" : "+v"(x));
#elif defined(__aarch64__)
    asm("" : "+w"(x));
#endif
}

/// Make the compiler treat x as used, so that it does not remove the computation.
template <class Register> MPSCNN_INLINE void use_register(const Register &x) {
#if defined(__x86_64__)
    asm volatile("" : : "v"(x));
#elif defined(__aarch64__)
    asm volatile("" : : "w"(x));
#endif
}

/// Hide how the pointer x was computed. Otherwise compilers would compute it again for each use.
template <class T> MPSCNN_INLINE void keep_pointer(T *&x) { asm("" : "+r"(x)); }

/// Round x * factor to the nearest whole number, if the product is below 2^22. Adding 1.5 * 2^23 leaves no
/// bits after the binary point.
template <class V> MPSCNN_INLINE typename V::reg product_to_whole(typename V::reg x, float factor) {
    const auto shifter = V::set1(12582912.0f);
    return V::sub(V::fma(x, V::set1(factor), shifter), shifter);
}

/// Split x into n ln 2 + r, where n is a whole number and |r| is at most ln 2 / 2 or slightly more.
template <class V> struct ReducedExponent {
    typename V::reg n, r;

    explicit MPSCNN_INLINE ReducedExponent(typename V::reg x) : n(product_to_whole<V>(x, 1.44269504f)) {
        // ln 2 is the sum of two parts. The first has so few bits that n times it is exact even without FMA.
        r = V::fma(n, V::set1(-0.693359375f), x);
        r = V::fma(n, V::set1(2.12194440e-4f), r);
    }
};

/// Compute e^r - 1 = r + r^2 q(r) for |r| <= ln 2 / 2. q has degree 4 and minimizes the maximum relative
/// error of e^r.
template <class V> MPSCNN_INLINE typename V::reg expm1_reduced(typename V::reg r) {
    auto q = V::set1(1.381459879e-3f);
    q = V::fma(q, r, V::set1(8.368716575e-3f));
    q = V::fma(q, r, V::set1(4.166838899e-2f));
    q = V::fma(q, r, V::set1(1.666652113e-1f));
    q = V::fma(q, r, V::set1(4.999999404e-1f));
    return V::fma(V::mul(r, r), q, r);
}

/// Compute e^x, or e^(x + low) for a small `low`, in every lane, with an error of about 1 unit in the last
/// place. Results may be subnormal; NaN is kept.
template <class V, class... Low> MPSCNN_INLINE typename V::reg exponential(typename V::reg x, Low... low) {
    // Beyond these limits the result is zero or infinity anyway.
    x = V::max(V::set1(-104.0f), V::min(V::set1(89.0f), x));
    ReducedExponent<V> reduced(x);
    if constexpr (sizeof...(low) > 0) reduced.r = V::add(reduced.r, low...);
    const auto p = V::add(expm1_reduced<V>(reduced.r), V::set1(1.0f));
    if constexpr (V::has_scale) return V::scale(p, reduced.n);
    // 2^n is the product of two factors, because n may exceed the exponents of a float.
    const auto half = product_to_whole<V>(reduced.n, 0.5f);
    return V::mul(V::mul(p, V::power_of_two(half)), V::power_of_two(V::sub(reduced.n, half)));
}

} // namespace
} // namespace mpscnn::cpu
