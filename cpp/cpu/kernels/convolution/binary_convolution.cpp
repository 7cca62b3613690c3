// Binary convolution. A work item turns the source rows that it needs into bits. Then, for some output pixels
// and a vector of output channels at a time, it counts the bits in which window and weights differ, or the
// bits that are 1 in both.
//
// Registers hold the counts of four pixels, in bytes and in words, and one vector of weights (a word of 32
// inputs for each output). A word of inputs is broadcast to all lanes. The speed is limited by counting bits.
// Without an instruction for it, a table lookup by nibbles takes two shuffles and some five other
// instructions for 32 inputs of a vector of outputs. Counts in bytes are added to words after 31 words of
// inputs, before a byte can overflow.

// BetaScalingTask scales the sums of a binary convolution by the mean magnitude of the inputs in each window
// (Rastegari et al., XNOR-Net, 2016: K = A * k). The speed is limited by loads: each input is read once for
// each row of the window, and each sum over the channels of a column once for each tap.

#include "cpu/isa/common_sums.h"
#include "cpu/isa/instance.h"
#include "cpu/isa/lanes.h"
#include "cpu/kernels/shared/pixel_epilogue.h"
#include "cpu/kernels/shared/pixels.h"
#include "cpu/kernels/shared/window_taps.h"
#include "cpu/kernels/shared/work_split.h"

namespace mpscnn::cpu {
namespace {

/// The source rows of a work item as bits, in scratch memory.
struct BitImage {
    Range rows;          ///< rows of the source
    std::int64_t words;  ///< words of a pixel
    std::uint32_t *bits; ///< [rows][columns][words]
    std::uint8_t *nan;   ///< [rows][columns]: 1 if a channel is NaN
    std::uint32_t *outside;
};

/// Return the source rows that are inside the windows of these output rows.
inline Range source_rows(const BinaryConvolutionTask &task, const Range &outputs) {
    const WindowAxis &axis = task.vertical;
    const std::int64_t height = task.source.height;
    const std::int64_t begin = clamped(window_begin(axis, outputs.begin), 0, height);
    const std::int64_t last = window_begin(axis, outputs.end - 1) + (axis.kernel - 1) * axis.dilation;
    return {begin, clamped(last + 1, begin, height)};
}

template <class V> inline WorkSplit binary_split(const BinaryConvolutionTask &task, int threads) {
    constexpr std::int64_t min_cost = 1 << 20; // minimum products of bits in a work item: some 5 microseconds
    const View &to = task.destination;
    const std::int64_t inputs = task.vertical.kernel * task.horizontal.kernel * task.weights->inputs;
    return split_work(to.batch, to.height, divide_up(to.channels, V::width),
                      to.batch * to.height * to.width * to.channels * inputs, min_cost, threads);
}

inline std::size_t align_bytes(std::int64_t bytes) {
    return static_cast<std::size_t>((bytes + 63) / 64 * 64);
}

/// The sizes in bytes of the arrays of a BitImage with this many rows.
struct BitImageSize {
    std::size_t outside, bits, nan;

    BitImageSize(const BinaryConvolutionTask &task, std::int64_t rows)
        : outside(align_bytes(task.weights->words() * 4)),
          bits(align_bytes(rows * task.source.width * task.weights->words() * 4)),
          nan(align_bytes(rows * task.source.width)) {}
    std::size_t bytes() const { return outside + bits + nan; }
};

template <class V> Prepared binary_prepare(const BinaryConvolutionTask &task, const Planning &planning) {
    const WorkSplit split = binary_split<V>(task, planning.threads);
    const std::int64_t outputs = divide_up(split.rows, split.row_blocks);
    const std::int64_t rows = (outputs - 1) * task.vertical.stride + window_span(task.vertical);
    return planning.keep(split, split.items(), BitImageSize(task, min(rows, task.source.height)).bytes());
}

/// Write the signs of a pixel's biased and scaled channels as bits. A null pixel counts as zeros. Return true
/// if a channel is NaN.
inline bool binarise_pixel(const BinaryWeights &weights, const float *pixel, std::uint32_t *bits) {
    bool nan = false;
    for (std::int64_t first = 0; first < weights.inputs; first += 32) {
        const std::int64_t count = min(32, weights.inputs - first);
        std::uint32_t word = 0;
        for (std::int64_t i = 0; i < count; ++i) {
            const float x = pixel ? pixel[first + i] : 0.0f;
            const float value = (x + weights.input_bias[static_cast<std::size_t>(first + i)]) *
                                weights.input_scale[static_cast<std::size_t>(first + i)];
            word |= static_cast<std::uint32_t>(value >= 0.0f) << i;
            nan |= value != value;
        }
        bits[first / 32] = word;
    }
    return nan;
}

inline BitImage binarise(const BinaryConvolutionTask &task, std::int64_t image, const Range &outputs,
                         std::byte *scratch) {
    BitImage result;
    result.rows = source_rows(task, outputs);
    result.words = task.weights->words();
    const BitImageSize size(task, result.rows.size());
    result.outside = reinterpret_cast<std::uint32_t *>(scratch);
    result.bits = reinterpret_cast<std::uint32_t *>(scratch + size.outside);
    result.nan = reinterpret_cast<std::uint8_t *>(scratch + size.outside + size.bits);
    binarise_pixel(*task.weights, nullptr, result.outside);
    std::int64_t index = 0;
    for (std::int64_t y = result.rows.begin; y < result.rows.end; ++y)
        for (std::int64_t x = 0; x < task.source.width; ++x, ++index)
            result.nan[index] = binarise_pixel(*task.weights, pixel_at(task.source, image, y, x),
                                               result.bits + index * result.words);
    return result;
}

/// The number of adjacent output pixels of a row that are computed together.
constexpr int binary_pixels = 4;

/// For a vector of outputs, compare the bits of each pixel's window with the weights. With `signs`, count the
/// bits that differ, otherwise the bits that are 1 in both.
template <class V, bool signs, int Pixels>
MPSCNN_INLINE void count_bits(const BinaryConvolutionTask &task, const BitImage &bits, std::int64_t y,
                              std::int64_t x, const std::uint32_t *weights,
                              typename V::bits (&counts)[Pixels]) {
    constexpr int bytes_limit = 31; // a byte holds at most 31 sums of at most 8 each
    typename V::bits partial[Pixels];
    for (int p = 0; p < Pixels; ++p) counts[p] = partial[p] = V::zero_bits();
    int sums = 0;
    for (std::int64_t ky = 0; ky < task.vertical.kernel; ++ky) {
        const std::int64_t row = window_begin(task.vertical, y) + ky * task.vertical.dilation;
        const bool row_exists = row >= 0 && row < task.source.height;
        for (std::int64_t kx = 0; kx < task.horizontal.kernel; ++kx) {
            const std::uint32_t *pixels[Pixels];
            for (int p = 0; p < Pixels; ++p) {
                const std::int64_t column =
                    window_begin(task.horizontal, x + p) + kx * task.horizontal.dilation;
                const bool exists = row_exists && column >= 0 && column < task.source.width;
                const std::int64_t index = (row - bits.rows.begin) * task.source.width + column;
                pixels[p] = exists ? bits.bits + index * bits.words : bits.outside;
            }
            for (std::int64_t word = 0; word < bits.words; ++word, weights += V::width) {
                const auto weight = V::load_bits(weights);
#pragma GCC unroll 4
                for (int p = 0; p < Pixels; ++p) {
                    const auto input = V::set1_bits(pixels[p][word]);
                    const auto found = signs ? V::xor_bits(input, weight) : V::and_bits(input, weight);
                    partial[p] = V::add_bytes(partial[p], V::count_bytes(found));
                }
                if (++sums < bytes_limit) continue;
                for (int p = 0; p < Pixels; ++p) {
                    counts[p] = V::add_sums_of_bytes(counts[p], partial[p]);
                    partial[p] = V::zero_bits();
                }
                sums = 0;
            }
        }
    }
    for (int p = 0; p < Pixels; ++p) counts[p] = V::add_sums_of_bytes(counts[p], partial[p]);
}

/// Return true if the window of output pixel (y, x) contains a NaN.
inline bool window_has_nan(const BinaryConvolutionTask &task, const BitImage &bits, std::int64_t y,
                           std::int64_t x) {
    for (std::int64_t ky = 0; ky < task.vertical.kernel; ++ky) {
        const std::int64_t row = window_begin(task.vertical, y) + ky * task.vertical.dilation;
        if (row < 0 || row >= task.source.height) continue;
        for (std::int64_t kx = 0; kx < task.horizontal.kernel; ++kx) {
            const std::int64_t column = window_begin(task.horizontal, x) + kx * task.horizontal.dilation;
            if (column < 0 || column >= task.source.width) continue;
            if (bits.nan[(row - bits.rows.begin) * task.source.width + column]) return true;
        }
    }
    return false;
}

/// Compute `Pixels` output pixels of a row, from (y, x) on, for all channel vectors of the item.
template <class V, bool signs, int Pixels>
inline void binary_pixels_run(const BinaryConvolutionTask &task, const BitImage &bits,
                              const WorkSplit::Item &item, std::int64_t y, std::int64_t x) {
    const BinaryWeights &weights = *task.weights;
    const std::int64_t taps = task.vertical.kernel * task.horizontal.kernel;
    const float all = static_cast<float>(taps * weights.inputs);
    bool nan[Pixels];
    for (int p = 0; p < Pixels; ++p) nan[p] = window_has_nan(task, bits, y, x + p);
    for (std::int64_t vector = item.vectors.begin; vector < item.vectors.end; ++vector) {
        const std::int64_t channel = vector * V::width;
        typename V::bits counts[Pixels];
        count_bits<V, signs, Pixels>(task, bits, y, x,
                                     weights.bits.data() + vector * taps * bits.words * V::width, counts);
        const auto scale = V::load(weights.scale.data() + channel);
        const auto bias = V::load(weights.bias.data() + channel);
        for (int p = 0; p < Pixels; ++p) {
            auto sum = V::from_bits(counts[p]);
            if (signs) sum = V::sub(V::set1(all), V::add(sum, sum));
            if (nan[p]) sum = V::set1(__builtin_nanf(""));
            finish_vector<V>(task.destination, task.epilogue, item.image, y, x + p, channel,
                             V::fma(sum, scale, bias));
        }
    }
}

template <class V, bool signs>
inline void binary_row(const BinaryConvolutionTask &task, const BitImage &bits, const WorkSplit::Item &item,
                       std::int64_t y) {
    std::int64_t x = 0;
    for (; x + binary_pixels <= task.destination.width; x += binary_pixels)
        binary_pixels_run<V, signs, binary_pixels>(task, bits, item, y, x);
    for (; x < task.destination.width; ++x) binary_pixels_run<V, signs, 1>(task, bits, item, y, x);
}

template <class V>
void binary_run(const BinaryConvolutionTask &task, const Prepared &prepared, std::int64_t begin,
                std::int64_t end, Worker &worker) {
    const auto &split = prepared.plan_as<WorkSplit>();
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = split.item(index);
        if (item.rows.empty()) continue;
        const BitImage bits = binarise(task, item.image, item.rows, worker.scratch);
        for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y)
            task.signs ? binary_row<V, true>(task, bits, item, y) : binary_row<V, false>(task, bits, item, y);
    }
}

template <class V> inline float sum_of_magnitudes(const float *pixel, std::int64_t channels) {
    CommonSums<V> sums(V::zero());
    for (std::int64_t channel = 0; channel < channels; channel += V::width) {
        const auto x = load_lanes<V>(pixel + channel, channels - channel);
        auto &sum = sums.of_element(channel);
        sum = V::add(sum, V::select(V::less(x, V::zero()), V::sub(V::zero(), x), x));
    }
    return V::sum(sums.folded());
}

/// For each column of the source, sum the magnitudes of all channels over the rows of output row y's windows.
template <class V>
inline void sum_columns(const BetaScalingTask &task, std::int64_t image, std::int64_t y, float *sums) {
    const ConstView &source = task.source;
    const WindowAxis &axis = task.vertical;
    for (std::int64_t x = 0; x < source.width; ++x) sums[x] = 0.0f;
    for (std::int64_t tap = 0; tap < axis.kernel; ++tap) {
        const std::int64_t row = window_begin(axis, y) + tap * axis.dilation;
        if (row < 0 || row >= source.height) continue;
        for (std::int64_t x = 0; x < source.width; ++x)
            sums[x] += sum_of_magnitudes<V>(pixel_at(source, image, row, x), source.channels);
    }
}

template <class V> Prepared beta_scaling_prepare(const BetaScalingTask &task, const Planning &planning) {
    return prepare_elements(task.destination, planning,
                            static_cast<std::size_t>(task.source.width) * sizeof(float));
}

template <class V>
inline void scale_row(const BetaScalingTask &task, std::int64_t image, std::int64_t y, const float *sums) {
    const View &to = task.destination;
    const WindowAxis &axis = task.horizontal;
    const float share = 1.0f / static_cast<float>(task.vertical.kernel * axis.kernel * task.source.channels);
    for (std::int64_t x = 0; x < to.width; ++x) {
        float sum = 0.0f;
        for (std::int64_t tap = 0; tap < axis.kernel; ++tap) {
            const std::int64_t column = window_begin(axis, x) + tap * axis.dilation;
            if (column >= 0 && column < task.source.width) sum += sums[column];
        }
        const auto beta = V::set1(sum * share);
        const float *pixel = pixel_at(to, image, y, x);
        for (std::int64_t channel = 0; channel < to.channels; channel += V::width) {
            const auto value = load_lanes<V>(pixel + channel, to.channels - channel);
            finish_vector<V>(to, task.epilogue, image, y, x, channel,
                             V::fma(value, beta, V::load(task.bias + channel)));
        }
    }
}

template <class V>
void beta_scaling_run(const BetaScalingTask &task, const Prepared &prepared, std::int64_t begin,
                      std::int64_t end, Worker &worker) {
    const auto &split = prepared.plan_as<WorkSplit>();
    auto *sums = reinterpret_cast<float *>(worker.scratch);
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = split.item(index);
        for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y) {
            sum_columns<V>(task, item.image, y, sums);
            scale_row<V>(task, item.image, y, sums);
        }
    }
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(BinaryConvolutionTask, binary)
MPSCNN_KERNEL(BetaScalingTask, beta_scaling)
