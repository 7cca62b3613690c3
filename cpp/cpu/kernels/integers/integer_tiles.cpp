// Integer convolutions and dense layers with the tile registers of AMX. A block is 2 x 16 pixels times 2 x 16
// outputs, and each tile product sums 64 inputs. The instruction TDPBUSD does not saturate. Weights have the
// same layout as in integer_quads.h: a panel has 16 outputs, and a step is a panel's weights for 4 inputs.
//
// The inputs of a block stay in L1, because weights are loaded with an instruction that does not displace
// them. Four tile registers hold sums, one holds 64 inputs of 16 pixels, and one holds their weights. If
// fewer than 64 inputs remain at the end of a run, two more registers with shorter rows hold these. Sums
// begin with the bias, and are stored in L1 for the requantization. With few inputs the requantization takes
// most of the time.

#include "cpu/isa/amx_tiles.h"
#include "cpu/isa/instance.h"
#include "cpu/kernels/integers/integer_quad_registers.h"
#include "cpu/kernels/integers/integer_quad_rows.h"
#include "cpu/kernels/integers/integer_tile_requantization.h"

namespace mpscnn::cpu {
namespace {

constexpr std::int64_t tile_pixels = 16, tile_steps = 16;
constexpr QuadBlock tile_block{tile_pixels, 2};

/// Computes sums of products in tile registers, for one or two tiles of pixels times one or two panels.
template <class V> class TileSums {
    using Tiles = typename V::Tiles;
    static constexpr int whole_inputs = 4, whole_weights = 5, last_inputs = 6, last_weights = 7;
    static constexpr std::int64_t lanes = IntegerWeights::panel;

public:
    explicit TileSums(const IntegerWeights &weights) : weights_(weights) {}

    /// Configure the tile registers for tiles of this number of pixels.
    void configure(std::int64_t pixels) {
        TileConfiguration wanted;
        for (int sums = 0; sums < 4; ++sums) wanted.set(sums, pixels, 4 * lanes);
        wanted.set(whole_inputs, pixels, 4 * tile_steps);
        wanted.set(whole_weights, tile_steps, 4 * lanes);
        if (const std::int64_t last = weights_.run_steps() % tile_steps; last > 0) {
            wanted.set(last_inputs, pixels, 4 * last);
            wanted.set(last_weights, last, 4 * lanes);
        }
        if (is_configured_ && wanted == configuration_) return;
        Tiles::configure(configuration_ = wanted);
        is_configured_ = true;
    }
    /// Release the tile registers. Otherwise the system would save them at each switch to another thread.
    void release() const {
        if (is_configured_) Tiles::release();
    }

    /// Compute the sums of one or two tiles, which begin at pixels `first`, for the panels from `panel` on.
    /// The layout of each tile's sums is [pixel][panel][16].
    template <int count, int panels>
    void multiply(const QuadRows &rows, const std::int64_t (&first)[count], std::int64_t panel,
                  std::int32_t *const (&sums)[count]) const {
        begin<count, panels>(panel);
        const std::int64_t run_steps = weights_.run_steps();
        const std::int8_t *weights = weights_.quads + panel * panel_bytes();
        for (std::int64_t u = 0; u < rows.rows; ++u)
            for (std::int64_t v = 0; v < rows.runs_of_row; ++v) {
                const std::uint8_t *inputs[count];
                for (int i = 0; i < count; ++i)
                    inputs[i] = rows.bytes + first[i] * rows.pitch + u * rows.row + v * rows.run;
                std::int64_t step = 0;
                for (; step + tile_steps <= run_steps; step += tile_steps, weights += tile_steps * step_bytes)
                    add<count, panels, whole_inputs, whole_weights>(inputs, rows.pitch, 4 * step, weights);
                if (step < run_steps)
                    add<count, panels, last_inputs, last_weights>(inputs, rows.pitch, 4 * step, weights);
                weights += (run_steps - step) * step_bytes;
            }
        end<count, panels>(sums);
    }

private:
    std::ptrdiff_t panel_bytes() const { return weights_.quad_steps() * step_bytes; }

    template <int count, int panels> MPSCNN_INLINE void begin(std::int64_t panel) const {
        // Sums begin with the biases. A stride of 0 gives all pixels the same row of them.
        const std::int32_t *const bias = weights_.bias + panel * lanes;
        Tiles::template load<0>(bias, 0);
        if constexpr (panels == 2) Tiles::template load<1>(bias + lanes, 0);
        if constexpr (count == 2) Tiles::template load<2>(bias, 0);
        if constexpr (count == 2 && panels == 2) Tiles::template load<3>(bias + lanes, 0);
    }

    /// Add the products of up to 64 inputs. Each tile of inputs is loaded once. The first panel's weights are
    /// loaded again for the second tile of pixels, because there is only one register for weights.
    template <int count, int panels, int own_inputs, int own_weights>
    MPSCNN_INLINE void add(const std::uint8_t *const (&inputs)[count], std::ptrdiff_t pitch,
                           std::ptrdiff_t offset, const std::int8_t *weights) const {
        const std::int8_t *const second = weights + panel_bytes();
        Tiles::template load<own_inputs>(inputs[0] + offset, pitch);
        Tiles::template load_stream<own_weights>(weights, step_bytes);
        Tiles::template multiply_bytes<0, own_inputs, own_weights>();
        if constexpr (panels == 2) {
            Tiles::template load_stream<own_weights>(second, step_bytes);
            Tiles::template multiply_bytes<1, own_inputs, own_weights>();
        }
        if constexpr (count == 2) {
            Tiles::template load<own_inputs>(inputs[1] + offset, pitch);
            Tiles::template multiply_bytes<panels == 2 ? 3 : 2, own_inputs, own_weights>();
            if constexpr (panels == 2) {
                Tiles::template load_stream<own_weights>(weights, step_bytes);
                Tiles::template multiply_bytes<2, own_inputs, own_weights>();
            }
        }
    }

    template <int count, int panels> MPSCNN_INLINE void end(std::int32_t *const (&sums)[count]) const {
        constexpr std::ptrdiff_t pitch = 4 * panels * lanes;
        Tiles::template store<0>(sums[0], pitch);
        if constexpr (panels == 2) Tiles::template store<1>(sums[0] + lanes, pitch);
        if constexpr (count == 2) Tiles::template store<2>(sums[1], pitch);
        if constexpr (count == 2 && panels == 2) Tiles::template store<3>(sums[1] + lanes, pitch);
    }

    const IntegerWeights &weights_;
    TileConfiguration configuration_;
    bool is_configured_ = false;
};

/// Add the products of weights' second parts for `pixels` pixels from `first` on. A weight that does not fit
/// 8 bits is a sum of two parts.
template <int panels>
MPSCNN_INLINE void add_rests(const QuadRows &rows, std::int64_t first, std::int64_t pixels,
                             const IntegerWeights &weights, std::int64_t panel, std::int32_t *sums) {
    if (!weights.rest_first) return;
    const std::uint8_t *const begin = rows.bytes + first * rows.pitch;
    for (int r = 0; r < panels; ++r)
        for (std::int32_t i = weights.rest_first[panel + r]; i < weights.rest_first[panel + r + 1]; ++i) {
            const std::uint8_t *at = begin + place_of_step(rows, weights.run_steps(), weights.rest_steps[i]);
            const auto own = QuadRegisters::weights(weights.rest_quads + i * step_bytes);
            std::int32_t *to = sums + r * IntegerWeights::panel;
            for (std::int64_t p = 0; p < pixels; ++p, at += rows.pitch, to += panels * IntegerWeights::panel)
                QuadRegisters::store(
                    to, QuadRegisters::add(QuadRegisters::load(to), QuadRegisters::broadcast(at), own));
        }
}

/// Compute one or two panels for a block of pixels, in tiles of equal size. The last tile may overlap the one
/// before it.
template <class V, int panels>
void multiply_block(const IntegerConvolutionTask &task, const QuadRows &rows, std::int64_t panel,
                    std::int64_t pixels, const TileSums<V> &tiles) {
    constexpr std::int64_t lanes = IntegerWeights::panel;
    const TileRequantizer<panels> requantizer(task.requantization, panel * lanes,
                                              task.weights.outputs - panel * lanes);
    alignas(64) std::int32_t sums[2][tile_pixels * panels * lanes];
    const auto store = [&](std::int64_t first, std::int32_t * own) __attribute__((always_inline)) {
        add_rests<panels>(rows, first, pixels, task.weights, panel, own);
        requantizer.store(own, pixels, rows.result + first * rows.result_pitch + panel * lanes,
                          rows.result_pitch);
    };
    std::int64_t done = 0;
    for (; done + pixels < rows.count; done += 2 * pixels) {
        const std::int64_t first[2] = {done, min(done + pixels, rows.count - pixels)};
        tiles.template multiply<2, panels>(rows, first, panel, {sums[0], sums[1]});
        store(first[0], sums[0]);
        store(first[1], sums[1]);
    }
    if (done < rows.count) {
        const std::int64_t first[1] = {rows.count - pixels};
        tiles.template multiply<1, panels>(rows, first, panel, {sums[0]});
        store(first[0], sums[0]);
    }
}

template <class V>
Prepared integer_tiles_prepare(const IntegerConvolutionTask &task, const Planning &planning) {
    return prepare_quads(task, planning, tile_block);
}

template <class V>
void integer_tiles_run(const IntegerConvolutionTask &task, const Prepared &prepared, std::int64_t begin,
                       std::int64_t end, Worker &worker) {
    TileSums<V> tiles(task.weights);
    for_each_block(task, prepared, begin, end, worker, [&](const QuadRows &rows, Range panels) {
        const std::int64_t pixels = divide_up(rows.count, divide_up(rows.count, tile_pixels));
        tiles.configure(pixels);
        std::int64_t panel = panels.begin;
        for (; panel + 2 <= panels.end; panel += 2) multiply_block<V, 2>(task, rows, panel, pixels, tiles);
        if (panel < panels.end) multiply_block<V, 1>(task, rows, panel, pixels, tiles);
    });
    tiles.release();
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(IntegerConvolutionTask, integer_tiles)
