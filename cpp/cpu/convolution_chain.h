#pragma once

// Several convolutions as one kernel: the rows of a band pass through all of them while they are in the
// second-level cache.
//
// What a stage hands to the next one lies in the worker's scratch. In front of a depthwise stage it is a
// ring of rows, since windows of neighbouring bands overlap: a worker that goes on with the next band
// computes new rows only. In front of a pointwise stage it is the band's rows. A matrix product and the
// depthwise stage behind it take turns panel by panel of channels, whose rows then are in near caches; inputs
// that would not stay there between two panels' weights pass in blocks of pixels. The inner kernels are those
// of the single convolutions, which read and write parts of tensors as they do tensors.
//
// Items are bands of rows of the last stage's result. Where that is one band of a matrix product and a
// depthwise convolution, they are panels of channels.
//
// Registers: those of the inner kernels. Bound by multiply-adds where rows stay in near caches; what limits
// it: rows at borders between threads, computed twice, and depthwise stages, which wait for their stores.

#include "cpu/convolution_depthwise.h"
#include "cpu/convolution_gemm.h"

namespace mpscnn::cpu {
namespace {

/// Rows in scratch that a stage hands to the next one.
struct ChainBuffer {
    std::size_t offset = 0;    ///< in scratch
    std::int64_t rows = 0;     ///< how many there is room for
    std::int64_t channels = 0; ///< of a panel
    std::int64_t panels = 1;
    std::ptrdiff_t row_stride = 0, pixel_stride = 0;
    std::ptrdiff_t panel_stride = 0; ///< 0: one panel takes the place of the other
};

struct ChainPlan {
    ChainBands bands; ///< of an image
    std::int64_t panel_items;
    ChainBuffer buffer[ChainTask::most_stages]; ///< behind each stage but the last
    std::size_t tiles;                          ///< offset in scratch
    std::size_t scratch_bytes;
};

/// What a worker's scratch begins with: how far each stage has come.
struct ChainState {
    std::uint64_t run;
    std::int64_t next_item;
    std::int64_t next_row[ChainTask::most_stages];
};

inline std::size_t whole_lines(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

/// Source rows that rows of outputs read.
inline Range rows_read(const ConvolutionTask &stage, const Range &outputs) {
    if (outputs.empty()) return {0, 0};
    const WindowAxis &axis = stage.vertical;
    const std::int64_t begin = clamped(window_begin(axis, outputs.begin), 0, stage.source.height);
    return {begin, clamped(window_end(axis, outputs.end - 1), begin, stage.source.height)};
}

/// Channels of a panel: whole panels of the matrix product, at least one. Where panels are items, as many for
/// each thread.
template <class V>
inline void plan_panels(const ChainTask &task, std::int64_t stage, bool are_items, int threads,
                        ChainBuffer &buffer) {
    const ConvolutionTask &own = task.stages[stage];
    const std::int64_t whole = round_up_to_width<V>(own.destination.channels);
    buffer.channels = whole;
    buffer.panels = 1;
    if (own.packed->is_depthwise() || !task.stages[stage + 1].packed->is_depthwise()) return;
    constexpr std::int64_t least = V::gemm_vectors * V::width;
    const std::int64_t wanted = task.panel_channels / least * least;
    if (wanted == 0 || own.vertical.kernel > 1) return;
    const std::int64_t all = panel_count<V>(own.packed->outputs);
    buffer.panels = divide_up(all, wanted / least);
    if (are_items) buffer.panels = panel_items(buffer.panels, all, threads);
    // The matrix product's last one may be wider (pack.h).
    const std::int64_t begin = least * part_of(all, buffer.panels, buffer.panels - 1).begin;
    if (buffer.panels > 1) buffer.channels = larger(least * divide_up(all, buffer.panels), whole - begin);
}

template <class V> inline ChainPlan chain_plan(const ChainTask &task, int threads) {
    constexpr std::int64_t size = sizeof(typename V::element);
    ChainPlan plan;
    const ConvolutionTask &last = task.stages[task.count - 1];
    const std::int64_t height = task.destination.height;
    plan.bands = chain_bands(task.stages, task.count, height, task.band_rows, threads);
    std::int64_t rows = smaller(plan.bands.most_rows(), height);
    const bool panels_are_items = task.count == 2 && plan.bands.count == 1 && threads > 1;
    std::size_t bytes = whole_lines(sizeof(ChainState));
    std::int64_t most_pixels = rows * last.destination.width;
    for (std::int64_t s = task.count - 1; s-- > 0;) {
        const ConvolutionTask &reader = task.stages[s + 1];
        const View &result = task.stages[s].destination;
        rows = source_rows(reader, rows, result.height);
        most_pixels = larger(most_pixels, rows * result.width);
        ChainBuffer &buffer = plan.buffer[s];
        plan_panels<V>(task, s, panels_are_items, threads, buffer);
        buffer.rows = rows;
        // Pixels 2048 bytes apart fall into the same set of the first-level cache.
        const std::int64_t pixel_bytes = buffer.channels * size;
        buffer.pixel_stride = (pixel_bytes % 2048 == 0 ? pixel_bytes + 64 : pixel_bytes) / size;
        buffer.row_stride = result.width * buffer.pixel_stride;
        buffer.panel_stride = plan.bands.count == 1 ? 0 : rows * buffer.row_stride;
        buffer.offset = bytes;
        const std::int64_t kept = buffer.panel_stride == 0 ? 1 : buffer.panels;
        bytes += whole_lines(static_cast<std::size_t>(kept * rows * buffer.row_stride * size));
    }
    plan.panel_items = panels_are_items ? plan.buffer[0].panels : 1;
    plan.tiles = bytes;
    plan.scratch_bytes = bytes + whole_lines(static_cast<std::size_t>(most_pixels) * sizeof(PixelTile));
    return plan;
}

template <class V> Work chain_work(const ChainTask &task, int threads) {
    const ChainPlan plan = chain_plan<V>(task, threads);
    return {task.destination.batch * plan.bands.count * plan.panel_items, plan.scratch_bytes};
}

/// Some rows of an image.
template <class V, class AnyView>
inline AnyView rows_of(AnyView view, std::int64_t image, const Range &rows) {
    view.data =
        element_at<V>(view.data, image * view.image_stride + rows.begin * view.row_stride, view.element);
    view.batch = 1;
    view.height = rows.size();
    return view;
}

/// A worker's way through the stages of one item.
template <class V> class ChainItem {
public:
    ChainItem(const ChainTask &task, const ChainPlan &plan, std::int64_t image, std::byte *scratch)
        : task_(task), plan_(plan), image_(image), scratch_(scratch),
          state_(*reinterpret_cast<ChainState *>(scratch)) {}

    /// Forgets what the stages have computed.
    void begin_anew() {
        for (std::int64_t s = 0; s < task_.count; ++s) state_.next_row[s] = 0;
    }

    /// Rows [rows) of the result; of several items for different channels, number `part`.
    void run(const Range &rows, std::int64_t part) {
        find_rows(rows);
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
    /// What each stage must compute for rows of the result, and has not computed for those above.
    void find_rows(Range rows) {
        for (std::int64_t s = task_.count; s-- > 0;) {
            first_row_[s] = rows.begin;
            rows_[s] = {larger(rows.begin, state_.next_row[s]), rows.end};
            state_.next_row[s] = larger(rows.end, state_.next_row[s]);
            rows = rows_read(task_.stages[s], rows_[s]);
        }
    }

    /// Whether a stage's rows are kept for the next band.
    bool is_ring(std::int64_t s) const {
        return s + 1 < task_.count && task_.stages[s + 1].packed->is_depthwise();
    }

    const ConstView *residual_of(std::int64_t s) const {
        return task_.has_residual[s] ? &task_.residuals[s] : nullptr;
    }

    static constexpr Element element = has_bfloat16<V> ? Element::bfloat16 : Element::float32;

    /// Where the element `offset` of a stage's rows lies.
    float *buffer_data(std::int64_t s, std::ptrdiff_t offset) const {
        auto *first = reinterpret_cast<typename V::element *>(scratch_ + plan_.buffer[s].offset);
        return reinterpret_cast<float *>(first + offset);
    }

    /// A stage's rows in memory, as many from `rows` on as follow each other there.
    View result_of(std::int64_t s, Range &rows) const {
        if (s + 1 == task_.count) return rows_of<V>(task_.destination, image_, rows);
        const ChainBuffer &buffer = plan_.buffer[s];
        View view = task_.stages[s].destination;
        view.batch = 1;
        view.row_stride = buffer.row_stride;
        view.pixel_stride = buffer.pixel_stride;
        view.image_stride = buffer.rows * buffer.row_stride;
        view.writable_channels = round_up_to_width<V>(view.channels);
        const std::int64_t at = is_ring(s) ? rows.begin % buffer.rows : rows.begin - first_row_[s];
        rows.end = smaller(rows.end, rows.begin + buffer.rows - at);
        view.data = buffer_data(s, at * buffer.row_stride);
        view.element = element;
        view.height = rows.size();
        return view;
    }

    /// A stage as a task of its own that computes `rows`, or the first of them that follow each other in
    /// memory: then it cuts off the others.
    struct Part {
        ConvolutionTask task;
        ConstView residual;
    };
    void make_part(std::int64_t s, Range &rows, Part &part) const {
        part.task = task_.stages[s];
        part.task.destination = result_of(s, rows);
        if (const ConstView *residual = residual_of(s)) {
            part.residual = rows_of<V>(*residual, image_, rows);
            part.task.epilogue.residual = &part.residual;
        }
        part.task.vertical.before -= rows.begin * part.task.vertical.stride;
        if (s == 0) {
            part.task.source = rows_of<V>(task_.source, image_, {0, task_.source.height});
        } else if (!part.task.packed->is_depthwise()) { // pointwise
            const ChainBuffer &buffer = plan_.buffer[s - 1];
            ConstView &source = part.task.source;
            source.data = buffer_data(s - 1, (rows.begin - first_row_[s - 1]) * buffer.row_stride);
            source.height = rows.size();
            source.row_stride = buffer.row_stride;
            source.pixel_stride = buffer.pixel_stride;
            part.task.vertical.before = 0;
        }
        if (!part.task.packed->is_depthwise()) part.task = gemm_task<V>(part.task);
    }

    void product(std::int64_t s) {
        for (Range left = rows_[s], rows = left; !left.empty(); left.begin = rows.end) {
            Part part;
            rows = left;
            make_part(s, rows, part);
            GemmPlan plan;
            plan_weights<V>(*part.task.packed, plan);
            plan_regions<V>(part.task, plan);
            plan_blocks<V>(part.task, 1, plan);
            for (std::int64_t item = 0; item < plan.pixel_blocks * plan.panel_blocks; ++item)
                run_item<V>(part.task, plan, item, scratch_ + plan_.tiles);
        }
    }

    void depthwise(std::int64_t s, const Range &chunks, const std::int64_t panel) {
        DepthwiseSource source;
        if (s == 0) {
            source.data =
                element_at<V>(task_.source.data, image_ * task_.source.image_stride, task_.source.element);
            source.row_stride = task_.source.row_stride;
            source.pixel_stride = task_.source.pixel_stride;
            source.ring = task_.source.height;
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
        for (Range left = rows_[s], rows = left; !left.empty(); left.begin = rows.end) {
            Part part;
            rows = left;
            make_part(s, rows, part);
            DepthwiseStrip strip;
            strip.task = &part.task;
            strip.source = &source;
            strip.chunks = chunks;
            strip.from_afar = s == 0 && source.height * source.row_stride > near_floats;
            depthwise_block<V>(strip, {0, rows.size()});
        }
    }

    /// A matrix product and the depthwise stage that reads it.
    void product_and_depthwise(std::int64_t s, const Range &panels) {
        Part parts[2];
        GemmPlan plans[2];
        PixelTile *tiles[2];
        int pieces = 0;
        auto *next = reinterpret_cast<PixelTile *>(scratch_ + plan_.tiles);
        for (Range left = rows_[s], rows = left; !left.empty(); left.begin = rows.end, ++pieces) {
            rows = left;
            Part &part = parts[pieces];
            GemmPlan &plan = plans[pieces];
            make_part(s, rows, part);
            plan_weights<V>(*part.task.packed, plan);
            plan_regions<V>(part.task, plan);
            tiles[pieces] = next;
            next += plan.tiles;
            prepare_tiles<V>(part.task, plan, 0, {0, plan.tiles}, tiles[pieces], nullptr);
        }
        const ChainBuffer &buffer = plan_.buffer[s];
        const std::int64_t outputs = task_.stages[s].packed->outputs, all = panel_count<V>(outputs);
        for (std::int64_t q = panels.begin; q < panels.end; ++q) {
            const Range own = part_of(all, buffer.panels, q);
            const Range channels{panel_outputs<V>(outputs, own.begin).begin,
                                 panel_outputs<V>(outputs, own.end - 1).end};
            for (int i = 0; i < pieces; ++i) {
                const GemmPlan &plan = plans[i];
                const std::int64_t inputs = plan.tiles * plan.tile_rows * plan.depth;
                const std::int64_t blocks = clamped(divide_up(inputs, near_inputs), 1, plan.tiles);
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
    std::int64_t image_;
    std::byte *scratch_;
    ChainState &state_;
    Range rows_[ChainTask::most_stages];             ///< that each stage computes
    std::int64_t first_row_[ChainTask::most_stages]; ///< of those that the next stage needs
};

template <class V>
void chain_run(const ChainTask &task, int threads, std::int64_t begin, std::int64_t end, std::byte *scratch) {
    const ChainPlan plan = chain_plan<V>(task, threads);
    auto &state = *reinterpret_cast<ChainState *>(scratch);
    const ChainBands &bands = plan.bands;
    for (std::int64_t index = begin; index < end; ++index) {
        const std::int64_t rest = index / plan.panel_items, band = rest % bands.count;
        ChainItem<V> item(task, plan, rest / bands.count, scratch);
        if (band == 0 || state.run != task.run || state.next_item != index) item.begin_anew();
        state.run = task.run;
        state.next_item = index + 1;
        const Range own = part_of(bands.units, bands.count, band);
        item.run({own.begin * bands.unit, smaller(own.end * bands.unit, task.destination.height)},
                 index % plan.panel_items);
    }
}

} // namespace
} // namespace mpscnn::cpu
