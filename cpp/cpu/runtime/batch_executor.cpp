#include "cpu/runtime/batch_executor.h"

#include <algorithm>
#include <chrono>
#include <map>

#include "cpu/runtime/fma_peak.h"

namespace mpscnn::cpu {

using engine::TensorView;

namespace {

constexpr std::size_t max_schedules = 64;

/// Set `part` to the views of the images [begin, begin + count) of all tensors.
void take_images(std::span<const TensorView> from, std::int64_t begin, std::int64_t count,
                 std::vector<TensorView> &part) {
    part.assign(from.begin(), from.end());
    for (TensorView &view : part) {
        view.data = static_cast<std::byte *>(view.data) + begin * view.strides[0];
        view.shape[0] = count;
    }
}

} // namespace

BatchExecutor::BatchExecutor(const engine::SessionOptions &options)
    : pool_(std::make_shared<ThreadPool>(options.threads == 0 ? ThreadPool::automatic_threads()
                                                              : options.threads)),
      chooses_threads_(options.threads == 0), check_finite_(options.check_finite),
      together_(pool_, options.check_finite) {}

BatchExecutor::Schedule *BatchExecutor::known_schedule(const CpuPlan &plan) {
    for (Schedule &schedule : schedules_)
        if (schedule.plan == plan.number()) return &schedule;
    return nullptr;
}

BatchExecutor::Schedule &BatchExecutor::add_schedule(const CpuPlan &plan) {
    if (schedules_.size() == max_schedules) schedules_.erase(schedules_.begin());
    // With check_finite, do not divide the batch: an error names the first layer whose result is not finite,
    // and the image's number in the batch.
    const BatchCut cut = check_finite_ ? BatchCut{} : cut_batch(plan, pool_->size());
    schedules_.push_back(
        {plan.number(), cut,
         chooses_threads_ ? ThreadChoice(pool_->size()) : ThreadChoice::exactly(pool_->size())});
    return schedules_.back();
}

void BatchExecutor::prepare(const engine::Plan &given) {
    const CpuPlan &plan = own_plan(given);
    const Schedule *known = known_schedule(plan);
    const Schedule &schedule = known ? *known : add_schedule(plan);
    schedule.cut.groups == 0 ? prepare_together(plan, schedule) : prepare_groups(plan, schedule);
}

void BatchExecutor::prepare_together(const CpuPlan &plan, const Schedule &schedule) {
    for (int threads : schedule.choice.counts()) {
        pool_->use(threads);
        together_.prepare(plan);
    }
}

void BatchExecutor::prepare_groups(const CpuPlan &plan, const Schedule &schedule) {
    if (schedule.cut.rest > 0) prepare_together(plan.for_images(schedule.cut.rest), schedule);
    while (alone_.size() < static_cast<std::size_t>(pool_->size()))
        alone_.push_back(std::make_unique<Alone>());
    for (const auto &alone : alone_) {
        alone->executor.prepare(plan.for_images(schedule.cut.smallest_group()));
        alone->executor.prepare(plan.for_images(schedule.cut.largest_group()));
        alone->inputs.reserve(plan.input_shapes().size());
        alone->outputs.reserve(plan.output_shapes().size());
    }
    inputs_.reserve(plan.input_shapes().size());
    outputs_.reserve(plan.output_shapes().size());
}

void BatchExecutor::run(const engine::Plan &given, std::span<const TensorView> inputs,
                        std::span<const TensorView> outputs) {
    const CpuPlan &plan = own_plan(given);
    if (!known_schedule(plan)) prepare(plan);
    Schedule &schedule = *known_schedule(plan);
    if (schedule.cut.groups == 0) return run_together(plan, schedule, inputs, outputs);
    plan.require_shapes(inputs, outputs);
    NoHook nobody;
    run_groups(plan, schedule.cut, inputs, outputs, nobody);
    if (schedule.cut.rest == 0) return;
    take_images(inputs, schedule.cut.images, schedule.cut.rest, inputs_);
    take_images(outputs, schedule.cut.images, schedule.cut.rest, outputs_);
    run_together(plan.for_images(schedule.cut.rest), schedule, inputs_, outputs_);
}

void BatchExecutor::share(std::int64_t items, std::int64_t chunk, const RangeWork &work) {
    pool_->run(items, chunk, [&](int, std::int64_t begin, std::int64_t end) { work(begin, end); });
}

void BatchExecutor::run_together(const CpuPlan &plan, Schedule &schedule, std::span<const TensorView> inputs,
                                 std::span<const TensorView> outputs) {
    pool_->use(schedule.choice.threads());
    const auto start = std::chrono::steady_clock::now();
    together_.run(plan, inputs, outputs);
    const auto time = std::chrono::steady_clock::now() - start;
    schedule.choice.took(std::chrono::duration<double, std::micro>(time).count());
}

template <class Hook>
void BatchExecutor::run_groups(const CpuPlan &plan, const BatchCut &cut, std::span<const TensorView> inputs,
                               std::span<const TensorView> outputs, Hook &hook) {
    pool_->use(pool_->size());
    pool_->run(cut.groups, [&](int worker, std::int64_t begin, std::int64_t end) {
        Alone &alone = *alone_[static_cast<std::size_t>(worker)];
        for (std::int64_t group = begin; group < end; ++group) {
            const std::int64_t first = cut.group_begin(group), count = cut.group_begin(group + 1) - first;
            take_images(inputs, first, count, alone.inputs);
            take_images(outputs, first, count, alone.outputs);
            auto own = hook.alone(count, worker);
            alone.executor.run_hooked(plan.for_images(count), alone.inputs, alone.outputs, own);
        }
    });
}

engine::ExecutionProfile BatchExecutor::profile(const engine::Plan &given, std::span<const TensorView> inputs,
                                                std::span<const TensorView> outputs, int runs) {
    const CpuPlan &plan = own_plan(given);
    run(plan, inputs, outputs); // this also chooses the schedule
    Schedule &schedule = *known_schedule(plan);
    const bool chooses = schedule.cut.groups == 0;
    while (chooses && !schedule.choice.is_settled()) run(plan, inputs, outputs);
    pool_->use(chooses ? schedule.choice.chosen() : pool_->size());

    const KernelTable &kernels = *plan.network().kernels;
    ThreadPool one(1);
    engine::ExecutionProfile profile;
    profile.threads = pool_->threads();
    profile.instruction_set = kernels.name;
    profile.peak = {fma_peak(kernels, one), fma_peak(kernels, *pool_)};
    const BatchSteps parts = describe_steps(plan, schedule.cut, inputs, outputs);
    profile.steps = parts.steps();
    ProfileHook hook(pool_->size(), parts);
    const auto run_once = [&] {
        return hook.run([&] { run_hooked(plan, schedule.cut, inputs, outputs, hook); });
    };
    // Do not count this run, because measuring the peak has displaced the network's data from the caches.
    run_once();
    for (int i = 0; i < runs; ++i) profile.add(run_once());
    return in_order(profile);
}

void BatchExecutor::run_hooked(const CpuPlan &plan, const BatchCut &cut, std::span<const TensorView> inputs,
                               std::span<const TensorView> outputs, ProfileHook &hook) {
    auto together = hook.together();
    if (cut.groups == 0) return together_.run_hooked(plan, inputs, outputs, together);
    run_groups(plan, cut, inputs, outputs, hook);
    if (cut.rest == 0) return;
    take_images(inputs, cut.images, cut.rest, inputs_);
    take_images(outputs, cut.images, cut.rest, outputs_);
    together_.run_hooked(plan.for_images(cut.rest), inputs_, outputs_, together);
}

BatchSteps BatchExecutor::describe_steps(const CpuPlan &plan, const BatchCut &cut,
                                         std::span<const TensorView> inputs,
                                         std::span<const TensorView> outputs) {
    BatchSteps parts(plan.batch());
    const auto steps_of = [&](CpuExecutor &executor, std::int64_t images) {
        if (images == plan.batch()) return executor.describe_steps(plan, inputs, outputs);
        take_images(inputs, 0, images, inputs_);
        take_images(outputs, 0, images, outputs_);
        return executor.describe_steps(plan.for_images(images), inputs_, outputs_);
    };
    std::map<std::int64_t, std::int64_t> groups; // the number of groups of each size
    for (std::int64_t group = 0; group < cut.groups; ++group)
        ++groups[cut.group_begin(group + 1) - cut.group_begin(group)];
    for (const auto &[images, count] : groups)
        parts.add_alone(images, count, steps_of(alone_[0]->executor, images));
    const std::int64_t together = plan.batch() - cut.images;
    if (together > 0) parts.add_together(together, steps_of(together_, together));
    return parts;
}

} // namespace mpscnn::cpu
