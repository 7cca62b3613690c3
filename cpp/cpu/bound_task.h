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
        task.source = bind(step.source);
        if constexpr (requires { task.second; }) {
            task.second = bind(*step.second);
        } else if constexpr (std::is_same_v<TaskType, ConvolutionTask>) {
            if (!step.second) return;
            residual_ = bind(*step.second);
            task.epilogue.residual = &residual_;
        }
    }
    BoundTask(const BoundTask &) = delete; // the task may point to its residual
    BoundTask &operator=(const BoundTask &) = delete;

    TaskType task;

private:
    ConstView residual_;
};

} // namespace mpscnn::cpu
