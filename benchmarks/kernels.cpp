// Convolution layers of MobileNet, one at a time, on one or more threads: time, GFLOP/s and the share of the
// FMA peak that this processor reaches in registers.
//
//     kernels [--threads N] [--set baseline|avx2|avx512|neon] [--milliseconds N] [NAME...]
//
// NAME selects layers whose name contains it. Times are the minima of all runs within --milliseconds.

#include "cpu/isa/kernels.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "cpu/machine/thread_pool.h"
#include "peak.h"

using namespace benchmark;
using namespace mpscnn;
using namespace mpscnn::cpu;

namespace {

struct Layer {
    const char *network, *kind;
    std::int64_t size, inputs, outputs, kernel = 1, stride = 1, groups = 1;
};

// Each size is the number of rows and columns of the output. With stride 2, the source has twice as many.
const Layer layers[] = {
    {"v1", "first", 112, 3, 32, 3, 2},
    {"v1", "pointwise", 112, 32, 64},
    {"v1", "pointwise", 56, 64, 128},
    {"v1", "pointwise", 56, 128, 128},
    {"v1", "pointwise", 28, 128, 256},
    {"v1", "pointwise", 28, 256, 256},
    {"v1", "pointwise", 14, 256, 512},
    {"v1", "pointwise", 14, 512, 512},
    {"v1", "pointwise", 7, 512, 1024},
    {"v1", "pointwise", 7, 1024, 1024},
    {"v1", "dense", 1, 1024, 1001},
    {"v1", "depthwise", 112, 32, 32, 3, 1, 32},
    {"v1", "depthwise", 56, 64, 64, 3, 2, 64},
    {"v1", "depthwise", 56, 128, 128, 3, 1, 128},
    {"v1", "depthwise", 28, 128, 128, 3, 2, 128},
    {"v1", "depthwise", 28, 256, 256, 3, 1, 256},
    {"v1", "depthwise", 14, 512, 512, 3, 1, 512},
    {"v1", "depthwise", 7, 1024, 1024, 3, 1, 1024},
    {"v2", "pointwise", 112, 32, 16},
    {"v2", "pointwise", 112, 16, 96},
    {"v2", "pointwise", 56, 96, 24},
    {"v2", "pointwise", 56, 24, 144},
    {"v2", "pointwise", 56, 144, 24},
    {"v2", "pointwise", 28, 144, 32},
    {"v2", "pointwise", 28, 32, 192},
    {"v2", "pointwise", 28, 192, 32},
    {"v2", "pointwise", 14, 192, 64},
    {"v2", "pointwise", 14, 64, 384},
    {"v2", "pointwise", 14, 384, 64},
    {"v2", "pointwise", 14, 384, 96},
    {"v2", "pointwise", 14, 96, 576},
    {"v2", "pointwise", 14, 576, 96},
    {"v2", "pointwise", 7, 576, 160},
    {"v2", "pointwise", 7, 160, 960},
    {"v2", "pointwise", 7, 960, 160},
    {"v2", "pointwise", 7, 960, 320},
    {"v2", "pointwise", 7, 320, 1280},
    {"v2", "dense", 1, 1280, 1001},
};

struct Measurement {
    double seconds, operations, peak; ///< peak: operations per second
};

View view_of(std::vector<float> &floats, std::int64_t size, std::int64_t channels) {
    floats.assign(static_cast<std::size_t>(size * size * channels + 16), 0.5f);
    const auto row = static_cast<std::ptrdiff_t>(size * channels);
    return {.data = floats.data(),
            .height = size,
            .width = size,
            .channels = channels,
            .image_stride = row * size,
            .row_stride = row,
            .pixel_stride = channels,
            .writable_channels = channels};
}

Measurement measure(const KernelTable &table, ThreadPool &pool, const Layer &layer, double seconds) {
    const std::int64_t depth = layer.kernel * layer.kernel * layer.inputs / layer.groups;
    const std::vector<float> weights(static_cast<std::size_t>(depth * layer.outputs), 0.01f);
    WeightMemory memory(0);
    const bool is_depthwise = layer.groups > 1;
    const PackedConvolution packed =
        table.pack_convolution(memory, weights.data(), nullptr,
                               {.outputs = layer.outputs,
                                .inputs_per_group = layer.inputs / layer.groups,
                                .groups = layer.groups,
                                .kernel_height = layer.kernel,
                                .kernel_width = layer.kernel,
                                .algorithm = is_depthwise ? Algorithm::depthwise : Algorithm::gemm});
    std::vector<float> source, destination;
    const WindowAxis axis{
        .kernel = layer.kernel, .stride = layer.stride, .before = layer.stride == 1 ? layer.kernel / 2 : 0};
    const ConvolutionTask task{
        .source = view_of(source, layer.size * layer.stride, layer.inputs),
        .destination = view_of(destination, layer.size, layer.outputs),
        .vertical = axis,
        .horizontal = axis,
        .packed = &packed,
        .epilogue = {.activation = {.kind = Activation::Kind::clamp, .low = 0.0f, .high = 6.0f}}};
    const ReadyConvolution ready(table, task, pool.threads());
    std::vector<AlignedBuffer<std::byte>> scratch;
    for (int i = 0; i < pool.threads(); ++i) scratch.emplace_back(ready.scratch_bytes());
    double best = 1e9, best_peak = 1e9;
    const auto start = Clock::now();
    do {
        best = std::min(best, seconds_of([&] {
                            pool.run(ready.items(), [&](int worker, std::int64_t first, std::int64_t last) {
                                ready.run(first, last, scratch[static_cast<std::size_t>(worker)].data());
                            });
                        }));
        // Measure the peak between the runs, because the clock rate changes with temperature and with the
        // load of other processes.
        best_peak = std::min(best_peak, seconds_of([&] { run_peak_loop(table); }));
    } while (seconds_since(start) < seconds);
    return {best, 2.0 * static_cast<double>(layer.size * layer.size * layer.outputs * depth),
            peak_operations(table) / best_peak * pool.threads()};
}

std::string name_of(const Layer &layer) {
    return std::string(layer.network) + " " + layer.kind + " " + std::to_string(layer.size) + " x " +
           std::to_string(layer.size) + " x " + std::to_string(layer.inputs) + " -> " +
           std::to_string(layer.outputs) + (layer.stride > 1 ? " / " + std::to_string(layer.stride) : "");
}

bool selected(const std::string &name, const std::vector<std::string> &parts) {
    return parts.empty() || std::any_of(parts.begin(), parts.end(), [&](const std::string &part) {
               return name.find(part) != std::string::npos;
           });
}

} // namespace

int main(int count, char **arguments) {
    int threads = 1;
    double seconds = 0.2;
    const KernelTable *table = &kernels();
    std::vector<std::string> parts;
    for (int i = 1; i < count; ++i) {
        const std::string argument = arguments[i];
        if (argument == "--threads" && i + 1 < count)
            threads = std::atoi(arguments[++i]);
        else if (argument == "--set" && i + 1 < count)
            table = &kernels(arguments[++i]);
        else if (argument == "--milliseconds" && i + 1 < count)
            seconds = std::atof(arguments[++i]) / 1000;
        else
            parts.push_back(argument);
    }
    ThreadPool pool(threads);
    std::printf("%s, %d thread(s)\n", table->name, threads);
    double total = 0, ideal = 0;
    for (const Layer &layer : layers) {
        const std::string name = name_of(layer);
        if (!selected(name, parts)) continue;
        const Measurement m = measure(*table, pool, layer, seconds);
        std::printf("%-34s %8.1f us %7.1f GFLOP/s %5.1f %% of %.1f\n", name.c_str(), m.seconds * 1e6,
                    m.operations / m.seconds * 1e-9, 100 * m.operations / m.seconds / m.peak, m.peak * 1e-9);
        total += m.seconds;
        ideal += m.operations / m.peak;
    }
    std::printf("%-34s %8.1f us %26.1f %%\n", "together", total * 1e6, 100 * ideal / total);
}
