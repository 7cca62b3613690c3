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
        if constexpr (requires { task.plan; }) task.plan = plan_.bytes;
        if constexpr (requires { task.past_caches; }) // what lies in the arena is read at once
            task.past_caches =
                task.past_caches && !bindings[static_cast<std::size_t>(step.destination.storage)].own;
        if constexpr (requires { task.second; }) {
            task.second = bind(step.others[0]);
        } else if constexpr (requires { task.others; }) {
            for (std::size_t i = 0; i < step.others.size(); ++i) task.others[i] = bind(step.others[i]);
        } else if constexpr (std::is_same_v<TaskType, ConvolutionTask>) {
            if (step.others.empty()) return;
            if (task.continues) {
                task.start = bind(step.others[0]);
                return;
            }
            residual_ = bind(step.others[0]);
            task.epilogue.residual = &residual_;
        } else if constexpr (std::is_same_v<TaskType, ChainTask>) {
            task.stages = step.stages.data();
            std::size_t next = 0;
            for (std::int64_t stage = 0; stage < task.count; ++stage)
                if (task.has_residual[stage]) task.residuals[stage] = bind(step.others[next++]);
        }
    }
    BoundTask(const BoundTask &) = delete; // the task may point to its residual
    BoundTask &operator=(const BoundTask &) = delete;

    TaskType task;

private:
    template <class T> struct PlanMemory {};
    template <class T>
        requires requires(T task) { task.plan; }
    struct PlanMemory<T> {
        alignas(64) std::byte bytes[T::plan_bytes];
    };

    ConstView residual_;
    [[no_unique_address]] PlanMemory<TaskType> plan_;
};

} // namespace mpscnn::cpu
