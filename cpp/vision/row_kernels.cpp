#include "vision/row_kernels.h"

#include <cstring>

#include "core/processor.h"
#include "vision/lanes.h"
#include "vision/weighted_rows.h"

// All functions are inlined into one function for each instruction set, whose target attribute selects their
// instructions.
#define MPSCNN_INLINE inline __attribute__((always_inline))

namespace mpscnn::vision {

namespace {

/// Load a sample as a float. Callers' pixels may not be aligned to their samples.
template <class Sample> MPSCNN_INLINE float load_sample(const std::byte *samples, std::size_t index) {
    Sample sample;
    std::memcpy(&sample, samples + index * sizeof(Sample), sizeof sample);
    return static_cast<float>(sample);
}

template <class Sample, int rows, bool start = false>
MPSCNN_INLINE void add_sweep(const std::byte *const *samples, const float *weights, std::size_t length,
                             float *__restrict sums) {
    for (std::size_t i = 0; i < length; ++i) {
        float sum = start ? 0.0f : sums[i];
        for (int row = 0; row < rows; ++row) sum += weights[row] * load_sample<Sample>(samples[row], i);
        sums[i] = sum;
    }
}

/// Add weighted rows to `sums`, up to four at a time, in loops that compilers vectorize. If fewer than four
/// rows start a sum, they are added to zeros, which avoids another loop for each number of rows.
template <class Sample>
MPSCNN_INLINE void add_sweeps(const std::byte *const *rows, const float *weights, std::size_t count,
                              bool start, std::size_t first, std::size_t length, float *sums) {
    constexpr std::size_t sweep = 4;
    if (start && count < sweep) std::memset(sums, 0, length * sizeof(float));
    for (std::size_t row = 0; row < count; row += sweep) {
        const std::byte *samples[sweep] = {};
        const std::size_t here = count - row < sweep ? count - row : sweep;
        for (std::size_t i = 0; i < here; ++i) samples[i] = rows[row + i] + first * sizeof(Sample);
        if (here == 4 && start && row == 0)
            add_sweep<Sample, 4, true>(samples, weights + row, length, sums);
        else if (here == 4)
            add_sweep<Sample, 4>(samples, weights + row, length, sums);
        else if (here == 3)
            add_sweep<Sample, 3>(samples, weights + row, length, sums);
        else if (here == 2)
            add_sweep<Sample, 2>(samples, weights + row, length, sums);
        else
            add_sweep<Sample, 1>(samples, weights + row, length, sums);
    }
}

/// Adds weighted rows to the sums of the first columns, and returns their number.
template <class Sample>
using AddVectors = std::size_t(const std::byte *const *rows, const float *weights, std::size_t count,
                               bool start, std::size_t length, float *sums);

template <class Sample>
std::size_t no_vectors(const std::byte *const *, const float *, std::size_t, bool, std::size_t, float *) {
    return 0;
}

/// Add weighted rows to `sums`. Rows are summed in blocks of columns whose sums stay in L1. Processors
/// prefetch some 32 rows at a time, so not all rows of a large photo are added at once.
template <class Sample, AddVectors<Sample> *add_vectors>
void add_rows(const std::byte *const *rows, const float *weights, std::size_t count, bool start,
              std::size_t length, float *sums) {
    constexpr std::size_t block = 2048, at_once = 16;
    for (std::size_t begin = 0; begin < length; begin += block) {
        const std::size_t columns = length - begin < block ? length - begin : block;
        for (std::size_t row = 0; row < count; row += at_once) {
            const std::byte *samples[at_once] = {};
            const std::size_t here = count - row < at_once ? count - row : at_once;
            for (std::size_t i = 0; i < here; ++i) samples[i] = rows[row + i] + begin * sizeof(Sample);
            const bool starts = start && row == 0;
            const std::size_t done = add_vectors(samples, weights + row, here, starts, columns, sums + begin);
            add_sweeps<Sample>(samples, weights + row, here, starts, done, columns - done,
                               sums + begin + done);
        }
    }
}

template <class Sample>
MPSCNN_INLINE void convert(const std::byte *samples, std::size_t length, float *__restrict result) {
    for (std::size_t i = 0; i < length; ++i) result[i] = load_sample<Sample>(samples, i);
}

MPSCNN_INLINE void convert(const std::byte *samples, SampleType type, std::size_t length, float *result) {
    if (type == SampleType::uint8) convert<std::uint8_t>(samples, length, result);
    if (type == SampleType::uint16) convert<std::uint16_t>(samples, length, result);
    if (type == SampleType::float32) std::memcpy(result, samples, length * sizeof(float));
}

MPSCNN_INLINE bool opaque(const std::byte *samples, std::size_t pixels) {
    std::uint32_t common = ~0u;
    for (std::size_t i = 0; i < pixels; ++i) {
        std::uint32_t pixel;
        std::memcpy(&pixel, samples + i * sizeof pixel, sizeof pixel);
        common &= pixel;
    }
    std::uint8_t bytes[4];
    std::memcpy(bytes, &common, sizeof bytes);
    return bytes[3] == 255;
}

/// Compute (255 - x) alpha for two pixels, or one if `pixels` is 1.
template <std::size_t pixels>
MPSCNN_INLINE void shade_pixels(const std::byte *samples, std::uint16_t *result) {
    using Bytes = std::uint8_t __attribute__((vector_size(8)));
    using Words = std::uint16_t __attribute__((vector_size(16)));
    Bytes bytes{};
    std::memcpy(&bytes, samples, 4 * pixels);
    const Words values = __builtin_convertvector(bytes, Words);
    const Words alpha = __builtin_shufflevector(values, values, 3, 3, 3, 3, 7, 7, 7, 7);
    const Words shades = (255 - values) * alpha;
    std::memcpy(result, &shades, 8 * pixels);
}

MPSCNN_INLINE void shade(const std::byte *samples, std::size_t pixels, std::uint16_t *result) {
    std::size_t i = 0;
    for (; i + 2 <= pixels; i += 2) shade_pixels<2>(samples + 4 * i, result + 4 * i);
    if (i < pixels) shade_pixels<1>(samples + 4 * i, result + 4 * i);
}

/// Composite pixels over white. Opaque pixels do not change, because white * (1 / white) is exactly 1 for 1,
/// 255 and 65535.
MPSCNN_INLINE void composite(float *samples, std::size_t pixels, float white) {
    const float reciprocal = 1.0f / white;
    for (std::size_t i = 0; i < pixels; ++i, samples += pixel_lanes) {
        const float alpha = samples[3] * reciprocal;
        store(samples, load(samples) * splat(alpha) + splat(white * (1.0f - alpha)));
    }
}

MPSCNN_INLINE void limit(float *samples, std::size_t length, float white) {
    for (std::size_t i = 0; i < length; ++i) {
        const float above = samples[i] < 0.0f ? 0.0f : samples[i];
        samples[i] = above > white ? white : above;
    }
}

MPSCNN_INLINE void interleave1(const float *const *rows, std::size_t pixels, float *__restrict result) {
    const float *a = rows[0], *b = rows[1], *c = rows[2], *d = rows[3];
    for (std::size_t i = 0; i < pixels; ++i) {
        result[4 * i] = a[i];
        result[4 * i + 1] = b[i];
        result[4 * i + 2] = c[i];
        result[4 * i + 3] = d[i];
    }
}

MPSCNN_INLINE void interleave2(const float *const *rows, std::size_t pixels, float *__restrict result) {
    const float *a = rows[0], *b = rows[1];
    for (std::size_t i = 0; i < pixels; ++i) {
        result[4 * i] = a[2 * i];
        result[4 * i + 1] = a[2 * i + 1];
        result[4 * i + 2] = b[2 * i];
        result[4 * i + 3] = b[2 * i + 1];
    }
}

template <std::size_t samples>
MPSCNN_INLINE Float4 weighted(const float *inputs, const RowTaps &taps, std::size_t output,
                              std::size_t count) {
    const float *pixel = inputs + static_cast<std::size_t>(taps.firsts[output]) * samples;
    const float *weights = taps.weights + output * taps.stride;
    Float4 sum = splat(0.0f);
    for (std::size_t t = 0; t < count; ++t, pixel += samples) sum += load(pixel) * splat(weights[t]);
    return sum;
}

/// Compute two outputs together, because each addition waits for the one before it.
template <std::size_t samples>
MPSCNN_INLINE void weighted_pair(const float *inputs, const RowTaps &taps, std::size_t output,
                                 float *outputs) {
    const float *first = inputs + static_cast<std::size_t>(taps.firsts[output]) * samples;
    const float *second = inputs + static_cast<std::size_t>(taps.firsts[output + 1]) * samples;
    const float *weights = taps.weights + output * taps.stride, *others = weights + taps.stride;
    Float4 sum = splat(0.0f), other = sum;
    for (std::size_t t = 0; t < taps.stride; ++t, first += samples, second += samples) {
        sum += load(first) * splat(weights[t]);
        other += load(second) * splat(others[t]);
    }
    store(outputs, sum); // for pixels of three samples, the next pixel overwrites the last lane
    store(outputs + samples, other);
}

template <std::size_t samples>
MPSCNN_INLINE void resample(const float *inputs, const RowTaps &taps, bool exact, float *outputs) {
    std::size_t i = 0;
    for (; !exact && i + 2 <= taps.outputs; i += 2)
        weighted_pair<samples>(inputs, taps, i, outputs + samples * i);
    for (; i < taps.outputs; ++i) {
        const std::size_t count = exact ? static_cast<std::size_t>(taps.counts[i]) : taps.stride;
        store(outputs + samples * i, weighted<samples>(inputs, taps, i, count));
    }
}

/// The functions of one instruction set that add weighted rows.
struct Sums {
    RowKernels::AddRows<std::uint8_t> *uint8;
    RowKernels::AddRows<std::uint16_t> *uint16;
    RowKernels::AddRows<float> *float32;
};

// NOLINTBEGIN(bugprone-macro-parentheses): attributes are not expressions
#define MPSCNN_ROW_KERNELS(name, attributes)                                                                 \
    struct name {                                                                                            \
        attributes static void to_float(const std::byte *samples, SampleType type, std::size_t length,       \
                                        float *result) {                                                     \
            convert(samples, type, length, result);                                                          \
        }                                                                                                    \
        attributes static bool all_opaque(const std::byte *samples, std::size_t pixels) {                    \
            return opaque(samples, pixels);                                                                  \
        }                                                                                                    \
        attributes static void shades(const std::byte *samples, std::size_t pixels, std::uint16_t *result) { \
            shade(samples, pixels, result);                                                                  \
        }                                                                                                    \
        attributes static void over_white(float *samples, std::size_t pixels, float white) {                 \
            composite(samples, pixels, white);                                                               \
        }                                                                                                    \
        attributes static void limited(float *samples, std::size_t length, float white) {                    \
            limit(samples, length, white);                                                                   \
        }                                                                                                    \
        attributes static void four_rows(const float *const *rows, std::size_t pixels, float *result) {      \
            interleave1(rows, pixels, result);                                                               \
        }                                                                                                    \
        attributes static void two_rows(const float *const *rows, std::size_t pixels, float *result) {       \
            interleave2(rows, pixels, result);                                                               \
        }                                                                                                    \
        attributes static void across(const float *inputs, std::size_t samples, const RowTaps &taps,         \
                                      bool exact, float *outputs) {                                          \
            if (samples == 3)                                                                                \
                resample<3>(inputs, taps, exact, outputs);                                                   \
            else                                                                                             \
                resample<4>(inputs, taps, exact, outputs);                                                   \
        }                                                                                                    \
        static constexpr RowKernels kernels(Sums sums) {                                                     \
            return {sums.uint8, sums.uint16, sums.float32, to_float, all_opaque, shades,                     \
                    over_white, limited,     four_rows,    two_rows, across};                                \
        }                                                                                                    \
    };
// NOLINTEND(bugprone-macro-parentheses)

constexpr Sums plain_sums{add_rows<std::uint8_t, no_vectors<std::uint8_t>>,
                          add_rows<std::uint16_t, no_vectors<std::uint16_t>>,
                          add_rows<float, no_vectors<float>>};
MPSCNN_ROW_KERNELS(PlainRows, )
constexpr RowKernels plain = PlainRows::kernels(plain_sums);

#if defined(__x86_64__)
constexpr Sums avx2_sums{add_rows<std::uint8_t, add_rows_avx2<std::uint8_t>>,
                         add_rows<std::uint16_t, add_rows_avx2<std::uint16_t>>,
                         add_rows<float, add_rows_avx2<float>>};
constexpr Sums avx512_sums{add_rows<std::uint8_t, add_rows_avx512<std::uint8_t>>,
                           add_rows<std::uint16_t, add_rows_avx512<std::uint16_t>>,
                           add_rows<float, add_rows_avx512<float>>};
MPSCNN_ROW_KERNELS(Avx2Rows, MPSCNN_AVX2)
constexpr RowKernels avx2 = Avx2Rows::kernels(avx2_sums), avx512 = Avx2Rows::kernels(avx512_sums);
#endif

} // namespace

const RowKernels &row_kernels() {
#if defined(__x86_64__)
    if (has_avx512()) return avx512;
    if (has_avx2()) return avx2;
#endif
    return plain;
}

} // namespace mpscnn::vision
