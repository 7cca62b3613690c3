#pragma once

#include <span>

#include "cpu/plan/step.h"

namespace mpscnn::cpu {

/// A copy of a step's task with the addresses of its tensors in this run. It is on the stack, because a run
/// allocates no memory.
class BoundTask {
public:
    BoundTask(const Step &step, std::span<const Storage> storages, std::span<const Binding> bindings);
    BoundTask(const BoundTask &) = delete; // the task may point to its residual
    BoundTask &operator=(const BoundTask &) = delete;

    const Task &task() const { return task_; }
    const ConstView &destination() const { return destination_; }

private:
    class Binder;

    Task task_;
    ConstView destination_, residual_;
    PackedConvolution plain_, variables_; // the second one may point to the first one
};

} // namespace mpscnn::cpu
