// Tests of the CPU engine's profiles.

#include <cstdlib>
#include <numeric>

#include "cpu/runtime/fma_peak.h"
#include "tests/cpp/check.h"
#include "tests/engine/small_network.h"

using namespace small;

namespace {

engine::ExecutionProfile profile_of(const engine::Graph &graph, const Shape &shape, int threads, int runs) {
    const auto lowered = cpu::make_cpu_backend()->lower(graph, {});
    Arrays inputs{random_array(shape, 3)}, outputs = arrays_for_outputs(graph, {shape});
    const auto plan = lowered->plan({shape});
    return lowered->executor({threads})->profile(*plan, views_of(inputs), views_of(outputs), runs);
}

/// Return the name of the kernel that computes one layer on an input of this shape.
std::string kernel_of(const ops::Operation &operation, const Shape &shape) {
    Network network;
    Shape free = shape;
    free[0] = Shape::any;
    network.output(network.add(operation, {network.input(free)}));
    return profile_of(network.graph, shape, 1, 1).steps.at(0).kernel;
}

/// Check the fastest run: the work of one thread does not overlap, and work for a step lies within the step.
void require_order(const engine::ExecutionProfile &profile, int threads) {
    const engine::RunTimes &run = profile.runs[profile.fastest];
    std::vector<std::int64_t> ends(static_cast<std::size_t>(threads) + 1, 0);
    std::vector<engine::TimeSpan> together(profile.steps.size());
    for (const engine::WorkSpan &work : run.work) {
        CHECK(work.step < profile.steps.size());
        CHECK(engine::WorkSpan::all_threads <= work.thread && work.thread < threads);
        std::int64_t &end = ends[static_cast<std::size_t>(work.thread + 1)];
        CHECK(end <= work.time.begin && work.time.begin <= work.time.end && work.time.end <= run.duration);
        end = work.time.end;
        engine::TimeSpan &step = together[work.step];
        if (work.thread == engine::WorkSpan::all_threads)
            step = work.time;
        else if (step.end > 0)
            CHECK(step.begin <= work.time.begin && work.time.end <= step.end);
    }
}

} // namespace

TEST(kernels_have_names) {
    CHECK(kernel_of(convolution(32, window(1)), {1, 8, 8, 32}) == "pointwise");
    CHECK(kernel_of(convolution(32, window(1, 2)), {1, 8, 8, 32}) == "pointwise 1x1/2");
    CHECK(kernel_of(convolution(32, window(1)), {1, 1, 1, 32}) == "dense");
    CHECK(kernel_of(ops::FullyConnected{32}, {1, 4, 4, 32}) == "dense");
    CHECK(kernel_of(convolution(32, window(3)), {1, 8, 8, 32}).starts_with("convolution 3x3"));
    CHECK(kernel_of(convolution(32, window(3, 2), 32), {1, 8, 8, 32}) == "depthwise 3x3/2");
    CHECK(kernel_of(convolution(32, window(3, 1, ops::PaddingPolicy::same, 2), 32), {1, 8, 8, 32}) ==
          "depthwise 3x3 dilated 2");
    CHECK(kernel_of(convolution(32, window(7), 32), {1, 8, 8, 32}) == "depthwise 7x7 (generic)");
    CHECK(kernel_of(convolution(64, window(3), 32), {1, 8, 8, 32}) == "depthwise 3x3 (repeated channels)");
    CHECK(kernel_of(ops::Pooling{ops::PoolingKind::max, window(2, 2)}, {1, 8, 8, 32}) == "pooling 2x2/2");
    CHECK(kernel_of(ops::Softmax{}, {1, 32}) == "softmax");
}

TEST(runs_are_complete) {
    Network network;
    ValueId x = network.input({Shape::any, 16, 16, 3});
    x = network.add(convolution(16, window(3)), {x}, relu);
    x = network.add(ops::GroupNormalization{4}, {x});
    network.output(network.add(ops::Softmax{}, {x}));
    for (const int threads : {1, 3}) {
        const engine::ExecutionProfile profile = profile_of(network.graph, {2, 16, 16, 3}, threads, 5);
        CHECK(profile.threads == threads);
        CHECK(profile.runs.size() == 5);
        CHECK(profile.instruction_set == cpu::kernels().name);
        for (std::size_t i = 0; i < profile.runs.size(); ++i) {
            const engine::RunTimes &run = profile.runs[i];
            CHECK(run.steps.size() == profile.steps.size());
            CHECK(std::accumulate(run.steps.begin(), run.steps.end(), 0.0) <=
                  static_cast<double>(run.duration));
            CHECK(run.work.empty() == (i != profile.fastest));
            CHECK(run.duration >= profile.runs[profile.fastest].duration);
        }
        require_order(profile, threads);
    }
}

TEST(bytes_count_tensors_and_weights_once) {
    Network network;
    ValueId x = network.input({Shape::any, 8, 8, 16});
    x = network.add(convolution(16, window(1)), {x}, relu);
    const ValueId y = network.add(convolution(16, window(1)), {x});
    network.output(network.add(ops::Addition{}, {x, y}));
    const auto lowered = cpu::make_cpu_backend()->lower(network.graph, {});
    const engine::ExecutionProfile profile = profile_of(network.graph, {1, 8, 8, 16}, 1, 1);
    CHECK(profile.steps.size() == 2);
    const auto tensor = static_cast<std::int64_t>(8 * 8 * 16 * sizeof(float));
    const auto weights = static_cast<std::int64_t>(lowered->weight_bytes() / 2);
    CHECK(profile.steps[0].bytes == 2 * tensor + weights);
    CHECK(profile.steps[1].bytes == 3 * tensor + weights); // and the other operand of the addition
    CHECK(profile.steps[1].layers.size() == 2);
}

/// While it exists, every layer is a separate step, so that the machine's caches have no influence.
struct Unfused {
    Unfused() { setenv("MPSCNN_FUSION", "none", 1); }
    ~Unfused() { unsetenv("MPSCNN_FUSION"); }
};

/// The batch is divided into groups of images (cpu/plan/batch_cut.h), which threads compute independently.
TEST(batches_in_parts_are_complete) {
    Network network;
    ValueId x = network.input({Shape::any, 32, 32, 32});
    x = network.add(convolution(64, window(3)), {x}, relu);
    x = network.add(convolution(64, window(3)), {x}, relu);
    network.output(network.add(convolution(32, window(1)), {x}));
    const Unfused unfused;
    const auto one = profile_of(network.graph, {1, 32, 32, 32}, 1, 2);
    for (const int threads : {1, 2}) {
        const auto profile = profile_of(network.graph, {5, 32, 32, 32}, threads, 2);
        CHECK(profile.steps.size() == 3);
        bool apart = false;
        const engine::RunTimes &run = profile.runs[profile.fastest];
        for (const engine::WorkSpan &work : run.work) {
            const bool within = std::any_of(run.work.begin(), run.work.end(), [&](const auto &step) {
                return step.thread == engine::WorkSpan::all_threads && step.step == work.step &&
                       step.time.begin <= work.time.begin && work.time.end <= step.time.end;
            });
            apart = apart || !within;
        }
        CHECK(apart || threads == 1);
        for (std::size_t step = 0; step < profile.steps.size(); ++step) {
            CHECK(profile.steps[step].layers == one.steps[step].layers);
            CHECK(std::fabs(profile.steps[step].share_of_batch - 1) < 1e-9);
            CHECK(profile.steps[step].bytes > 4 * one.steps[step].bytes / 2);
            CHECK(run.steps[step] > 0);
        }
        CHECK(std::accumulate(run.steps.begin(), run.steps.end(), 0.0) <= static_cast<double>(run.duration));
    }
}

TEST(peaks_are_measured_once) {
    for (const cpu::KernelTable *table : cpu::available_kernels()) {
        cpu::ThreadPool one(1), two(2);
        const double peak = cpu::fma_peak(*table, one);
        CHECK(peak > 1e6);
        CHECK(cpu::fma_peak(*table, one) == peak);
        CHECK(cpu::fma_peak(*table, two) > 1e6);
    }
}

TEST(other_backends_may_have_no_profile) {
    Network network;
    network.output(network.add(ops::Softmax{}, {network.input({Shape::any, 4})}));
    const auto lowered = toy::Backend().lower(network.graph, {});
    const auto plan = lowered->plan({Shape{1, 4}});
    const auto executor = lowered->executor({});
    CHECK_THROWS(executor->profile(*plan, {}, {}, 1), ErrorKind::unsupported,
                 "only if one device computes all layers");
}
