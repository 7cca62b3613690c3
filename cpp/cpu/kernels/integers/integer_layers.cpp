// Integer layers without weights, and conversions between integers and floats.
//
// Most loops run over a row of pixels, and the compiler vectorizes them. Sums compute their terms (see
// IntegerTerms) with AVX2 and AVX-512. Otherwise, or if an operand has one value for all channels of a pixel,
// they look terms up in tables, with two loads for each element. Lookups of bytes are done 128 at a time with
// AVX2 and 64 with AVX-512. Sums by tables are limited by loads from the tables, and layers other than sums
// by memory.

#include "cpu/isa/instance.h"
#include "cpu/kernels/integers/integer_elementwise.h"
#include "cpu/kernels/integers/integer_requantization.h"
#include "cpu/kernels/integers/integer_rows.h"
#include "cpu/kernels/integers/integer_sums.h"

namespace mpscnn::cpu {
namespace {

// ---- Average pooling ----

/// Return sum / count, rounded to nearest, ties away from zero.
MPSCNN_INLINE std::int32_t mean(std::int32_t sum, std::int32_t count) {
    return (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
}

void pool_integers(const IntegerPoolingTask &task, std::int64_t image, std::int64_t y, std::int64_t x) {
    constexpr int max_channels = 64;
    std::uint8_t *const result = bytes_at(task.destination, image, y, x);
    for (std::int64_t channel = 0; channel < task.destination.channels; channel += max_channels) {
        const std::int64_t left = min(task.destination.channels - channel, max_channels);
        std::int32_t sums[max_channels] = {};
        const auto count =
            static_cast<std::int32_t>(for_each_tap(task, image, y, x, [&](const std::uint8_t *bytes) {
                bytes += channel;
                for (std::int64_t c = 0; c < left; ++c) sums[c] += bytes[c] - task.centre;
            }));
        for (std::int64_t c = 0; c < left; ++c)
            result[channel + c] = static_cast<std::uint8_t>(
                limited((count > 0 ? mean(sums[c], count) : 0) + task.centre, task.low, task.high));
    }
}

template <class V>
Prepared integer_pooling_prepare(const IntegerPoolingTask &task, const Planning &planning) {
    return prepare_rows(task, planning);
}
template <class V>
void integer_pooling_run(const IntegerPoolingTask &task, const Prepared &prepared, std::int64_t begin,
                         std::int64_t end, Worker &) {
    for_each_row(prepared, begin, end, [&](std::int64_t image, std::int64_t y) {
        for (std::int64_t x = 0; x < task.destination.width; ++x) pool_integers(task, image, y, x);
    });
}

// ---- Sums ----

/// Add two operands whose terms are in tables. `a_step` and `b_step` are the bytes between elements, or 0 if
/// one element is used for all.
MPSCNN_INLINE void add_by_tables(const IntegerSumTask &task, const PanelRequantizer &requantizer,
                                 const std::uint8_t *a, std::int64_t a_step, const std::uint8_t *b,
                                 std::int64_t b_step, std::int64_t elements, std::uint8_t *result) {
    constexpr std::int64_t panel = IntegerWeights::panel;
    const std::int32_t sign = task.subtracts ? -1 : 1;
    for (std::int64_t first = 0; first < elements; first += panel) {
        const std::int64_t count = min(elements - first, panel);
        std::int32_t sums[panel] = {};
        for (std::int64_t c = 0; c < count; ++c)
            sums[c] = task.source_terms.of_all[a[(first + c) * a_step]] +
                      sign * task.second_terms.of_all[b[(first + c) * b_step]];
        requantizer.store(sums, count, result + first);
    }
}

#if defined(MPSCNN_COMBINES_BYTES)
/// Computes rounded_twice() for a register of integers.
class TermRounding {
public:
#if defined(__AVX512BW__)
    explicit MPSCNN_INLINE TermRounding(const IntegerTerms &terms) {
        fits_ = shifts_.set(Steps::splat(terms.multiplier), Steps::splat(terms.shift), 0, false);
    }
    MPSCNN_INLINE bool fits() const { return fits_; }
    MPSCNN_INLINE Steps::reg operator()(Steps::reg x) const {
        return shifts_.rounded<true>(x, _mm512_set1_epi64(std::int64_t{1} << 31));
    }

private:
    bool fits_;
    RightShifts shifts_;
#else
    explicit MPSCNN_INLINE TermRounding(const IntegerTerms &terms)
        : multiplier_(Steps::splat(terms.multiplier)), shift_(Steps::splat(terms.shift)) {}
    MPSCNN_INLINE bool fits() const { return true; }
    MPSCNN_INLINE Steps::reg operator()(Steps::reg x) const { return rounded_twice(x, multiplier_, shift_); }

private:
    Steps::reg multiplier_, shift_;
#endif
};

/// Computes the terms of a register of bytes.
class TermsOfBytes {
public:
    explicit MPSCNN_INLINE TermsOfBytes(const IntegerTerms &terms)
        : zero_(Steps::splat(terms.zero)),
          is_half_(terms.multiplier == std::int32_t{1} << 30 && terms.shift == 0), rounding_(terms) {}
    MPSCNN_INLINE bool fits() const { return is_half_ || rounding_.fits(); }
    MPSCNN_INLINE Steps::reg operator()(const std::uint8_t *bytes) const {
        const Steps::reg steps = Steps::of_bytes(bytes, zero_);
        return is_half_ ? Steps::shift_left<19>(steps) : rounding_(Steps::shift_left<20>(steps));
    }

private:
    Steps::reg zero_;
    bool is_half_;
    TermRounding rounding_;
};
#endif

template <class V> Prepared integer_sum_prepare(const IntegerSumTask &task, const Planning &planning) {
    return prepare_rows(task, planning);
}
template <class V>
void integer_sum_run(const IntegerSumTask &task, const Prepared &prepared, std::int64_t begin,
                     std::int64_t end, Worker &) {
    const OperandPair operands(task);
    const std::int64_t a_step = operands.channel_step_of_a(), b_step = operands.channel_step_of_b();
#if defined(MPSCNN_COMBINES_BYTES)
    const TermsOfBytes first(task.source_terms), second(task.second_terms);
    if (a_step && b_step && first.fits() && second.fits()) {
        const TileRequantizer<1> requantizer(task.requantization, 0, IntegerWeights::panel);
        const auto add_all = [&](auto combine) __attribute__((always_inline)) {
            const auto add_exactly = [&](auto... run) { combine_bytes(combine, requantizer, run...); };
#if defined(MPSCNN_ADDS_BY_BOUNDS)
            if (const SumBounds bounds(task); bounds.fits())
                return operands.for_each_run(task, prepared, begin, end, [&](auto... run) {
                    add_by_bounds(bounds, add_exactly, run...);
                });
#endif
            operands.for_each_run(task, prepared, begin, end, add_exactly);
        };
        if (task.subtracts)
            add_all([&](const std::uint8_t *a, const std::uint8_t *b)
                        __attribute__((always_inline)) { return Steps::sub(first(a), second(b)); });
        else
            add_all([&](const std::uint8_t *a, const std::uint8_t *b)
                        __attribute__((always_inline)) { return Steps::add(first(a), second(b)); });
        return;
    }
#endif
    const PanelRequantizer requantizer(task.requantization, 0);
    operands.for_each_run(
        task, prepared, begin, end,
        [&](const std::uint8_t *a, const std::uint8_t *b, std::int64_t elements, std::uint8_t *result) {
            add_by_tables(task, requantizer, a, a_step, b, b_step, elements, result);
        });
}

// ---- Tables ----

#if defined(__AVX512BW__)
/// A table of 256 bytes in registers, stored as 128 words of two bytes. The upper 7 bits of an index select
/// the word, and its lowest bit selects the byte.
class LookUp {
public:
    explicit MPSCNN_INLINE LookUp(const std::uint8_t *table) {
        for (int part = 0; part < 4; ++part) words_[part] = _mm512_loadu_si512(table + 64 * part);
    }
    MPSCNN_INLINE __m512i operator()(__m512i bytes) const {
        const __m512i even = of_words(_mm512_and_si512(bytes, _mm512_set1_epi16(0xff))),
                      odd = of_words(_mm512_srli_epi16(bytes, 8));
        return _mm512_mask_blend_epi8(0xaaaaaaaaaaaaaaaa, even, _mm512_slli_epi16(odd, 8));
    }

private:
    /// Look up the bytes in the lower halves of words. The upper halves of the result are undefined.
    MPSCNN_INLINE __m512i of_words(__m512i bytes) const {
        const __m512i place = _mm512_srli_epi16(bytes, 1),
                      low = _mm512_permutex2var_epi16(words_[0], place, words_[1]),
                      high = _mm512_permutex2var_epi16(words_[2], place, words_[3]);
        const __mmask32 is_high = _mm512_test_epi16_mask(place, _mm512_set1_epi16(64)),
                        is_odd = _mm512_test_epi16_mask(bytes, _mm512_set1_epi16(1));
        const __m512i word = _mm512_mask_blend_epi16(is_high, low, high);
        return _mm512_mask_srli_epi16(word, is_odd, word, 8);
    }

    __m512i words_[4];
};

MPSCNN_INLINE void look_up(const std::uint8_t *table, const std::uint8_t *from, std::int64_t count,
                           std::uint8_t *result) {
    const LookUp look(table);
    std::int64_t c = 0;
    for (; c + 64 <= count; c += 64) _mm512_storeu_si512(result + c, look(_mm512_loadu_si512(from + c)));
    if (c == count) return;
    const __mmask64 left = ~std::uint64_t{0} >> (64 - (count - c));
    _mm512_mask_storeu_epi8(result + c, left, look(_mm512_maskz_loadu_epi8(left, from + c)));
}
#else
#if defined(__AVX2__)
/// Look up 32 bytes for each vector in a table of 256. The table has 16 rows, and one shuffle for each row
/// gives the results of bytes whose upper half is the row's number. For other bytes the shuffle gives 0.
template <int vectors>
MPSCNN_INLINE void look_up_vectors(const std::uint8_t *table, const std::uint8_t *from,
                                   std::uint8_t *result) {
    const __m256i row_size = _mm256_set1_epi8(16), saturation_offset = _mm256_set1_epi8(0x70);
    __m256i found[vectors], places[vectors];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) {
        found[v] = _mm256_setzero_si256();
        places[v] = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(from + 32 * v));
    }
    for (int row = 0; row < 16; ++row) {
        const __m256i entries =
            _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i *>(table + 16 * row)));
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v) {
            // A saturating addition sets the highest bit of indices outside this row, for which the shuffle
            // gives 0.
            const __m256i chosen = _mm256_adds_epu8(places[v], saturation_offset);
            found[v] = _mm256_or_si256(found[v], _mm256_shuffle_epi8(entries, chosen));
            places[v] = _mm256_sub_epi8(places[v], row_size);
        }
    }
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v)
        _mm256_storeu_si256(reinterpret_cast<__m256i *>(result + 32 * v), found[v]);
}
#endif

MPSCNN_INLINE void look_up(const std::uint8_t *table, const std::uint8_t *from, std::int64_t count,
                           std::uint8_t *result) {
    std::int64_t c = 0;
#if defined(__AVX2__)
    // Four vectors at a time share the loads of the table's rows.
    for (; c + 128 <= count; c += 128) look_up_vectors<4>(table, from + c, result + c);
    for (; c + 32 <= count; c += 32) look_up_vectors<1>(table, from + c, result + c);
#endif
    for (; c < count; ++c) result[c] = table[from[c]];
}
#endif

template <class V> Prepared integer_table_prepare(const IntegerTableTask &task, const Planning &planning) {
    return prepare_rows(task, planning);
}
template <class V>
void integer_table_run(const IntegerTableTask &task, const Prepared &prepared, std::int64_t begin,
                       std::int64_t end, Worker &) {
    const RowRuns runs = runs_of(task.destination, task.source);
    for_each_row(prepared, begin, end, [&](std::int64_t image, std::int64_t y) {
        for (std::int64_t x = 0; x < runs.count; ++x) {
            const std::uint8_t *const from = bytes_at(task.source, image, y, x);
            std::uint8_t *const result = bytes_at(task.destination, image, y, x);
            if (task.table)
                look_up(task.table, from, runs.elements, result);
            else
                for (std::int64_t c = 0; c < runs.elements; ++c) result[c] = from[c];
        }
    });
}

// ---- Conversions to integers and back ----

/// Compute 2 * x / scale, twice the distance from the zero point in integers, for `count` floats x. A NaN
/// counts as 0.
template <class V>
MPSCNN_INLINE void twice_the_steps(const float *from, std::int64_t count, float scale, float *to) {
    const auto far = V::set1(512.0f), less = V::set1(-512.0f); // beyond the limits for every zero point
    for (std::int64_t c = 0; c < count; c += V::width) {
        const std::int64_t left = count - c;
        const auto x = left >= V::width ? V::load(from + c) : V::load_partial(from + c, left);
        const auto steps = V::div(x, V::set1(scale));
        const auto known = V::select(V::equal(steps, steps), steps, V::zero());
        const auto bounded = V::min(far, V::max(less, known));
        V::store(to + c, V::add(bounded, bounded));
    }
}

#if defined(__AVX512BW__)
/// Round halves of 16 floats to integers, ties away from zero.
MPSCNN_INLINE __m512i rounded_halves(const float *twice) {
    const __m512i halves = _mm512_cvttps_epi32(_mm512_load_ps(twice)), one = _mm512_set1_epi32(1),
                  moved = _mm512_add_epi32(halves, _mm512_or_si512(_mm512_srai_epi32(halves, 31), one));
    return _mm512_srai_epi32(_mm512_sub_epi32(moved, _mm512_srai_epi32(moved, 31)), 1);
}

/// Round the halves of 64 floats, add the zero point and clamp.
MPSCNN_INLINE void store_rounded(const float *twice, std::int32_t zero_point, std::uint8_t *to) {
    const __m512i zero = _mm512_set1_epi16(static_cast<short>(zero_point)),
                  order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const auto pair = [&](const float *first) __attribute__((always_inline)) {
        const __m512i both = _mm512_packs_epi32(rounded_halves(first), rounded_halves(first + 16));
        return _mm512_add_epi16(both, zero);
    };
    _mm512_storeu_si512(to,
                        _mm512_permutexvar_epi32(order, _mm512_packus_epi16(pair(twice), pair(twice + 32))));
}
#else
MPSCNN_INLINE void store_rounded(const float *twice, std::int32_t zero_point, std::uint8_t *to) {
    for (std::int64_t c = 0; c < 64; ++c) {
        const auto halves = static_cast<std::int32_t>(twice[c]);
        const std::int32_t moved = (halves + (halves < 0 ? -1 : 1)) / 2 + zero_point;
        to[c] = static_cast<std::uint8_t>(moved < 0 ? 0 : moved > 255 ? 255 : moved);
    }
}
#endif

template <class V>
MPSCNN_INLINE void quantize(const QuantizationTask &task, const float *from, std::int64_t count,
                            std::uint8_t *result) {
    constexpr std::int64_t part = 64;
    for (std::int64_t first = 0; first < count; first += part, from += part, result += part) {
        alignas(64) float twice[part];
        std::uint8_t bytes[part];
        const std::int64_t own = min(count - first, part);
        twice_the_steps<V>(from, own, task.scale, twice);
        for (std::int64_t c = own; c < part; ++c) twice[c] = 0.0f;
        store_rounded(twice, task.zero_point, own == part ? result : bytes);
        if (own < part) __builtin_memcpy(result, bytes, static_cast<std::size_t>(own));
    }
}

template <class V> Prepared quantization_prepare(const QuantizationTask &task, const Planning &planning) {
    return prepare_rows(task, planning);
}
template <class V>
void quantization_run(const QuantizationTask &task, const Prepared &prepared, std::int64_t begin,
                      std::int64_t end, Worker &) {
    const RowRuns runs = runs_of(task.destination, task.source);
    for_each_row(prepared, begin, end, [&](std::int64_t image, std::int64_t y) {
        for (std::int64_t x = 0; x < runs.count; ++x) {
            const float *const from = task.source.data + image * task.source.image_stride +
                                      y * task.source.row_stride + x * task.source.pixel_stride;
            std::uint8_t *const result = bytes_at(task.destination, image, y, x);
            quantize<V>(task, from, runs.elements, result);
        }
    });
}

template <class V> Prepared dequantization_prepare(const DequantizationTask &task, const Planning &planning) {
    return prepare_rows(task, planning);
}
template <class V>
void dequantization_run(const DequantizationTask &task, const Prepared &prepared, std::int64_t begin,
                        std::int64_t end, Worker &) {
    const RowRuns runs = runs_of(task.destination, task.source);
    for_each_row(prepared, begin, end, [&](std::int64_t image, std::int64_t y) {
        for (std::int64_t x = 0; x < runs.count; ++x) {
            const std::uint8_t *const from = bytes_at(task.source, image, y, x);
            float *const result = task.destination.data + image * task.destination.image_stride +
                                  y * task.destination.row_stride + x * task.destination.pixel_stride;
            for (std::int64_t c = 0; c < runs.elements; ++c)
                result[c] = static_cast<float>(from[c] - task.zero_point) * task.scale;
        }
    });
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(IntegerPoolingTask, integer_pooling)
MPSCNN_KERNEL(IntegerSumTask, integer_sum)
MPSCNN_KERNEL(IntegerTableTask, integer_table)
MPSCNN_KERNEL(QuantizationTask, quantization)
MPSCNN_KERNEL(DequantizationTask, dequantization)
