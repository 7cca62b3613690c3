// Convolutions and dense layers of integers: pixels x panels of 16 outputs.
//
// The inputs of a block of pixels are gathered as 16-bit integers without their zero point, zeros outside of
// the source. Registers: sums of 12 pixels with AVX-512, 5 with AVX2; weights of a pair of inputs are loaded,
// the pixels' inputs broadcast. Bound by the products, with few inputs by the requantisation.
// Depthwise ones multiply the channels of a tap at a time, with sums of two panels in registers. Processors
// that have such instructions multiply four bytes at a time: integer_quads.h, with AVX-512 also
// integer_depthwise_quads.h.

#include "cpu/isa/instance.h"
#include "cpu/kernels/integer_pairs.h"
#include "cpu/kernels/integer_quad_registers.h"
#include "cpu/kernels/integer_requantization.h"
#include "cpu/kernels/work_split.h"
#if defined(MPSCNN_MULTIPLIES_QUADS)
#include "cpu/kernels/integer_quads.h"
#if defined(__AVX512BW__)
#include "cpu/kernels/integer_depthwise_quads.h"
#define MPSCNN_DEPTHWISE_QUADS
#endif
#endif

namespace mpscnn::cpu {
namespace {

constexpr std::int64_t panel_outputs = IntegerWeights::panel;

struct IntegerConvolutionPlan {
    WorkSplit split; ///< of depthwise ones
    std::int64_t pixels, block, blocks, panel_parts, row_elements;
};

/// Of a pixel's gathered inputs of one group; a multiple of 2.
MPSCNN_INLINE std::int64_t row_elements(const IntegerWeights &weights) { return 2 * weights.pairs(); }

Prepared depthwise_prepare(const IntegerConvolutionTask &task, const Planning &planning) {
    const View &to = task.destination;
    IntegerConvolutionPlan plan{};
    plan.split =
        split_work(to.batch, to.height, 1, to.batch * to.height * to.width * to.channels * task.weights.taps,
                   least_elements, planning.threads);
    return planning.keep(plan, plan.split.items());
}

template <class V>
Prepared integer_convolution_prepare(const IntegerConvolutionTask &task, const Planning &planning) {
#if defined(MPSCNN_DEPTHWISE_QUADS)
    if (task.weights.quads && task.weights.is_depthwise()) return prepare_depthwise_quads(task, planning);
#endif
#if defined(MPSCNN_MULTIPLIES_QUADS)
    if (task.weights.quads) return prepare_quads(task, planning, quad_block);
#endif
    if (task.weights.is_depthwise()) return depthwise_prepare(task, planning);
    constexpr std::int64_t tiles = 4;
    const View &to = task.destination;
    IntegerConvolutionPlan plan{};
    plan.pixels = to.batch * to.height * to.width;
    plan.row_elements = row_elements(task.weights);
    plan.block = min(plan.pixels, tiles * PanelSums::pixels);
    plan.blocks = divide_up(plan.pixels, plan.block);
    const std::int64_t wanted = planning.threads == 1 ? 1 : 3 * planning.threads;
    plan.panel_parts =
        clamped(divide_up(wanted, plan.blocks), 1, task.weights.groups * task.weights.panels());
    const std::int64_t rows = plan.block + PanelSums::pixels; // the last tile is a whole one
    return planning.keep(plan, plan.blocks * plan.panel_parts,
                         static_cast<std::size_t>(rows * plan.row_elements) * sizeof(std::int16_t));
}

/// A pixel of the result; the next one is behind it, in the next row or image.
struct ResultPixel {
    std::int64_t image, y, x;

    static MPSCNN_INLINE ResultPixel at(const View &to, std::int64_t pixel) {
        const std::int64_t row = pixel / to.width;
        return {row / to.height, row % to.height, pixel % to.width};
    }
    MPSCNN_INLINE void step(const View &to) {
        if (++x == to.width) x = 0, ++y;
        if (y == to.height) y = 0, ++image;
    }
};

/// The inputs of a group that one output pixel reads.
MPSCNN_INLINE void gather_pixel(const IntegerConvolutionTask &task, const ResultPixel &pixel,
                                std::int64_t group, std::int16_t *row) {
    const ConstView &from = task.source;
    const WindowAxis &vertical = task.vertical, &horizontal = task.horizontal;
    const std::int64_t inputs = task.weights.inputs, first = pixel.x * horizontal.stride - horizontal.before;
    const bool is_run = from.pixel_stride == inputs && horizontal.dilation == 1 && first >= 0 &&
                        first + horizontal.kernel <= from.width;
    const auto zero = static_cast<std::int16_t>(task.source_zero);
    const auto copy = [&](const std::uint8_t *bytes, std::int64_t count) __attribute__((always_inline)) {
        for (std::int64_t k = 0; k < count; ++k) row[k] = static_cast<std::int16_t>(bytes[k] - zero);
        row += count;
    };
    const auto fill = [&](std::int64_t count) __attribute__((always_inline)) {
        for (std::int64_t k = 0; k < count; ++k) row[k] = 0;
        row += count;
    };
    for (std::int64_t u = 0; u < vertical.kernel; ++u) {
        const std::int64_t at_y = pixel.y * vertical.stride - vertical.before + u * vertical.dilation;
        if (at_y < 0 || at_y >= from.height) {
            fill(horizontal.kernel * inputs);
        } else if (is_run) {
            copy(bytes_at(from, pixel.image, at_y, first), horizontal.kernel * inputs);
        } else {
            for (std::int64_t v = 0; v < horizontal.kernel; ++v) {
                const std::int64_t at_x = first + v * horizontal.dilation;
                if (at_x < 0 || at_x >= from.width)
                    fill(inputs);
                else
                    copy(bytes_at(from, pixel.image, at_y, at_x) + group * inputs, inputs);
            }
        }
    }
    if (inputs * task.weights.taps % 2 != 0) *row = 0;
}

/// `count` pixels from `first` on for one panel; `rows` are theirs.
template <int pixels>
__attribute__((noinline)) void multiply_tile(const IntegerConvolutionTask &task, std::int64_t first,
                                             std::int64_t count, std::int64_t group, std::int64_t panel,
                                             const PanelRequantizer &requantizer, const std::int16_t *rows) {
    const IntegerWeights &weights = task.weights;
    const View &to = task.destination;
    const std::int64_t elements = row_elements(weights), own = panel * panel_outputs,
                       output = group * weights.outputs + own;
    // Bias and numbers of requantisation have places of their own for each panel.
    const std::int64_t place = (group * weights.panels() + panel) * panel_outputs;
    std::int32_t sums[pixels * panel_outputs];
    add_pairs<pixels>(rows, elements, weights.pairs(), weights.values + place * elements,
                      weights.bias + place, sums);
    const std::int64_t outputs = min(weights.outputs - own, panel_outputs);
    auto pixel = ResultPixel::at(to, first);
    for (std::int64_t p = 0; p < count; ++p, pixel.step(to))
        requantizer.store(sums + p * panel_outputs, outputs,
                          bytes_at(to, pixel.image, pixel.y, pixel.x) + output);
}

void convolve_block(const IntegerConvolutionTask &task, Range pixels, Range panels, std::int16_t *rows) {
    const IntegerWeights &weights = task.weights;
    constexpr int most = PanelSums::pixels;
    const std::int64_t elements = row_elements(weights);
    std::int64_t gathered = -1;
    for (std::int64_t index = panels.begin; index < panels.end; ++index) {
        const std::int64_t group = index / weights.panels(), panel = index % weights.panels();
        if (group != gathered) {
            auto pixel = ResultPixel::at(task.destination, pixels.begin);
            for (std::int64_t i = 0; i < pixels.size(); ++i, pixel.step(task.destination))
                gather_pixel(task, pixel, group, rows + i * elements);
        }
        gathered = group;
        const PanelRequantizer requantizer(task.requantization, index * panel_outputs);
        for (std::int64_t i = 0; i < pixels.size(); i += most) {
            const std::int64_t left = pixels.size() - i;
            const std::int16_t *const own = rows + i * elements;
            if (left == 1)
                multiply_tile<1>(task, pixels.begin + i, 1, group, panel, requantizer, own);
            else
                multiply_tile<most>(task, pixels.begin + i, min(left, most), group, panel, requantizer, own);
        }
    }
}

/// Where an output pixel's taps are.
struct DepthwiseWindow {
    const std::uint8_t *first; ///< of the first row's and column's tap, the first channel; it may lie outside
    std::ptrdiff_t row, column; ///< from tap to tap
    Range rows, columns;

    /// The first channel of the last tap.
    MPSCNN_INLINE const std::uint8_t *last() const {
        return first + (rows.end - 1) * row + (columns.end - 1) * column;
    }
};

/// Sums of `panels` panels of channels of one output pixel. `count`: how many bytes may be read of each tap.
template <int panels>
MPSCNN_INLINE void depthwise_sums(const IntegerConvolutionTask &task, const DepthwiseWindow &window,
                                  std::int64_t channel, std::int64_t count, std::int32_t *stored) {
    constexpr int registers = panels * PanelSums::registers,
                  lanes = static_cast<int>(panel_outputs) / PanelSums::registers;
    const IntegerWeights &weights = task.weights;
    const std::int64_t pitch = round_up(weights.groups, 2 * panel_outputs);
    const auto zero = PanelSums::splat(task.source_zero);
    typename PanelSums::reg sums[registers];
#pragma GCC unroll 8
    for (int r = 0; r < registers; ++r) sums[r] = PanelSums::load(weights.bias + channel + r * lanes);
    for (std::int64_t u = window.rows.begin; u < window.rows.end; ++u)
        for (std::int64_t v = window.columns.begin; v < window.columns.end; ++v) {
            const std::int16_t *const values =
                weights.values + (u * task.horizontal.kernel + v) * pitch + channel;
            const std::uint8_t *bytes = window.first + u * window.row + v * window.column + channel;
            std::uint8_t last[panels * panel_outputs];
            if (count < panels * panel_outputs) { // not beyond the tensor
                for (std::int64_t c = 0; c < panels * panel_outputs; ++c) last[c] = c < count ? bytes[c] : 0;
                bytes = last;
            }
#pragma GCC unroll 8
            for (int r = 0; r < registers; ++r)
                sums[r] = PanelSums::add_product(sums[r], bytes + r * lanes, zero, values + r * lanes);
        }
#pragma GCC unroll 8
    for (int r = 0; r < registers; ++r) PanelSums::store(stored + r * lanes, sums[r]);
}

#if defined(__AVX2__) && !defined(__AVX512BW__)
/// The taps of pixels whose windows lie within the source, two at a time: 16 products of pairs, as
/// PanelSums::add has them. Registers have the channels 0-3 and 8-11, 4-7 and 12-15 of a panel.
class TapPairs {
public:
    /// Of `panels` panels. Windows of more than 50 taps have no such form.
    MPSCNN_INLINE bool set(const IntegerConvolutionTask &task, Range rows, std::int64_t channel, int panels) {
        const std::int64_t taps = max(rows.size(), 0) * task.horizontal.kernel;
        if (taps == 0 || taps > 2 * most) return false;
        const std::int64_t pitch = round_up(task.weights.groups, 2 * panel_outputs);
        const std::int16_t *const first =
            task.weights.values + rows.begin * task.horizontal.kernel * pitch + channel;
        count_ = divide_up(taps, 2);
        for (std::int64_t tap = 0; tap < 2 * count_; ++tap) {
            const std::int64_t read = min(tap, taps - 1); // once more, with weights of zero
            offsets_[tap] =
                (rows.begin + read / task.horizontal.kernel) * task.vertical.dilation *
                    task.source.row_stride +
                read % task.horizontal.kernel * task.horizontal.dilation * task.source.pixel_stride;
        }
        const __m256i none = _mm256_setzero_si256();
        __m256i *to = weights_;
        for (std::int64_t tap = 0; tap < taps; tap += 2)
            for (int r = 0; r < panels; ++r, to += 2) {
                const std::int16_t *const own = first + tap * pitch + r * panel_outputs;
                const __m256i a = load(own), b = tap + 1 < taps ? load(own + pitch) : none;
                to[0] = _mm256_unpacklo_epi16(a, b);
                to[1] = _mm256_unpackhi_epi16(a, b);
            }
        return true;
    }

    /// Of the pixel whose window's first tap is at `bytes`.
    template <int panels>
    MPSCNN_INLINE void add(const std::uint8_t *bytes, std::int32_t zero_point, const std::int32_t *bias,
                           std::int32_t *stored) const {
        const __m256i zero = _mm256_set1_epi16(static_cast<short>(zero_point));
        __m256i sums[2 * panels];
#pragma GCC unroll 2
        for (int r = 0; r < panels; ++r) {
            const __m256i low = load(bias + r * panel_outputs), high = load(bias + r * panel_outputs + 8);
            sums[2 * r] = _mm256_permute2x128_si256(low, high, 0x20);
            sums[2 * r + 1] = _mm256_permute2x128_si256(low, high, 0x31);
        }
        const __m256i *own = weights_;
        for (std::int64_t pair = 0; pair < count_; ++pair, own += 2 * panels) {
            const std::uint8_t *const first = bytes + offsets_[2 * pair], *const second =
                                                                              bytes + offsets_[2 * pair + 1];
#pragma GCC unroll 2
            for (int r = 0; r < panels; ++r) {
                const __m256i a = words(first + r * panel_outputs, zero),
                              b = words(second + r * panel_outputs, zero);
                sums[2 * r] = PanelSums::add(sums[2 * r], own[2 * r], _mm256_unpacklo_epi16(a, b));
                sums[2 * r + 1] =
                    PanelSums::add(sums[2 * r + 1], own[2 * r + 1], _mm256_unpackhi_epi16(a, b));
            }
        }
#pragma GCC unroll 2
        for (int r = 0; r < panels; ++r) {
            const __m256i low = _mm256_permute2x128_si256(sums[2 * r], sums[2 * r + 1], 0x20),
                          high = _mm256_permute2x128_si256(sums[2 * r], sums[2 * r + 1], 0x31);
            PanelSums::store(stored + r * panel_outputs, low);
            PanelSums::store(stored + r * panel_outputs + 8, high);
        }
    }

private:
    static constexpr std::int64_t most = 25;

    static MPSCNN_INLINE __m256i load(const void *from) {
        return _mm256_loadu_si256(static_cast<const __m256i *>(from));
    }
    static MPSCNN_INLINE __m256i words(const std::uint8_t *bytes, __m256i zero) {
        const __m128i own = _mm_loadu_si128(reinterpret_cast<const __m128i *>(bytes));
        return _mm256_sub_epi16(_mm256_cvtepu8_epi16(own), zero);
    }

    std::int64_t count_ = 0;
    std::ptrdiff_t offsets_[2 * most];
    __m256i weights_[most * 4];
};
#endif

/// A row of the result.
struct DepthwiseRow {
    const std::uint8_t *first; ///< what the first tap of pixel 0 reads; it may lie outside
    std::uint8_t *result;
    Range rows; ///< of the taps
};

template <int panels>
__attribute__((noinline)) void depthwise_row(const IntegerConvolutionTask &task, const DepthwiseRow &row,
                                             std::int64_t channel) {
    const ConstView &from = task.source;
    const std::int64_t count = min(task.destination.channels - channel, panels * panel_outputs);
    const PanelRequantizer first(task.requantization, channel),
        last(task.requantization, channel + (panels - 1) * panel_outputs);
    alignas(64) std::int32_t sums[panels * panel_outputs];
    std::uint8_t *result = row.result + channel;
    const std::uint8_t *const end =
        bytes_at(from, from.batch - 1, from.height - 1, from.width - 1) + from.channels;
#if defined(__AVX2__) && !defined(__AVX512BW__)
    TapPairs pairs;
    const bool has_pairs = pairs.set(task, row.rows, channel, panels);
#endif
    for (std::int64_t x = 0; x < task.destination.width; ++x, result += task.destination.pixel_stride) {
        const DepthwiseWindow window{row.first + x * task.horizontal.stride * from.pixel_stride,
                                     task.vertical.dilation * from.row_stride,
                                     task.horizontal.dilation * from.pixel_stride, row.rows,
                                     taps_inside(task.horizontal, x, from.width)};
        // What lies behind the last channels is multiplied by zero.
        const bool is_whole = window.last() + channel + panels * panel_outputs <= end;
        const std::int64_t read = is_whole ? panels * panel_outputs : count;
#if defined(__AVX2__) && !defined(__AVX512BW__)
        if (has_pairs && is_whole && window.columns.size() == task.horizontal.kernel)
            pairs.add<panels>(window.first + channel, task.source_zero, task.weights.bias + channel, sums);
        else
#endif
            depthwise_sums<panels>(task, window, channel, read, sums);
        if (panels == 2) first.store(sums, panel_outputs, result);
        last.store(sums + (panels - 1) * panel_outputs, count - (panels - 1) * panel_outputs,
                   result + (panels - 1) * panel_outputs);
    }
}

void depthwise_item(const IntegerConvolutionTask &task, const WorkSplit::Item &item) {
    const std::int64_t channels = task.destination.channels;
    for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y) {
        const DepthwiseRow row{
            bytes_at(task.source, item.image, y * task.vertical.stride - task.vertical.before,
                     -task.horizontal.before),
            bytes_at(task.destination, item.image, y, 0), taps_inside(task.vertical, y, task.source.height)};
        std::int64_t channel = 0;
        for (; channel + 2 * panel_outputs <= channels; channel += 2 * panel_outputs)
            depthwise_row<2>(task, row, channel);
        for (; channel < channels; channel += panel_outputs) depthwise_row<1>(task, row, channel);
    }
}

template <class V>
void integer_convolution_run(const IntegerConvolutionTask &task, const Prepared &prepared, std::int64_t begin,
                             std::int64_t end, Worker &worker) {
#if defined(MPSCNN_DEPTHWISE_QUADS)
    if (task.weights.quads && task.weights.is_depthwise())
        return run_depthwise_quads(task, prepared, begin, end, worker);
#endif
#if defined(MPSCNN_MULTIPLIES_QUADS)
    if (task.weights.quads) return run_quads(task, prepared, begin, end, worker);
#endif
    const auto &plan = prepared.plan_as<IntegerConvolutionPlan>();
    for (std::int64_t index = begin; index < end; ++index) {
        if (task.weights.is_depthwise()) {
            depthwise_item(task, plan.split.item(index));
            continue;
        }
        const std::int64_t first = index / plan.panel_parts * plan.block;
        convolve_block(
            task, {first, min(first + plan.block, plan.pixels)},
            part_of(task.weights.groups * task.weights.panels(), plan.panel_parts, index % plan.panel_parts),
            reinterpret_cast<std::int16_t *>(worker.scratch));
    }
}

} // namespace
} // namespace mpscnn::cpu

#if defined(MPSCNN_MULTIPLIES_QUADS)
namespace mpscnn::cpu::MPSCNN_SET {
void get(QuadKernels &);
}
void mpscnn::cpu::MPSCNN_SET::get(QuadKernels &kernels) {
    kernels.convolution = {integer_convolution_prepare<Simd>, integer_convolution_run<Simd>};
    kernels.centre = QuadRegisters::centre;
#if defined(MPSCNN_DEPTHWISE_QUADS)
    kernels.has_depthwise = true;
#endif
}
#else
MPSCNN_KERNEL(IntegerConvolutionTask, integer_convolution)
#endif
