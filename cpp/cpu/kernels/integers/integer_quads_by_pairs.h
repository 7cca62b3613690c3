#pragma once

// Convolutions and dense layers that multiply four bytes by AVX2's own instructions (see QuadRegisters).
//
// A tile is four pixels x 16 outputs. If the sums of two pairs of products fit 16 bits, two steps share the
// instructions after the products. Steps whose products, added in pairs, could exceed 16 bits are wide: they
// multiply pairs of 16-bit integers. Sums are requantized in registers, because layers with few inputs take
// more time for that than for their products.

#include "cpu/isa/simd.h"
#include "cpu/kernels/integers/integer_quad_registers.h"
#include "cpu/kernels/integers/integer_quad_rows.h"
#include "cpu/kernels/integers/integer_requantization.h"

namespace mpscnn::cpu {
namespace {

constexpr QuadBlock quad_block{QuadRegisters::pixels, 8};

/// Adds the products of one panel of outputs for tiles of `pixels` pixels.
template <int pixels> class PairedProducts {
    using Registers = QuadRegisters;
    using reg = typename Registers::reg;
    static constexpr int of_panel = Registers::of_panel, lanes = IntegerWeights::panel / of_panel;

public:
    PairedProducts(const QuadRows &rows, const IntegerWeights &weights, std::int64_t panel)
        : rows_(rows), weights_(weights), panel_(panel), steps_(weights.runs * rows.run_steps),
          doubles_(weights.doubles[panel]), narrow_(weights.narrow[panel]),
          values_(weights.quads + panel * steps_ * step_bytes),
          wides_(weights.wides + weights.wide_first[panel]), places_(weights.step_order + panel * steps_) {
        if (weights.runs == 1) return;
        std::int32_t *const places = rows.places + steps_;
        for (std::int64_t k = 0; k < steps_; ++k) places[k] = rows.places[places_[k]];
        places_ = places;
    }

    /// Compute all pixels. The last tile may overlap the one before it, so there must be at least `pixels`.
    MPSCNN_INLINE void run(const PanelRequantizer &requantizer, std::int64_t count) const {
        requantizer.registers().visit([&](auto rounding) __attribute__((always_inline)) {
            compute<rounding.value>(requantizer, count);
        });
    }

private:
    template <Rounding rounding>
    __attribute__((noinline)) void compute(const PanelRequantizer &requantizer, std::int64_t count) const {
        // Results may have any address, so members would be loaded again after each of them.
        const std::ptrdiff_t pitch = rows_.pitch, result_pitch = rows_.result_pitch;
        const std::int64_t last = rows_.count - pixels, doubles = 2 * doubles_, narrow = narrow_,
                           steps = steps_;
        const std::int32_t *const places = places_, *const bias =
                                                        weights_.bias + panel_ * IntegerWeights::panel;
        const std::int8_t *const first_values = values_;
        const std::int16_t *const first_wides = wides_;
        const std::uint8_t *const bytes = rows_.bytes;
        std::uint8_t *const result = rows_.result + panel_ * IntegerWeights::panel;
        for (std::int64_t tile = 0; tile < last + pixels; tile += pixels) {
            const std::int64_t first = min(tile, last);
            const std::uint8_t *const begin = bytes + first * pitch;
            reg sums[pixels][of_panel];
            for_constants<pixels * of_panel>([&](auto i) __attribute__((always_inline)) {
                constexpr int r = i % of_panel;
                sums[i / of_panel][r] = Registers::load(bias + r * lanes);
            });
            const std::int8_t *values = first_values;
            std::int64_t k = 0;
            for (; k < doubles; k += 2, values += 2 * step_bytes)
                add_two(sums, begin + places[k], begin + places[k + 1], pitch, values);
            for (; k < narrow; ++k, values += step_bytes) add(sums, begin + places[k], pitch, values);
            const std::int16_t *wides = first_wides;
            for (; k < steps; ++k, wides += step_bytes) add_wide(sums, begin + places[k], pitch, wides);
            requantizer.store_registers<rounding>(sums, count, result + first * result_pitch, result_pitch);
        }
    }

    /// Add the products of one step.
    MPSCNN_INLINE void add(reg (&sums)[pixels][of_panel], const std::uint8_t *bytes, std::ptrdiff_t pitch,
                           const std::int8_t *values) const {
        const reg own[] = {Registers::weights(values), Registers::weights(values + 4 * lanes)};
        for_constants<pixels>([&](auto p) __attribute__((always_inline)) {
            const reg four = Registers::broadcast(bytes + p * pitch);
            sums[p][0] = Registers::add(sums[p][0], four, own[0]);
            sums[p][1] = Registers::add(sums[p][1], four, own[1]);
        });
    }
    /// Add the products of two steps.
    MPSCNN_INLINE void add_two(reg (&sums)[pixels][of_panel], const std::uint8_t *bytes,
                               const std::uint8_t *second, std::ptrdiff_t pitch,
                               const std::int8_t *values) const {
        const reg own[] = {Registers::weights(values), Registers::weights(values + 4 * lanes),
                           Registers::weights(values + step_bytes),
                           Registers::weights(values + step_bytes + 4 * lanes)};
        for_constants<pixels>([&](auto p) __attribute__((always_inline)) {
            const reg four = Registers::broadcast(bytes + p * pitch),
                      others = Registers::broadcast(second + p * pitch);
            sums[p][0] = Registers::add(sums[p][0], four, own[0], others, own[2]);
            sums[p][1] = Registers::add(sums[p][1], four, own[1], others, own[3]);
        });
    }
    /// Add the products of one step by 16-bit weights.
    MPSCNN_INLINE void add_wide(reg (&sums)[pixels][of_panel], const std::uint8_t *bytes,
                                std::ptrdiff_t pitch, const std::int16_t *values) const {
        const auto own = [&](int i) __attribute__((always_inline)) {
            return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(values + 2 * lanes * i));
        };
        const reg first = _mm256_set1_epi32(static_cast<int>(0x80018000u)),
                  second = _mm256_set1_epi32(static_cast<int>(0x80038002u));
        for_constants<pixels>([&](auto p) __attribute__((always_inline)) {
            const reg four = Registers::broadcast(bytes + p * pitch), a = _mm256_shuffle_epi8(four, first),
                      b = _mm256_shuffle_epi8(four, second);
            sums[p][0] = Registers::add_words(sums[p][0], a, own(0));
            sums[p][1] = Registers::add_words(sums[p][1], a, own(2));
            sums[p][0] = Registers::add_words(sums[p][0], b, own(1));
            sums[p][1] = Registers::add_words(sums[p][1], b, own(3));
        });
    }

    const QuadRows &rows_;
    const IntegerWeights &weights_;
    std::int64_t panel_, steps_, doubles_, narrow_;
    const std::int8_t *values_;
    const std::int16_t *wides_;
    const std::int32_t *places_; ///< of the panel's steps
};

MPSCNN_INLINE void run_quads(const IntegerConvolutionTask &task, const Prepared &prepared, std::int64_t begin,
                             std::int64_t end, Worker &worker) {
    constexpr std::int64_t outputs = IntegerWeights::panel;
    for_each_block(task, prepared, begin, end, worker, [&](const QuadRows &rows, Range panels) {
        for (std::int64_t panel = panels.begin; panel < panels.end; ++panel) {
            const PanelRequantizer requantizer(task.requantization, panel * outputs);
            const std::int64_t count = min(task.weights.outputs - panel * outputs, outputs);
            if (rows.count < QuadRegisters::pixels)
                PairedProducts<1>(rows, task.weights, panel).run(requantizer, count);
            else
                PairedProducts<QuadRegisters::pixels>(rows, task.weights, panel).run(requantizer, count);
        }
    });
}

} // namespace
} // namespace mpscnn::cpu
