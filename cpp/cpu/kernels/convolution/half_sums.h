#pragma once

// Convolutions that sum in float16. The windows of some pixels are gathered (im2col). Then the sums of panels
// of 32 outputs are computed in registers, [pixels][panel], one tap after the other. Depthwise convolutions
// multiply the channels of a panel in place.
//
// The class H does the arithmetic: with float16 instructions, or HalvesByFloats below. HalvesByFloats gives
// the same bits on every processor, with some twenty instructions for each FMA. The speed is limited by
// arithmetic.

#include "cpu/isa/lanes.h"
#include "cpu/kernels/shared/pixel_epilogue.h"
#include "cpu/kernels/shared/pixels.h"
#include "cpu/kernels/shared/work_split.h"

namespace mpscnn::cpu {
namespace {

/// Float16 arithmetic on halves that are stored as floats.
template <class V> struct HalvesByFloats {
    using reg = typename V::reg;
    using number = float; ///< type of gathered inputs
    static constexpr int width = V::width, rows = 2;

    static MPSCNN_INLINE reg load(const std::uint16_t *p) { return V::load_half(p); }
    static MPSCNN_INLINE reg broadcast(const number *p) { return V::broadcast(p); }
    /// Load floats and round them to halves.
    static MPSCNN_INLINE reg from_floats(const float *p, std::int64_t count) {
        return V::round_to_half(load_lanes<V>(p, count));
    }
    static MPSCNN_INLINE void to_floats(float *p, reg a) { V::store(p, a); }
    static MPSCNN_INLINE void gather(const float *from, number *to, std::int64_t count) {
        for (std::int64_t i = 0; i < count; i += V::width)
            store_lanes<V>(to + i, V::round_to_half(load_lanes<V>(from + i, count - i)), count - i);
    }

    /// Compute a * b + c, rounded to half once. The product of two halves is exact in float. Its sum with c
    /// is rounded to the float `sum`, whose rounding error `rest` is a float too (Knuth's two-sum). Rounding
    /// `sum` to half is correct unless it is halfway between two halves. Then the sign of `rest` decides.
    static MPSCNN_INLINE reg fma(reg a, reg b, reg c) {
        const reg product = V::mul(a, b), sum = V::add(product, c);
        const reg other = V::sub(sum, product);
        const reg rest = V::add(V::sub(product, V::sub(sum, other)), V::sub(c, other));
        const reg half = V::round_to_half(sum), away = V::sub(sum, half);
        const reg across = V::add(half, V::add(away, away));
        const reg is_beyond = V::mul(rest, away);
        reg result = V::select(V::equal(V::round_to_half(across), across),
                               V::select(V::less(V::zero(), is_beyond), across, half), half);
        // Correct sums that are halfway between the largest half and infinity.
        const reg largest = V::set1(65504.0f), edge = V::set1(65520.0f);
        result = V::select(V::equal(sum, edge), V::select(V::less(rest, V::zero()), largest, result), result);
        const reg negative = V::sub(V::zero(), edge);
        return V::select(V::equal(sum, negative),
                         V::select(V::less(V::zero(), rest), V::sub(V::zero(), largest), result), result);
    }
};

/// The number of registers of a panel.
template <class H> inline constexpr int panel_registers = HalfWeights::panel / H::width;

/// Sum all taps of `rows` pixels for a panel of outputs: [rows][panel]. The inputs of adjacent pixels are
/// `taps` numbers apart.
template <class H, int rows>
void sum_taps(const typename H::number *inputs, std::int64_t taps, const std::uint16_t *weights,
              const std::uint16_t *bias, float *to, std::ptrdiff_t pitch) {
    constexpr int count = panel_registers<H>;
    typename H::reg sums[rows][count];
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < count; ++v) sums[r][v] = H::load(bias + v * H::width);
    for (std::int64_t tap = 0; tap < taps; ++tap, weights += HalfWeights::panel) {
        typename H::reg factors[count];
#pragma GCC unroll 8
        for (int v = 0; v < count; ++v) factors[v] = H::load(weights + v * H::width);
#pragma GCC unroll 16
        for (int r = 0; r < rows; ++r) {
            const auto input = H::broadcast(inputs + r * taps + tap);
#pragma GCC unroll 8
            for (int v = 0; v < count; ++v) sums[r][v] = H::fma(input, factors[v], sums[r][v]);
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < count; ++v) H::to_floats(to + r * pitch + v * H::width, sums[r][v]);
}

template <class H, int rows = H::rows>
void sum_pixels(std::int64_t pixels, const typename H::number *inputs, std::int64_t taps,
                const std::uint16_t *weights, const std::uint16_t *bias, float *to, std::ptrdiff_t pitch) {
    if constexpr (rows > 1)
        if (pixels < rows) return sum_pixels<H, rows - 1>(pixels, inputs, taps, weights, bias, to, pitch);
    sum_taps<H, rows>(inputs, taps, weights, bias, to, pitch);
}

/// Computes some pixels of a row for some panels of outputs.
template <class V, class H> class HalfSums {
public:
    /// Return the number of panels into which the work is divided. If several groups share a vector, one item
    /// computes all panels.
    static std::int64_t split_panels(const HalfWeights &weights) {
        return weights.packed_groups() == 1 ? weights.panels() : 1;
    }
    static std::int64_t pitch(const HalfWeights &weights) {
        return round_up(weights.outputs, HalfWeights::panel) + HalfWeights::panel;
    }
    static std::size_t scratch_bytes(const HalfWeights &weights) {
        const std::int64_t floats = H::rows * pitch(weights) + V::width,
                           numbers = weights.is_depthwise() ? 0 : H::rows * weights.taps();
        return static_cast<std::size_t>(floats) * sizeof(float) +
               static_cast<std::size_t>(numbers) * sizeof(typename H::number);
    }

    HalfSums(const HalfSumsTask &task, std::byte *scratch)
        : task_(task), weights_(*task.weights), taps_(weights_.taps()), pitch_(pitch(weights_)),
          sums_(reinterpret_cast<float *>(scratch)),
          inputs_(reinterpret_cast<typename H::number *>(sums_ + H::rows * pitch_ + V::width)) {}

    void run(std::int64_t image, std::int64_t y, Range panels) const {
        const std::int64_t width = task_.destination.width;
        for (std::int64_t x = 0; x < width; x += H::rows) {
            const std::int64_t pixels = min(std::int64_t{H::rows}, width - x);
            if (weights_.is_depthwise())
                for (std::int64_t p = 0; p < pixels; ++p)
                    sum_channels(image, y, x + p, panels, sums_ + p * pitch_);
            else
                sum_groups(image, y, x, pixels, panels);
            finish(image, y, x, pixels, panels);
        }
    }

private:
    void sum_groups(std::int64_t image, std::int64_t y, std::int64_t x, std::int64_t pixels,
                    Range panels) const {
        const std::int64_t outputs = weights_.group_outputs(), of_group = weights_.panels();
        const bool all = weights_.groups > 1;
        for (std::int64_t group = 0; group < weights_.groups; ++group) {
            for (std::int64_t p = 0; p < pixels; ++p) gather(image, y, x + p, group, inputs_ + p * taps_);
            const Range own = all ? Range{0, of_group} : panels;
            for (std::int64_t i = own.begin; i < own.end; ++i) {
                const std::int64_t index = group * of_group + i;
                // Values after this group's outputs are overwritten by the next group.
                sum_pixels<H>(pixels, inputs_, taps_,
                              weights_.weights.data() + index * taps_ * HalfWeights::panel,
                              weights_.bias.data() + index * HalfWeights::panel,
                              sums_ + group * outputs + i * HalfWeights::panel, pitch_);
            }
        }
    }

    /// Gather the window of a pixel for one group.
    void gather(std::int64_t image, std::int64_t y, std::int64_t x, std::int64_t group,
                typename H::number *to) const {
        const std::int64_t inputs = weights_.inputs_per_group;
        for (std::int64_t row = 0; row < weights_.kernel_height; ++row)
            for (std::int64_t column = 0; column < weights_.kernel_width; ++column, to += inputs) {
                const float *from = at(image, y, x, row, column);
                if (from)
                    H::gather(from + group * inputs, to, inputs);
                else
                    for (std::int64_t i = 0; i < inputs; ++i) to[i] = 0;
            }
    }

    void sum_channels(std::int64_t image, std::int64_t y, std::int64_t x, Range panels, float *to) const {
        constexpr int count = panel_registers<H>;
        const std::int64_t channels = weights_.outputs;
        for (std::int64_t panel = panels.begin; panel < panels.end; ++panel) {
            const std::int64_t first = panel * HalfWeights::panel;
            const std::uint16_t *factors = weights_.weights.data() + panel * taps_ * HalfWeights::panel;
            typename H::reg sums[count];
#pragma GCC unroll 8
            for (int v = 0; v < count; ++v) sums[v] = H::load(weights_.bias.data() + first + v * H::width);
            for (std::int64_t row = 0; row < weights_.kernel_height; ++row)
                for (std::int64_t column = 0; column < weights_.kernel_width; ++column) {
                    const float *from = at(image, y, x, row, column);
                    for (int v = 0; from && v < count; ++v) {
                        const std::int64_t channel = first + v * H::width;
                        if (channel >= channels) break;
                        const auto input = H::from_floats(from + channel, channels - channel);
                        sums[v] = H::fma(input, H::load(factors + v * H::width), sums[v]);
                    }
                    factors += HalfWeights::panel;
                }
#pragma GCC unroll 8
            for (int v = 0; v < count; ++v) H::to_floats(to + first + v * H::width, sums[v]);
        }
    }

    /// Return the address of a tap of the window of pixel (y, x); null if it is outside the source.
    const float *at(std::int64_t image, std::int64_t y, std::int64_t x, std::int64_t row,
                    std::int64_t column) const {
        const WindowAxis &vertical = task_.vertical, &horizontal = task_.horizontal;
        const std::int64_t source_y = y * vertical.stride - vertical.before + row * vertical.dilation,
                           source_x =
                               x * horizontal.stride - horizontal.before + column * horizontal.dilation;
        const bool inside =
            source_y >= 0 && source_y < task_.source.height && source_x >= 0 && source_x < task_.source.width;
        return inside ? pixel_at(task_.source, image, source_y, source_x) : nullptr;
    }

    void finish(std::int64_t image, std::int64_t y, std::int64_t x, std::int64_t pixels, Range panels) const {
        const bool all = weights_.packed_groups() > 1;
        const std::int64_t begin = all ? 0 : panels.begin * HalfWeights::panel,
                           end = all ? weights_.outputs
                                     : min(panels.end * HalfWeights::panel, weights_.outputs);
        for (std::int64_t p = 0; p < pixels; ++p)
            for (std::int64_t channel = begin; channel < end; channel += V::width)
                finish_vector<V>(task_.destination, task_.epilogue, image, y, x + p, channel,
                                 V::load(sums_ + p * pitch_ + channel));
    }

    const HalfSumsTask &task_;
    const HalfWeights &weights_;
    const std::int64_t taps_, pitch_;
    float *const sums_;
    typename H::number *const inputs_;
};

template <class V, class H>
Prepared half_sums_prepare_with(const HalfSumsTask &task, const Planning &planning) {
    constexpr std::int64_t min_cost = 1 << 18; // minimum products in a work item
    const View &to = task.destination;
    const std::int64_t products =
        to.batch * to.height * to.width * task.weights->outputs * task.weights->taps();
    const WorkSplit split = split_work(to.batch, to.height, HalfSums<V, H>::split_panels(*task.weights),
                                       products, min_cost, planning.threads);
    return planning.keep(split, split.items(), HalfSums<V, H>::scratch_bytes(*task.weights));
}

template <class V, class H>
void half_sums_run_with(const HalfSumsTask &task, const Prepared &prepared, std::int64_t begin,
                        std::int64_t end, Worker &worker) {
    const auto &split = prepared.plan_as<WorkSplit>();
    const HalfSums<V, H> sums(task, worker.scratch);
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = split.item(index);
        for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y) sums.run(item.image, y, item.vectors);
    }
}

} // namespace
} // namespace mpscnn::cpu
