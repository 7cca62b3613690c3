// Loops that multiply unsigned bytes by 8-bit weights of any size, exactly, with AVX2's own instructions: the
// products of a step (4 inputs of some pixels by the weights of 16 outputs), from data in L1. Shares of twice
// the FMA peak of the set avx2, as in docs/cpu_engine.md (section "Products of bytes").
//
//     kernels_bytes [--milliseconds N]

#include <cstdio>
#include <cstdlib>
#include <string>

#include "peak.h"

#if defined(__x86_64__)
#include <immintrin.h>

using namespace benchmark;
using namespace mpscnn::cpu;

namespace {

#define BYTES_INLINE __attribute__((target("avx2,fma"), always_inline)) inline
#define BYTES_LOOP __attribute__((target("avx2,fma"), noinline))

constexpr int steps = 64, step_bytes = 64, most_pixels = 6, registers = 2;

alignas(64) std::uint8_t inputs[most_pixels][4 * steps];
alignas(64) std::int8_t weights[2 * steps * step_bytes]; // room for two weights, or one of 16 bits

BYTES_INLINE __m256i weights_at(std::int64_t at) {
    return _mm256_load_si256(reinterpret_cast<const __m256i *>(weights + at));
}
BYTES_INLINE __m256i four(const std::uint8_t *from) {
    int bytes;
    __builtin_memcpy(&bytes, from, sizeof bytes);
    return _mm256_set1_epi32(bytes);
}
BYTES_INLINE void add(__m256i &sum, __m256i products) {
    asm("vpaddd %1, %0, %0" : "+x"(sum) : "x"(products));
}
BYTES_INLINE void add_words(__m256i &sum, __m256i words, __m256i factors) {
    add(sum, _mm256_madd_epi16(words, factors));
}

template <int pixels> struct Sums {
    __m256i of[pixels][registers] = {};
};

// Each way adds two steps to the sums of `pixels` pixels.

/// The sums of pairs fit 16 bits.
struct Single {
    static constexpr const char *name = "single steps";
    template <int pixels> struct State {};
    template <int pixels> BYTES_INLINE static void add_two(Sums<pixels> &sums, State<pixels> &, int k) {
        const __m256i ones = _mm256_set1_epi16(1);
        for (int s = k; s < k + 2; ++s) {
            const __m256i own[] = {weights_at(s * step_bytes), weights_at(s * step_bytes + 32)};
#pragma GCC unroll 6
            for (int p = 0; p < pixels; ++p) {
                const __m256i bytes = four(inputs[p] + 4 * s);
                for (int r = 0; r < registers; ++r)
                    add_words(sums.of[p][r], _mm256_maddubs_epi16(bytes, own[r]), ones);
            }
        }
    }
    template <int pixels> BYTES_INLINE static void end(Sums<pixels> &, State<pixels> &) {}
};

/// The sums of the pairs of two steps fit 16 bits.
struct Double : Single {
    static constexpr const char *name = "double steps";
    template <int pixels> BYTES_INLINE static void add_two(Sums<pixels> &sums, State<pixels> &, int k) {
        const __m256i ones = _mm256_set1_epi16(1);
        const std::int64_t at = k * step_bytes;
        const __m256i own[] = {weights_at(at), weights_at(at + 32)},
                      others[] = {weights_at(at + 64), weights_at(at + 96)};
#pragma GCC unroll 6
        for (int p = 0; p < pixels; ++p) {
            const __m256i first = four(inputs[p] + 4 * k), second = four(inputs[p] + 4 * k + 4);
            for (int r = 0; r < registers; ++r)
                add_words(sums.of[p][r],
                          _mm256_add_epi16(_mm256_maddubs_epi16(first, own[r]),
                                           _mm256_maddubs_epi16(second, others[r])),
                          ones);
        }
    }
};

/// Weights have 16 bits, and bytes become 16-bit integers by shuffles: the wide steps of the engine.
struct Wide : Single {
    static constexpr const char *name = "wide steps: 16-bit weights";
    template <int pixels> BYTES_INLINE static void add_two(Sums<pixels> &sums, State<pixels> &, int k) {
        const __m256i low = _mm256_set1_epi32(static_cast<int>(0x80018000u)),
                      high = _mm256_set1_epi32(static_cast<int>(0x80038002u));
        for (int s = k; s < k + 2; ++s)
#pragma GCC unroll 6
            for (int p = 0; p < pixels; ++p) {
                const __m256i bytes = four(inputs[p] + 4 * s), a = _mm256_shuffle_epi8(bytes, low),
                              b = _mm256_shuffle_epi8(bytes, high);
                for (int r = 0; r < registers; ++r) {
                    add_words(sums.of[p][r], a, weights_at(2 * s * step_bytes + 64 * r));
                    add_words(sums.of[p][r], b, weights_at(2 * s * step_bytes + 64 * r + 32));
                }
            }
    }
};

/// A weight is the sum of two weights of at most 64, so no pair saturates.
struct Split : Single {
    static constexpr const char *name = "weights split in two";
    template <int pixels> BYTES_INLINE static void add_two(Sums<pixels> &sums, State<pixels> &, int k) {
        const __m256i ones = _mm256_set1_epi16(1);
        for (int s = k; s < k + 2; ++s)
#pragma GCC unroll 6
            for (int p = 0; p < pixels; ++p) {
                const __m256i bytes = four(inputs[p] + 4 * s);
                for (int r = 0; r < registers; ++r)
                    for (int part = 0; part < 2; ++part)
                        add_words(
                            sums.of[p][r],
                            _mm256_maddubs_epi16(bytes, weights_at(2 * s * step_bytes + 64 * r + 32 * part)),
                            ones);
            }
    }
};

/// The second weights are small, so those of two steps are added before they become 32-bit sums.
struct SplitPairs : Single {
    static constexpr const char *name = "weights split, small second ones";
    template <int pixels> BYTES_INLINE static void add_two(Sums<pixels> &sums, State<pixels> &, int k) {
        const __m256i ones = _mm256_set1_epi16(1);
        const std::int64_t at = 2 * k * step_bytes;
#pragma GCC unroll 6
        for (int p = 0; p < pixels; ++p) {
            const __m256i first = four(inputs[p] + 4 * k), second = four(inputs[p] + 4 * k + 4);
            for (int r = 0; r < registers; ++r) {
                __m256i &sum = sums.of[p][r];
                add_words(sum, _mm256_maddubs_epi16(first, weights_at(at + 32 * r)), ones);
                add_words(sum, _mm256_maddubs_epi16(second, weights_at(at + 64 + 32 * r)), ones);
                add_words(sum,
                          _mm256_add_epi16(_mm256_maddubs_epi16(first, weights_at(at + 128 + 32 * r)),
                                           _mm256_maddubs_epi16(second, weights_at(at + 192 + 32 * r))),
                          ones);
            }
        }
    }
};

/// Inputs of 7 bits never saturate. The highest bits, 0 or 1, have sums of 16 bits of their own for 128
/// steps.
struct SevenBits {
    static constexpr const char *name = "inputs of 7 bits, and their highest bit";
    template <int pixels> struct State {
        __m256i of[pixels][registers] = {};
    };
    template <int pixels> BYTES_INLINE static void add_two(Sums<pixels> &sums, State<pixels> &bits, int k) {
        const __m256i ones = _mm256_set1_epi16(1), low = _mm256_set1_epi8(127), bit = _mm256_set1_epi8(1);
        for (int s = k; s < k + 2; ++s) {
            const __m256i own[] = {weights_at(s * step_bytes), weights_at(s * step_bytes + 32)};
#pragma GCC unroll 6
            for (int p = 0; p < pixels; ++p) {
                const __m256i bytes = four(inputs[p] + 4 * s), seven = _mm256_and_si256(bytes, low),
                              highest = _mm256_and_si256(_mm256_srli_epi16(bytes, 7), bit);
                for (int r = 0; r < registers; ++r) {
                    add_words(sums.of[p][r], _mm256_maddubs_epi16(seven, own[r]), ones);
                    bits.of[p][r] = _mm256_add_epi16(bits.of[p][r], _mm256_maddubs_epi16(highest, own[r]));
                }
            }
        }
    }
    template <int pixels> BYTES_INLINE static void end(Sums<pixels> &sums, State<pixels> &bits) {
        for (int p = 0; p < pixels; ++p)
            for (int r = 0; r < registers; ++r)
                add_words(sums.of[p][r], bits.of[p][r], _mm256_set1_epi16(128));
    }
};

template <class Way, int pixels> BYTES_LOOP void run(int rounds) {
    for (int round = 0; round < rounds; ++round) {
        Sums<pixels> sums;
        typename Way::template State<pixels> state;
        asm volatile("" ::: "memory");
#pragma GCC unroll 1
        for (int k = 0; k < steps; k += 2) Way::template add_two<pixels>(sums, state, k);
        Way::template end<pixels>(sums, state);
        for (auto &of_pixel : sums.of)
            for (auto &sum : of_pixel) asm volatile("" ::"x"(sum));
    }
}

template <class Way, int pixels> void report(double peak, double limit) {
    constexpr int rounds = 200;
    double best = 1e9;
    const auto begin = Clock::now();
    do best = std::min(best, seconds_of([] { run<Way, pixels>(rounds); }));
    while (seconds_since(begin) < limit);
    const double operations = 2.0 * rounds * steps * 4 * 16 * pixels;
    std::printf("| %s, %d x 16 | %.0f%% |\n", Way::name, pixels, 100 * operations / best / (2 * peak));
}

} // namespace

int main(int count, char **arguments) {
    double limit = 0.3;
    if (count == 3 && arguments[1] == std::string("--milliseconds")) limit = 1e-3 * std::atof(arguments[2]);
    for (auto &of_pixel : inputs)
        for (int i = 0; i < 4 * steps; ++i) of_pixel[i] = static_cast<std::uint8_t>(37 * i);
    for (int i = 0; i < 2 * steps * step_bytes; ++i) weights[i] = static_cast<std::int8_t>(29 * i % 32);
    const double peak = fma_peak(kernels("avx2"));
    std::printf("FMA peak of avx2: %.1f GFLOP/s\n\n| loop | share |\n|---|---|\n", 1e-9 * peak);
    report<Single, 4>(peak, limit);
    report<Double, 4>(peak, limit);
    report<Wide, 4>(peak, limit);
    report<Split, 4>(peak, limit);
    report<SplitPairs, 4>(peak, limit);
    report<SevenBits, 2>(peak, limit);
    report<SevenBits, 4>(peak, limit);
}

#else
int main() { std::puts("these loops are for x86-64"); }
#endif
