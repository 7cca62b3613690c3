#include "cpu/plan/step_prediction.h"

#include "core/alternatives.h"

namespace mpscnn::cpu {

namespace {

/// Whether a kernel's time follows from the bytes that it moves and its operations, which all take alike: not
/// with random numbers, sums over windows that are not pooled, or functions.
template <class TaskType>
constexpr bool is_plain =
    std::is_same_v<TaskType, PoolingTask> || std::is_same_v<TaskType, ResizeTask> ||
    std::is_same_v<TaskType, PaddingTask> || std::is_same_v<TaskType, ConcatenationTask> ||
    std::is_same_v<TaskType, ArithmeticTask> || std::is_same_v<TaskType, SoftmaxTask> ||
    std::is_same_v<TaskType, DepthToSpaceTask> || std::is_same_v<TaskType, ConversionTask>;

/// Its extents and elements; it lies nowhere.
View view_of(const Region &region, std::span<const Storage> storages) {
    return region.bind({}, storages[static_cast<std::size_t>(region.storage)]);
}

double bytes_of(const Region &region, std::span<const Storage> storages) {
    const View view = view_of(region, storages);
    return static_cast<double>(view.batch * view.height * view.width * view.channels * size_of(view.element));
}

/// FMAs that an operation of a softmax's definition takes: one of four is an exponential.
constexpr std::int64_t softmax_operations = 6;

double predicted_convolution(const MachineModel &machine, ConvolutionTask task, const Step &step,
                             std::span<const Storage> storages) {
    const ConstView any_residual;
    task.source = view_of(step.source, storages);
    task.destination = view_of(step.destination, storages);
    if (!step.others.empty() && !task.continues) task.epilogue.residual = &any_residual;
    return predicted_alone(machine, task);
}

} // namespace

std::optional<double> predicted_step(const MachineModel &machine, const Step &step,
                                     std::span<const Storage> storages, std::int64_t operations) {
    if (const auto *pooled = std::get_if<PooledConvolutionTask>(&step.task))
        return predicted_alone(machine, pooled->convolution);
    if (const auto *convolution = std::get_if<ConvolutionTask>(&step.task))
        return predicted_convolution(machine, *convolution, step, storages);
    const bool plain =
        visit_alternative([]<class TaskType>(const TaskType &) { return is_plain<TaskType>; }, step.task);
    if (!plain) return std::nullopt;
    if (std::holds_alternative<SoftmaxTask>(step.task)) operations *= softmax_operations;
    double bytes = bytes_of(step.source, storages) + bytes_of(step.destination, storages);
    for (const Region &other : step.others) bytes += bytes_of(other, storages);
    return predicted_plain(machine, bytes, static_cast<double>(operations));
}

} // namespace mpscnn::cpu
