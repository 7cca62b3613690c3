#include "cpu/batch_executor.h"

namespace mpscnn::cpu {

using engine::TensorView;

namespace {

/// The images [begin, begin + count) of all tensors.
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
      check_finite_(options.check_finite), together_(pool_, options.check_finite) {}

void BatchExecutor::cut(const CpuPlan &plan) {
    cut_plan_ = plan.number();
    // An error names the first layer with a result that is not finite, and the image's number in the batch.
    cut_ = check_finite_ ? BatchCut{} : cut_batch(plan, pool_->threads());
}

void BatchExecutor::prepare(const engine::Plan &given) {
    const CpuPlan &plan = own_plan(given);
    cut(plan);
    if (cut_.groups == 0) return together_.prepare(plan);
    if (cut_.rest > 0) together_.prepare(plan.for_images(cut_.rest));
    while (alone_.size() < static_cast<std::size_t>(pool_->threads()))
        alone_.push_back(std::make_unique<Alone>());
    for (const auto &alone : alone_) {
        alone->executor.prepare(plan.for_images(cut_.smallest_group()));
        alone->executor.prepare(plan.for_images(cut_.largest_group()));
        alone->inputs.reserve(plan.input_shapes().size());
        alone->outputs.reserve(plan.output_shapes().size());
    }
    inputs_.reserve(plan.input_shapes().size());
    outputs_.reserve(plan.output_shapes().size());
}

void BatchExecutor::run(const engine::Plan &given, std::span<const TensorView> inputs,
                        std::span<const TensorView> outputs) {
    const CpuPlan &plan = own_plan(given);
    if (plan.number() != cut_plan_) prepare(plan);
    if (cut_.groups == 0) return together_.run(plan, inputs, outputs);
    plan.require_shapes(inputs, outputs);
    pool_->run(cut_.groups, [&](int worker, std::int64_t begin, std::int64_t end) {
        Alone &alone = *alone_[static_cast<std::size_t>(worker)];
        for (std::int64_t group = begin; group < end; ++group) {
            const std::int64_t first = cut_.group_begin(group), count = cut_.group_begin(group + 1) - first;
            take_images(inputs, first, count, alone.inputs);
            take_images(outputs, first, count, alone.outputs);
            alone.executor.run(plan.for_images(count), alone.inputs, alone.outputs);
        }
    });
    if (cut_.rest == 0) return;
    take_images(inputs, cut_.images, cut_.rest, inputs_);
    take_images(outputs, cut_.images, cut_.rest, outputs_);
    together_.run(plan.for_images(cut_.rest), inputs_, outputs_);
}

} // namespace mpscnn::cpu
