#pragma once

// The register block (micro-kernel) of the matrix product: `MR` output pixels times `Vectors` vectors of
// output channels. All sums stay in registers while k goes through the inputs in order. An output element is
// the same chain of FMAs in every block shape, so the result does not depend on how a layer is divided into
// blocks. In the terms of BLIS, MR is the number of pixels, NR = Vectors * V::width the number of channels,
// and KC is all of K, because sums are never split.
//
// With bfloat16 elements, an input or weight here is a pair of numbers, except in fma_broadcast() and in
// stores.
//
// Registers hold 4 x 2 (SSE2), 6 x 2 (AVX2), 14 x 2 (AVX-512) or 8 x 3 (NEON) sums, the vectors of weights of
// one input, and one input that is broadcast. The speed is limited by FMAs: there are MR x Vectors of them
// for Vectors loads of weights and MR loads of inputs. The latter are memory operands of FMAs if the
// instruction set allows this. Three things make it slower: few inputs (bias, clamp and store take as long as
// some 4 inputs), fewer pixels or channels than a block has, and weights from memory, which `ahead`
// prefetches. `mpscnn profile` prints the fraction of the peak that layers reach.

#include "cpu/isa/kernels.h"
#include "cpu/isa/simd.h"
#include "cpu/kernels/convolution/gemm_block_tile.h"
#include "cpu/kernels/shared/epilogue.h"

namespace mpscnn::cpu {
namespace {

/// Some output pixels at constant distances whose windows have the same taps. The inputs of a pixel are
/// `rows` x `columns` contiguous pieces of `length` floats.
struct PixelRun {
    std::int64_t rows, columns, length;
    std::ptrdiff_t row_stride, column_stride;
    std::int64_t first_weight,
        skipped_weights; ///< inputs before the first piece; inputs skipped after each row
    std::ptrdiff_t pixel_stride, destination_stride, residual_stride; ///< distances of adjacent pixels
    std::ptrdiff_t start_stride = 0; ///< stride of the values that sums start with; 0 for a bias
};

/// Return a run of pixels with one piece each, as in a pointwise convolution.
inline PixelRun pointwise_run(std::int64_t length, std::ptrdiff_t pixel_stride,
                              std::ptrdiff_t destination_stride) {
    return {.rows = 1,
            .columns = 1,
            .length = length,
            .row_stride = 0,
            .column_stride = 0,
            .first_weight = 0,
            .skipped_weights = 0,
            .pixel_stride = pixel_stride,
            .destination_stride = destination_stride,
            .residual_stride = 0};
}

/// Some consecutive pixels of a run, which a register block computes together.
struct PixelTile {
    const PixelRun *run;
    const float *source;
    float *destination;
    const float *residual; ///< null if there is none
    std::int64_t pixels;
    std::ptrdiff_t start = 0; ///< offset of the first pixel's start values from ChannelPanel::bias
};

/// Some consecutive output channels, which a register block computes together.
struct ChannelPanel {
    const float *weights;                  ///< [k][vectors * width]
    const std::uint16_t *halves = nullptr; ///< the weights as halves, in place of `weights`; or null
    const float *bias;                     ///< bias, or other values that sums start with
    std::int64_t channel;                  ///< number of the first channel
    std::ptrdiff_t offset;                 ///< offset of the panel from a tile's destination
    std::int64_t channels;                 ///< number of channels that exist
    std::int64_t writable;                 ///< number of channels that may be written
    const Epilogue *epilogue;
    bool plain;      ///< true if add_residual(), store_clamped() and finish_stored() apply the whole epilogue
    Element element; ///< element type of the destination
    float low, high; ///< if `plain`: the limits of store_clamped()
    /// Weights to prefetch. Each tile prefetches a part of them: `ahead_step` bytes with every input,
    /// `ahead_tile` bytes in total. So they arrive from memory during arithmetic. In a whole network, unlike
    /// in a benchmark of one layer, weights are rarely in the caches.
    const char *ahead;
    std::ptrdiff_t ahead_step, ahead_tile;
};

/// Return the address of element `offset` of a tensor.
template <class V, class Pointer>
MPSCNN_INLINE Pointer element_at(Pointer data, std::ptrdiff_t offset, Element element) {
    const bool half = has_bfloat16<V> && element == Element::bfloat16;
    return half ? reinterpret_cast<Pointer>(reinterpret_cast<std::uintptr_t>(data) +
                                            static_cast<std::uintptr_t>(2 * offset))
                : data + offset;
}

/// Clamp the sums and store them as whole vectors. Most tiles end this way, and with few inputs its time
/// matters.
template <class V, class Result, int MR, int Vectors>
MPSCNN_INLINE void store_clamped(const ChannelPanel &panel, typename V::reg (&sums)[MR][Vectors],
                                 Result *destination, std::ptrdiff_t stride) {
    const auto low = V::set1(panel.low), high = V::set1(panel.high);
    const auto clamped = [&](typename V::reg x) { return V::min(high, V::max(low, x)); };
#pragma GCC unroll 32
    for (int r = 0; r < MR; ++r) {
        if constexpr (sizeof(Result) == sizeof(Bfloat16) && Vectors == 2) {
            V::store_two(destination + r * stride, clamped(sums[r][0]), clamped(sums[r][1]));
            continue;
        }
#pragma GCC unroll 8
        for (int v = 0; v < Vectors; ++v)
            V::store(destination + r * stride + v * V::width, clamped(sums[r][v]));
    }
}

/// Add the residual of `MR` pixels of a tile, from `first_row` on, to the sums, in whole vectors.
template <class V, int MR, int Vectors>
MPSCNN_INLINE void add_residual(const PixelTile &tile, std::int64_t first_row, const ChannelPanel &panel,
                                typename V::reg (&sums)[MR][Vectors]) {
    const std::ptrdiff_t stride = tile.run->residual_stride;
    const float *residual = tile.residual + panel.channel + first_row * stride;
#pragma GCC unroll 32
    for (int r = 0; r < MR; ++r, residual += stride)
#pragma GCC unroll 8
        for (int v = 0; v < Vectors; ++v) sums[r][v] = V::add(sums[r][v], V::load(residual + v * V::width));
}

/// True if weights may be halves, which an instruction converts while loading them. On some processors, this
/// instruction uses the FMA units for up to 2 of 28 cycles (AVX2: 2 of 12).
template <class V> inline constexpr bool has_half_weights = V::has_fma && !has_bfloat16<V>;

template <class V> MPSCNN_INLINE typename V::reg load_weights(const float *weights) {
    return V::load(weights);
}
template <class V> MPSCNN_INLINE typename V::reg load_weights(const std::uint16_t *weights) {
    return V::load_half(weights);
}

inline void set_weights(const ChannelPanel &panel, const float *&weights) { weights = panel.weights; }
inline void set_weights(const ChannelPanel &panel, const std::uint16_t *&weights) { weights = panel.halves; }

/// True if there are narrow registers, which are the lower half of a register. If the channels of a panel's
/// last vector fit one, its sums are narrow. Processors that execute an FMA of a whole register in two steps,
/// such as Zen 4, take half of the time for a narrow one.
template <class V> inline constexpr bool has_narrow = !has_bfloat16<V> && requires { typename V::Narrow; };

/// The sums of a panel's last vector for `MR` pixels, and its weights of one input, in narrow registers.
/// Unless `narrow`, there are none.
template <class V, int MR, bool narrow> struct NarrowSums {
    static constexpr int vectors = 0;
};
template <class V, int MR> struct NarrowSums<V, MR, true> {
    static constexpr int vectors = 1;
    typename V::Narrow::reg sums[MR], weights;
};

/// sums += a * weights for `length` inputs, where `a` has MR pixels that are `stride` apart. Advances
/// `weights` and `ahead`. With `narrow`, the sums of the last vector are in `last`.
template <class V, int MR, int Vectors, class Weight, bool narrow>
MPSCNN_INLINE void multiply_piece(typename V::reg (&sums)[MR][Vectors], NarrowSums<V, MR, narrow> &last,
                                  const float *a, std::ptrdiff_t stride, const Weight *&weights,
                                  std::int64_t length, const char *&ahead, std::ptrdiff_t ahead_step) {
    constexpr int whole = Vectors - NarrowSums<V, MR, narrow>::vectors;
    constexpr int shared = V::gemm_rows_of_pointer;
    constexpr int pointers = (MR + shared - 1) / shared;
    const float *base[pointers];
#pragma GCC unroll 16
    for (int p = 0; p < pointers; ++p) {
        base[p] = a + shared * p * stride;
        if constexpr (shared == 1)
            keep_pointer(base[p]); // otherwise the compiler would compute each pointer from the one before
    }
    const auto multiply_input = [&]() __attribute__((always_inline)) {
        typename V::reg b[Vectors];
#pragma GCC unroll 8
        for (int v = 0; v < whole; ++v) b[v] = load_weights<V>(weights + v * V::width);
        if constexpr (narrow) last.weights = V::Narrow::load(weights + whole * V::width);
#pragma GCC unroll 32
        for (int r = 0; r < MR; ++r) {
            const float *const input = base[r / shared] + (r % shared) * stride;
            if constexpr (whole == 0) {
                last.sums[r] = V::Narrow::fma(V::Narrow::broadcast(input), last.weights, last.sums[r]);
            } else {
                const auto x = V::load_broadcast(input);
#pragma GCC unroll 8
                for (int v = 0; v < whole; ++v) sums[r][v] = V::fma_broadcast(x, b[v], sums[r][v]);
                if constexpr (narrow)
                    last.sums[r] = V::Narrow::fma(V::Narrow::of(x), last.weights, last.sums[r]);
            }
        }
#pragma GCC unroll 16
        for (int p = 0; p < pointers; ++p) ++base[p];
        weights += Vectors * V::width;
        __builtin_prefetch(ahead, 0, 2);
        ahead += ahead_step;
    };
    if constexpr (shared > 1) { // do not unroll: it would triple the code without being faster
#pragma GCC unroll 1
        for (; length > 0; --length) multiply_input();
    } else { // unroll, because advancing this many pointers takes noticeable time
#pragma GCC unroll 4
        for (; length > 0; --length) multiply_input();
    }
}

/// Store results in memory, of `rows` pixels, as bfloat16 in whole vectors.
template <class V, int Vectors>
MPSCNN_INLINE void store_sums(const float *sums, std::int64_t rows, Bfloat16 *to, std::ptrdiff_t stride) {
    for (; rows > 0; --rows, sums += Vectors * V::width, to += stride) {
        if constexpr (Vectors == 2) {
            V::store_two(to, V::load(sums), V::load(sums + V::width));
            continue;
        }
#pragma GCC unroll 8
        for (int v = 0; v < Vectors; ++v) V::store(to + v * V::width, V::load(sums + v * V::width));
    }
}

/// Apply the epilogue to sums in memory, of `rows` pixels of a tile from `first_row` on, and store the
/// results. The function is not inlined, because otherwise the code of each tile shape would contain all
/// activations.
template <class V, class Result, int Vectors>
__attribute__((noinline)) void finish_sums(const PixelTile &tile, std::int64_t first_row, std::int64_t rows,
                                           const ChannelPanel &panel, float *sums) {
    constexpr std::int64_t width = V::width;
    const PixelRun &run = *tile.run;
    const bool whole = panel.writable >= Vectors * width;
    const bool activated = call_function(panel.epilogue->activation, sums, rows * Vectors * width);
    if constexpr (sizeof(Result) == sizeof(Bfloat16))
        if (activated && whole && !tile.residual) // stores of bfloat16 round
            return store_sums<V, Vectors>(sums, rows,
                                          reinterpret_cast<Result *>(tile.destination) + panel.offset +
                                              first_row * run.destination_stride,
                                          run.destination_stride);
    for (std::int64_t row = first_row; row < first_row + rows; ++row, sums += Vectors * width) {
        typename V::reg x[1][Vectors];
#pragma GCC unroll 8
        for (int v = 0; v < Vectors; ++v) x[0][v] = V::load(sums + v * width);
        const auto *residual = reinterpret_cast<const typename V::element *>(tile.residual);
        if (residual) residual += panel.channel + row * run.residual_stride;
        apply_epilogue<V>(*panel.epilogue, x, panel.channel, panel.channels, residual, run.residual_stride,
                          activated);
        Result *to =
            reinterpret_cast<Result *>(tile.destination) + panel.offset + row * run.destination_stride;
#pragma GCC unroll 8
        for (int v = 0; v < Vectors; ++v) {
            if (whole || v + 1 < Vectors)
                V::store(to + v * width, x[0][v]);
            else
                V::store_partial(to + v * width, x[0][v], panel.channels - v * width);
        }
    }
}

/// Apply the epilogue to the sums of `MR` pixels of a tile, from `first_row` on, and store the results.
template <class V, int MR, int Vectors>
MPSCNN_INLINE void finish_rows(const PixelTile &tile, std::int64_t first_row, const ChannelPanel &panel,
                               typename V::reg (&sums)[MR][Vectors]) {
    const PixelRun &run = *tile.run;
    if (panel.plain) {
        if constexpr (!has_bfloat16<V>)
            if (tile.residual) add_residual<V>(tile, first_row, panel, sums);
        const std::ptrdiff_t offset = panel.offset + first_row * run.destination_stride;
        auto *destination = reinterpret_cast<typename V::element *>(tile.destination) + offset;
        if constexpr (has_bfloat16<V>)
            if (panel.element == Element::float32)
                return store_clamped<V>(panel, sums, tile.destination + offset, run.destination_stride);
        store_clamped<V>(panel, sums, destination, run.destination_stride);
        if constexpr (!has_bfloat16<V>) // stores of bfloat16 round anyway
            if (panel.epilogue->rounds || is_function(*panel.epilogue))
                finish_stored<V>(*panel.epilogue, destination, run.destination_stride, MR,
                                 Vectors * V::width);
        return;
    }
    alignas(64) float values[MR * Vectors * V::width];
#pragma GCC unroll 32
    for (int r = 0; r < MR; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < Vectors; ++v) V::store(values + (r * Vectors + v) * V::width, sums[r][v]);
    if (has_bfloat16<V> && panel.element == Element::float32)
        return finish_sums<V, float, Vectors>(tile, first_row, MR, panel, values);
    finish_sums<V, typename V::element, Vectors>(tile, first_row, MR, panel, values);
}

/// Compute `MR` pixels of a tile, from `first_row` on, for a panel. With `narrow`, the channels of the last
/// vector fit a narrow register.
template <class V, int MR, int Vectors, class Weight, bool narrow>
MPSCNN_INLINE void multiply_rows(const PixelTile &tile, std::int64_t first_row, const ChannelPanel &panel,
                                 const char *ahead) {
    const PixelRun &run = *tile.run;
    typename V::reg sums[MR][Vectors];
    const float *start = panel.bias + tile.start + first_row * run.start_stride;
#pragma GCC unroll 32
    for (int r = 0; r < MR; ++r, start += run.start_stride)
#pragma GCC unroll 8
        for (int v = 0; v < Vectors; ++v) sums[r][v] = V::load(start + v * V::width);
    [[maybe_unused]] NarrowSums<V, MR, narrow> last;
    if constexpr (narrow)
#pragma GCC unroll 32
        for (int r = 0; r < MR; ++r) last.sums[r] = V::Narrow::of(sums[r][Vectors - 1]);
    constexpr std::int64_t NR = Vectors * V::width;
    const float *source = tile.source + first_row * run.pixel_stride;
    const Weight *weights;
    set_weights(panel, weights);
    weights += run.first_weight * NR;
    // This order of loops costs nothing if there is a single piece, which is the most frequent case.
    std::int64_t pieces = run.rows * run.columns, x = 0;
    for (const float *piece = source;;) {
        if constexpr (sums_in_blocks<V>)
            multiply_blocks<V>(sums, piece, run.pixel_stride, weights, run.length, ahead, panel.ahead_step);
        else
            multiply_piece<V>(sums, last, piece, run.pixel_stride, weights, run.length, ahead,
                              panel.ahead_step);
        if (__builtin_expect(--pieces == 0, true)) break;
        piece += run.column_stride;
        if (++x < run.columns) continue;
        x = 0;
        piece = source += run.row_stride;
        weights += run.skipped_weights * NR;
    }
    if constexpr (narrow)
#pragma GCC unroll 32
        for (int r = 0; r < MR; ++r) sums[r][Vectors - 1] = V::Narrow::widened(last.sums[r]);
    finish_rows<V>(tile, first_row, panel, sums);
}

/// The largest number of pixels of a tile for panels of `Vectors` vectors. A single vector leaves registers
/// for more pixels, which are needed to hide the latency of FMAs.
template <class V, int Vectors> constexpr int max_rows = Vectors == 1 ? V::gemm_single_rows : V::gemm_rows;

/// Compute a panel of `Vectors` vectors for `count` tiles of `MR` pixels. `narrow`: see multiply_rows().
template <class V, int MR, int Vectors, class Weight, bool narrow>
void multiply_tiles(const PixelTile *tile, std::int64_t count, const ChannelPanel &panel) {
    const char *ahead = panel.ahead;
    for (const PixelTile *end = tile + count; tile != end; ++tile, ahead += panel.ahead_tile)
        if constexpr (MR * Vectors <= V::gemm_rows * V::gemm_vectors) {
            multiply_rows<V, MR, Vectors, Weight, narrow>(*tile, 0, panel, ahead);
        } else { // the wider last panel has more sums than registers, so compute it in two halves
            constexpr int half = (MR + 1) / 2;
            multiply_rows<V, half, Vectors, Weight, narrow>(*tile, 0, panel, ahead);
            multiply_rows<V, MR - half, Vectors, Weight, narrow>(*tile, half, panel, ahead);
        }
}

/// Compute several full panels for a tile of one pixel, as in a dense layer. Weights (floats or halves) are
/// read once. With one panel at a time, FMAs would wait for its few sums instead of for memory.
template <class V, class Weight, int Panels>
void multiply_pixel(const PixelTile &tile, const ChannelPanel (&panels)[Panels]) {
    constexpr int vectors = V::gemm_vectors;
    constexpr std::int64_t NR = vectors * V::width;
    const PixelRun &run = *tile.run;
    typename V::reg sums[Panels][1][vectors];
    const Weight *weights[Panels];
#pragma GCC unroll 8
    for (int p = 0; p < Panels; ++p) {
        set_weights(panels[p], weights[p]);
        weights[p] += run.first_weight * NR;
#pragma GCC unroll 8
        for (int v = 0; v < vectors; ++v) sums[p][0][v] = V::load(panels[p].bias + tile.start + v * V::width);
    }
    for (std::int64_t y = 0; y < run.rows; ++y) {
        for (std::int64_t x = 0; x < run.columns; ++x) {
            const float *piece = tile.source + y * run.row_stride + x * run.column_stride;
            for (std::int64_t k = 0; k < run.length; ++k) {
                const auto input = V::load_broadcast(piece + k);
#pragma GCC unroll 8
                for (int p = 0; p < Panels; ++p) {
#pragma GCC unroll 8
                    for (int v = 0; v < vectors; ++v)
                        sums[p][0][v] = V::fma_broadcast(input, load_weights<V>(weights[p] + v * V::width),
                                                         sums[p][0][v]);
                    weights[p] += NR;
                }
            }
        }
#pragma GCC unroll 8
        for (int p = 0; p < Panels; ++p) weights[p] += run.skipped_weights * NR;
    }
#pragma GCC unroll 8
    for (int p = 0; p < Panels; ++p) finish_rows<V>(tile, 0, panels[p], sums[p]);
}

using TilesFunction = void (*)(const PixelTile *, std::int64_t, const ChannelPanel &);

template <class V, class Weight, bool narrow, int Vectors, int MR = max_rows<V, Vectors>>
inline TilesFunction tiles_function_of_rows(std::int64_t rows) {
    if (rows == MR) return multiply_tiles<V, MR, Vectors, Weight, narrow>;
    if constexpr (MR > 1) return tiles_function_of_rows<V, Weight, narrow, Vectors, MR - 1>(rows);
    return nullptr;
}

/// Return the instance of multiply_tiles for tiles of `rows` pixels and a panel of `channels` channels. Both
/// numbers are known only at run time.
template <class V, class Weight, int Vectors = V::gemm_last_vectors>
inline TilesFunction tiles_function(std::int64_t rows, std::int64_t channels) {
    if (channels > (Vectors - 1) * V::width) {
        if constexpr (has_narrow<V> && sizeof(Weight) == sizeof(float))
            if (channels <= (Vectors - 1) * V::width + V::Narrow::width)
                return tiles_function_of_rows<V, Weight, true, Vectors>(rows);
        return tiles_function_of_rows<V, Weight, false, Vectors>(rows);
    }
    if constexpr (Vectors > 1) return tiles_function<V, Weight, Vectors - 1>(rows, channels);
    return nullptr;
}

} // namespace
} // namespace mpscnn::cpu
