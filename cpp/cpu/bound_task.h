#pragma once

#include <span>
#include <utility>

#include "cpu/step.h"

namespace mpscnn::cpu {

/// A step's task with its tensors in memory: on the stack, since a run allocates nothing.
template <class TaskType> class BoundTask {
public:
    BoundTask(const Step &step, std::span<const Storage> storages, std::span<const Binding> bindings)
        : task(std::get<TaskType>(step.task)) {
        const auto bind = [&](const Region &region) {
            const auto index = static_cast<std::size_t>(region.storage);
            return region.bind(bindings[index], storages[index]);
        };
        task.destination = bind(step.destination);
        if constexpr (std::is_same_v<TaskType, AdditionTask>) {
            task.a = bind(step.source);
            task.b = bind(*step.second);
        } else {
            task.source = bind(step.source);
            if constexpr (std::is_same_v<TaskType, ConvolutionTask>) {
                if (step.second) {
                    residual_ = bind(*step.second);
                    task.epilogue.residual = &residual_;
                }
            }
        }
    }
    BoundTask(const BoundTask &) = delete; // the task may point to its residual
    BoundTask &operator=(const BoundTask &) = delete;

    TaskType task;

private:
    ConstView residual_;
};

/// The two functions of a kernel table that serve a kind of task.
template <class TaskType> struct Kernel {
    Work (*work)(const TaskType &, int threads);
    void (*run)(const TaskType &, int threads, std::int64_t begin, std::int64_t end, std::byte *scratch);
};

inline Kernel<ConvolutionTask> kernel_for(const KernelTable &table, const ConvolutionTask &) {
    return {table.convolution_work, table.convolution};
}
inline Kernel<PoolingTask> kernel_for(const KernelTable &table, const PoolingTask &) {
    return {table.pooling_work, table.pooling};
}
inline Kernel<AdditionTask> kernel_for(const KernelTable &table, const AdditionTask &) {
    return {table.addition_work, table.addition};
}
inline Kernel<AffineTask> kernel_for(const KernelTable &table, const AffineTask &) {
    return {table.affine_work, table.affine};
}
inline Kernel<SoftmaxTask> kernel_for(const KernelTable &table, const SoftmaxTask &) {
    return {table.softmax_work, table.softmax};
}
inline Kernel<ResizeTask> kernel_for(const KernelTable &table, const ResizeTask &) {
    return {table.resize_work, table.resize};
}
inline Kernel<PaddingTask> kernel_for(const KernelTable &table, const PaddingTask &) {
    return {table.padding_work, table.padding};
}

} // namespace mpscnn::cpu
