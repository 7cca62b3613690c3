#pragma once

// A dense convolution and the pooling of its result, as one kernel. The convolution's result stays in the
// worker's L2, and threads do not exchange it.
//
// The result of an image is divided into bands of rows that fit the cache. It is also divided into blocks of
// channels if this divides the work more evenly among threads. A work item is a band and a block of an image.
// The inner kernels are the same as for the two separate operations, so the results have the same bits.

#include "cpu/kernels/convolution/convolution_gemm.h"

namespace mpscnn::cpu {
namespace {

/// The rows of a band in the pooling's and in the convolution's result.
struct PooledBand {
    Range pooled, convolved;
};

struct PooledPlan {
    std::int64_t band_rows, bands;
    std::int64_t panel_blocks;
    std::ptrdiff_t pixel_stride;           ///< stride of the convolution's result in scratch memory
    std::size_t result_bytes, inner_bytes; ///< bytes of scratch memory
    /// Plans of the first band, of all bands in the middle, and of the last. Windows at borders have fewer
    /// taps.
    enum { first, between, last, kinds };
    const GemmPlan *product[kinds];
    Prepared *pooling[kinds]; ///< for each block of channels

    std::int64_t kind_of(std::int64_t band) const {
        return band == 0 ? first : band + 1 < bands ? between : last;
    }
};

inline std::size_t larger_size(std::size_t a, std::size_t b) { return a < b ? b : a; }

inline PooledBand pooled_band(const PooledConvolutionTask &task, const PooledPlan &plan, std::int64_t index) {
    const Range rows{index * plan.band_rows, min((index + 1) * plan.band_rows, task.destination.height)};
    const std::int64_t begin = window_begin(task.pooling.vertical, rows.begin);
    const std::int64_t end = window_end(task.pooling.vertical, rows.end - 1);
    return {rows, {max(begin, 0), min(end, task.convolution.destination.height)}};
}

/// Return the convolution of the rows of a band of image 0. In the middle, bands only differ in the source's
/// address.
inline ConvolutionTask band_convolution(const PooledConvolutionTask &task, const PooledPlan &plan,
                                        const Range &rows, float *result) {
    ConvolutionTask own = task.convolution;
    const WindowAxis &axis = own.vertical;
    const std::int64_t begin = window_begin(axis, rows.begin);
    const std::int64_t end = window_end(axis, rows.end - 1);
    const Range read{clamped(begin, 0, task.source.height), clamped(end, 0, task.source.height)};
    own.source = task.source;
    own.source.data += read.begin * task.source.row_stride;
    own.source.batch = 1;
    own.source.height = read.size();
    own.vertical.before = read.begin - begin;

    View &to = own.destination;
    to.data = result;
    to.batch = 1;
    to.height = rows.size();
    to.pixel_stride = plan.pixel_stride;
    to.row_stride = to.width * plan.pixel_stride;
    to.image_stride = to.height * to.row_stride;
    to.writable_channels = plan.pixel_stride;
    return own;
}

/// Return the pooling of a band of image 0, for some channels.
inline PoolingTask band_pooling(const PooledConvolutionTask &task, const PooledBand &band, ConstView source,
                                const Range &channels) {
    PoolingTask own = task.pooling;
    own.source = source;
    own.source.data += channels.begin;
    own.source.channels = own.source.readable_channels = channels.size();
    View &to = own.destination;
    to = task.destination;
    to.data += band.pooled.begin * to.row_stride + channels.begin;
    to.batch = 1;
    to.height = band.pooled.size();
    // Do not write the channels after these, because they may belong to another item.
    to.writable_channels =
        channels.end == to.channels ? to.writable_channels - channels.begin : channels.size();
    to.channels = channels.size();
    own.vertical.before = band.convolved.begin - window_begin(own.vertical, band.pooled.begin);
    return own;
}

/// Return true if windows of the bands in the middle might reach beyond the border, so that these bands
/// differ.
inline bool bands_between_differ(const PooledConvolutionTask &task, const PooledPlan &plan) {
    if (plan.bands <= 2) return false;
    const WindowAxis &axis = task.convolution.vertical;
    const std::int64_t top = pooled_band(task, plan, 1).convolved.begin;
    const std::int64_t bottom = pooled_band(task, plan, plan.bands - 2).convolved.end - 1;
    return window_begin(axis, top) < 0 ||
           window_begin(axis, bottom) + (axis.kernel - 1) * axis.dilation >= task.source.height;
}

/// Choose the number of bands and of blocks of channels.
template <class V>
inline void cut_pooled(const PooledConvolutionTask &task, const Planning &planning, PooledPlan &plan) {
    constexpr std::int64_t min_operations = 400'000;
    const int threads = planning.threads;
    const std::int64_t l2_floats = planning.caches.second / 2 / static_cast<std::int64_t>(sizeof(float));
    const View &result = task.convolution.destination;
    const std::int64_t rows = task.destination.height, panels = panel_count<V>(result.channels);
    const std::int64_t operations = task.destination.batch * result.height * result.width * result.channels *
                                    task.convolution.packed->weights_per_output();
    plan.bands = clamped(divide_up(result.height * result.width * plan.pixel_stride, l2_floats), 1, rows);
    plan.panel_blocks = 1;
    if (threads > 1 && operations >= min_operations && task.destination.batch < 4 * threads) {
        if (panels % threads == 0 || rows < threads)
            plan.panel_blocks = panel_items(threads, panels, threads);
        else // give each thread the same number of rows, if possible
            plan.bands = max(plan.bands,
                             rows % threads == 0 || rows >= 8 * threads ? threads : min(rows, 4 * threads));
    }
    plan.band_rows = divide_up(rows, plan.bands);
    plan.bands = divide_up(rows, plan.band_rows);
    if (!bands_between_differ(task, plan)) return;
    plan.band_rows = divide_up(rows, 2);
    plan.bands = divide_up(rows, plan.band_rows);
}

/// Return the channels of the panels [panels).
template <class V> inline Range channels_of(const GemmPlan &plan, const Range &panels) {
    return {panel_outputs<V>(plan.group_outputs, panels.begin).begin,
            panel_outputs<V>(plan.group_outputs, panels.end - 1).end};
}

/// Make the plans for band `index`. Return false if memory runs out.
template <class V>
inline bool prepare_band(const PooledConvolutionTask &task, const Planning &planning, std::int64_t index,
                         PooledPlan &plan) {
    const PooledBand band = pooled_band(task, plan, index);
    const ConvolutionTask own = band_convolution(task, plan, band.convolved, task.destination.data);
    GemmPlan *product = make_gemm_plan<V>(own, planning.alone());
    auto *pooling = planning.make<Prepared>(plan.panel_blocks);
    if (!product || !pooling) return false;
    product->panel_blocks = plan.panel_blocks;
    plan.product[plan.kind_of(index)] = product;
    plan.pooling[plan.kind_of(index)] = pooling;
    const auto result = static_cast<std::size_t>(own.destination.image_stride) * sizeof(float);
    plan.result_bytes = larger_size(plan.result_bytes, (result + 63) / 64 * 64);
    plan.inner_bytes = larger_size(plan.inner_bytes, product->scratch_bytes);
    for (std::int64_t block = 0; block < plan.panel_blocks; ++block) {
        const Range channels = channels_of<V>(*product, part_of(product->panels, plan.panel_blocks, block));
        pooling[block] =
            task.pool.prepare(band_pooling(task, band, own.destination, channels), planning.alone());
        plan.inner_bytes = larger_size(plan.inner_bytes, pooling[block].scratch_bytes);
    }
    return true;
}

template <class V>
Prepared pooled_convolution_prepare(const PooledConvolutionTask &task, const Planning &planning) {
    const std::int64_t pitch = round_up_to_width<V>(task.convolution.destination.channels);
    PooledPlan plan{};
    plan.pixel_stride = pitch % 512 == 0 ? pitch + 16 : pitch; // avoid pixels that compete for two sets of L1
    cut_pooled<V>(task, planning, plan);
    for (std::int64_t index = 0; index < plan.bands; ++index) {
        if (plan.kind_of(index) == PooledPlan::between && index > 1) continue; // has the plan of band 1
        if (!prepare_band<V>(task, planning, index, plan)) return {};
    }
    return planning.keep(plan, task.destination.batch * plan.bands * plan.panel_blocks,
                         plan.result_bytes + plan.inner_bytes);
}

template <class V>
inline void run_pooled_item(const PooledConvolutionTask &task, const PooledPlan &plan, std::int64_t item,
                            std::byte *scratch) {
    auto *result = reinterpret_cast<float *>(scratch);
    std::byte *inner = scratch + plan.result_bytes;
    const std::int64_t image = item % task.destination.batch, part = item / task.destination.batch;
    const std::int64_t block = part % plan.panel_blocks, number = part / plan.panel_blocks;
    const PooledBand band = pooled_band(task, plan, number);
    const GemmPlan &product = *plan.product[plan.kind_of(number)];
    const Range panels = part_of(product.panels, plan.panel_blocks, block);
    ConvolutionTask convolution = band_convolution(task, plan, band.convolved, result);
    convolution.source.data += image * task.source.image_stride;
    for (std::int64_t pixels = 0; pixels < product.pixel_blocks; ++pixels)
        run_item<V>(convolution, product, block * product.pixel_blocks + pixels, inner);
    PoolingTask pooling = band_pooling(task, band, convolution.destination, channels_of<V>(product, panels));
    pooling.destination.data += image * task.destination.image_stride;
    const Prepared &pooled = plan.pooling[plan.kind_of(number)][block];
    Worker pooler{inner};
    task.pool.run(pooling, pooled, 0, pooled.items, pooler);
}

template <class V>
void pooled_convolution_run(const PooledConvolutionTask &task, const Prepared &prepared, std::int64_t begin,
                            std::int64_t end, Worker &worker) {
    const auto &plan = prepared.plan_as<PooledPlan>();
    for (std::int64_t item = begin; item < end; ++item) run_pooled_item<V>(task, plan, item, worker.scratch);
}

} // namespace
} // namespace mpscnn::cpu
