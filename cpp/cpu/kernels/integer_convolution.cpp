// Convolutions and dense layers of integers: pixels x panels of 16 outputs.
//
// The inputs of a block of pixels are gathered as 16-bit integers without their zero point, zeros outside of
// the source. Registers: sums of 12 pixels with AVX-512, 5 with AVX2; weights of a pair of inputs are loaded,
// the pixels' inputs broadcast. Bound by the products, with few inputs by the requantisation.
// Depthwise ones multiply the channels of a tap at a time, with sums of two panels in registers. Processors
// with AVX512_VNNI multiply four bytes at a time, integer_quads.h and integer_depthwise_quads.h.

#include "cpu/isa/instance.h"
#include "cpu/kernels/integer_pairs.h"
#include "cpu/kernels/integer_requantization.h"
#include "cpu/kernels/work_split.h"
#if defined(__AVX512VNNI__)
#include "cpu/kernels/integer_depthwise_quads.h"
#include "cpu/kernels/integer_quads.h"
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
#if defined(__AVX512VNNI__)
    if (task.weights.quads)
        return task.weights.is_depthwise() ? prepare_depthwise_quads(task, planning)
                                           : prepare_quads(task, planning);
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

/// The inputs of a group that one output pixel reads.
MPSCNN_INLINE void gather_pixel(const IntegerConvolutionTask &task, std::int64_t pixel, std::int64_t group,
                                std::int16_t *row) {
    const View &to = task.destination;
    const ConstView &from = task.source;
    const std::int64_t x = pixel % to.width, y = pixel / to.width % to.height,
                       image = pixel / (to.width * to.height), inputs = task.weights.inputs;
    const auto zero = static_cast<std::int16_t>(task.source_zero);
    for (std::int64_t u = 0; u < task.vertical.kernel; ++u) {
        const std::int64_t at_y =
            y * task.vertical.stride - task.vertical.before + u * task.vertical.dilation;
        for (std::int64_t v = 0; v < task.horizontal.kernel; ++v, row += inputs) {
            const std::int64_t at_x =
                x * task.horizontal.stride - task.horizontal.before + v * task.horizontal.dilation;
            if (at_y < 0 || at_y >= from.height || at_x < 0 || at_x >= from.width) {
                for (std::int64_t k = 0; k < inputs; ++k) row[k] = 0;
                continue;
            }
            const std::uint8_t *bytes = bytes_at(from, image, at_y, at_x) + group * inputs;
            for (std::int64_t k = 0; k < inputs; ++k) row[k] = static_cast<std::int16_t>(bytes[k] - zero);
        }
    }
    if (inputs * task.weights.taps % 2 != 0) *row = 0;
}

/// `count` pixels from `first` on for one panel; `rows` are theirs.
template <int pixels>
__attribute__((noinline)) void multiply_tile(const IntegerConvolutionTask &task, std::int64_t first,
                                             std::int64_t count, std::int64_t group, std::int64_t panel,
                                             const std::int16_t *rows) {
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
    const PanelRequantizer requantizer(task.requantization, place);
    for (std::int64_t p = 0; p < count; ++p) {
        const std::int64_t pixel = first + p, x = pixel % to.width, y = pixel / to.width % to.height;
        std::uint8_t *const result = bytes_at(to, pixel / (to.width * to.height), y, x) + output;
        requantizer.store(sums + p * panel_outputs, outputs, result);
    }
}

void convolve_block(const IntegerConvolutionTask &task, Range pixels, Range panels, std::int16_t *rows) {
    const IntegerWeights &weights = task.weights;
    constexpr int most = PanelSums::pixels;
    const std::int64_t elements = row_elements(weights);
    std::int64_t gathered = -1;
    for (std::int64_t index = panels.begin; index < panels.end; ++index) {
        const std::int64_t group = index / weights.panels(), panel = index % weights.panels();
        if (group != gathered)
            for (std::int64_t i = 0; i < pixels.size(); ++i)
                gather_pixel(task, pixels.begin + i, group, rows + i * elements);
        gathered = group;
        for (std::int64_t i = 0; i < pixels.size(); i += most) {
            const std::int64_t left = pixels.size() - i;
            const std::int16_t *const own = rows + i * elements;
            if (left == 1)
                multiply_tile<1>(task, pixels.begin + i, 1, group, panel, own);
            else
                multiply_tile<most>(task, pixels.begin + i, min(left, most), group, panel, own);
        }
    }
}

/// Where an output pixel's taps are.
struct DepthwiseWindow {
    const std::uint8_t *first; ///< of the first row's and column's tap, the first channel; it may lie outside
    std::ptrdiff_t row, column; ///< from tap to tap
    Range rows, columns;
};

/// Sums of `panels` panels of channels of one output pixel; of the last one `count` are left.
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
            std::uint8_t last[panel_outputs];
            if (panels == 1 && count < panel_outputs) { // not beyond the tensor
                for (std::int64_t c = 0; c < panel_outputs; ++c) last[c] = c < count ? bytes[c] : 0;
                bytes = last;
            }
#pragma GCC unroll 8
            for (int r = 0; r < registers; ++r)
                sums[r] = PanelSums::add_product(sums[r], bytes + r * lanes, zero, values + r * lanes);
        }
#pragma GCC unroll 8
    for (int r = 0; r < registers; ++r) PanelSums::store(stored + r * lanes, sums[r]);
}

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
    for (std::int64_t x = 0; x < task.destination.width; ++x, result += task.destination.pixel_stride) {
        const DepthwiseWindow window{row.first + x * task.horizontal.stride * from.pixel_stride,
                                     task.vertical.dilation * from.row_stride,
                                     task.horizontal.dilation * from.pixel_stride, row.rows,
                                     taps_inside(task.horizontal, x, from.width)};
        depthwise_sums<panels>(task, window, channel, count, sums);
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
#if defined(__AVX512VNNI__)
    if (task.weights.quads)
        return task.weights.is_depthwise() ? run_depthwise_quads(task, prepared, begin, end, worker)
                                           : run_quads(task, prepared, begin, end, worker);
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

MPSCNN_KERNEL(IntegerConvolutionTask, integer_convolution)
