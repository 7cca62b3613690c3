#pragma once

// Large pointwise convolutions by seven products of half the size instead of eight: one level of
// Strassen's algorithm in Winograd's form (S. Winograd, "On multiplication of 2 x 2 matrices", 1971).
//
// Inputs are cut into halves by channel, and by pixel: neighbours make a pair, the first of which is a row
// of A11 and A12 and the second one of A21 and A22. Weights are cut by input and output channel and packed
// as the sums that the products take (pack.cpp). A work item is a band of pairs times some panels of outputs.
// It makes the sums of inputs for its band, which stay in the second-level cache, and has the register block
// of gemm_tile.h multiply; where sums of products belong to two outputs they wait in the first-level cache.
//
// Registers: those of gemm_tile.h. Bound by multiply-adds, seven eighths of a plain product's; what limits
// it: the sums, three passes over bands of inputs, and weights that take 7/4 of the memory.
//
// Which pixels make a pair depends on the tensors alone, so that threads do not show in the result.

#include "cpu/convolution_gemm.h"

namespace mpscnn::cpu {
namespace {

struct FastPlan {
    std::int64_t depth;         ///< of a product
    std::int64_t outputs;       ///< half of all
    std::int64_t pixels, pairs; ///< of an image
    std::int64_t tiles, bands;  ///< of its pairs
    std::int64_t panels, panel_blocks;
    std::int64_t band_tiles; ///< at most
    std::int64_t tile_pairs, larger_tiles;
    std::int64_t pitch;       ///< from pair to pair of a sum of inputs
    std::int64_t sums_floats; ///< of one sum of inputs
    std::size_t scratch_bytes;

    std::int64_t first_pair(std::int64_t tile) const {
        return tile * tile_pairs + smaller(tile, larger_tiles);
    }
};

/// Most outputs of a panel.
template <class V> inline constexpr std::int64_t panel_columns = V::gemm_vectors * V::width;

inline std::size_t fast_packed_size(const ConvolutionShape &shape) {
    return static_cast<std::size_t>(7 * (shape.inputs_per_group / 2) * (shape.outputs / 2));
}

/// For each panel of half the outputs what the products multiply by, in the order in which they are
/// computed, each [k][channels]: B11, T2, T3, -T4, T1, B22 and B21, where T1 = B12 - B11, T2 = B22 - T1,
/// T3 = B22 - B12 and T4 = T2 - B21.
template <class V> void fast_pack(const ConvolutionShape &shape, const float *weights, float *packed) {
    const std::int64_t inputs = shape.inputs_per_group, depth = inputs / 2, outputs = shape.outputs / 2;
    for (std::int64_t p = 0; p < panel_count<V>(outputs); ++p) {
        const Range panel = panel_outputs<V>(outputs, p);
        const std::int64_t piece = depth * panel.size();
        for (std::int64_t k = 0; k < depth; ++k)
            for (std::int64_t output = panel.begin; output < panel.end; ++output, ++packed) {
                const float *left = weights + output * inputs + k, *right = left + outputs * inputs;
                const float b11 = left[0], b21 = left[depth], b12 = right[0], b22 = right[depth];
                const float t1 = b12 - b11, t2 = b22 - t1, t3 = b22 - b12, t4 = t2 - b21;
                packed[0] = b11;
                packed[piece] = t2;
                packed[2 * piece] = t3;
                packed[3 * piece] = -t4;
                packed[4 * piece] = t1;
                packed[5 * piece] = b22;
                packed[6 * piece] = b21;
            }
        packed += 6 * piece;
    }
}

template <class V> inline FastPlan make_fast_plan(const ConvolutionTask &task, int threads) {
    constexpr std::int64_t cached_floats = 48 * 1024, least_pairs = 48;
    const PackedConvolution &packed = *task.packed;
    const View &to = task.destination;
    const ConstView *residual = task.epilogue.residual;
    const bool joined = rows_join(task.source) && rows_join(to) && (!residual || rows_join(*residual));
    FastPlan plan;
    plan.depth = packed.inputs_per_group / 2;
    plan.outputs = packed.outputs / 2;
    plan.pixels = to.height * to.width;
    plan.pairs = divide_up(plan.pixels, 2);
    // Pairs that are not at one distance from each other are tiles of their own: slow, but the same pairs.
    plan.tiles = joined ? divide_up(plan.pairs, V::gemm_rows) : plan.pairs;
    plan.tile_pairs = plan.pairs / plan.tiles, plan.larger_tiles = plan.pairs % plan.tiles;
    plan.panels = panel_count<V>(plan.outputs);
    // Two pixels and four sums of half as many inputs stay in the second-level cache; fewer pairs would wait
    // for weights, which each band reads anew.
    const std::int64_t band_pairs = larger(least_pairs, cached_floats / (4 * packed.inputs_per_group));
    plan.bands = larger(1, plan.pairs / band_pairs);
    if (to.batch % threads != 0) // three bands would keep two threads as long as four
        plan.bands = smaller(plan.tiles, round_up(plan.bands, threads));
    // Each block of panels makes the sums of its band anew.
    const std::int64_t wanted = threads == 1 ? 1 : 2 * threads;
    plan.panel_blocks = clamped(wanted / (to.batch * plan.bands), 1, plan.panels);
    plan.band_tiles = divide_up(plan.tiles, plan.bands);
    plan.pitch = plan.depth + 16; // rows 2048 bytes apart fall into the same set of the first-level cache
    plan.sums_floats = plan.band_tiles * V::gemm_rows * plan.pitch;
    const std::int64_t products = 5 * plan.band_tiles * V::gemm_rows * panel_columns<V>;
    plan.scratch_bytes = static_cast<std::size_t>(7 * plan.band_tiles) * sizeof(PixelTile) + 64 +
                         static_cast<std::size_t>(4 * plan.sums_floats + products) * sizeof(float);
    return plan;
}

/// An item: a band of a run's pairs, and some panels.
template <class V> class FastItem {
public:
    FastItem(const ConvolutionTask &task, const FastPlan &plan, std::int64_t image, std::int64_t band,
             std::byte *scratch)
        : task_(task), plan_(plan), image_(image) {
        const Range tiles = part_of(plan.tiles, plan.bands, band);
        first_tile_ = tiles.begin, tiles_ = tiles.size();
        first_pair_ = plan.first_pair(tiles.begin);
        pairs_ = plan.first_pair(tiles.end) - first_pair_;
        whole_pairs_ = smaller(pairs_, plan.pixels / 2 - first_pair_);
        float *next = reinterpret_cast<float *>(scratch);
        for (float *&sum : input_sums_) sum = next, next += plan.sums_floats;
        for (float *&product : products_)
            product = next, next += plan.band_tiles * V::gemm_rows * panel_columns<V>;
        next_tile_ = reinterpret_cast<PixelTile *>(next);
        add_inputs();
        prepare_products();
    }

    void run(const Range &panels) {
        for (std::int64_t p = panels.begin; p < panels.end; ++p) run_panel(p);
    }

private:
    /// The four sums of inputs: S1 = A21 + A22, S2 = S1 - A11, S3 = A11 - A21, S4 = A12 - S2.
    void add_inputs() {
        const std::int64_t depth = plan_.depth;
        for (std::int64_t i = 0; i < pairs_; ++i) {
            const bool whole = i < whole_pairs_; // or the second pixel counts as zero
            const float *a = pixel(task_.source, i, 0), *b = whole ? pixel(task_.source, i, 1) : a;
            float *to[4];
            for (int s = 0; s < 4; ++s) to[s] = input_sums_[s] + i * plan_.pitch;
            for (std::int64_t k = 0; k < depth; k += V::width) {
                const auto a11 = V::load(a + k), a12 = V::load(a + depth + k);
                const auto a21 = whole ? V::load(b + k) : V::zero();
                const auto s1 = whole ? V::add(a21, V::load(b + depth + k)) : V::zero();
                const auto s2 = V::sub(s1, a11);
                V::store(to[0] + k, s1);
                V::store(to[1] + k, s2);
                V::store(to[2] + k, V::sub(a11, a21));
                V::store(to[3] + k, V::sub(a12, s2));
            }
        }
    }

    /// The first or second pixel of a pair of the band.
    template <class AnyView> auto *pixel(const AnyView &view, std::int64_t pair, std::int64_t second) const {
        const std::int64_t index = 2 * (first_pair_ + pair) + second, width = task_.destination.width;
        return pixel_at(view, image_, index / width, index % width);
    }

    /// One of the seven products, factor * weights: where the factor lies, what the product is added to and
    /// where the sum goes. The same for all panels.
    struct Product {
        PixelRun run;
        PixelTile *tiles;
        std::int64_t count;
    };

    /// A sum of inputs that is a factor, S1 to S4, or a quarter of the inputs, A11, A12 or A22.
    enum Factor { s1, s2, s3, s4, a11, a12, a22 };

    const float *row_of(Factor factor, std::int64_t pair) const {
        if (factor <= s4) return input_sums_[factor] + pair * plan_.pitch;
        return pixel(task_.source, pair, factor == a22) + (factor == a11 ? 0 : plan_.depth);
    }

    /// The tiles of product `index`. `sums`: where its sums go, or null for outputs, of the pairs' first or
    /// second pixels.
    void prepare(int index, Factor factor, bool has_start, float *sums, bool second = false) {
        Product &product = product_[index];
        const ConstView *residual = task_.epilogue.residual;
        constexpr std::int64_t columns = panel_columns<V>;
        product.run = pointwise_run(plan_.depth, factor <= s4 ? plan_.pitch : 2 * task_.source.pixel_stride,
                                    sums ? columns : 2 * task_.destination.pixel_stride);
        if (residual) product.run.residual_stride = 2 * residual->pixel_stride;
        if (has_start) product.run.start_stride = columns;
        product.tiles = next_tile_;
        const std::int64_t pairs = second ? whole_pairs_ : pairs_;
        for (std::int64_t tile = first_tile_; tile < first_tile_ + tiles_; ++tile) {
            const std::int64_t pair = plan_.first_pair(tile) - first_pair_;
            const std::int64_t end = smaller(plan_.first_pair(tile + 1) - first_pair_, pairs);
            if (pair >= end) break;
            *next_tile_++ = {.run = &product.run,
                             .source = row_of(factor, pair),
                             .destination =
                                 sums ? sums + pair * columns : pixel(task_.destination, pair, second),
                             .residual = residual ? pixel(*residual, pair, second) : nullptr,
                             .pixels = end - pair,
                             .start = pair * product.run.start_stride};
        }
        product.count = next_tile_ - product.tiles;
    }

    void prepare_products() {
        prepare(0, a11, false, products_[0]);
        prepare(1, s2, true, products_[1]);
        prepare(2, s3, true, products_[2]);
        prepare(3, a22, true, nullptr, true);
        prepare(4, s1, false, products_[3]);
        prepare(5, s4, true, nullptr);
        prepare(6, a12, true, nullptr);
    }

    /// A panel of both halves of the outputs.
    void run_panel(std::int64_t p) {
        const PackedConvolution &packed = *task_.packed;
        const Range outputs = panel_outputs<V>(plan_.outputs, p);
        columns_ = outputs.size();
        const std::int64_t left = outputs.begin, right = left + plan_.outputs, piece = plan_.depth * columns_;
        const float *bias = packed.bias.data();
        const ChannelPanel sums = plain_sums(outputs_panel(0));
        GemmPlan plan;
        plan.depth = plan_.depth;
        plan.merged = 1;
        plan.input_lanes = false;
        const auto multiply = [&](int index, const float *start, ChannelPanel panel) {
            if (product_[index].count == 0) return; // no second pixels
            panel.weights = packed.weights.data() + 7 * left * plan_.depth + index * piece;
            panel.bias = start;
            multiply_block<V>(plan, product_[index].tiles, product_[index].count, panel);
        };
        alignas(64) float other_bias[panel_columns<V>];
        for (std::int64_t v = 0; v < columns_; v += V::width)
            V::store(other_bias + v, V::sub(V::load(bias + right + v), V::load(bias + left + v)));
        multiply(0, bias + left, sums);
        multiply(1, products_[0], sums);
        multiply(2, products_[1], sums);
        multiply(3, products_[2], outputs_panel(left));
        multiply(4, other_bias, sums);
        add_products(right);
        multiply(5, products_[3], outputs_panel(right));
        multiply(6, products_[0], outputs_panel(left));
    }

    ChannelPanel outputs_panel(std::int64_t channel) const {
        const Limits limits = limits_of(task_.epilogue.activation);
        return {.weights = nullptr,
                .bias = nullptr,
                .channel = channel,
                .offset = channel,
                .channels = columns_,
                .writable = columns_,
                .epilogue = &task_.epilogue,
                .plain = is_clamp(task_.epilogue),
                .element = Element::float32,
                .low = limits.low,
                .high = limits.high,
                .ahead = nullptr,
                .ahead_step = 0,
                .ahead_tile = 0};
    }

    /// The sums of two products each: second pixels' outputs from `channel` on, and what the first pixels'
    /// add.
    void add_products(std::int64_t channel) {
        ChannelPanel panel = outputs_panel(channel);
        const bool clamps = panel.plain && !panel.epilogue->rounds;
        const Clamp<V> clamp(Limits{panel.low, panel.high});
        panel.channels = panel.writable = V::width;
        for (std::int64_t v = 0; v < columns_; v += V::width) {
            const float *sums = products_[4];
            for (std::int64_t i = 0; i < pairs_; ++i) {
                const std::int64_t at = i * panel_columns<V> + v;
                const auto product = V::load(products_[3] + at);
                V::store(products_[3] + at, V::add(V::load(products_[1] + at), product));
                V::store(products_[4] + i * V::width, V::add(V::load(products_[2] + at), product));
            }
            panel.channel = panel.offset = channel + v;
            const PixelTile *tile = product_[3].tiles, *end = tile + product_[3].count;
            for (; tile != end; sums += tile->pixels * V::width, ++tile) {
                if (!clamps) {
                    finish_sums<V, float, 1>(*tile, 0, tile->pixels, panel, sums);
                    continue;
                }
                float *to = tile->destination + panel.offset;
                for (std::int64_t i = 0; i < tile->pixels; ++i, to += tile->run->destination_stride)
                    V::store(to, clamp(V::load(sums + i * V::width)));
            }
        }
    }

    const ConvolutionTask &task_;
    const FastPlan &plan_;
    const std::int64_t image_;
    std::int64_t first_tile_, tiles_, first_pair_, pairs_, whole_pairs_; ///< of the band
    std::int64_t columns_ = 0;                                           ///< of the panel
    float *input_sums_[4], *products_[5];
    Product product_[7];
    PixelTile *next_tile_;
};

template <class V> Work fast_work(const ConvolutionTask &task, int threads) {
    const FastPlan plan = make_fast_plan<V>(task, threads);
    return {task.destination.batch * plan.bands * plan.panel_blocks, plan.scratch_bytes};
}

template <class V>
void fast_run(const ConvolutionTask &task, int threads, std::int64_t begin, std::int64_t end,
              std::byte *scratch) {
    const FastPlan plan = make_fast_plan<V>(task, threads);
    for (std::int64_t item = begin; item < end; ++item) {
        const std::int64_t rest = item / plan.panel_blocks;
        FastItem<V>(task, plan, rest / plan.bands, rest % plan.bands, scratch)
            .run(part_of(plan.panels, plan.panel_blocks, item % plan.panel_blocks));
    }
}

} // namespace
} // namespace mpscnn::cpu
