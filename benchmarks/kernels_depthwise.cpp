// Depthwise layers of the MobileNets and a few larger windows, one at a time on one thread: time, memory
// traffic (source read once, destination written once) and the share of the FMA peak. Taps in the padding
// count as operations, too.
//
//     kernels_depthwise [--set baseline|avx2|avx512|neon] [--milliseconds N] [NAME...]
//
// NAME selects layers whose name contains it. Times are the minima of all runs within --milliseconds. Source
// and destination are in the caches if they fit.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "cpu/isa/kernels.h"
#include "peak.h"

using namespace benchmark;
using namespace mpscnn;
using namespace mpscnn::cpu;

namespace {

struct Layer {
    std::int64_t size, channels; ///< rows (and columns) and channels of the source
    std::int64_t kernel = 3, stride = 1, dilation = 1, multiplier = 1;

    std::string name() const {
        return std::to_string(size) + "x" + std::to_string(channels) + " k" + std::to_string(kernel) + " s" +
               std::to_string(stride) + (dilation > 1 ? " d" + std::to_string(dilation) : "") +
               (multiplier > 1 ? " m" + std::to_string(multiplier) : "");
    }
};

const Layer layers[] = {
    {112, 32},       {56, 128},       {28, 256},          {14, 512},
    {7, 1024},       {56, 144},       {28, 192},          {14, 384},
    {14, 576},       {7, 960},        {112, 64, 3, 2},    {56, 128, 3, 2},
    {28, 256, 3, 2}, {14, 512, 3, 2}, {112, 96, 3, 2},    {56, 144, 3, 2},
    {28, 192, 3, 2}, {14, 576, 3, 2}, {28, 240, 5, 1},    {14, 672, 5, 1},
    {56, 144, 5, 2}, {14, 672, 5, 2}, {33, 960, 3, 1, 2}, {65, 256, 3, 1, 4},
    {14, 256, 7, 1}, {112, 12},       {56, 20},           {28, 64, 3, 1, 1, 2},
};

/// Return the pixel pitch that the engine uses for its tensors: whole cache lines, but no multiple of 2048
/// bytes.
std::int64_t pitch_of(std::int64_t channels) {
    const std::int64_t pitch = (channels + 15) / 16 * 16;
    return pitch % 512 == 0 ? pitch + 16 : pitch;
}

View view_of(AlignedBuffer<float> &floats, std::int64_t size, std::int64_t channels) {
    const std::int64_t pitch = pitch_of(channels);
    floats = AlignedBuffer<float>(static_cast<std::size_t>(size * size * pitch));
    std::fill_n(floats.data(), floats.size(), 0.5f);
    View view{.data = floats.data(), .height = size, .width = size, .channels = channels};
    view.image_stride = size * size * pitch;
    view.row_stride = size * pitch;
    view.pixel_stride = view.writable_channels = pitch;
    return view;
}

double measure(const KernelTable &table, const ConvolutionTask &task, double limit) {
    const ReadyConvolution ready(table, task, 1);
    AlignedBuffer<std::byte> scratch(ready.scratch_bytes());
    double best = 1e9;
    const auto begin = Clock::now();
    do {
        best = std::min(best, seconds_of([&] { ready.run(0, ready.items(), scratch.data()); }));
    } while (seconds_since(begin) < limit);
    return best;
}

void report(const KernelTable &table, const Layer &layer, double limit, double peak) {
    const std::int64_t outputs = layer.channels * layer.multiplier;
    const std::int64_t size = (layer.size + layer.stride - 1) / layer.stride;
    const std::int64_t reach = (layer.kernel - 1) * layer.dilation + 1;
    const WindowAxis axis{layer.kernel, layer.stride, layer.dilation,
                          std::max<std::int64_t>((size - 1) * layer.stride + reach - layer.size, 0) / 2};
    const std::vector<float> weights(static_cast<std::size_t>(outputs * layer.kernel * layer.kernel), 0.01f);
    WeightMemory memory(0);
    const PackedConvolution packed = table.pack_convolution(memory, weights.data(), nullptr,
                                                            {.outputs = outputs,
                                                             .groups = layer.channels,
                                                             .kernel_height = layer.kernel,
                                                             .kernel_width = layer.kernel,
                                                             .algorithm = Algorithm::depthwise});
    AlignedBuffer<float> source, destination;
    ConvolutionTask task;
    task.source = view_of(source, layer.size, layer.channels);
    task.destination = view_of(destination, size, outputs);
    task.vertical = task.horizontal = axis;
    task.packed = &packed;
    task.epilogue.activation = {.kind = Activation::Kind::clamp, .low = 0, .high = 6};

    const double seconds = measure(table, task, limit);
    const auto elements = static_cast<double>(size * size * outputs);
    const double bytes = 4 * (elements + static_cast<double>(layer.size * layer.size * layer.channels));
    const double operations = 2.0 * elements * static_cast<double>(layer.kernel * layer.kernel);
    std::printf("%-20s %8.1f us %6.1f GB/s %5.1f%%\n", layer.name().c_str(), 1e6 * seconds,
                1e-9 * bytes / seconds, 100 * operations / seconds / peak);
}

} // namespace

int main(int argc, char **argv) {
    const KernelTable *table = &kernels();
    double limit = 0.1;
    std::vector<std::string> names;
    for (int i = 1; i < argc; ++i) {
        const std::string argument = argv[i];
        if (argument == "--set" && i + 1 < argc)
            table = &kernels(argv[++i]);
        else if (argument == "--milliseconds" && i + 1 < argc)
            limit = 1e-3 * std::atof(argv[++i]);
        else
            names.push_back(argument);
    }
    const double peak = fma_peak(*table);
    std::printf("%s, FMA peak %.1f GFLOP/s\n", table->name, 1e-9 * peak);
    for (const Layer &layer : layers) {
        const std::string name = layer.name();
        const auto selected = [&](const std::string &part) { return name.find(part) != std::string::npos; };
        if (names.empty() || std::any_of(names.begin(), names.end(), selected))
            report(*table, layer, limit, peak);
    }
}
