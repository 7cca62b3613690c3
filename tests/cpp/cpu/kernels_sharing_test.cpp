// Tests how evenly threads share a matrix product if each computes one contiguous part of the items.

#include "cpu/isa/kernels.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cpu/isa/kernel_math.h"
#include "tests/cpp/check.h"
#include "tests/cpp/kernel_memory.h"

using namespace kernel_test;

namespace {

/// A pointwise convolution of an image without gaps.
struct Product {
    std::vector<float> source, destination;
    PackedConvolution packed;
    ConvolutionTask task;

    Product(const KernelTable &table, std::int64_t size, std::int64_t inputs, std::int64_t outputs,
            bool cached)
        : source(static_cast<std::size_t>(size * size * inputs), 1.0f),
          destination(static_cast<std::size_t>(size * size * outputs)) {
        const std::vector<float> weights(static_cast<std::size_t>(inputs * outputs), 1.0f);
        WeightMemory memory(0);
        packed = table.pack_convolution(memory, weights.data(), nullptr,
                                        plain_convolution(table, {outputs, 1, 1, inputs}, 1));
        packed.cached = cached;
        const auto place = [&](auto view, std::int64_t channels) {
            view.batch = 1, view.height = view.width = size, view.channels = channels;
            view.pixel_stride = channels, view.row_stride = size * channels;
            view.image_stride = size * view.row_stride;
            return view;
        };
        ConstView from;
        from.data = source.data();
        View to;
        to.data = destination.data(), to.writable_channels = outputs;
        task.source = place(from, inputs), task.destination = place(to, outputs);
        task.packed = &packed;
    }
};

/// Return the results that the busiest thread computes, as a multiple of an even share.
double busiest_share(Product &product, const Kernel<ConvolutionTask> &kernel, int threads) {
    PlanMemory memory;
    const Prepared work =
        prepare(kernel, product.task, {.threads = threads, .caches = {}, .memory = &memory});
    AlignedBuffer<std::byte> scratch(work.scratch_bytes);
    std::int64_t maximum = 0;
    for (int thread = 0; thread < threads; ++thread) {
        std::fill(product.destination.begin(), product.destination.end(), guard);
        const std::int64_t begin = work.items * thread / threads, end = work.items * (thread + 1) / threads;
        Worker worker{scratch.data()};
        kernel.run(product.task, work, begin, end, worker);
        const auto left = std::count(product.destination.begin(), product.destination.end(), guard);
        maximum =
            std::max<std::int64_t>(maximum, static_cast<std::int64_t>(product.destination.size()) - left);
    }
    return static_cast<double>(maximum * threads) / static_cast<double>(product.destination.size());
}

/// Return the largest allowed share. It is little more than an even share, unless there are too few tiles and
/// panels to divide evenly. AVX-512 also has tiles with half as many pixels, which take 10% longer but may
/// make shares more even. NEON has few tiles and panels. If one of them takes little time, larger shares cost
/// less time than more items (thread_cuts.h).
double largest_share(const KernelTable &table, std::int64_t size, std::int64_t inputs, std::int64_t outputs,
                     int threads) {
    const std::int64_t width = table.vector_width;
    const bool neon = std::string_view(table.name) == "neon";
    const std::int64_t panel = (neon ? 3 : 2) * width,
                       panels = neon ? divide_up(outputs, panel) : outputs / panel;
    const auto evenly = [&](std::int64_t tile_pixels) { // from gemm_tile.h
        const auto parts = static_cast<double>(divide_up(size * size, tile_pixels) * panels);
        return std::ceil(parts / threads) * threads / parts;
    };
    if (neon) {
        constexpr std::int64_t item_time = 600, tile_pixels = 8, min_rows = 4;
        const std::int64_t rows = divide_up(size * size, divide_up(size * size, tile_pixels));
        const auto tile_time = static_cast<double>(inputs * std::max(rows, min_rows));
        return std::max(1.0 + item_time / tile_time, 1.15) * std::max(1.0, evenly(tile_pixels));
    }
    const double shared = width == 16  ? std::clamp(evenly(14), evenly(7), 1.1 * evenly(7))
                          : width == 8 ? evenly(6)
                                       : evenly(4);
    return 1.15 * std::max(1.0, shared);
}

} // namespace

TEST(threads_have_like_shares_of_a_matrix_product) {
    struct Layer {
        std::int64_t size, inputs, outputs;
    };
    for (const KernelTable *table : available_kernels())
        for (const Layer &layer : {Layer{7, 960, 160}, Layer{10, 576, 160}, Layer{10, 960, 160},
                                   Layer{10, 160, 960}, Layer{14, 576, 96}, Layer{14, 512, 512},
                                   Layer{7, 320, 1280}, Layer{1, 1024, 1001}, Layer{1, 1280, 1001}})
            for (const bool cached : {false, true})
                for (const int threads : {2, 3, 4, 6, 8, 16, 64}) {
                    Product product(*table, layer.size, layer.inputs, layer.outputs, cached);
                    const double share = busiest_share(product, table->kernel<ConvolutionTask>(), threads);
                    CHECK(share >= 1.0);
                    const double largest =
                        largest_share(*table, layer.size, layer.inputs, layer.outputs, threads);
                    if (share > largest)
                        std::printf("%s, %d threads, %d x %d pixels, %d to %d: %.3f instead of %.3f\n",
                                    table->name, threads, static_cast<int>(layer.size),
                                    static_cast<int>(layer.size), static_cast<int>(layer.inputs),
                                    static_cast<int>(layer.outputs), share, largest);
                    CHECK(share <= largest);
                }
}
