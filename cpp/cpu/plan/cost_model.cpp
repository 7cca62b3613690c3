#include "cpu/plan/cost_model.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/kernels/convolution/thread_cuts.h"
#include "cpu/plan/caches.h"

namespace mpscnn::cpu {

namespace {

// Constants of the model. Times are in microseconds, and rates are in bytes per microsecond. The constants
// were measured on a Zen 5 at 4.4 GHz with two 512-bit FMAs per cycle. The rates of the last-level cache and
// between threads were measured on a server with a mesh (Emerald Rapids), where they matter most. These
// constants do not make networks slower on a Zen 3.

/// The number of cycles in a microsecond, and the number of FMA instructions in a cycle.
constexpr double cycles = 4400, fmas = 2;
constexpr double last_level_rate = 40'000, l2_rate = 150'000, memory_rate = 38'000;
/// The rate at which a thread reads or overwrites data in another thread's cache.
constexpr double exchange_rate = 10'000;
/// Additional times: of a step, of a stage of a chain for each band, of a panel (of a matrix product and the
/// depthwise stage after it) for each band, and of a byte of a result that does not fit L2 (see kept()).
constexpr double step = 0.4, band_stage = 0.15, panel_pair = 0.13, kept_byte = 1e-5;
/// Return the time of a barrier after a step. It grows with the number of threads, because threads report one
/// after another.
double barrier(int threads) { return threads > 1 ? 0.2 + 0.05 * threads : 0; }
/// Return the time that threads wait for the last one at the end of a step, as a share of the time of one
/// work item. With more threads, it is more likely that one is late.
double late_share(int threads) { return std::clamp(0.025 * (threads - 2), 0.0, 0.2); }
/// The share of L2 that the data between the stages of a chain may use. Tensors that stream through take the
/// rest.
constexpr double kept_share = 2.0 / 3;
/// The share of arithmetic time that is lost if the cache keeps none of the data between stages. It is the
/// part of the transfers that arithmetic does not hide.
constexpr double lost_share = 0.02;
/// The factor by which data between stages may exceed L2. The excess comes from the last-level cache.
constexpr double overfull = 2;
/// The fixed cost of a register tile, as a number of inputs: starting and storing a tile takes as long as
/// multiplying this many inputs.
constexpr double tile_inputs = 4;
/// The shares of the FMA peak that kernels reach. A product with few outputs waits for its inputs. A
/// depthwise convolution loads more than it multiplies. Winograd stores transformed tiles. Steps that are not
/// convolutions do not use FMAs.
constexpr double single_vector = 0.85, depthwise_step = 0.68, depthwise_stride = 0.42, depthwise_any = 0.3,
                 winograd = 0.75, plain_operations = 0.25;

template <class AnyView> double row_bytes(const MachineModel &machine, const AnyView &view) {
    const std::int64_t pitch =
        view.channels < machine.vector_width ? view.channels : round_up(view.channels, machine.vector_width);
    return static_cast<double>(view.width * pitch * machine.element_bytes);
}
template <class AnyView> double bytes_of(const MachineModel &machine, const AnyView &view) {
    return static_cast<double>(view.batch * view.height) * row_bytes(machine, view);
}

/// The number of points of a transformed tile in convolution_winograd.h: 6 x 6 products of transformed inputs
/// and weights.
constexpr double winograd_points = 36;

/// Return the time of the arithmetic for `rows` rows of the result if all data is in L1.
double arithmetic(const MachineModel &machine, const ConvolutionTask &task, double rows) {
    const PackedConvolution &packed = *task.packed;
    const double taps = static_cast<double>(packed.kernel_height * packed.kernel_width);
    const std::int64_t width = machine.vector_width;
    const auto lanes = static_cast<double>(round_up(task.destination.channels, width));
    const double outputs = rows * static_cast<double>(task.destination.width) * lanes;
    if (packed.is_depthwise()) {
        const bool strips = packed.kernel_height == packed.kernel_width &&
                            (packed.kernel_height == 3 || packed.kernel_height == 5);
        const double part = !strips                       ? depthwise_any
                            : task.horizontal.stride == 1 ? depthwise_step
                                                          : depthwise_stride;
        return 2 * taps * outputs / (machine.operations * part);
    }
    if (packed.algorithm == Algorithm::winograd) {
        const double tile = packed.kernel_height == 3 ? 16 : 4; // outputs
        const double depth = winograd_points / tile * static_cast<double>(packed.inputs_per_group);
        return 2 * depth * outputs / (machine.operations * winograd);
    }
    const double depth = taps * static_cast<double>(packed.inputs_per_group);
    double part = depth / (depth + tile_inputs);
    if (packed.outputs / packed.groups <= width) part *= single_vector;
    return 2 * depth * outputs / (machine.operations * part);
}

/// Combine the times of arithmetic and transfers, which overlap, but not completely.
double together(double arithmetic_time, double transfer_time) {
    return std::hypot(arithmetic_time, transfer_time);
}

/// Return the time for all threads together to transfer data that does not fit L2.
double last_level_transfer(const MachineModel &machine, double bytes) {
    if (bytes <= static_cast<double>(machine.last_level_bytes))
        return bytes / (machine.last_level_rate * machine.threads);
    return bytes / machine.memory_rate;
}

/// Return the time for all threads together to transfer the tensors of a step.
double transfer(const MachineModel &machine, double bytes) {
    if (bytes <= static_cast<double>(machine.l2_bytes)) return bytes / (machine.l2_rate * machine.threads);
    return last_level_transfer(machine, bytes);
}

/// Return the time to exchange data between threads that each compute some channels of a result. Each thread
/// reads the whole source, most of which other threads have computed. The next step reads whole pixels, most
/// of whose channels other threads have computed.
double exchange(const MachineModel &machine, const ConstView &source, const View &result) {
    const double others = static_cast<double>(machine.threads - 1) / machine.threads;
    const double bytes = bytes_of(machine, source) + 2 * bytes_of(machine, result) / machine.threads;
    return others * bytes / exchange_rate;
}

double weight_bytes(const ConvolutionTask &task) {
    const PackedConvolution &packed = *task.packed;
    const std::int64_t inputs = packed.is_depthwise() ? 1 : packed.inputs_per_group;
    const double taps = packed.algorithm == Algorithm::winograd
                            ? winograd_points
                            : static_cast<double>(packed.kernel_height * packed.kernel_width);
    const double bytes = packed.half_weights ? 2 : sizeof(float);
    return taps * static_cast<double>(inputs * packed.outputs) * bytes;
}

/// Return the time to read a convolution's weights from memory. They are not in the caches, because other
/// layers have displaced them.
double fetched_weights(const MachineModel &machine, const ConvolutionTask &task) {
    return weight_bytes(task) / machine.memory_rate;
}

/// Return the additional time for each thread to read all weights, compared with threads that each compute
/// only some output channels.
double weights_of_others(const MachineModel &machine, const ConvolutionTask &task) {
    const double others = static_cast<double>(machine.threads - 1) / machine.threads;
    return others * weight_bytes(task) / (exchange_rate * static_cast<double>(weights_at_once(*task.packed)));
}

/// True if threads divide the result's pixels among them.
bool shares_pixels(const ConvolutionTask &task) {
    const View &to = task.destination;
    return task.packed->is_depthwise() || cuts_pixels(*task.packed, to.batch * to.height * to.width);
}

/// Return the time that a large result costs outside of this step: page faults in the first run, and data of
/// other steps that it displaces from the caches.
double kept(const MachineModel &machine, const View &result) {
    const double bytes = bytes_of(machine, result);
    return bytes > static_cast<double>(machine.l2_bytes) ? bytes * kept_byte : 0;
}

/// Return the number of panels (sets of output channels) in which a matrix product before a depthwise
/// convolution is computed. `are_items`: each panel is a work item.
std::int64_t panels_of(const MachineModel &machine, const ConvolutionTask &product, const ChainCut &cut,
                       bool are_items) {
    if (cut.panel_channels == 0) return 1;
    const std::int64_t outputs = product.packed->outputs, panels = divide_up(outputs, cut.panel_channels);
    return are_items ? panel_items(panels, divide_up(outputs, machine.vector_width), machine.threads)
                     : panels;
}

/// Return the time of the thread with the most work divided by the average time. Threads take whole work
/// items, and with several bands whole units of rows.
double imbalance(const ChainBands &bands, std::int64_t height, std::int64_t items, std::int64_t threads) {
    const double of_items = static_cast<double>(round_up(items, threads)) / static_cast<double>(items);
    if (bands.count == 1) return of_items;
    const std::int64_t max_rows = divide_up(bands.units, threads) * bands.unit;
    return std::max(of_items, static_cast<double>(max_rows * threads) / static_cast<double>(height));
}

} // namespace

MachineModel machine_model(const KernelTable &kernels, int threads, Element element) {
    MachineModel machine;
    const CacheSizes caches = machine_caches();
    machine.l2_bytes = usable_l2_bytes(caches);
    machine.last_level_bytes = usable_last_level_bytes(caches);
    machine.vector_width = kernels.vector_width;
    machine.element_bytes = size_of(element);
    machine.operations = 2 * cycles * fmas * static_cast<double>(kernels.vector_width);
    if (!kernels.has_fma) machine.operations /= 2;
    machine.l2_rate = l2_rate;
    machine.last_level_rate = last_level_rate;
    machine.memory_rate = memory_rate;
    machine.threads = threads;
    return machine;
}

double predicted_alone(const MachineModel &machine, const ConvolutionTask &task) {
    const View &result = task.destination;
    const double work =
        arithmetic(machine, task, static_cast<double>(result.batch * result.height)) / machine.threads;
    double bytes = bytes_of(machine, task.source) + bytes_of(machine, result);
    if (task.epilogue.residual) bytes += bytes_of(machine, result);
    const double moved = transfer(machine, bytes) + fetched_weights(machine, task);
    double time = together(work, moved) + kept(machine, result) + step;
    time += barrier(machine.threads);
    if (machine.threads > 1)
        time +=
            shares_pixels(task) ? weights_of_others(machine, task) : exchange(machine, task.source, result);
    return time;
}

double predicted_chain(const MachineModel &machine, std::span<const ConvolutionTask> stages,
                       const ChainCut &cut) {
    const View &result = stages.back().destination;
    const std::int64_t batch = result.batch, threads = machine.threads;
    const ChainBands cut_bands = chain_bands(stages.data(), static_cast<std::int64_t>(stages.size()),
                                             result.height, cut.band_rows, machine.threads);
    const std::int64_t bands = cut_bands.count;
    const bool by_panels = bands == 1 && stages.size() == 2 && cut.panel_channels > 0;
    const std::int64_t items = batch * bands * (by_panels ? panels_of(machine, stages[0], cut, true) : 1);
    const double balance = imbalance(cut_bands, result.height, items, threads);

    // Go backwards through the stages. `rows` are the rows of each stage that one band needs. `again` are the
    // rows that two threads both compute at a border between them.
    std::int64_t rows = std::min(cut_bands.max_rows(), result.height);
    double again = 0, scratch = 0, between = 0, time = 0;
    for (std::size_t s = stages.size(); s-- > 0;) {
        const ConvolutionTask &stage = stages[s];
        const View &own = stage.destination;
        const double borders = by_panels ? 0 : static_cast<double>(std::min(threads, items) - 1);
        const double all = static_cast<double>(own.batch * own.height) + borders * again;
        time += arithmetic(machine, stage, std::min(all, static_cast<double>(own.batch * own.height) * 2));
        time += static_cast<double>(batch * bands) * band_stage;
        if (s == 0) break;
        const ConvolutionTask &before = stages[s - 1];
        const auto stride = static_cast<double>(stage.vertical.stride),
                   window = static_cast<double>(window_rows(stage));
        again = again * stride + std::max(0.0, window - stride);
        rows = source_rows(stage, rows, before.destination.height);
        double panels = 1;
        if (stage.packed->is_depthwise() && !before.packed->is_depthwise())
            panels = static_cast<double>(panels_of(machine, before, cut, by_panels));
        if (panels > 1) time += static_cast<double>(batch * bands) * panels * panel_pair;
        const double bytes =
            static_cast<double>(rows) * row_bytes(machine, before.destination) / (bands == 1 ? panels : 1);
        scratch += bytes;
        // A depthwise stage does not wait for its source if panels keep it in L1.
        const double moved = 2 * bytes_of(machine, before.destination);
        if (panels == 1) time += moved / l2_rate / 2;
        between += moved;
    }
    double bytes = bytes_of(machine, stages.front().source) + bytes_of(machine, result);
    for (const ConvolutionTask &stage : stages)
        if (stage.epilogue.residual) bytes += bytes_of(machine, stage.destination);
    const double full = scratch / static_cast<double>(machine.l2_bytes);
    if (full > overfull) return std::numeric_limits<double>::infinity();
    const double lost = std::max(0.0, 1 - kept_share / full); // the share of data between stages that is lost
    time *= 1 + lost_share * lost;
    double fetched = lost * between / (machine.last_level_rate * static_cast<double>(threads));
    for (const ConvolutionTask &stage : stages) fetched += fetched_weights(machine, stage);
    time = together(time * balance / static_cast<double>(threads), transfer(machine, bytes) + fetched) +
           kept(machine, result) + step;
    if (threads == 1) return time;
    const double item_time = time / static_cast<double>(divide_up(items, threads));
    time += barrier(machine.threads) + late_share(machine.threads) * item_time;
    if (by_panels) return time + exchange(machine, stages.front().source, result);
    for (const ConvolutionTask &stage : stages) time += weights_of_others(machine, stage);
    return time;
}

double predicted_plain(const MachineModel &machine, double bytes, double operations) {
    const double work = operations / (machine.operations * plain_operations * machine.threads);
    return together(work, last_level_transfer(machine, bytes)) + step + barrier(machine.threads);
}

std::vector<ChainPrediction> best_chains(const MachineModel &machine,
                                         std::span<const ConvolutionTask> stages) {
    std::int64_t unit = 1; // strips of depthwise convolutions are two rows high
    bool pairs = false;    // a matrix product with a depthwise convolution after it
    for (std::size_t s = 0; s < stages.size(); ++s) {
        if (!stages[s].packed->is_depthwise()) continue;
        unit = 2 * stages[s].vertical.dilation;
        pairs = pairs || (s > 0 && !stages[s - 1].packed->is_depthwise());
    }
    std::vector<ChainPrediction> best;
    const std::int64_t height = stages.back().destination.height;
    for (const std::int64_t channels : {0, 64, 128}) {
        ChainPrediction own{std::numeric_limits<double>::infinity(), {}};
        for (const std::int64_t units : {0, 1, 2, 3, 4, 6, 8}) {
            if (units * unit >= height) break;
            const ChainCut cut{units * unit, channels};
            const double time = predicted_chain(machine, stages, cut);
            if (time < own.time) own = {time, cut};
        }
        if (std::isfinite(own.time)) best.push_back(own);
        if (!pairs) break;
    }
    return best;
}

ChainPrediction best_chain(const MachineModel &machine, std::span<const ConvolutionTask> stages) {
    ChainPrediction best{std::numeric_limits<double>::infinity(), {}};
    for (const ChainPrediction &chain : best_chains(machine, stages))
        if (chain.time < best.time) best = chain;
    return best;
}

} // namespace mpscnn::cpu
