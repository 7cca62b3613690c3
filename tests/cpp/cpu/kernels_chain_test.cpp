// A chain of convolutions must have the bits of its stages computed one after another, for all bands, panels
// and numbers of threads.

#include <memory>

#include "cpu/kernels/convolution/thread_cuts.h"
#include "tests/cpp/cpu/kernel_check.h"

using namespace kernel_test;

namespace {

/// One stage, with the objects that its task points to.
struct Stage {
    PackedConvolution packed;
    std::unique_ptr<RandomEpilogue> epilogue;
    ConvolutionTask task;
    Size size; ///< extents of the result
};

struct StageKind {
    bool depthwise;
    std::int64_t kernel, stride, dilation;
};

AlignedBuffer<float> random_floats(Random &random, std::int64_t count) {
    AlignedBuffer<float> floats(static_cast<std::size_t>(count));
    std::generate_n(floats.data(), floats.size(), [&] { return uniform(random); });
    return floats;
}

WindowAxis random_axis(Random &random, const StageKind &kind, std::int64_t extent) {
    const std::int64_t reach = (kind.kernel - 1) * kind.dilation;
    const std::int64_t before =
        kind.kernel == 1 ? 0 : pick(random, std::max<std::int64_t>(0, reach + 1 - extent), reach);
    return {kind.kernel, kind.stride, kind.dilation, before};
}

/// Return a random number of outputs along an axis. The last window ends at most (kernel - 1) * dilation
/// after the end of the source.
std::int64_t random_extent(Random &random, const WindowAxis &axis, std::int64_t extent) {
    if (axis.kernel == 1 && axis.stride == 1) return extent;
    const std::int64_t reach = (axis.kernel - 1) * axis.dilation;
    const std::int64_t after = axis.kernel == 1 ? 0 : pick(random, 0, reach);
    return std::max<std::int64_t>(1, (extent + axis.before + after - reach - 1) / axis.stride + 1);
}

Stage make_stage(Random &random, const KernelTable &table, const StageKind &kind, const Size &source) {
    Stage stage;
    ConvolutionTask &task = stage.task;
    task.vertical = random_axis(random, kind, source.height);
    task.horizontal = random_axis(random, kind, source.width);
    stage.size = source;
    stage.size.height = random_extent(random, task.vertical, source.height);
    stage.size.width = random_extent(random, task.horizontal, source.width);
    if (!kind.depthwise) stage.size.channels = pick(random, 1, random() % 3 ? 40 : 150);
    const std::int64_t outputs = stage.size.channels, inputs = kind.depthwise ? 1 : source.channels;
    const auto weights = random_floats(random, outputs * kind.kernel * kind.kernel * inputs);
    const auto bias = random_floats(random, outputs);
    WeightMemory memory(0);
    stage.packed = table.pack_convolution(
        memory, weights.data(), bias.data(),
        plain_convolution(table, {outputs, kind.kernel, kind.kernel, inputs}, kind.depthwise ? outputs : 1));
    stage.epilogue = std::make_unique<RandomEpilogue>(random, stage.size);
    task.epilogue = stage.epilogue->epilogue;
    task.source.height = source.height, task.source.width = source.width,
    task.source.channels = source.channels;
    task.destination.height = stage.size.height, task.destination.width = stage.size.width;
    task.destination.channels = stage.size.channels;
    return stage;
}

StageKind random_kind(Random &random, std::size_t position, bool after_depthwise) {
    const std::int64_t kernel = random() % 4 ? 3 : 5, stride = pick(random, 1, 2);
    const std::int64_t dilation = stride == 1 && random() % 3 == 0 ? 2 : 1;
    if (position == 0 && random() % 3 == 0) return {false, 3, stride, 1};
    if (!after_depthwise && random() % 4) return {true, kernel, stride, dilation};
    return {false, 1, 1, 1};
}

std::vector<StageKind> random_kinds(Random &random) {
    std::vector<StageKind> kinds;
    const std::size_t count = random() % 5 ? 2 + random() % 2 : 4 + random() % 5;
    while (kinds.size() < count)
        kinds.push_back(random_kind(random, kinds.size(), !kinds.empty() && kinds.back().depthwise));
    return kinds;
}

std::vector<Stage> random_stages(Random &random, const KernelTable &table, const Size &source,
                                 const std::vector<StageKind> &kinds) {
    std::vector<Stage> stages;
    Size size = source;
    for (StageKind kind : kinds) {
        if (size.channels == 1)
            // One channel with its own group does not count as depthwise.
            kind = {false, 1, 1, 1};
        stages.push_back(make_stage(random, table, kind, size));
        stages.back().task.packed = nullptr; // set later, when the vector no longer moves its stages
        size = stages.back().size;
    }
    for (Stage &stage : stages) stage.task.packed = &stage.packed;
    return stages;
}

/// Run the stages one by one, and return the last result.
Memory run_stages(Random &random, const KernelTable &table, const std::vector<Stage> &stages,
                  const Memory &source) {
    Memory last = source;
    for (const Stage &stage : stages) {
        Memory next(random, stage.size, guard);
        ConvolutionTask task = stage.task;
        task.source = last.view;
        task.destination = next.view;
        CHECK(run_items(random, task, table.kernel<ConvolutionTask>(), 1));
        last.floats = std::move(next.floats);
        last.view = next.view;
        last.view.data = last.floats.data() + margin;
    }
    return last;
}

/// Run items in order, like a single thread, so that each one finds the scratch memory of the item before it.
bool run_in_order(const ChainTask &task, const Kernel<ChainTask> &kernel, int threads) {
    PlanMemory memory;
    const Prepared work = prepare(kernel, task, {.threads = threads, .caches = {}, .memory = &memory});
    AlignedBuffer<std::byte> scratch(work.scratch_bytes);
    std::fill_n(scratch.data(), scratch.size(), std::byte{0xff});
    Worker worker{scratch.data()};
    for (std::int64_t item = 0; item < work.items; ++item) kernel.run(task, work, item, item + 1, worker);
    return true;
}

/// Return the largest number of rows of a thread, if each thread gets one contiguous part of the items.
std::int64_t max_rows_of_a_thread(const ChainBands &bands, std::int64_t height, std::int64_t threads) {
    std::int64_t maximum = 0;
    for (std::int64_t thread = 0; thread < threads; ++thread) {
        const Range own = part_of(bands.count, threads, thread);
        if (own.empty()) continue;
        const std::int64_t begin = part_of(bands.units, bands.count, own.begin).begin * bands.unit;
        const std::int64_t end = part_of(bands.units, bands.count, own.end - 1).end * bands.unit;
        maximum = std::max(maximum, std::min(end, height) - begin);
    }
    return maximum;
}

void check_chain(Random &random, const KernelTable &table, const Size &size,
                 const std::vector<StageKind> &kinds, std::int64_t band_rows, std::int64_t panel_channels) {
    const Memory source = random_source(random, size);
    const std::vector<Stage> stages = random_stages(random, table, size, kinds);
    const Memory expected = run_stages(random, table, stages, source);

    std::vector<ConvolutionTask> tasks;
    ChainTask chain;
    chain.count = static_cast<std::int64_t>(stages.size());
    for (std::size_t i = 0; i < stages.size(); ++i) {
        ConvolutionTask task = stages[i].task;
        if (task.epilogue.residual) {
            chain.has_residual[i] = true;
            chain.residuals[i] = *task.epilogue.residual;
            task.epilogue.residual = nullptr;
        }
        tasks.push_back(task);
    }
    chain.stages = tasks.data();
    chain.source = source.view;
    chain.band_rows = band_rows;
    chain.panel_channels = panel_channels;
    const Kernel<ChainTask> &kernel = table.kernel<ChainTask>();
    bool right = true;
    for (const int threads : {1, 2, 3, 8, 64}) {
        for (const bool in_order : {true, false}) {
            Memory result(random, stages.back().size, guard);
            chain.destination = result.view;
            right = right && (in_order ? run_in_order(chain, kernel, threads)
                                       : run_items(random, chain, kernel, threads));
            right = right && result.guarded() && result.same_bits(expected);
        }
    }
    std::string what = "chain of " + std::to_string(chain.count) + " stages in bands of " +
                       std::to_string(chain.band_rows) + " rows and panels of " +
                       std::to_string(chain.panel_channels) + " channels";
    for (const Stage &stage : stages)
        what += (stage.packed.is_depthwise() ? "; depthwise " : "; ") +
                std::to_string(stage.task.vertical.kernel) + "x" +
                std::to_string(stage.task.horizontal.kernel) + " stride " +
                std::to_string(stage.task.vertical.stride) + " dilation " +
                std::to_string(stage.task.vertical.dilation) + " to " + std::to_string(stage.size.height) +
                "x" + std::to_string(stage.size.width) + "x" + std::to_string(stage.size.channels);
    check_kernel(right, table, what);
}

} // namespace

TEST(bands_leave_no_thread_with_many_more_rows_than_others) {
    PackedConvolution packed;
    packed.algorithm = Algorithm::depthwise;
    ConvolutionTask stage;
    stage.packed = &packed;
    for (const int dilation : {1, 2})
        for (const int threads : {1, 2, 3, 4})
            for (std::int64_t height = 2 * threads; height < 70; ++height)
                for (const std::int64_t rows : {2, 4, 8}) {
                    stage.vertical.dilation = dilation;
                    const ChainBands bands = chain_bands(&stage, 1, height, rows, threads);
                    if (bands.count == 1) continue;
                    CHECK(part_of(bands.units, bands.count, bands.count - 1).end == bands.units);
                    const std::int64_t even = (height + threads - 1) / threads;
                    CHECK(16 * max_rows_of_a_thread(bands, height, threads) <= 17 * even);
                }
}

TEST(chains_have_the_bits_of_their_stages) {
    for_each_table(400, [](Random &random, const KernelTable &table) {
        const Size size{pick(random, 1, 2), pick(random, 1, 17), pick(random, 1, 20), pick(random, 1, 40)};
        const std::vector<StageKind> kinds = random_kinds(random);
        const std::int64_t band_rows = pick(random, 0, 6);
        check_chain(random, table, size, kinds, band_rows, random() % 2 ? 0 : pick(random, 1, 80));
    });
}

TEST(chains_of_more_inputs_than_stay_near_have_the_bits_of_their_stages) {
    for_each_table(20, [](Random &random, const KernelTable &table) {
        const StageKind pointwise{false, 1, 1, 1}, depthwise{true, 3, 1, pick(random, 1, 2)};
        const Size size{1, 20, 20, pick(random, 130, 200)};
        check_chain(random, table, size, {pointwise, depthwise}, 0, 32);
    });
}
