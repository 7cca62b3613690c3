#pragma once

// Several convolutions as one kernel (a chain). A band of rows passes through all of them while it is in L2.
//
// The result of each stage except the last is stored in the worker's scratch memory. Before a depthwise
// stage, this is a ring buffer of rows, because the windows of adjacent bands overlap: a worker that
// continues with the next band only computes the new rows. Before a pointwise stage, it is the rows of the
// band. A matrix product and the depthwise stage after it alternate for each panel of channels, so that the
// panel's rows stay in L1 or L2. Inputs that would leave the cache between two panels are processed in blocks
// of pixels. The inner kernels also compute single convolutions; here they read and write parts of tensors.
//
// Work items are bands of rows of the last stage's result. For a matrix product and a depthwise convolution
// with one band only, items are panels of channels.
//
// The speed is limited by FMAs while rows stay in L1 or L2. Two things take additional time: rows at borders
// between threads are computed twice, and depthwise stages wait for their stores.

#include "cpu/kernels/convolution/convolution_depthwise.h"
#include "cpu/kernels/convolution/convolution_gemm.h"

namespace mpscnn::cpu {
namespace {

/// The rows in scratch memory that hold the result of a stage for the next one.
struct ChainBuffer {
    std::size_t offset = 0;    ///< offset in scratch memory, in bytes
    std::int64_t rows = 0;     ///< number of rows that fit
    std::int64_t channels = 0; ///< channels of a panel
    std::int64_t panels = 1;
    std::ptrdiff_t row_stride = 0, pixel_stride = 0;
    std::ptrdiff_t panel_stride = 0; ///< 0: each panel overwrites the one before it
};

/// Some rows of a stage that are contiguous in memory, and the plan of their matrix product.
struct ChainPiece {
    Range rows;
    const GemmPlan *product; ///< null for a depthwise stage
};

/// The rows that a stage computes for a band.
struct ChainRows {
    Range rows;             ///< without rows that the previous band has computed
    std::int64_t first_row; ///< the first row that the next stage needs
    int pieces;
    ChainPiece piece[2]; ///< at most two, because a ring buffer wraps around once
};

struct ChainPlan {
    ChainBands bands; ///< bands of an image
    std::int64_t panel_items;
    ChainBuffer buffer[ChainTask::max_stages]; ///< the buffer after each stage except the last
    std::size_t tiles;                         ///< offset of PixelTiles in scratch memory
    std::size_t scratch_bytes;
    const ChainRows *rows; ///< for each band and stage: see rows_of_band()
    std::int64_t stages;
    bool prefetches;        ///< true if the images of the source do not fit L2
    std::int64_t l2_inputs; ///< maximum inputs of a block of pixels, which stay in L2: see l2_inputs()

    /// Return the rows of each stage for a band. `goes_on`: the worker has just computed the band before it.
    const ChainRows *rows_of_band(std::int64_t band, bool goes_on) const {
        return rows + (2 * band + goes_on) * stages;
    }
};

inline std::size_t whole_lines(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

/// Return the source rows that a stage reads for these rows of its result.
inline Range rows_read(const ConvolutionTask &stage, const Range &outputs) {
    if (outputs.empty()) return {0, 0};
    const WindowAxis &axis = stage.vertical;
    const std::int64_t begin = clamped(window_begin(axis, outputs.begin), 0, stage.source.height);
    return {begin, clamped(window_end(axis, outputs.end - 1), begin, stage.source.height)};
}

/// Choose the number of channels of a chain's panels: a multiple of the matrix product's panels. If panels
/// are work items, each thread gets the same number of them, if possible.
template <class V>
inline void plan_panels(const ChainTask &task, std::int64_t stage, bool are_items, int threads,
                        ChainBuffer &buffer) {
    const ConvolutionTask &own = task.stages[stage];
    const std::int64_t whole = round_up_to_width<V>(own.destination.channels);
    buffer.channels = whole;
    buffer.panels = 1;
    if (own.packed->is_depthwise() || !task.stages[stage + 1].packed->is_depthwise()) return;
    constexpr std::int64_t unit_channels = V::gemm_vectors * V::width;
    const std::int64_t wanted = task.panel_channels / unit_channels * unit_channels;
    if (wanted == 0 || own.vertical.kernel > 1) return;
    const std::int64_t all = panel_count<V>(own.packed->outputs);
    buffer.panels = divide_up(all, wanted / unit_channels);
    if (are_items) buffer.panels = panel_items(buffer.panels, all, threads);
    // The last panel of the matrix product may be wider than others (pack.h).
    const std::int64_t begin = unit_channels * part_of(all, buffer.panels, buffer.panels - 1).begin;
    if (buffer.panels > 1)
        buffer.channels = max(unit_channels * divide_up(all, buffer.panels), whole - begin);
}

/// Make the plan of a chain, except the rows of bands.
template <class V> inline ChainPlan cut_chain(const ChainTask &task, int threads) {
    constexpr std::int64_t size = sizeof(typename V::element);
    ChainPlan plan;
    const ConvolutionTask &last = task.stages[task.count - 1];
    const std::int64_t height = task.destination.height;
    plan.bands = chain_bands(task.stages, task.count, height, task.band_rows, threads);
    std::int64_t rows = min(plan.bands.max_rows(), height);
    const bool panels_are_items = task.count == 2 && plan.bands.count == 1 && threads > 1;
    std::size_t bytes = 0;
    std::int64_t max_pixels = rows * last.destination.width;
    for (std::int64_t s = task.count - 1; s-- > 0;) {
        const ConvolutionTask &reader = task.stages[s + 1];
        const View &result = task.stages[s].destination;
        rows = source_rows(reader, rows, result.height);
        max_pixels = max(max_pixels, rows * result.width);
        ChainBuffer &buffer = plan.buffer[s];
        plan_panels<V>(task, s, panels_are_items, threads, buffer);
        buffer.rows = rows;
        // Avoid pixels that are 2048 bytes apart, because they would compete for two sets of L1.
        const std::int64_t pixel_bytes = buffer.channels * size;
        buffer.pixel_stride = (pixel_bytes % 2048 == 0 ? pixel_bytes + 64 : pixel_bytes) / size;
        buffer.row_stride = result.width * buffer.pixel_stride;
        buffer.panel_stride = plan.bands.count == 1 ? 0 : rows * buffer.row_stride;
        buffer.offset = bytes;
        const std::int64_t kept = buffer.panel_stride == 0 ? 1 : buffer.panels;
        bytes += whole_lines(static_cast<std::size_t>(kept * rows * buffer.row_stride * size));
    }
    plan.panel_items = panels_are_items ? plan.buffer[0].panels : 1;
    plan.stages = task.count;
    plan.tiles = bytes;
    plan.scratch_bytes = bytes + whole_lines(static_cast<std::size_t>(max_pixels) * sizeof(PixelTile));
    return plan;
}

/// Return the view of some rows of an image.
template <class V, class AnyView>
inline AnyView rows_of(AnyView view, std::int64_t image, const Range &rows) {
    view.data =
        element_at<V>(view.data, image * view.image_stride + rows.begin * view.row_stride, view.element);
    view.batch = 1;
    view.height = rows.size();
    return view;
}

/// Computes the tensors of a chain's stages for one image, with the buffers in a worker's scratch memory.
template <class V> class ChainParts {
public:
    ChainParts(const ChainTask &task, const ChainPlan &plan, std::int64_t image, std::byte *scratch)
        : task_(task), plan_(plan), image_(image), scratch_(scratch) {}

    /// Return true if the rows of a stage are in a ring buffer, which keeps them for the next band.
    bool is_ring(std::int64_t s) const {
        return s + 1 < task_.count && task_.stages[s + 1].packed->is_depthwise();
    }

    /// Return the view of a stage's rows [rows), and shorten `rows` to those that are contiguous in memory.
    /// `first_row` is the first row that the next stage needs.
    View result_of(std::int64_t s, std::int64_t first_row, Range &rows) const {
        if (s + 1 == task_.count) return rows_of<V>(task_.destination, image_, rows);
        const ChainBuffer &buffer = plan_.buffer[s];
        View view = task_.stages[s].destination;
        view.batch = 1;
        view.row_stride = buffer.row_stride;
        view.pixel_stride = buffer.pixel_stride;
        view.image_stride = buffer.rows * buffer.row_stride;
        view.writable_channels = round_up_to_width<V>(view.channels);
        const std::int64_t at = is_ring(s) ? rows.begin % buffer.rows : rows.begin - first_row;
        rows.end = min(rows.end, rows.begin + buffer.rows - at);
        view.data = buffer_data(s, at * buffer.row_stride);
        view.element = element;
        view.height = rows.size();
        return view;
    }

    /// A stage as a separate convolution that computes some of its rows. make_part() needs the rows of all
    /// stages.
    struct Part {
        ConvolutionTask task;
        ConstView residual;
    };
    void make_part(std::int64_t s, const ChainRows *stage_rows, Range rows, Part &part) const {
        part.task = task_.stages[s];
        part.task.destination = result_of(s, stage_rows[s].first_row, rows);
        if (const ConstView *residual = residual_of(s)) {
            part.residual = rows_of<V>(*residual, image_, rows);
            part.task.epilogue.residual = &part.residual;
        }
        WindowAxis &window = part.task.vertical;
        if (part.task.packed->is_depthwise()) { // its source is not here but in DepthwiseSource
            window.before -= rows.begin * window.stride;
            return;
        }
        if (s == 0) {
            const Range read = rows_read(task_.stages[s], rows);
            window.before = read.begin - window_begin(window, rows.begin);
            part.task.source = rows_of<V>(task_.source, image_, read);
        } else { // a pointwise stage
            const ChainBuffer &buffer = plan_.buffer[s - 1];
            ConstView &source = part.task.source;
            source.data = buffer_data(s - 1, (rows.begin - stage_rows[s - 1].first_row) * buffer.row_stride);
            source.height = rows.size();
            source.row_stride = buffer.row_stride;
            source.pixel_stride = buffer.pixel_stride;
            window.before = 0;
        }
        if constexpr (has_bfloat16<V>) part.task = gemm_task<V>(part.task);
    }

    DepthwiseSource depthwise_source(std::int64_t s, const Range &chunks, std::int64_t panel) const {
        DepthwiseSource source;
        if (s == 0) {
            source.data =
                element_at<V>(task_.source.data, image_ * task_.source.image_stride, task_.source.element);
            source.row_stride = task_.source.row_stride;
            source.pixel_stride = task_.source.pixel_stride;
            source.ring = task_.source.height;
            source.is_padded = has_padding<V>(task_.source);
        } else {
            const ChainBuffer &buffer = plan_.buffer[s - 1];
            source.data = buffer_data(s - 1, panel * buffer.panel_stride);
            source.row_stride = buffer.row_stride;
            source.pixel_stride = buffer.pixel_stride;
            source.ring = buffer.rows;
            if (buffer.panels > 1) source.first_chunk = chunks.begin;
        }
        source.height = task_.stages[s].source.height;
        source.width = task_.stages[s].source.width;
        return source;
    }

private:
    const ConstView *residual_of(std::int64_t s) const {
        return task_.has_residual[s] ? &task_.residuals[s] : nullptr;
    }

    static constexpr Element element = has_bfloat16<V> ? Element::bfloat16 : Element::float32;

    /// Return the address of an element of a stage's rows in scratch memory.
    float *buffer_data(std::int64_t s, std::ptrdiff_t offset) const {
        auto *first = reinterpret_cast<typename V::element *>(scratch_ + plan_.buffer[s].offset);
        return reinterpret_cast<float *>(first + offset);
    }

    const ChainTask &task_;
    const ChainPlan &plan_;
    std::int64_t image_;
    std::byte *scratch_;
};

/// Computes which rows the stages compute for each band, and plans their matrix products.
template <class V> class ChainPlanner {
public:
    ChainPlanner(const ChainTask &task, const ChainPlan &plan, const Planning &planning)
        : task_(task), planning_(planning),
          // These parts are only planned, not computed, so any address will do.
          parts_(task, plan, 0, reinterpret_cast<std::byte *>(task.destination.data)) {}

    /// Plan the rows of each stage for some rows of the result, if stage s has already computed its rows
    /// before next_row[s]. Return false if memory runs out.
    bool plan_band(Range rows, const std::int64_t *next_row, ChainRows *stage_rows) {
        for (std::int64_t s = task_.count; s-- > 0;) {
            stage_rows[s].first_row = rows.begin;
            stage_rows[s].rows = {max(rows.begin, next_row[s]), rows.end};
            rows = rows_read(task_.stages[s], stage_rows[s].rows);
        }
        for (std::int64_t s = 0; s < task_.count; ++s)
            if (!plan_pieces(s, stage_rows)) return false;
        return true;
    }

private:
    struct Product {
        std::int64_t stage, rows, before, source_rows; ///< what the plan depends on
        const GemmPlan *plan;
        Product *next;
    };

    bool plan_pieces(std::int64_t s, ChainRows *stage_rows) {
        ChainRows &own = stage_rows[s];
        own.pieces = 0;
        for (Range left = own.rows, rows = left; !left.empty(); left.begin = rows.end) {
            rows = left;
            parts_.result_of(s, own.first_row, rows);
            const bool depthwise = task_.stages[s].packed->is_depthwise();
            const GemmPlan *product = depthwise ? nullptr : product_of(s, stage_rows, rows);
            if (!depthwise && !product) return false;
            own.piece[own.pieces++] = {rows, product};
        }
        return true;
    }

    const GemmPlan *product_of(std::int64_t s, const ChainRows *stage_rows, const Range &rows) {
        typename ChainParts<V>::Part part;
        parts_.make_part(s, stage_rows, rows, part);
        const std::int64_t before = part.task.vertical.before, source_rows = part.task.source.height;
        for (const Product *known = products_; known; known = known->next)
            if (known->stage == s && known->rows == rows.size() && known->before == before &&
                known->source_rows == source_rows)
                return known->plan;
        auto *product = planning_.make<Product>();
        auto *plan = planning_.make<GemmPlan>();
        RegionList list;
        if (!product || !plan) return nullptr;
        plan->region = list.region;
        plan_weights<V>(*part.task.packed, *plan);
        // Windows are never gathered here, which cpu/plan/chains.cpp guarantees.
        plan_regions<V>(part.task, *plan);
        plan_blocks<V>(part.task, 1, planning_.caches, *plan);
        plan->region = planning_.make<Region>(plan->regions);
        if (!plan->region) return nullptr;
        for (int i = 0; i < plan->regions; ++i) plan->region[i] = list.region[i];
        *product = {s, rows.size(), before, source_rows, plan, products_};
        products_ = product;
        return plan;
    }

    const ChainTask &task_;
    const Planning &planning_;
    ChainParts<V> parts_;
    Product *products_ = nullptr;
};

/// Return the rows of the result in band `band`.
inline Range band_rows(const ChainTask &task, const ChainBands &bands, std::int64_t band) {
    const Range own = part_of(bands.units, bands.count, band);
    return {own.begin * bands.unit, min(own.end * bands.unit, task.destination.height)};
}

template <class V> Prepared chain_prepare(const ChainTask &task, const Planning &planning) {
    ChainPlan plan = cut_chain<V>(task, planning.threads);
    auto *rows = planning.make<ChainRows>(2 * plan.bands.count * task.count);
    if (!rows) return {};
    plan.rows = rows;
    plan.prefetches = outgrows_l2(task.source.height * task.source.row_stride, planning.caches);
    plan.l2_inputs = l2_inputs(planning.caches);
    ChainPlanner<V> planner(task, plan, planning);
    std::int64_t next_row[ChainTask::max_stages] = {}; // for each stage, the first row that no band has yet
    for (std::int64_t band = 0; band < plan.bands.count; ++band) {
        constexpr std::int64_t none[ChainTask::max_stages] = {};
        const Range own = band_rows(task, plan.bands, band);
        ChainRows *first = rows + 2 * band * task.count, *further = first + task.count;
        if (!planner.plan_band(own, none, first) || !planner.plan_band(own, next_row, further)) return {};
        for (std::int64_t s = 0; s < task.count; ++s) next_row[s] = max(next_row[s], first[s].rows.end);
    }
    Prepared prepared =
        planning.keep(plan, task.destination.batch * plan.bands.count * plan.panel_items, plan.scratch_bytes);
    if (has_bfloat16<V>) prepared.variant = "bfloat16";
    return prepared;
}

/// Runs all stages of one work item.
template <class V> class ChainItem {
public:
    ChainItem(const ChainTask &task, const ChainPlan &plan, std::int64_t image, const ChainRows *rows,
              std::byte *scratch)
        : task_(task), plan_(plan), rows_(rows), scratch_(scratch), parts_(task, plan, image, scratch) {}

    /// Compute the item. If items are panels of channels, `part` is the item's number in its band; otherwise
    /// it is 0.
    void run(std::int64_t part) {
        for (std::int64_t s = 0; s < task_.count; ++s) {
            const ConvolutionTask &stage = task_.stages[s];
            if (stage.packed->is_depthwise()) {
                depthwise(s, {0, divide_up(stage.destination.channels, V::width)}, 0);
            } else if (s + 1 < task_.count && plan_.buffer[s].panels > 1) {
                product_and_depthwise(s, part_of(plan_.buffer[s].panels, plan_.panel_items, part));
                ++s;
            } else {
                product(s);
            }
        }
    }

private:
    using Part = typename ChainParts<V>::Part;

    void product(std::int64_t s) {
        for (int i = 0; i < rows_[s].pieces; ++i) {
            const ChainPiece &piece = rows_[s].piece[i];
            Part part;
            parts_.make_part(s, rows_, piece.rows, part);
            for (std::int64_t item = 0; item < piece.product->items(); ++item)
                run_item<V>(part.task, *piece.product, item, scratch_ + plan_.tiles);
        }
    }

    void depthwise(std::int64_t s, const Range &chunks, const std::int64_t panel) {
        const DepthwiseSource source = parts_.depthwise_source(s, chunks, panel);
        for (int i = 0; i < rows_[s].pieces; ++i) {
            const Range &rows = rows_[s].piece[i].rows;
            Part part;
            parts_.make_part(s, rows_, rows, part);
            DepthwiseStrip strip;
            strip.task = &part.task;
            strip.source = &source;
            strip.chunks = chunks;
            strip.prefetches = s == 0 && plan_.prefetches;
            depthwise_block<V>(strip, {0, rows.size()});
        }
    }

    /// Compute a matrix product and the depthwise stage after it, panel by panel.
    void product_and_depthwise(std::int64_t s, const Range &panels) {
        Part parts[2];
        PixelTile *tiles[2];
        auto *next = reinterpret_cast<PixelTile *>(scratch_ + plan_.tiles);
        const int pieces = rows_[s].pieces;
        for (int i = 0; i < pieces; ++i) {
            const ChainPiece &piece = rows_[s].piece[i];
            parts_.make_part(s, rows_, piece.rows, parts[i]);
            tiles[i] = next;
            next += piece.product->tiles;
            prepare_tiles<V>(parts[i].task, *piece.product, 0, {0, piece.product->tiles}, tiles[i], nullptr);
        }
        const ChainBuffer &buffer = plan_.buffer[s];
        const std::int64_t outputs = task_.stages[s].packed->outputs, all = panel_count<V>(outputs);
        for (std::int64_t q = panels.begin; q < panels.end; ++q) {
            const Range own = part_of(all, buffer.panels, q);
            const Range channels{panel_outputs<V>(outputs, own.begin).begin,
                                 panel_outputs<V>(outputs, own.end - 1).end};
            for (int i = 0; i < pieces; ++i) {
                const GemmPlan &plan = *rows_[s].piece[i].product;
                const std::int64_t inputs = plan.tiles * plan.tile_rows * plan.depth;
                const std::int64_t blocks = clamped(divide_up(inputs, plan_.l2_inputs), 1, plan.tiles);
                for (std::int64_t b = 0; b < blocks; ++b) {
                    const Range block = part_of(plan.tiles, blocks, b);
                    for (std::int64_t p = own.begin; p < own.end; ++p) {
                        ChannelPanel panel = channel_panel<V>(parts[i].task, plan, 0, p);
                        panel.offset = q * buffer.panel_stride + panel.channel - channels.begin;
                        multiply_block<V>(plan, tiles[i] + block.begin, block.size(), panel);
                    }
                }
            }
            depthwise(s + 1, {channels.begin / V::width, divide_up(channels.end, V::width)}, q);
        }
    }

    const ChainTask &task_;
    const ChainPlan &plan_;
    const ChainRows *rows_; ///< the rows of each stage
    std::byte *scratch_;
    ChainParts<V> parts_;
};

template <class V>
void chain_run(const ChainTask &task, const Prepared &prepared, std::int64_t begin, std::int64_t end,
               Worker &worker) {
    const auto &plan = prepared.plan_as<ChainPlan>();
    for (std::int64_t index = begin; index < end; ++index) {
        const std::int64_t rest = index / plan.panel_items, band = rest % plan.bands.count;
        const bool goes_on = band > 0 && worker.next_item == index;
        ChainItem<V> item(task, plan, rest / plan.bands.count, plan.rows_of_band(band, goes_on),
                          worker.scratch);
        item.run(index % plan.panel_items);
        worker.next_item = index + 1;
    }
}

} // namespace
} // namespace mpscnn::cpu
