// Convolutions and dense layers of 8-bit integers, in blocks of pixels x panels of 16 outputs.
//
// The inputs of a block of pixels are gathered (im2col) as 16-bit integers minus the zero point, with zeros
// outside the source. Registers hold sums of 12 pixels with AVX-512 and 6 with AVX2. Weights of a pair of
// inputs are loaded, and the pixels' inputs are broadcast. The speed is limited by the products, or with few
// inputs by the requantization. With AVX2 and many inputs, products of two pairs are computed as one product
// of sums, for 4 pixels (integer_pairs.h). Depthwise convolutions multiply the channels of one tap at a time,
// with the sums of two panels in registers. AVX2 interleaves rows (integer_depthwise_pairs.h,
// integer_depthwise_bytes.h).
// Processors with dot products of four bytes use integer_quads.h instead, and with AVX-512 also
// integer_depthwise_quads.h.

#include "cpu/isa/instance.h"
#include "cpu/kernels/integers/integer_pairs.h"
#include "cpu/kernels/integers/integer_quad_registers.h"
#include "cpu/kernels/integers/integer_requantization.h"
#include "cpu/kernels/integers/integer_widening.h"
#include "cpu/kernels/shared/pixels.h"
#include "cpu/kernels/shared/work_split.h"
#if defined(__AVX2__) && !defined(__AVX512BW__)
#include "cpu/kernels/integers/integer_depthwise_bytes.h"
#define MPSCNN_DEPTHWISE_PAIRS
#endif
#if defined(MPSCNN_MULTIPLIES_QUADS_BY_PAIRS)
#include "cpu/kernels/integers/integer_quads_by_pairs.h"
#elif defined(MPSCNN_MULTIPLIES_QUADS)
#include "cpu/kernels/integers/integer_quads.h"
#if defined(__AVX512BW__)
#include "cpu/kernels/integers/integer_depthwise_quads.h"
#define MPSCNN_DEPTHWISE_QUADS
#endif
#endif

namespace mpscnn::cpu {
namespace {

constexpr std::int64_t panel_outputs = IntegerWeights::panel;

struct IntegerConvolutionPlan {
    WorkSplit split; ///< for depthwise convolutions
    std::int64_t pixels, block, blocks, panel_parts, row_elements;
    bool of_sums;      ///< true if add_pairs() multiplies sums
    std::int64_t tile; ///< pixels whose sums are in registers

    /// Return the number of rows of gathered inputs. The last tile of a block is computed as a whole.
    MPSCNN_INLINE std::int64_t rows() const { return block + tile; }
};

/// Return the number of elements of a pixel's gathered inputs for one group, rounded up to a multiple of 2.
MPSCNN_INLINE std::int64_t row_elements(const IntegerWeights &weights) { return 2 * weights.pairs(); }

Prepared depthwise_prepare(const IntegerConvolutionTask &task, const Planning &planning) {
    const View &to = task.destination;
    IntegerConvolutionPlan plan{};
    plan.split =
        split_work(to.batch, to.height, 1, to.batch * to.height * to.width * to.channels * task.weights.taps,
                   min_elements, planning.threads);
    return planning.keep(plan, plan.split.items());
}

/// Return true if products of sums are faster. With few inputs or outputs, the products of inputs take too
/// long.
bool multiplies_sums(const IntegerWeights &weights) {
    constexpr std::int64_t min_inputs = 64, min_panels = 4;
    return PanelSums::pixels_of_sums != 0 && row_elements(weights) >= min_inputs &&
           weights.panels() >= min_panels;
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
    const View &to = task.destination;
    IntegerConvolutionPlan plan{};
    plan.pixels = to.batch * to.height * to.width;
    plan.row_elements = row_elements(task.weights);
    plan.of_sums = multiplies_sums(task.weights);
    plan.tile = plan.of_sums ? PanelSums::pixels_of_sums : PanelSums::pixels;
    // The pixels of a block fill L1, because each block reads all weights. The blocks are divided among
    // threads.
    constexpr std::int64_t max_bytes = 32 * 1024;
    const std::int64_t row_bytes = plan.row_elements * static_cast<std::int64_t>(sizeof(std::int16_t));
    const std::int64_t wanted = planning.threads == 1 ? 1 : 3 * planning.threads;
    const std::int64_t fitting = min(max_bytes / row_bytes, divide_up(plan.pixels, wanted));
    plan.block = min(plan.pixels, plan.tile * max(fitting / plan.tile, 1));
    plan.blocks = divide_up(plan.pixels, plan.block);
    plan.panel_parts =
        clamped(divide_up(wanted, plan.blocks), 1, task.weights.groups * task.weights.panels());
    return planning.keep(plan, plan.blocks * plan.panel_parts,
                         static_cast<std::size_t>(plan.rows() * row_bytes) + widened * sizeof(std::int16_t) +
                             static_cast<std::size_t>(plan.rows()) * sizeof(std::int32_t));
}

/// The position of a pixel of the result. The pixel after it may be in the next row or image.
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

/// Gather the inputs of one group for one output pixel (im2col). The memory after them may be overwritten.
MPSCNN_INLINE void gather_pixel(const IntegerConvolutionTask &task, const ResultPixel &pixel,
                                std::int64_t group, const std::uint8_t *end, std::int16_t *row) {
    const ConstView &from = task.source;
    const WindowAxis &vertical = task.vertical, &horizontal = task.horizontal;
    const std::int64_t inputs = task.weights.inputs, first = pixel.x * horizontal.stride - horizontal.before;
    const bool is_run = from.pixel_stride == inputs && horizontal.dilation == 1 && first >= 0 &&
                        first + horizontal.kernel <= from.width;
    const auto zero = static_cast<std::int16_t>(task.source_zero);
    const auto copy = [&](const std::uint8_t *bytes, std::int64_t count) __attribute__((always_inline)) {
        widen(bytes, count, zero, end, row);
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

/// Return true if output pixel i only reads source pixel i, and the source has no gaps between pixels.
MPSCNN_INLINE bool reads_pixels_in_order(const IntegerConvolutionTask &task) {
    const ConstView &from = task.source;
    const auto is_one = [](const WindowAxis &axis) {
        return axis.kernel == 1 && axis.stride == 1 && axis.before == 0;
    };
    return is_one(task.vertical) && is_one(task.horizontal) && task.weights.groups == 1 &&
           task.weights.inputs % 2 == 0 && from.pixel_stride == task.weights.inputs &&
           from.height == task.destination.height && from.width == task.destination.width &&
           images_join(from);
}

void gather_block(const IntegerConvolutionTask &task, Range pixels, std::int64_t group, std::int16_t *rows) {
    const ConstView &from = task.source;
    const std::uint8_t *const end = end_of(from);
    auto pixel = ResultPixel::at(task.destination, pixels.begin);
    if (reads_pixels_in_order(task))
        return widen(bytes_at(from, pixel.image, pixel.y, pixel.x), pixels.size() * task.weights.inputs,
                     static_cast<std::int16_t>(task.source_zero), end, rows);
    const std::int64_t elements = row_elements(task.weights);
    for (std::int64_t i = 0; i < pixels.size(); ++i, pixel.step(task.destination))
        gather_pixel(task, pixel, group, end, rows + i * elements);
}

/// The gathered inputs of a block of pixels.
struct GatheredRows {
    std::int16_t *values;
    std::int32_t *products; ///< PanelSums::store_products() for each row

    template <bool of_sums, class Sums = PanelSums>
    void gather(const IntegerConvolutionTask &task, Range pixels, std::int64_t group) const {
        gather_block(task, pixels, group, values);
        if constexpr (of_sums) {
            const std::int64_t elements = row_elements(task.weights);
            for (std::int64_t i = 0; i < pixels.size(); i += Sums::pixels_of_sums)
                Sums::store_products(values + i * elements, elements, task.weights.pairs(), products + i);
        }
    }
};

/// Prefetches the weights of the next panel to L2, a part for each tile of pixels. The weights of large
/// layers come from the last-level cache or memory.
class NextPanel {
public:
    MPSCNN_INLINE NextPanel(const std::int16_t *values, std::int64_t elements, std::int64_t tiles)
        : next_(values), end_(values + elements), step_(min(divide_up(elements, tiles), max_step)) {}

    MPSCNN_INLINE void prefetch() {
        for (const std::int16_t *const stop = next_ + min(step_, end_ - next_); next_ < stop; next_ += line)
            __builtin_prefetch(next_, 0, 2);
    }

private:
    static constexpr std::int64_t line = 64 / sizeof(std::int16_t), max_step = 16 * line;
    const std::int16_t *next_, *end_;
    std::int64_t step_;
};

/// The numbers to which the products of one panel of outputs are added.
struct PanelStart {
    alignas(64) std::int32_t values[panel_outputs];

    MPSCNN_INLINE PanelStart(const IntegerWeights &weights, std::int64_t place, bool of_sums) {
        for (std::int64_t i = 0; i < panel_outputs; ++i)
            values[i] = static_cast<std::int32_t>(
                static_cast<std::uint32_t>(weights.bias[place + i]) -
                (of_sums ? static_cast<std::uint32_t>(weights.products[place + i]) : 0));
    }
};

/// Compute one panel of outputs for a block of pixels.
template <int tile, bool of_sums>
void multiply_block(const IntegerConvolutionTask &task, Range pixels, std::int64_t group, std::int64_t panel,
                    const GatheredRows &gathered) {
    const IntegerWeights &weights = task.weights;
    const View &to = task.destination;
    const std::int64_t elements = row_elements(weights), pairs = weights.pairs(), own = panel * panel_outputs,
                       output = group * weights.outputs + own;
    // Biases and requantization constants are padded to whole panels, so their index is not the output's.
    const std::int64_t place = (group * weights.panels() + panel) * panel_outputs,
                       outputs = min(weights.outputs - own, panel_outputs);
    const std::int16_t *const values = weights.values + place * elements;
    const PanelStart start(weights, place, of_sums);
    const PanelRequantizer requantizer(task.requantization, place);
    auto pixel = ResultPixel::at(to, pixels.begin);
    std::uint8_t *result = bytes_at(to, pixel.image, pixel.y, pixel.x) + output, *results[tile];
    alignas(64) std::int32_t sums[tile * panel_outputs];
    const std::int16_t *rows = gathered.values;
    const std::int32_t *products = gathered.products;
    NextPanel next(values + panel_outputs * elements, panel_outputs * elements,
                   divide_up(pixels.size(), tile));
    for (std::int64_t left = pixels.size(); left > 0; left -= tile) {
        if (left == 1)
            add_pairs<1, of_sums>(rows, elements, pairs, values, start.values, products, sums);
        else
            add_pairs<tile, of_sums>(rows, elements, pairs, values, start.values, products, sums);
        rows += tile * elements;
        products += tile;
        next.prefetch();
        const std::int64_t count = min(left, tile);
        for (std::int64_t p = 0; p < count; ++p) {
            results[p] = result;
            pixel.step(to);
            if (pixel.x != 0)
                result += to.pixel_stride;
            else if (p + 1 < left)
                result = bytes_at(to, pixel.image, pixel.y, 0) + output;
        }
        if (count == tile)
            store_pixels<tile>(requantizer, sums, outputs, results);
        else
            for (std::int64_t p = 0; p < count; ++p)
                requantizer.store(sums + p * panel_outputs, outputs, results[p]);
    }
}

template <int tile, bool of_sums>
void convolve_block(const IntegerConvolutionTask &task, Range pixels, Range panels,
                    const GatheredRows &rows) {
    const std::int64_t panels_of_group = task.weights.panels();
    std::int64_t gathered = -1;
    for (std::int64_t index = panels.begin; index < panels.end; ++index) {
        const std::int64_t group = index / panels_of_group;
        if (group != gathered) rows.gather<of_sums>(task, pixels, group);
        gathered = group;
        multiply_block<tile, of_sums>(task, pixels, group, index % panels_of_group, rows);
    }
}

/// The addresses of the taps of an output pixel in a depthwise convolution.
struct DepthwiseWindow {
    const std::uint8_t
        *first; ///< the first channel of the first row's and column's tap; it may be outside the source
    std::ptrdiff_t row, column; ///< bytes between taps
    Range rows, columns;

    /// Return the first channel of the last tap.
    MPSCNN_INLINE const std::uint8_t *last() const {
        return first + (rows.end - 1) * row + (columns.end - 1) * column;
    }
};

/// Compute the sums of `panels` panels of channels of one output pixel. At most `count` bytes of each tap are
/// read.
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
            if (count < panels * panel_outputs) { // do not read beyond the tensor
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

/// The addresses and taps of a row of the result of a depthwise convolution.
struct DepthwiseRow {
    const std::uint8_t *first; ///< the first tap of pixel 0, which may be outside the source
    std::uint8_t *result;
    Range rows; ///< rows of taps that are inside the source
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
    const std::uint8_t *const end = end_of(from);
    for (std::int64_t x = 0; x < task.destination.width; ++x, result += task.destination.pixel_stride) {
        const DepthwiseWindow window{row.first + x * task.horizontal.stride * from.pixel_stride,
                                     task.vertical.dilation * from.row_stride,
                                     task.horizontal.dilation * from.pixel_stride, row.rows,
                                     taps_inside(task.horizontal, x, from.width)};
        // Bytes after the last channel are multiplied by weights of zero, so they may be read if they are in
        // the tensor.
        const bool is_whole = window.last() + channel + panels * panel_outputs <= end;
        const std::int64_t read = is_whole ? panels * panel_outputs : count;
        depthwise_sums<panels>(task, window, channel, read, sums);
        if (panels == 2) first.store(sums, panel_outputs, result);
        last.store(sums + (panels - 1) * panel_outputs, count - (panels - 1) * panel_outputs,
                   result + (panels - 1) * panel_outputs);
    }
}

void depthwise_item(const IntegerConvolutionTask &task, const WorkSplit::Item &item) {
#if defined(MPSCNN_DEPTHWISE_PAIRS)
    if (DepthwisePairs::takes(task)) return depthwise_strips(task, item.image, item.rows);
#endif
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
        auto *const products = reinterpret_cast<std::int32_t *>(worker.scratch);
        const GatheredRows rows{reinterpret_cast<std::int16_t *>(products + plan.rows()), products};
        const Range pixels{first, min(first + plan.block, plan.pixels)};
        const Range panels =
            part_of(task.weights.groups * task.weights.panels(), plan.panel_parts, index % plan.panel_parts);
        if constexpr (PanelSums::pixels_of_sums != 0)
            if (plan.of_sums) {
                convolve_block<PanelSums::pixels_of_sums, true>(task, pixels, panels, rows);
                continue;
            }
        convolve_block<PanelSums::pixels, false>(task, pixels, panels, rows);
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
#if defined(MPSCNN_MULTIPLIES_QUADS_BY_PAIRS)
    kernels.adds_in_pairs = kernels.has_factors = true;
    kernels.max_wide = 0.3f;
#else
    kernels.has_factors = kernels.has_floats = TileRequantizer<1>::has_factors;
#endif
#if defined(MPSCNN_DEPTHWISE_QUADS)
    kernels.has_depthwise = true;
#endif
}
#else
MPSCNN_KERNEL(IntegerConvolutionTask, integer_convolution)
#endif
