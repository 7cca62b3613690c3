#include "cpu/plan/step_description.h"

#include <concepts>

#include "core/text.h"
#include "cpu/plan/bound_task.h"

namespace mpscnn::cpu {

using engine::StepDescription;

namespace {

/// Return "3x3/2": the kernel, and stride and dilation if they are not 1.
std::string text_of(const WindowAxis &vertical, const WindowAxis &horizontal) {
    const auto pair = [](std::int64_t a, std::int64_t b) {
        return a == b ? std::to_string(a) : std::to_string(a) + "x" + std::to_string(b);
    };
    std::string text = concat({vertical.kernel, "x", horizontal.kernel});
    if (vertical.stride != 1 || horizontal.stride != 1)
        text += "/" + pair(vertical.stride, horizontal.stride);
    if (vertical.dilation != 1 || horizontal.dilation != 1)
        text += " dilated " + pair(vertical.dilation, horizontal.dilation);
    return text;
}

bool is_pointwise(const ConvolutionTask &task) {
    return !task.packed->is_depthwise() && task.vertical.kernel == 1 && task.horizontal.kernel == 1;
}

template <class TaskType> const char *kind_of(const TaskType &task) { return task.kernel_name(); }
const char *kind_of(const ConvolutionTask &task) {
    if (!is_pointwise(task)) return task.kernel_name();
    return task.source.height * task.source.width == 1 ? "dense" : "pointwise";
}

/// A task's text shows its kind, and its window if it has one.
struct Summary {
    std::string kind;
    const WindowAxis *vertical = nullptr, *horizontal = nullptr;
};

/// True for tasks with one window. An interleaved convolution has a window for each of its parts.
template <class TaskType>
concept HasWindow = !std::is_same_v<TaskType, InterleavedConvolutionTask> && requires(TaskType task) {
    { task.vertical } -> std::same_as<WindowAxis &>;
};

template <class TaskType> Summary summary_of(const TaskType &task) {
    if constexpr (HasWindow<TaskType>)
        return {kind_of(task), &task.vertical, &task.horizontal};
    else
        return {kind_of(task)};
}

std::string text_of(const Summary &summary) {
    if (!summary.vertical) return summary.kind;
    const bool shows_window = summary.kind != "dense" && summary.kind != "pointwise";
    const bool has_stride = summary.vertical->stride != 1 || summary.horizontal->stride != 1;
    if (!shows_window && !has_stride) return summary.kind;
    return concat({summary.kind, " ", text_of(*summary.vertical, *summary.horizontal)});
}

/// Return a text such as "pointwise + depthwise 3x3 (bands of 4, panels of 64)".
std::string text_of(const ChainTask &task) {
    std::string text, cut;
    for (std::int64_t stage = 0; stage < task.count; ++stage)
        text += (stage > 0 ? " + " : "") + text_of(summary_of(task.stages[stage]));
    if (task.band_rows > 0) cut = concat({"bands of ", task.band_rows});
    if (task.panel_channels > 0)
        cut += concat({(cut.empty() ? "panels of " : ", panels of "), task.panel_channels});
    return cut.empty() ? text : text + " (" + cut + ")";
}

/// Return the text of a task with this summary.
std::string text_of(const Task &task, const Summary &summary) {
    if (const auto *chain = task.get_if<ChainTask>()) return text_of(*chain);
    if (const auto *pooled = task.get_if<PooledConvolutionTask>())
        return concat(
            {text_of(summary_of(pooled->convolution)), " + ", text_of(summary_of(pooled->pooling))});
    return text_of(summary);
}

std::int64_t bytes_of(const Region &region, const CpuPlan &plan) {
    const Extents &extents = region.extents;
    const Storage &storage = plan.storages()[static_cast<std::size_t>(region.storage)];
    return extents.batch * extents.pixels() * extents.channels * size_of(storage.element);
}

std::int64_t bytes_of(const Step &step, const CpuPlan &plan) {
    std::int64_t bytes = static_cast<std::int64_t>(step.weight_bytes) + bytes_of(step.source, plan) +
                         bytes_of(step.destination, plan);
    for (const Region &other : step.others) bytes += bytes_of(other, plan);
    return bytes;
}

} // namespace

std::string kind_of(const Step &step) {
    return step.task.visit([](const auto &task) { return kind_of(task); });
}

StepDescription describe(const Step &step, const CpuPlan &plan, std::span<const Binding> bindings,
                         const Prepared &prepared) {
    StepDescription description{step.layers, {}, {}, bytes_of(step, plan)};
    const BoundTask bound(step, plan.storages(), bindings);
    const Summary summary = bound.task().visit([](const auto &task) { return summary_of(task); });
    description.kind = summary.kind;
    description.kernel = text_of(bound.task(), summary);
    if (prepared.variant) description.kernel += concat({" (", prepared.variant, ")"});
    if (step.layers.empty()) description.kernel += " of an output";
    return description;
}

StepDescription describe_copy(const Storage &storage, const engine::TensorView &tensor) {
    const Extents &extents = storage.extents;
    const std::int64_t elements = extents.batch * extents.pixels() * extents.channels;
    const auto size = static_cast<std::int64_t>(sizeof(float) + size_of(tensor.type));
    const char *kernel = storage.home == Storage::Home::input ? "copy of an input" : "copy of an output";
    return {{}, "copy", kernel, elements * size};
}

namespace {

/// True for kernels whose time depends only on their bytes and their number of operations. Others compute
/// functions, random numbers or sums over windows, whose operations take longer. Poolings are plain.
template <class TaskType>
constexpr bool is_plain =
    std::is_same_v<TaskType, PoolingTask> || std::is_same_v<TaskType, ResizeTask> ||
    std::is_same_v<TaskType, PaddingTask> || std::is_same_v<TaskType, ConcatenationTask> ||
    std::is_same_v<TaskType, ArithmeticTask> || std::is_same_v<TaskType, SoftmaxTask> ||
    std::is_same_v<TaskType, DepthToSpaceTask> || std::is_same_v<TaskType, ConversionTask> ||
    std::is_same_v<TaskType, TransposeTask> || std::is_same_v<TaskType, InterleaveTask> ||
    std::is_same_v<TaskType, TakeTask>;

/// Return a view with the region's extents and element type, but without address.
View view_of(const Region &region, std::span<const Storage> storages) {
    return region.bind({}, storages[static_cast<std::size_t>(region.storage)]);
}

double bytes_of(const Region &region, std::span<const Storage> storages) {
    const View view = view_of(region, storages);
    return static_cast<double>(view.batch * view.height * view.width * view.channels * size_of(view.element));
}

/// The number of operations of other layers that take as long as one operation of softmax. One of softmax's
/// four operations per element is an exponential, which takes much longer than an addition.
constexpr std::int64_t softmax_operations = 6;

double predicted_convolution(const MachineModel &machine, ConvolutionTask task, const Step &step,
                             std::span<const Storage> storages) {
    const ConstView any_residual;
    task.source = view_of(step.source, storages);
    task.destination = view_of(step.destination, storages);
    if (step.others.size() > (task.gated || task.reads_variables ? 1 : 0) && !task.continues)
        task.epilogue.residual = &any_residual;
    return predicted_alone(machine, task);
}

} // namespace

std::optional<double> predicted_step(const MachineModel &machine, const Step &step,
                                     std::span<const Storage> storages, std::int64_t operations) {
    if (const auto *pooled = step.task.get_if<PooledConvolutionTask>())
        return predicted_alone(machine, pooled->convolution);
    if (const auto *convolution = step.task.get_if<ConvolutionTask>())
        return predicted_convolution(machine, *convolution, step, storages);
    static constexpr auto plain = TaskList::map([]<class TaskType>() { return is_plain<TaskType>; });
    if (!plain[step.task.index()]) return std::nullopt;
    if (step.task.is<SoftmaxTask>()) operations *= softmax_operations;
    double bytes = bytes_of(step.source, storages) + bytes_of(step.destination, storages);
    for (const Region &other : step.others) bytes += bytes_of(other, storages);
    return predicted_plain(machine, bytes, static_cast<double>(operations));
}

} // namespace mpscnn::cpu
